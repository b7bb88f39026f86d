/* UUID version 7 (RFC 9562): 48 bits of milliseconds, then random, so text sorts by time. */
#ifndef OPS_BASE_UUID_H
#define OPS_BASE_UUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/mem.h"

#define UUID_TEXT_BYTES 37 /* 36 characters and a NUL */

struct uuid {
	uint8_t bytes[16];
};

/* A new id. Within one process ids made in the same millisecond still sort in the order made. */
void uuid_v7(struct uuid *ret_uuid);
void uuid_format(const struct uuid *uuid, char text[UUID_TEXT_BYTES]);
/* Accepts exactly the 36 characters of the canonical form, lower case; -EINVAL otherwise. */
MUSTCHECK int uuid_parse(const char *text, size_t len, struct uuid *ret_uuid);
/* Unix milliseconds that a version 7 id holds. */
uint64_t uuid_time_ms(const struct uuid *uuid);

#endif
