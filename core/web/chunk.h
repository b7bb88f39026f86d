/*
 * The strict check of a chunked body's framing, run before llhttp decodes the same bytes: sizes of
 * 1 to 8 hex digits, extensions (;name and a last ;name=word) within WEB_MAX_CHUNK_EXT, CR LF
 * everywhere, no trailer fields. Pure.
 */
#ifndef OPS_CORE_WEB_CHUNK_H
#define OPS_CORE_WEB_CHUNK_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/mem.h"

struct chunk_scan {
	uint32_t remaining; /* data bytes left of this chunk */
	uint32_t chunks;
	uint16_t ext;
	uint8_t digits;
	uint8_t state;
};

/* A zeroed chunk_scan is a fresh one. Looks at n more bytes; *ret_used is how many of them belong
 * to the body. Returns 1 when its end is among them, 0 when more must come, -EBADMSG when it is
 * malformed. */
MUSTCHECK int chunk_scan(struct chunk_scan *scan, const char *data, size_t n, size_t *ret_used);

#endif
