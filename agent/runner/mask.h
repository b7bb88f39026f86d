/*
 * Takes secrets out of a stream of bytes, wherever its reads are split.
 *
 * A pattern is a secret, its URL encoding, or what base64 makes of it at each of the three
 * alignments (the characters that depend on nothing else), in both alphabets. A byte is covered
 * when it is part of any occurrence of any pattern; each run of covered bytes leaves as one
 * MASK_TEXT, all others leave as they came.
 *
 * Held back is exactly the longest tail that is a proper prefix of a pattern, so less than the
 * longest pattern, until more bytes come or mask_flush(): no timer. Everything else leaves at once,
 * so a prompt does not stall.
 *
 * Searching is Aho-Corasick: time in the bytes, whatever the patterns are.
 */
#ifndef OPS_AGENT_RUNNER_MASK_H
#define OPS_AGENT_RUNNER_MASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/mem.h"

#define MASK_TEXT "***"
#define MASK_MIN_SECRET 8
#define MASK_MAX_SECRET 4096
#define MASK_MAX_PATTERN ((size_t)3 * MASK_MAX_SECRET) /* all of it as %XX */
#define MASK_MAX_SECRETS 64
#define MASK_MAX_NODES (1u << 20) /* bytes of all patterns together, about */

/* The patterns; never changes once made, shared by counting. */
struct mask;

/* For the n secrets, each MASK_MIN_SECRET to MASK_MAX_SECRET bytes (asserted). NULL: together they
 * are more than MASK_MAX_NODES, or there is no memory. The caller has one reference. */
struct mask *mask_new(const char *const *secrets, size_t n);
struct mask *mask_ref(struct mask *mask);
/* Drops a reference, and with the last one wipes and frees. NULL is fine. */
void mask_unref(struct mask *mask);
/* Bytes of the longest pattern. */
size_t mask_longest(const struct mask *mask);

/* One stream's place in it. */
struct mask_stream {
	struct mask *mask; /* one reference */
	uint8_t *bytes;	   /* those held back, then room for new ones */
	uint8_t *covered;  /* for each whether it is */
	size_t held, room; /* room: bytes that may be added at a time */
	size_t state;
	size_t run_start, run_end; /* the last covered run within bytes; start == end: none */
	bool in_run;		   /* what left last was covered */
};

/* Takes a reference. room: how many new bytes come at most at a time. 0 or -ENOMEM. */
MUSTCHECK int mask_stream_init(struct mask_stream *stream, struct mask *mask, size_t room);
void mask_stream_fini(struct mask_stream *stream);
/* Where up to stream->room new bytes are to be put, for mask_take(). */
uint8_t *mask_room(const struct mask_stream *stream);
/* The n bytes put there come in. Writes what leaves to out, at most as many bytes as were held
 * and came; returns how many. *ret_masked is set to true when a covered byte left, else not
 * touched. */
size_t mask_take(struct mask_stream *stream, size_t n, uint8_t *out, bool *ret_masked);
/* No more bytes will come: what is held leaves. The stream may be used again from the start. */
size_t mask_flush(struct mask_stream *stream, uint8_t *out, bool *ret_masked);

/* Masks a whole buffer in place. mask NULL: leaves it as it is. */
void mask_buf(struct mask *mask, struct buf *buf);
/* A whole text, masked, on the heap (to be freed). mask NULL: a copy. */
MUSTCHECK char *mask_text(struct mask *mask, const char *text);

#endif
