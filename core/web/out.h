/*
 * What waits to be written to one connection: blocks in order, first tried at once (no copy when
 * the kernel takes them), the rest queued and written as it takes more. Bytes are counted; how
 * many may wait is the caller's rule.
 */
#ifndef OPS_CORE_WEB_OUT_H
#define OPS_CORE_WEB_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "core/base/mem.h"

#define OUT_MAX_PIECES 4
#define OUT_WRITE_BYTES (256u << 10) /* given to the kernel in one go */

enum out_mode {
	OUT_COPY,   /* what the kernel does not take at once is copied */
	OUT_STATIC, /* lives as long as the process */
	OUT_OWNED,  /* base is a heap block, freed when written, or at once on failure */
};

struct out_piece {
	const void *data;
	size_t len;
	void *base; /* OUT_OWNED: what to free */
	enum out_mode mode;
};

struct out_block;

struct out {
	uv_stream_t *stream;
	struct out_block *first, *last;
	size_t queued;	/* bytes not yet taken by the kernel, as far as we were told */
	uint64_t total; /* bytes ever accepted */
	size_t *all;	/* queued bytes of all queues; set by the owner after out_init() */
	size_t own_all; /* where all points to at first */
	struct out_flight *flight; /* the write in progress, NULL: none */
	/* The kernel has taken some of it (status 0: look at out_queued()), or the connection broke
	 * (status: UV_E*). Comes from the loop. */
	void (*on_progress)(struct out *out, int status);
};

void out_init(struct out *out, uv_stream_t *stream, void (*on_progress)(struct out *, int status));
/* Frees what is queued; the stream must be closed. */
void out_fini(struct out *out);

/* Writes or queues the pieces, in order (at most OUT_MAX_PIECES). Owned blocks are taken in every
 * case. 0, or a negative error after which the connection must be closed. */
MUSTCHECK int out_write(struct out *out, const struct out_piece *pieces, size_t n);

/* Frees the owned ones of pieces that were not given to out_write(). */
void out_release(const struct out_piece *pieces, size_t n);

static inline size_t out_queued(const struct out *out)
{
	return out->queued;
}

#endif
