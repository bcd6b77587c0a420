#include "subjects.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static _Alignas(LINE) struct {
    pthread_rwlock_t lock;
    uint64_t a, b;
} shared = {.lock = PTHREAD_RWLOCK_INITIALIZER};

static inline uint64_t read_once(void) {
    pthread_rwlock_rdlock(&shared.lock);
    uint64_t a = shared.a, b = shared.b;
    pthread_rwlock_unlock(&shared.lock);
    if (b != a * FOLD) _exit(70);
    return a ^ b;
}

static inline void change(void) {
    shared.a++;
    shared.b = shared.a * FOLD;
}

static inline void write_once(void) {
    pthread_rwlock_wrlock(&shared.lock);
    change();
    pthread_rwlock_unlock(&shared.lock);
}

/* Beside a writer one read in 65 is timed alone: a batch's mean would hide who waited. */
static uint64_t timed_reads(struct worker *worker) {
    uint64_t sum = 0;
    for (int i = 0; i < BATCH / 64; i++) {
        uint64_t begun = now_ns();
        sum += read_once();
        histogram_add(&worker->singles, (now_ns() - begun) * 1000);
    }
    worker->ops += BATCH / 64;
    return sum;
}

static void reads(struct worker *worker) {
    uint64_t sum = 0;
    if (plan.writer == WRITER_NONE) {
        MEASURE_CHEAP(worker, SELDOM, , sum += read_once())
    } else {
        MEASURE_CHEAP(worker, 1, sum += timed_reads(worker), sum += read_once())
    }
    worker->sum = sum;
}

static void writes_timing_waits(struct worker *worker) {
    WRITE_ON(worker, sleep_ms(1), {
        uint64_t asked = now_ns();
        pthread_rwlock_wrlock(&shared.lock);
        uint64_t got = now_ns();
        change();
        pthread_rwlock_unlock(&shared.lock);
        histogram_add(&worker->samples, (got - asked) * 1000);
    })
}

static void writes(struct worker *worker) {
    MEASURE_DEAR(worker, , write_once())
    worker->sum = read_once();
}

static void set_up_read(void) {
    pthread_rwlock_wrlock(&shared.lock);
    change();
    pthread_rwlock_unlock(&shared.lock);
}

static void set_up_write(void) {
    plan.measured = 1;
    plan.others = plan.readers;
}

/* Has read once, and idles. This lock knows nothing of its readers; others keep a list of them. */
static void idles(struct worker *worker) {
    worker->sum = read_once();
    for (worker_ready(worker, 1); worker_goes_on(worker);) sleep_ms(1);
}

static void extra_idle(FILE *out, const struct worker *measured, const struct worker *others) {
    (void)measured, (void)others;
    fprintf(out, ", \"extra\": {\"idle_readers\": %u}", plan.readers);
}

const struct subject rw_read_pthread = {"rw-read", "pthread", set_up_read, reads, writes_timing_waits, NULL,
                                        extra_writes};
const struct subject rw_write_pthread = {"rw-write", "pthread", set_up_write, writes, idles, NULL, extra_idle};
