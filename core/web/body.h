/*
 * The framing of one request as llhttp sees it, behind our own strict checks (head.h, chunk.h): it
 * is given the whole head, then body bytes, and says where the message ends. When the two parsers
 * do not agree the message is malformed. One per request; llhttp is used nowhere else.
 */
#ifndef OPS_CORE_WEB_BODY_H
#define OPS_CORE_WEB_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <llhttp.h>

#include "core/base/mem.h"
#include "core/web/chunk.h"

struct body {
	llhttp_t parser;
	struct chunk_scan chunk;
	uint64_t remaining; /* of a body with a length */
	bool is_chunked;
	/* Body bytes, decoded. Not 0: stop, body_feed() returns it. */
	int (*on_data)(struct body *body, const char *data, size_t n);
	int stopped;
};

/* A body for a head that head_parse() accepted: its framing is given here. Returns 1 when the
 * message ends with the head, 0 when a body follows, -EBADMSG when llhttp sees it otherwise. */
MUSTCHECK int body_begin(struct body *body, const char *head, size_t n, bool is_chunked,
	uint64_t length, int (*on_data)(struct body *body, const char *data, size_t n));

/* Takes up to n more bytes; *ret_used tells how many belong to this message. Returns 1 at its end,
 * 0 when more must come, -EBADMSG, or what on_data returned. */
MUSTCHECK int body_feed(struct body *body, const char *data, size_t n, size_t *ret_used);

#endif
