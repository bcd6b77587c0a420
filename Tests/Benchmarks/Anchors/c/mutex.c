#include "subjects.h"

#include <pthread.h>

static _Alignas(LINE) struct {
    pthread_mutex_t lock;
    uint64_t first, second;
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void locks(struct worker *worker) {
    uint64_t x = worker->x;
    unsigned work = plan.work;
    MEASURE_DEAR(worker, work_outside(&x, work), {
        pthread_mutex_lock(&shared.lock);
        shared.first++;
        shared.second++;
        pthread_mutex_unlock(&shared.lock);
    })
    worker->x = x;
    if (worker->index == 0) worker->sum = shared.first ^ shared.second << 1;
}

const struct subject mutex_pthread = {"mutex", "pthread", NULL, locks, NULL, NULL, NULL};
