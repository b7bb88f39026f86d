/*
 * Bytes that wait to be written, in blocks on the heap. Small pieces share a block, large ones come
 * as their own; memory handed out stays where it is until the bytes are consumed, so a write in
 * flight may point into it while more is queued.
 */
#ifndef OPS_NET_SENDQ_H
#define OPS_NET_SENDQ_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "core/base/list.h"
#include "core/base/mem.h"

#define SENDQ_BLOCK_BYTES 4096 /* of a block that small pieces share */

struct sendq {
	struct list blocks; /* block.link, oldest first */
	size_t bytes;	    /* in all of them */
};

void sendq_init(struct sendq *q);
/* Frees what is queued. May be used again after sendq_init(). */
void sendq_fini(struct sendq *q);

/* Queues n (> 0) bytes and returns where the caller writes them, or NULL when out of memory. */
MUSTCHECK uint8_t *sendq_reserve(struct sendq *q, size_t n);
/* Queues n (> 0) bytes on the heap without a copy; they are the queue's then. 0 or -ENOMEM, in
 * which case data stays the caller's. */
MUSTCHECK int sendq_push(struct sendq *q, uint8_t *data, size_t n);

/* Describes the oldest bytes, at most max_bufs pieces and about max_bytes. Returns the number of
 * pieces and sets ret_bytes to what they hold together. */
unsigned sendq_gather(const struct sendq *q, uv_buf_t *bufs, unsigned max_bufs, size_t max_bytes,
	size_t *ret_bytes);
/* Forgets the oldest n (<= bytes) bytes and frees the blocks that are used up. */
void sendq_consume(struct sendq *q, size_t n);

#endif
