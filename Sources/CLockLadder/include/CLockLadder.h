// What the ladder needs from the kernel and the processor and Swift cannot name.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Nanoseconds of CLOCK_MONOTONIC.
uint64_t cll_now_ns(void);

/// How a sleep on a futex ended.
typedef enum : int32_t {
    /// Another thread woke this one.
    cll_woken = 0,
    /// The word was another one already, or a signal came: look again.
    cll_look_again = 1,
    cll_deadline_passed = 2,
} cll_wait_end;

/// Sleeps while `*word == expected`, until woken or until `deadline_ns` on CLOCK_MONOTONIC (0: no deadline).
cll_wait_end cll_futex_wait(const uint32_t *_Nonnull word, uint32_t expected, uint64_t deadline_ns);

/// Wakes at most `count` sleepers on `word`; returns how many it woke.
int cll_futex_wake(const uint32_t *_Nonnull word, int count);

/// The kernel's id of this thread, cached in thread-local storage.
uint32_t cll_thread_id(void);

/// Names this thread for `ps -L`, gdb and the journal: at most 15 bytes are kept.
void cll_set_thread_name(const char *_Nonnull name);

/// Asks the kernel once for the right to use `cll_barrier_everywhere`. False where it is refused (seccomp, an old
/// kernel): then whoever relies on it takes the slower path.
bool cll_barrier_everywhere_register(void);

/// Makes every running thread of this process pass a full memory barrier, so that a store of theirs that comes before
/// in program order is seen afterwards. False when the kernel refused: then nothing is promised.
bool cll_barrier_everywhere(void);

/// Keeps the compiler, not the processor, from moving memory accesses across.
static inline __attribute__((always_inline)) void cll_compiler_barrier(void) { __asm__ __volatile__("" ::: "memory"); }

// Debug builds only: a test can do after a thread's call into the kernel what another thread might do just then, and
// count the calls. Release builds have neither the function nor the look at who watches.

typedef enum : int32_t {
    /// `cll_futex_wait`: with how it ended, a `cll_wait_end`.
    cll_call_wait = 0,
    /// `cll_futex_wake`: with how many it woke.
    cll_call_wake = 1,
    /// `cll_barrier_everywhere`: with 1 if it was granted.
    cll_call_barrier = 2,
} cll_call;

typedef void (*cll_watcher)(void *_Nullable context, cll_call call, int32_t result);

/// Has `watcher` called on this thread after each of its calls from now on, but for those made in `watcher` itself;
/// NULL for none.
void cll_watch_calls(cll_watcher _Nullable watcher, void *_Nullable context);

/// Hint that this is a spin loop.
static inline __attribute__((always_inline)) void cll_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

// Implicit readers: what a thread keeps for each of the first few cells and locks that it reads without a handle.

/// How many objects of a process can have an entry in each thread; entry 0 stays unused.
enum { CLL_ENTRIES = 32 };

struct cll_entry {
    /// What the thread protects there: an address, or 0.
    uintptr_t held;
    /// How many reads of this object are open on the thread, one inside the other.
    uintptr_t depth;
    /// The slot in which others see it; NULL before the first read.
    void *_Nullable slot;
};

struct cll_thread {
    struct cll_entry entries[CLL_ENTRIES];
    struct cll_thread *_Nullable next;
    struct cll_thread *_Nullable previous;
    /// Whether this thread is in the list of those with entries.
    bool listed;
    /// Whether it must never be: nobody would be told of its end.
    bool unlistable;
};

// initial-exec: an access is one instruction instead of a call.
extern _Thread_local struct cll_thread cll_this_thread __attribute__((tls_model("initial-exec")));

static inline __attribute__((always_inline)) struct cll_thread *_Nonnull cll_current_thread(void) {
    return &cll_this_thread;
}

static inline __attribute__((always_inline)) struct cll_entry *_Nonnull cll_entry_at(uintptr_t index) {
    return &cll_this_thread.entries[index];
}

/// Has `at_exit` called on this thread when it ends. False when it will not be: the process has no key left for
/// thread-local values (PTHREAD_KEYS_MAX), or no memory.
bool cll_at_thread_exit(void (*_Nonnull at_exit)(void));

// Locks held by this thread, for the check of lock order in debug builds.

enum { CLL_HELD = 24 };

struct cll_held {
    uintptr_t lock;
    uintptr_t name;
    uintptr_t site;
};

struct cll_held_locks {
    uint32_t count;
    struct cll_held locks[CLL_HELD];
};

struct cll_held_locks *_Nonnull cll_held_locks_of_this_thread(void);

// Static probes (USDT) on the contended path, for bpftrace, perf and gdb: provider `lockladder`. Without <sys/sdt.h>
// at build time they are empty.

/// A thread is about to sleep for the lock `name`.
void cll_probe_wait_begin(const char *_Nonnull name, uintptr_t waiter, uintptr_t holder, uint32_t waiters);

/// It waits no longer: it has the lock, or gave up. `wait_ns` is 0 when it never slept.
void cll_probe_wait_end(const char *_Nonnull name, uintptr_t waiter, uintptr_t holder, uint64_t wait_ns,
                        uint64_t wake_ns);

/// A release is about to wake a sleeper.
void cll_probe_wake(const char *_Nonnull name);

// -- A small number for each thread ---------------------------------------------------------------------------------

// Initial-exec: read with one instruction, without a call to the dynamic linker.
extern _Thread_local uint32_t cll_thread_index_slot __attribute__((tls_model("initial-exec")));

uint32_t cll_assign_thread_index(void);

/// A number of this thread, counted up from thread to thread: its low bits spread the threads evenly. The top bit is
/// always set. Never changes during a thread's life; after 2^31 threads a number comes back.
static inline __attribute__((always_inline)) uint32_t cll_thread_index(void) {
    uint32_t index = cll_thread_index_slot;
    return __builtin_expect(index != 0, 1) ? index : cll_assign_thread_index();
}

// -- The flight whose work a thread does ----------------------------------------------------------------------------

extern _Thread_local void *_Nullable cll_flight_frame_slot __attribute__((tls_model("initial-exec")));

/// The innermost `FlightFrame` on this thread's stack; NULL outside of all flights.
static inline __attribute__((always_inline)) void *_Nullable cll_flight_frame(void) { return cll_flight_frame_slot; }

static inline __attribute__((always_inline)) void cll_set_flight_frame(void *_Nullable frame) {
    cll_flight_frame_slot = frame;
}

/// The Swift runtime's look at a task-local value: where it lies, or NULL when none is bound. `TaskLocal.get()` calls it
/// too, and then copies the value, which costs several times as much.
__attribute__((swiftcall)) void *_Nullable swift_task_localValueGet(const void *_Nonnull key);
