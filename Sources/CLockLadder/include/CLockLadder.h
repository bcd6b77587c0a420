// What the ladder needs from the kernel and the processor and Swift cannot name.
#pragma once
#include <stdbool.h>
#include <stdint.h>

/// Nanoseconds of CLOCK_MONOTONIC.
uint64_t cll_now_ns(void);

/// Sleeps while `*word == expected`, until woken or until `deadline_ns` on CLOCK_MONOTONIC (0: no deadline).
/// Returns false only when the deadline passed. Wakes up spuriously: the caller looks again.
bool cll_futex_wait(const uint32_t *_Nonnull word, uint32_t expected, uint64_t deadline_ns);

/// Wakes at most `count` sleepers on `word`; returns how many it woke.
int cll_futex_wake(const uint32_t *_Nonnull word, int count);

/// The kernel's id of this thread, cached in thread-local storage.
uint32_t cll_thread_id(void);

/// Names this thread for `ps -L`, gdb and the journal: at most 15 bytes are kept.
void cll_set_thread_name(const char *_Nonnull name);

/// Hint that this is a spin loop.
static inline __attribute__((always_inline)) void cll_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

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
