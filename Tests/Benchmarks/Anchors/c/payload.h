/* What a snapshot holds: 64 bytes of which a reader folds two fields. */
#ifndef PAYLOAD_H
#define PAYLOAD_H

#include "harness.h"

#include <stddef.h>
#include <stdlib.h>

struct payload {
    uint64_t a, b;
    uint64_t rest[6]; /* liburcu's list of what waits to be freed lives here */
};

static inline void payload_fill(struct payload *payload, uint64_t version) {
    *payload = (struct payload){.a = version, .b = version * FOLD};
}

static inline struct payload *payload_new(uint64_t version) {
    struct payload *payload = checked(malloc(sizeof *payload));
    payload_fill(payload, version);
    return payload;
}

#endif
