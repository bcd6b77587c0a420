#define _GNU_SOURCE
#include "CLockLadder.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

uint64_t cll_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

bool cll_futex_wait(const uint32_t *word, uint32_t expected, uint64_t deadline_ns) {
    struct timespec t = {
        .tv_sec = (time_t)(deadline_ns / 1000000000u),
        .tv_nsec = (long)(deadline_ns % 1000000000u),
    };
    // WAIT_BITSET takes an absolute CLOCK_MONOTONIC time; plain WAIT would take a relative one and drift.
    long r = syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, deadline_ns ? &t : NULL, NULL,
                     FUTEX_BITSET_MATCH_ANY);
    return !(r == -1 && errno == ETIMEDOUT);
}

int cll_futex_wake(const uint32_t *word, int count) {
    return (int)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

uint32_t cll_thread_id(void) {
    static _Thread_local uint32_t id;
    if (id == 0) id = (uint32_t)syscall(SYS_gettid);
    return id;
}

void cll_set_thread_name(const char *name) {
    char kept[16] = {0};
    strncpy(kept, name, sizeof kept - 1);
    pthread_setname_np(pthread_self(), kept);
}

// -- A small number for each thread ---------------------------------------------------------------------------------

_Thread_local uint32_t cll_thread_index_slot __attribute__((tls_model("initial-exec")));

uint32_t cll_assign_thread_index(void) {
    static uint32_t next;
    // Relaxed: the number orders nothing. The top bit keeps it from 0, which means "none yet", when it wraps.
    cll_thread_index_slot = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) | 0x80000000u;
    return cll_thread_index_slot;
}
