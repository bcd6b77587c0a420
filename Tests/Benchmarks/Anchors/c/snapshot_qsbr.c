#define URCU_API_MAP /* the plain names, rcu_read_lock and so on */
#include <urcu/urcu-qsbr.h>

/* A reader says once per batch that it holds nothing, as users of this flavour do in their main loop. */
#define FLAVOUR qsbr
#define AFTER_BATCH rcu_quiescent_state()
#define PAUSE                                                                                             \
    rcu_thread_offline();                                                                                 \
    sleep_ms(1);                                                                                          \
    rcu_thread_online()
#include "snapshot_urcu.inc.h"
