/* What every case shares: the arguments, the threads, the loops that measure, and the line of JSON. */
#ifndef HARNESS_H
#define HARNESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define MOST_THREADS 256
#define LINE 128 /* two cache lines: the prefetcher fetches them in pairs */
#define BATCH 256
#define LOCK_BATCH 16
#define FOLD 0x9E3779B97F4A7C15u

enum writer { WRITER_NONE, WRITER_KHZ, WRITER_FLAT };
enum layout { LAYOUT_ADJACENT, LAYOUT_PADDED };

/* The arguments, and how many threads of each role run. A subject's setup may change the roles. */
struct plan {
    unsigned threads, ms, work, readers;
    unsigned count; /* so many operations on the main thread and no more, whose instructions are counted; or 0 */
    enum writer writer;
    enum layout layout;
    unsigned measured, others, pinned;
};
extern struct plan plan;

/* Log-linear in picoseconds: 16 buckets per power of two. */
#define BUCKETS 976
struct histogram {
    uint64_t counts[BUCKETS];
    uint64_t total;
};
void histogram_add(struct histogram *histogram, uint64_t picoseconds);
double histogram_percentile(const struct histogram *histogram, double share);

struct worker {
    _Alignas(LINE) unsigned index;
    int phase;
    bool measures;
    unsigned until_sample;
    uint64_t ops, start, ns, sum, x;
    struct histogram samples; /* of the percentiles */
    struct histogram singles; /* of a case's extra histogram */
};

struct subject {
    const char *case_name, *name;
    void (*setup)(void);
    void (*measured)(struct worker *);
    void (*other)(struct worker *);
    void (*teardown)(void);
    void (*extra)(FILE *, const struct worker *measured, const struct worker *others);
};
extern const struct subject *const subjects[];

enum phase { PHASE_WARM, PHASE_MEASURE, PHASE_STOP };
extern _Alignas(LINE) atomic_int phase;

void *checked(void *allocation);
void sleep_ms(unsigned ms);
void extra_writes(FILE *out, const struct worker *measured, const struct worker *others);
unsigned worker_ready(struct worker *worker, unsigned batch);
bool worker_phase(struct worker *worker, int phase);

static inline uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* True while the thread is to go on. */
static inline bool worker_goes_on(struct worker *worker) {
    int seen = atomic_load_explicit(&phase, memory_order_acquire);
    return seen == worker->phase || worker_phase(worker, seen);
}

/* One operation in so many is timed; zero stands for "not this one". */
static inline uint64_t sample_begin(struct worker *worker, unsigned every) {
    if (--worker->until_sample != 0) return 0;
    worker->until_sample = every;
    return now_ns();
}

/* Work between two uses of a lock: about 1.5 ns a unit. */
static inline void work_outside(uint64_t *x, unsigned units) {
    uint64_t value = *x;
    for (unsigned i = 0; i < units; i++) {
        value ^= value << 13;
        value ^= value >> 7;
        value ^= value << 17;
    }
    *x = value;
}

#define SELDOM 61

/* Cheap operations: a sample is the mean of one batch in EVERY. AFTER runs once per batch. */
#define MEASURE_CHEAP(worker, EVERY, AFTER, ...)                                                          \
    for (unsigned size_ = worker_ready(worker, BATCH); worker_goes_on(worker);) {                         \
        uint64_t begun_ = sample_begin(worker, EVERY);                                                    \
        for (unsigned i_ = 0; i_ < size_; i_++) { __VA_ARGS__; }                                          \
        if (begun_) histogram_add(&(worker)->samples, (now_ns() - begun_) * 1000 / size_);                \
        (worker)->ops += size_;                                                                           \
        AFTER;                                                                                            \
    }

/* Dearer operations: every 65th is timed alone. OUTSIDE is part of the pace, not of the sample. */
#define MEASURE_DEAR(worker, OUTSIDE, ...)                                                                \
    for (unsigned size_ = worker_ready(worker, LOCK_BATCH); worker_goes_on(worker);) {                    \
        for (unsigned i_ = 0; i_ < size_; i_++) { __VA_ARGS__; OUTSIDE; }                                 \
        (worker)->ops += size_;                                                                           \
        uint64_t begun_ = sample_begin(worker, 4);                                                        \
        if (begun_) {                                                                                     \
            __VA_ARGS__;                                                                                  \
            histogram_add(&(worker)->samples, (now_ns() - begun_) * 1000);                                \
            OUTSIDE;                                                                                      \
            (worker)->ops++;                                                                              \
        }                                                                                                 \
    }

/* A writer's loop: one write, then a pause where it is to be slow. */
#define WRITE_ON(worker, PAUSE, ...)                                                                      \
    for (worker_ready(worker, 1); worker_goes_on(worker);) {                                              \
        __VA_ARGS__;                                                                                      \
        (worker)->ops++;                                                                                  \
        if (plan.writer == WRITER_KHZ) { PAUSE; }                                                         \
    }

#endif
