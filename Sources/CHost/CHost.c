#define _GNU_SOURCE
#include "CHost.h"

#include <sys/timex.h>

chost_clock chost_clock_state(void) {
    // Without a mode nothing is set, only looked at.
    struct timex state = {0};
    int result = adjtimex(&state);
    if (result < 0) return CHOST_CLOCK_UNKNOWN;
    return result == TIME_ERROR || (state.status & STA_UNSYNC) ? CHOST_CLOCK_UNSYNCHRONISED : CHOST_CLOCK_SYNCHRONISED;
}

int chost_close_from(posix_spawn_file_actions_t *actions, int first) {
    return posix_spawn_file_actions_addclosefrom_np(actions, first);
}
