#include "core/web/out.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FLIGHT_BUFS 16
#define SMALL_BYTES 512 /* what is smaller shares a block: bookkeeping is bounded too */
#define SHARED_BYTES 1024

struct out_block {
	struct out_block *next;
	const uint8_t *data;
	size_t len;
	size_t room; /* bytes that may still be added behind data */
	void *base;  /* to free; NULL: static, or the bytes follow this struct */
};

struct out_flight {
	uv_write_t req;
	struct out *out; /* NULL: the queue is gone, the write was cancelled */
	size_t blocks, bytes;
};

void out_init(struct out *out, uv_stream_t *stream, void (*on_progress)(struct out *, int status))
{
	*out = (struct out){.stream = stream, .on_progress = on_progress};
	out->all = &out->own_all;
}

static void block_free(struct out_block *block)
{
	free(block->base);
	free(block);
}

void out_fini(struct out *out)
{
	assert(out->flight == NULL);
	for (struct out_block *block = out->first, *next; block != NULL; block = next) {
		next = block->next;
		block_free(block);
	}
	out->first = out->last = NULL;
	*out->all -= out->queued;
	out->queued = 0;
}

static int start_flight(struct out *out);

/* The kernel has taken all of the flight, or the connection is broken or closed. */
static void on_written(uv_write_t *req, int status)
{
	struct out_flight *flight = container_of(req, struct out_flight, req);
	struct out *out = flight->out;

	out->flight = NULL;
	for (size_t i = 0; i < flight->blocks; i++) {
		struct out_block *block = out->first;

		out->first = block->next;
		if (out->first == NULL)
			out->last = NULL;
		block_free(block);
	}
	out->queued -= flight->bytes;
	*out->all -= flight->bytes;
	free(flight);
	if (status == 0 && out->first != NULL)
		status = start_flight(out);
	/* Closing: whoever closed it knows. */
	if (status != UV_ECANCELED)
		out->on_progress(out, status);
}

/* Hands the first blocks to the kernel, which goes on with them as it has room. */
static int start_flight(struct out *out)
{
	struct out_flight *flight = malloc(sizeof(*flight));
	uv_buf_t bufs[FLIGHT_BUFS];
	unsigned n = 0;
	int r;

	if (flight == NULL)
		return -ENOMEM;
	flight->out = out;
	flight->bytes = 0;
	for (struct out_block *b = out->first; b != NULL && n < FLIGHT_BUFS; b = b->next) {
		if (n > 0 && flight->bytes + b->len > OUT_WRITE_BYTES)
			break;
		bufs[n++] = uv_buf_init((char *)(uintptr_t)b->data, (unsigned)b->len);
		flight->bytes += b->len;
		b->room = 0; /* the kernel has been told its length */
	}
	flight->blocks = n;
	r = uv_write(&flight->req, out->stream, bufs, n, on_written);
	if (r != 0) {
		free(flight);
		return r;
	}
	out->flight = flight;
	return 0;
}

static void append_block(struct out *out, struct out_block *block)
{
	block->next = NULL;
	if (out->last != NULL)
		out->last->next = block;
	else
		out->first = block;
	out->last = block;
}

/* Queues a copy of len bytes, in the last block where they fit. */
static int enqueue_copy(struct out *out, const uint8_t *data, size_t len)
{
	struct out_block *block = out->last;
	/* Behind a flight more may come before this block's turn. */
	size_t room = out->flight != NULL && len < SMALL_BYTES ? SHARED_BYTES : len;

	if (block == NULL || block->room < len) {
		block = malloc(sizeof(*block) + room);
		if (block == NULL)
			return -ENOMEM;
		*block = (struct out_block){.data = (const uint8_t *)(block + 1), .room = room};
		append_block(out, block);
	}
	memcpy((uint8_t *)(block + 1) + block->len, data, len);
	block->len += len;
	block->room -= len;
	out->queued += len;
	*out->all += len;
	return 0;
}

/* Queues what is left of a piece after skip bytes, and takes or frees its base. */
static int enqueue(struct out *out, const struct out_piece *piece, size_t skip)
{
	const uint8_t *data = (const uint8_t *)piece->data + skip;
	size_t len = piece->len - skip;
	struct out_block *block;

	if (piece->mode == OUT_COPY || len < SMALL_BYTES) {
		int r = enqueue_copy(out, data, len);

		out_release(piece, 1);
		return r;
	}
	block = malloc(sizeof(*block));
	if (block == NULL) {
		out_release(piece, 1);
		return -ENOMEM;
	}
	*block = (struct out_block){
		.data = data, .len = len, .base = piece->mode == OUT_OWNED ? piece->base : NULL};
	append_block(out, block);
	out->queued += len;
	*out->all += len;
	return 0;
}

void out_release(const struct out_piece *pieces, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (pieces[i].mode == OUT_OWNED)
			free(pieces[i].base);
	}
}

int out_write(struct out *out, const struct out_piece *pieces, size_t n)
{
	uv_buf_t bufs[OUT_MAX_PIECES];
	size_t taken = 0, i;
	int r = 0;

	assert(n <= OUT_MAX_PIECES);
	for (i = 0; i < n; i++) {
		bufs[i] = uv_buf_init((char *)(uintptr_t)pieces[i].data, (unsigned)pieces[i].len);
		out->total += pieces[i].len;
	}
	if (out->first == NULL && n > 0) {
		r = uv_try_write(out->stream, bufs, (unsigned)n);
		if (r > 0)
			taken = (size_t)r;
		r = r < 0 && r != UV_EAGAIN ? r : 0;
	}
	for (i = 0; i < n; i++) {
		size_t skip = MIN(taken, pieces[i].len);

		taken -= skip;
		if (r == 0 && skip < pieces[i].len)
			r = enqueue(out, &pieces[i], skip);
		else
			out_release(&pieces[i], 1);
	}
	if (r == 0 && out->first != NULL && out->flight == NULL)
		r = start_flight(out);
	return r;
}
