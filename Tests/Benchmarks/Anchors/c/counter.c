#include "subjects.h"

static _Alignas(LINE) atomic_uint_fast64_t counters[MOST_THREADS * LINE / sizeof(uint64_t)];

static void adds(struct worker *worker) {
    unsigned stride = plan.layout == LAYOUT_PADDED ? LINE / sizeof(uint64_t) : 1;
    atomic_uint_fast64_t *counter = &counters[worker->index * stride];
    MEASURE_CHEAP(worker, SELDOM, , atomic_fetch_add_explicit(counter, 1, memory_order_relaxed))
    worker->sum = atomic_load_explicit(counter, memory_order_relaxed);
}

const struct subject counter_c = {"counter", "c", NULL, adds, NULL, NULL, NULL};
