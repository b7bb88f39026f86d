/* What a client's Accept, Accept-Encoding, If-None-Match, Content-Type and Range say. Pure; values
 * may be NULL where the header is absent. */
#ifndef OPS_CORE_WEB_NEGOTIATE_H
#define OPS_CORE_WEB_NEGOTIATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/mem.h"

enum encoding {
	ENCODING_IDENTITY,
	ENCODING_GZIP,
	ENCODING_BR,
};

/* The best of the available encodings (bits 1 << enum encoding; identity is always there) that the
 * client takes: the highest q, among equals br, gzip, identity. Identity when it takes none. */
enum encoding negotiate_encoding(const char *accept_encoding, unsigned available);

/* Whether Accept names text/html (a page load, not a script's fetch). */
bool negotiate_accepts_html(const char *accept);

/* Whether If-None-Match holds this entity tag (with its quotes), compared weakly, or "*". */
bool negotiate_etag_matches(const char *if_none_match, const char *etag);

/* Whether a Content-Type is this media type, whatever its parameters. */
bool negotiate_is_type(const char *content_type, const char *type);

/* One range of a representation of size bytes. 0 with first and last byte; -ENOENT when there is
 * no Range that must be honoured (absent, another unit, several, malformed: answer 200); -ERANGE
 * when none of it lies within (answer 416). */
MUSTCHECK int negotiate_range(
	const char *range, uint64_t size, uint64_t *ret_first, uint64_t *ret_last);

#endif
