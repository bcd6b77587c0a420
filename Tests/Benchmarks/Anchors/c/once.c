#include "subjects.h"

#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint64_t value;

static void initialise(void) { value = FOLD; }

static void checks(struct worker *worker) {
    uint64_t sum = 0;
    MEASURE_CHEAP(worker, SELDOM, , {
        pthread_once(&once, initialise);
        sum += value;
    })
    worker->sum = sum;
}

const struct subject once_pthread = {"once", "pthread_once", NULL, checks, NULL, NULL, NULL};
