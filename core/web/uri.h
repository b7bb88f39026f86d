/* Percent-decoding of paths and queries, strict and pure. */
#ifndef OPS_CORE_WEB_URI_H
#define OPS_CORE_WEB_URI_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/mem.h"

/* Decodes the path of an origin-form target (n bytes, without its query) into out, which has room
 * for n + 1, and ends it with a NUL. -EBADMSG: a broken escape, an encoded slash, a control byte
 * or NUL, invalid UTF-8, a "." or ".." segment. */
MUSTCHECK int uri_decode_path(const char *path, size_t n, char *out);

/* One name=value pair: both NUL-terminated in the buffer given to uri_decode_query(). */
struct uri_pair {
	const char *name, *value; /* value "" without a '=' */
};

/* Decodes a query (n bytes, without its '?') into out, which has room for n + 1. Empty pairs are
 * left out. Returns the number of pairs, -EBADMSG (broken escape, NUL, invalid UTF-8) or -E2BIG
 * (more than max). */
MUSTCHECK int uri_decode_query(
	const char *query, size_t n, char *out, struct uri_pair *pairs, size_t max);

#endif
