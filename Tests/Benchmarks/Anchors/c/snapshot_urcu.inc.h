/* One flavour of liburcu. The including file includes the flavour's header and says:
   FLAVOUR       its name
   AFTER_BATCH   what a reader does once per batch
   PAUSE         how a slow writer waits */
#include "payload.h"
#include "subjects.h"

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

/* Retired payloads that may wait before the writer waits for them. */
#define MOST_RETIRED 4096

static _Alignas(LINE) struct payload *current;

_Static_assert(sizeof(struct rcu_head) <= sizeof((struct payload *)0)->rest, "a payload holds its list link");

static void set_up(void) {
    get_default_call_rcu_data(); /* started here, its thread is pinned nowhere */
    current = payload_new(0);
}

static void set_up_publish(void) {
    set_up();
    plan.writer = WRITER_FLAT;
    plan.others = plan.threads;
    plan.measured = 1;
}

static void tear_down(void) {
    rcu_barrier();
    free(current);
}

static void reads(struct worker *worker) {
    uint64_t sum = 0;
    rcu_register_thread();
    MEASURE_CHEAP(worker, SELDOM, AFTER_BATCH, {
        rcu_read_lock();
        struct payload *payload = rcu_dereference(current);
        sum += payload->a ^ payload->b;
        rcu_read_unlock();
    })
    rcu_unregister_thread();
    worker->sum = sum;
}

static void reclaim(struct rcu_head *head) {
    free((char *)head - offsetof(struct payload, rest));
}

static inline void publish(uint64_t version) {
    struct payload *old = rcu_xchg_pointer(&current, payload_new(version));
    call_rcu((struct rcu_head *)(void *)old->rest, reclaim);
    if (version % MOST_RETIRED == 0) rcu_barrier();
}

static void writes(struct worker *worker) {
    uint64_t version = 0;
    rcu_register_thread();
    WRITE_ON(worker, PAUSE, {
        publish(++version);
        AFTER_BATCH;
    })
    rcu_unregister_thread();
}

static void publishes(struct worker *worker) {
    uint64_t version = 0;
    rcu_register_thread();
    MEASURE_DEAR(worker, AFTER_BATCH, publish(++version))
    rcu_unregister_thread();
}

const struct subject PASTE(snapshot_read_, FLAVOUR) = {
    "snapshot-read", "urcu-" TEXT(FLAVOUR), set_up, reads, writes, tear_down, NULL};
const struct subject PASTE(snapshot_publish_, FLAVOUR) = {
    "snapshot-publish", "urcu-" TEXT(FLAVOUR), set_up_publish, publishes, reads, tear_down, NULL};
