#define _GNU_SOURCE
#include "CLockLadder.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#else
#define DTRACE_PROBE1(provider, name, a) ((void)(a))
#define DTRACE_PROBE4(provider, name, a, b, c, d) ((void)(a), (void)(b), (void)(c), (void)(d))
#define DTRACE_PROBE5(provider, name, a, b, c, d, e) ((void)(a), (void)(b), (void)(c), (void)(d), (void)(e))
#endif

#ifdef DEBUG
static _Thread_local cll_watcher watcher;
static _Thread_local void *watcher_context;

void cll_watch_calls(cll_watcher new_watcher, void *context) {
    watcher = new_watcher;
    watcher_context = context;
}

static void tell_watcher(cll_call call, int32_t result) {
    cll_watcher told = watcher;
    if (told == NULL) return;
    // What the watcher calls is not watched.
    watcher = NULL;
    told(watcher_context, call, result);
    watcher = told;
}
#else
static inline void tell_watcher(cll_call call, int32_t result) { (void)call, (void)result; }
#endif

uint64_t cll_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

cll_wait_end cll_futex_wait(const uint32_t *word, uint32_t expected, uint64_t deadline_ns) {
    struct timespec t = {
        .tv_sec = (time_t)(deadline_ns / 1000000000u),
        .tv_nsec = (long)(deadline_ns % 1000000000u),
    };
    // WAIT_BITSET takes an absolute CLOCK_MONOTONIC time; plain WAIT would take a relative one and drift.
    long r = syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, deadline_ns ? &t : NULL, NULL,
                     FUTEX_BITSET_MATCH_ANY);
    cll_wait_end end = r == 0 ? cll_woken : errno == ETIMEDOUT ? cll_deadline_passed : cll_look_again;
    tell_watcher(cll_call_wait, end);
    return end;
}

int cll_futex_wake(const uint32_t *word, int count) {
    int woken = (int)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
    tell_watcher(cll_call_wake, woken);
    return woken;
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

bool cll_barrier_everywhere_register(void) {
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

bool cll_barrier_everywhere(void) {
    bool granted = syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
    tell_watcher(cll_call_barrier, granted);
    return granted;
}

_Thread_local struct cll_thread cll_this_thread __attribute__((aligned(64)));

static pthread_key_t exit_key;
static pthread_once_t exit_key_made = PTHREAD_ONCE_INIT;
static bool has_exit_key;

static void call_at_exit(void *at_exit) { ((void (*)(void))at_exit)(); }

static void make_exit_key(void) { has_exit_key = pthread_key_create(&exit_key, call_at_exit) == 0; }

bool cll_at_thread_exit(void (*at_exit)(void)) {
    pthread_once(&exit_key_made, make_exit_key);
    // Another key needs memory now and then, which there may be none of.
    return has_exit_key && pthread_setspecific(exit_key, (void *)at_exit) == 0;
}

struct cll_held_locks *cll_held_locks_of_this_thread(void) {
    static _Thread_local struct cll_held_locks held;
    return &held;
}

void cll_probe_wait_begin(const char *name, uintptr_t waiter, uintptr_t holder, uint32_t waiters) {
    DTRACE_PROBE4(lockladder, wait_begin, name, waiter, holder, waiters);
}

void cll_probe_wait_end(const char *name, uintptr_t waiter, uintptr_t holder, uint64_t wait_ns, uint64_t wake_ns) {
    DTRACE_PROBE5(lockladder, wait_end, name, waiter, holder, wait_ns, wake_ns);
}

void cll_probe_wake(const char *name) { DTRACE_PROBE1(lockladder, wake, name); }

// -- A small number for each thread ---------------------------------------------------------------------------------

_Thread_local uint32_t cll_thread_index_slot __attribute__((tls_model("initial-exec")));

uint32_t cll_assign_thread_index(void) {
    static uint32_t next;
    // Relaxed: the number orders nothing. The top bit keeps it from 0, which means "none yet", when it wraps.
    cll_thread_index_slot = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) | 0x80000000u;
    return cll_thread_index_slot;
}

// -- The flight whose work a thread does ----------------------------------------------------------------------------

_Thread_local void *cll_flight_frame_slot __attribute__((tls_model("initial-exec")));
