/*
 * The strict scan of a request head: request line and header fields up to and with the empty line.
 * Stricter than RFC 9112 allows and than any llhttp is, so that nothing is ever understood in two
 * ways: it refuses bare CR or LF, obs-fold, white space around field names, control bytes, any
 * Transfer-Encoding but one `chunked`, both lengths at once, doubled singletons, a bad Host, and
 * versions other than 1.0 and 1.1. Pure.
 */
#ifndef OPS_CORE_WEB_HEAD_H
#define OPS_CORE_WEB_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/mem.h"
#include "core/web/limits.h"

/* Offsets into the head: it is at most WEB_MAX_HEAD bytes long. */
struct head_span {
	uint16_t off, len;
};

struct head_field {
	struct head_span name, value; /* value: without the white space around it */
};

enum head_flag {
	HEAD_CHUNKED = 1u << 0,
	HEAD_HAS_LENGTH = 1u << 1,
	HEAD_KEEP_ALIVE = 1u << 2, /* by version and Connection */
	HEAD_EXPECT_CONTINUE = 1u << 3,
	HEAD_CONNECTION_UPGRADE = 1u << 4,
	HEAD_ASTERISK = 1u << 5, /* OPTIONS * */
};

struct head {
	struct head_span method;
	struct head_span target; /* origin form; of an absolute target what follows its authority,
				  * of length 0 when nothing does */
	struct head_span host;	 /* len 0: HTTP/1.0 without */
	uint64_t content_length; /* 0 when absent */
	unsigned flags;		 /* enum head_flag */
	uint8_t minor_version;
	uint8_t n_fields;
	struct head_field fields[WEB_MAX_HEADERS];
};

/* Why a head is refused: the status to answer with, a code and a sentence. */
struct head_error {
	unsigned status;
	const char *code, *detail;
};

/*
 * Looks for the head's end in what has arrived so far. *scanned (0 at first) remembers how far
 * earlier calls looked. Returns the head's length, 0 when its end has not arrived, or -1 with
 * *ret_error when what is there can never be a head (first byte, bare LF, too long).
 */
long head_find_end(const char *data, size_t n, size_t *scanned, struct head_error *ret_error);

/* Parses a whole head of n bytes, as head_find_end() gave it. 0 or -1 with *ret_error. */
MUSTCHECK int head_parse(
	const char *data, size_t n, struct head *ret_head, struct head_error *ret_error);

/* RFC 9110 token characters. */
bool head_is_token_char(unsigned char c);

#endif
