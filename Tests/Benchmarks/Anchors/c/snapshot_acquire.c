/* The floor: a plain acquire load. Nothing is reclaimed while readers run. */
#include "payload.h"
#include "subjects.h"

/* A flat writer reuses the oldest payload after so many. A reader preempted for that long would read a newer one's
   fields, which only the checksum would show. */
#define RING (1u << 20)

static _Alignas(LINE) _Atomic(struct payload *) current;
static struct payload **ring;

static void set_up(void) {
    ring = checked(calloc(RING, sizeof *ring));
    ring[0] = payload_new(0);
    atomic_store_explicit(&current, ring[0], memory_order_release);
}

static void tear_down(void) {
    for (unsigned i = 0; i < RING; i++) free(ring[i]);
    free(ring);
}

static void reads(struct worker *worker) {
    uint64_t sum = 0;
    MEASURE_CHEAP(worker, SELDOM, , {
        struct payload *payload = atomic_load_explicit(&current, memory_order_acquire);
        sum += payload->a ^ payload->b;
    })
    worker->sum = sum;
}

static void writes(struct worker *worker) {
    uint64_t version = 0;
    WRITE_ON(worker, sleep_ms(1), {
        struct payload **place = &ring[++version % RING];
        if (*place) payload_fill(*place, version);
        else *place = payload_new(version);
        atomic_store_explicit(&current, *place, memory_order_release);
    })
}

const struct subject snapshot_read_acquire = {"snapshot-read", "c-acquire", set_up, reads, writes, tear_down, NULL};
