// Which processors a thread runs on: the C library declares it only under _GNU_SOURCE, which Swift does not define.
#pragma once
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { AFFINITY_WORDS = 16 };

/// Whether the calling thread may run on this processor.
static inline int affinity_allows(int processor) {
    uint64_t mask[AFFINITY_WORDS] = {0};
    if (processor < 0 || processor >= AFFINITY_WORDS * 64) return 0;
    if (syscall(SYS_sched_getaffinity, 0, sizeof mask, mask) < 0) return 0;
    return mask[processor / 64] >> processor % 64 & 1;
}

/// Keeps the calling thread on this processor. Returns 0 when that was granted.
static inline int affinity_pin(int processor) {
    uint64_t mask[AFFINITY_WORDS] = {0};
    mask[processor / 64] = (uint64_t)1 << processor % 64;
    return syscall(SYS_sched_setaffinity, 0, sizeof mask, mask) == 0 ? 0 : -1;
}
