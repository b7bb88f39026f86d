/*
 * A framed connection: a connected libuv stream (Unix socket) that speaks proto/frame.h, used by
 * the agent's worker (server side) and by the dashboard's link to it (client side).
 *
 * Owns the uv_pipe_t. Reads are strict: the first malformed header ends the connection. Writes are
 * queued; when more than max_queue bytes wait in memory the connection ends (a peer that does not
 * read): producers of bulk data look at framed_queued() and produce on on_drain only.
 *
 * Small frames sent in one turn of the loop leave together before it blocks again. An idle
 * connection holds no buffer. The process must ignore SIGPIPE.
 */
#ifndef OPS_NET_FRAMED_H
#define OPS_NET_FRAMED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "core/base/mem.h"
#include "proto/frame.h"

#define FRAMED_FLUSH_BYTES (16u * 1024u)  /* queued bytes that are written at once */
#define FRAMED_WRITE_BYTES (256u * 1024u) /* about as much is handed to the kernel in one go */

struct framed;

struct framed_callbacks {
	/* A whole frame has arrived. payload is valid during the call only, and aligned to nothing.
	 * The callee may call framed_close(). */
	void (*on_frame)(struct framed *conn, const struct frame *frame, const uint8_t *payload);
	/* The write queue has fallen to half of low_water or less after having been above
	 * low_water. May be NULL. */
	void (*on_drain)(struct framed *conn);
	/* The peer is gone, does not read (UV_ENOBUFS) or sent what cannot be a frame: err is
	 * UV_EOF, another UV_E*, or an error of frame_decode_header(). Comes at most once, nothing
	 * more will be read; the callee answers with framed_close(), perhaps after a GOAWAY. */
	void (*on_error)(struct framed *conn, int err);
	/* Everything is released; the struct framed is freed right after this returns. */
	void (*on_closed)(struct framed *conn);
};

struct framed_opts {
	size_t max_queue;  /* bytes that may wait for the peer */
	size_t low_water;  /* on_drain when the queue falls to half of it */
	unsigned frame_ms; /* for the rest of a frame that has begun to arrive, about; then on_error
			    * with UV_ETIMEDOUT. 0: any time */
};

/* Takes over an open descriptor (also on failure: then it is closed). Callbacks come from the loop
 * only, never from within framed_*(). Returns NULL with *ret_err set to a negative errno. */
struct framed *framed_open(uv_loop_t *loop, int fd, const struct framed_callbacks *callbacks,
	const struct framed_opts *opts, void *arg, int *ret_err);

void *framed_arg(const struct framed *conn);
uv_loop_t *framed_loop(const struct framed *conn);
int framed_fd(const struct framed *conn);

/* Queues one frame; the payload is the concatenation of the parts and is copied. 0, -EMSGSIZE
 * (over FRAME_MAX_PAYLOAD), -ENOBUFS (queue full: on_error will tell), -ENOMEM, or -EPIPE (the
 * connection is broken or being closed). */
struct framed_part {
	const void *data;
	size_t len;
};
MUSTCHECK int framed_send(struct framed *conn, uint8_t type, uint32_t stream,
	const struct framed_part *parts, size_t n_parts);

/* The same without a copy: header and payload are already one block of FRAME_HEADER_BYTES + length
 * bytes at data (the header need not be filled in), on the heap, freed by the connection (also on
 * failure). */
MUSTCHECK int framed_send_block(
	struct framed *conn, uint8_t type, uint32_t stream, uint8_t *data, size_t payload_len);

/* Bytes queued and not yet taken by the kernel. */
size_t framed_queued(const struct framed *conn);

/* Whether part of a frame has arrived: for the owner's deadline for whole frames. */
bool framed_is_mid_frame(const struct framed *conn);

/* Stops and starts reading; frames already buffered are held back too. */
void framed_pause(struct framed *conn);
void framed_resume(struct framed *conn);

/* Ends it: with flush, what is queued is still written (for at most flush_ms). on_closed comes
 * later, exactly once. Safe to call twice. */
void framed_close(struct framed *conn, unsigned flush_ms);

#endif
