#define URCU_API_MAP /* the plain names, rcu_read_lock and so on */
#include <urcu/urcu-memb.h>

#define FLAVOUR memb
#define AFTER_BATCH
#define PAUSE sleep_ms(1)
#include "snapshot_urcu.inc.h"
