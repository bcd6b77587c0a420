/* Every subject of this program. */
#ifndef SUBJECTS_H
#define SUBJECTS_H

#include "harness.h"

extern const struct subject snapshot_read_acquire, snapshot_read_memb, snapshot_read_qsbr, snapshot_read_bp,
    snapshot_publish_memb, snapshot_publish_qsbr, snapshot_publish_bp, mutex_pthread, rw_read_pthread, rw_write_pthread,
    counter_c, once_pthread;

#endif
