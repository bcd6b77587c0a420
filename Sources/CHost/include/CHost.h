// What doctor has to know of this host and Swift cannot ask for itself.
#pragma once
#include <spawn.h>

/// The kernel's view of its own clock.
typedef enum chost_clock {
    CHOST_CLOCK_UNKNOWN,
    CHOST_CLOCK_SYNCHRONISED,
    CHOST_CLOCK_UNSYNCHRONISED
} chost_clock;

/// Whether something keeps the clock right.
chost_clock chost_clock_state(void);

/// Has a program that is to be started close all descriptors from `first` on. Returns 0, or an error number.
int chost_close_from(posix_spawn_file_actions_t *_Nonnull actions, int first);
