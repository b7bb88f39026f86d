/*
 * Owns the socket (uv_pipe_t), one timer, one idle handle, the read buffer and the write queue.
 *
 * Reading: libuv reads into the recvbuf; every whole frame in it is handed out in place. The timer
 * releases the recvbuf after a quiet second, so an idle connection holds no more than its struct.
 *
 * Writing: small frames are collected and written together by the idle callback, which runs before
 * the loop blocks again; once FRAMED_FLUSH_BYTES are queued they leave at once. A write that the
 * kernel does not take whole goes on as one uv_write (never two), whose callback takes the next.
 *
 * States: OPEN -> FLUSHING (framed_close with flush_ms: the timer is now the deadline) -> CLOSING
 * (handles being closed; n_handles of them still open) -> freed after on_closed. A failure (end of
 * file, malformed header, write error, full queue) is told once by on_error and leaves the state
 * OPEN: the owner closes. Failures met inside framed_*() are told by the idle callback.
 */
#include "core/net/framed.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/net/recvbuf.h"
#include "core/net/sendq.h"

#define MAGIC 0x66726d64u
#define MAX_BUFS 32
#define QUIET_MS 1000 /* after which an empty read buffer is given back */

enum framed_state {
	FRAMED_OPEN,
	FRAMED_FLUSHING,
	FRAMED_CLOSING,
};

struct framed {
	unsigned magic;
	enum framed_state state;
	uv_pipe_t pipe;
	uv_timer_t timer;
	uv_idle_t idle;
	unsigned n_handles;
	struct framed_callbacks callbacks;
	struct framed_opts opts;
	void *arg;

	struct recvbuf in;
	bool was_read;	    /* since the timer last fired */
	unsigned waited_ms; /* for the rest of the frame that is arriving */
	bool paused;

	struct sendq queue;
	uv_write_t write;
	size_t in_flight; /* bytes of the queue that the pending uv_write holds; 0: none */
	bool above_low_water;

	int pending_err; /* to be told by the idle callback */
	bool failed;	 /* on_error was called, or will be */
};

static void on_idle(uv_idle_t *idle);
static void on_timer(uv_timer_t *timer);

static uv_stream_t *stream_of(struct framed *conn)
{
	return (uv_stream_t *)&conn->pipe;
}

void *framed_arg(const struct framed *conn)
{
	return conn->arg;
}

uv_loop_t *framed_loop(const struct framed *conn)
{
	return conn->pipe.loop;
}

int framed_fd(const struct framed *conn)
{
	uv_os_fd_t fd = -1;

	return uv_fileno((const uv_handle_t *)&conn->pipe, &fd) == 0 ? fd : -1;
}

size_t framed_queued(const struct framed *conn)
{
	size_t left = conn->in_flight == 0
			      ? 0
			      : uv_stream_get_write_queue_size((const uv_stream_t *)&conn->pipe);

	return conn->queue.bytes - conn->in_flight + left;
}

bool framed_is_mid_frame(const struct framed *conn)
{
	return conn->in.end > conn->in.start && !conn->paused;
}

/* --- closing --- */

static void set_state(struct framed *conn, enum framed_state state)
{
	assert(state > conn->state);
	conn->state = state;
}

/* A handle is closed; with the last one all memory goes. */
static void on_handle_closed(uv_handle_t *handle)
{
	struct framed *conn = handle->data;

	if (--conn->n_handles > 0)
		return;
	if (conn->callbacks.on_closed != NULL)
		conn->callbacks.on_closed(conn);
	recvbuf_release(&conn->in);
	sendq_fini(&conn->queue);
	conn->magic = 0;
	free(conn);
}

static void close_handles(struct framed *conn)
{
	set_state(conn, FRAMED_CLOSING);
	uv_close((uv_handle_t *)&conn->timer, on_handle_closed);
	uv_close((uv_handle_t *)&conn->idle, on_handle_closed);
	uv_close((uv_handle_t *)&conn->pipe, on_handle_closed);
}

void framed_close(struct framed *conn, unsigned flush_ms)
{
	assert(conn->magic == MAGIC);
	if (conn->state == FRAMED_CLOSING)
		return;
	if (flush_ms == 0 || conn->queue.bytes == 0) {
		close_handles(conn);
		return;
	}
	if (conn->state == FRAMED_FLUSHING)
		return;
	set_state(conn, FRAMED_FLUSHING);
	uv_read_stop(stream_of(conn));
	uv_timer_start(&conn->timer, on_timer, flush_ms, 0);
	uv_idle_start(&conn->idle, on_idle);
}

/* --- failures --- */

/* Tells a failure; only from callbacks of the loop. */
static void fail(struct framed *conn, int err)
{
	conn->failed = true;
	uv_read_stop(stream_of(conn));
	conn->callbacks.on_error(conn, err);
}

static void fail_later(struct framed *conn, int err)
{
	if (conn->failed)
		return;
	conn->failed = true;
	conn->pending_err = err;
	uv_read_stop(stream_of(conn));
	uv_idle_start(&conn->idle, on_idle);
}

/* --- reading --- */

/* What the frame that is arriving will take in all, as far as that is known. */
static size_t bytes_needed(const struct framed *conn)
{
	size_t have = conn->in.end - conn->in.start;
	struct frame frame;

	if (have < FRAME_HEADER_BYTES ||
		frame_decode_header(conn->in.data + conn->in.start, have, &frame) != 0)
		return FRAME_HEADER_BYTES;
	return FRAME_HEADER_BYTES + frame.length;
}

/* The socket is readable: where to. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
	struct framed *conn = handle->data;

	(void)suggested;
	*ret_buf = uv_buf_init(NULL, 0); /* libuv then reports UV_ENOBUFS */
	if (recvbuf_make_room(&conn->in, bytes_needed(conn)) != 0)
		return;
	if (!uv_is_active((uv_handle_t *)&conn->timer))
		uv_timer_start(&conn->timer, on_timer, QUIET_MS, QUIET_MS);
	ret_buf->base = (char *)conn->in.data + conn->in.end;
	ret_buf->len = conn->in.cap - conn->in.end;
}

/* Hands out every whole frame that is there. */
static void deliver(struct framed *conn)
{
	while (conn->state == FRAMED_OPEN && !conn->paused && !conn->failed) {
		size_t have = conn->in.end - conn->in.start;
		const uint8_t *at;
		struct frame frame;
		int rc;

		if (have < FRAME_HEADER_BYTES)
			return;
		at = conn->in.data + conn->in.start;
		rc = frame_decode_header(at, have, &frame);
		if (rc != 0) {
			fail(conn, rc);
			return;
		}
		if (have - FRAME_HEADER_BYTES < frame.length)
			return;
		recvbuf_consume(&conn->in, FRAME_HEADER_BYTES + frame.length);
		conn->waited_ms = 0;
		conn->callbacks.on_frame(conn, &frame, at + FRAME_HEADER_BYTES);
	}
}

/* Bytes have come, or the connection has ended. */
static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
	struct framed *conn = stream->data;

	(void)buf;
	if (nread < 0) {
		fail(conn, (int)nread);
		return;
	}
	conn->was_read = true;
	conn->in.end += (size_t)nread;
	deliver(conn);
}

void framed_pause(struct framed *conn)
{
	conn->paused = true;
	if (conn->state == FRAMED_OPEN)
		uv_read_stop(stream_of(conn));
}

static int start_reading(struct framed *conn)
{
	return uv_read_start(stream_of(conn), on_alloc, on_read);
}

void framed_resume(struct framed *conn)
{
	if (!conn->paused)
		return;
	conn->paused = false;
	if (conn->state == FRAMED_OPEN && !conn->failed)
		uv_idle_start(&conn->idle, on_idle);
}

/* A quiet interval has passed, or the time to flush is over. */
static void on_timer(uv_timer_t *timer)
{
	struct framed *conn = timer->data;

	if (conn->state == FRAMED_FLUSHING) {
		close_handles(conn);
		return;
	}
	if (!conn->was_read && conn->in.start == conn->in.end) {
		recvbuf_release(&conn->in);
		uv_timer_stop(timer);
	}
	conn->was_read = false;
	if (conn->opts.frame_ms == 0 || conn->failed || !framed_is_mid_frame(conn))
		return;
	conn->waited_ms += QUIET_MS;
	if (conn->waited_ms > conn->opts.frame_ms)
		fail(conn, UV_ETIMEDOUT);
}

/* --- writing --- */

static void on_written(uv_write_t *write, int status);

/* Writes as much as the kernel takes; the rest goes on in the background. 0 or the error. */
static int write_queue(struct framed *conn)
{
	uv_buf_t bufs[MAX_BUFS];
	size_t bytes;
	unsigned n;
	int rc;

	while (conn->in_flight == 0 && conn->queue.bytes > 0) {
		n = sendq_gather(&conn->queue, bufs, MAX_BUFS, FRAMED_WRITE_BYTES, &bytes);
		rc = uv_try_write(stream_of(conn), bufs, n);
		if (rc < 0 && rc != UV_EAGAIN)
			return rc;
		if (rc > 0)
			sendq_consume(&conn->queue, (size_t)rc);
		if (rc > 0 && (size_t)rc == bytes)
			continue;
		n = sendq_gather(&conn->queue, bufs, MAX_BUFS, FRAMED_WRITE_BYTES, &bytes);
		conn->write.data = conn;
		rc = uv_write(&conn->write, stream_of(conn), bufs, n, on_written);
		if (rc != 0)
			return rc;
		conn->in_flight = bytes;
	}
	return 0;
}

/* After bytes have left: what the loop may tell now. The connection may be gone afterwards. */
static void after_progress(struct framed *conn, int err)
{
	if (conn->state == FRAMED_FLUSHING) {
		if (err != 0 || conn->queue.bytes == 0)
			close_handles(conn);
		return;
	}
	if (err != 0) {
		if (!conn->failed)
			fail(conn, err);
		return;
	}
	if (conn->above_low_water && framed_queued(conn) <= conn->opts.low_water / 2) {
		conn->above_low_water = false;
		if (conn->callbacks.on_drain != NULL)
			conn->callbacks.on_drain(conn);
	}
}

/* The write that the kernel had not taken at once is done. */
static void on_written(uv_write_t *write, int status)
{
	struct framed *conn = write->data;

	if (conn->state == FRAMED_CLOSING)
		return;
	sendq_consume(&conn->queue, conn->in_flight);
	conn->in_flight = 0;
	after_progress(conn, status < 0 ? status : write_queue(conn));
}

/* The loop is about to block: deferred work. */
static void on_idle(uv_idle_t *idle)
{
	struct framed *conn = idle->data;
	int err = conn->pending_err;

	uv_idle_stop(idle);
	if (err != 0) {
		conn->pending_err = 0;
		if (conn->state == FRAMED_OPEN)
			conn->callbacks.on_error(conn, err);
		else if (conn->state == FRAMED_FLUSHING)
			close_handles(conn);
		return;
	}
	after_progress(conn, write_queue(conn));
	if (conn->state != FRAMED_OPEN || conn->paused || conn->failed)
		return;
	deliver(conn);
	if (conn->state != FRAMED_OPEN || conn->paused || conn->failed)
		return;
	err = start_reading(conn); /* UV_EALREADY when it never stopped */
	if (err != 0 && err != UV_EALREADY)
		fail(conn, err);
}

/* Accepts a frame of n bytes into the queue, or says why not. */
static int check_send(struct framed *conn, size_t payload_len)
{
	if (payload_len > FRAME_MAX_PAYLOAD)
		return -EMSGSIZE;
	if (conn->state != FRAMED_OPEN || conn->pending_err != 0)
		return -EPIPE;
	if (framed_queued(conn) + FRAME_HEADER_BYTES + payload_len > conn->opts.max_queue) {
		fail_later(conn, UV_ENOBUFS);
		return -ENOBUFS;
	}
	return 0;
}

/* A frame was queued: writes now when it is worth it, soon otherwise. */
static int after_send(struct framed *conn)
{
	int rc = 0;

	if (conn->in_flight == 0 && conn->queue.bytes >= FRAMED_FLUSH_BYTES)
		rc = write_queue(conn);
	else if (conn->in_flight == 0)
		uv_idle_start(&conn->idle, on_idle);
	if (rc != 0) {
		fail_later(conn, rc);
		return -EPIPE;
	}
	if (framed_queued(conn) > conn->opts.low_water)
		conn->above_low_water = true;
	return 0;
}

int framed_send(struct framed *conn, uint8_t type, uint32_t stream, const struct framed_part *parts,
	size_t n_parts)
{
	struct frame frame = {.type = type, .stream = stream};
	size_t len = 0;
	uint8_t *at;
	int rc;

	assert(conn->magic == MAGIC);
	for (size_t i = 0; i < n_parts; i++)
		len += parts[i].len;
	rc = check_send(conn, len);
	if (rc != 0)
		return rc;
	at = sendq_reserve(&conn->queue, FRAME_HEADER_BYTES + len);
	if (at == NULL)
		return -ENOMEM;
	frame.length = (uint32_t)len;
	frame_encode_header(&frame, at);
	at += FRAME_HEADER_BYTES;
	for (size_t i = 0; i < n_parts; i++) {
		if (parts[i].len > 0)
			memcpy(at, parts[i].data, parts[i].len);
		at += parts[i].len;
	}
	return after_send(conn);
}

int framed_send_block(
	struct framed *conn, uint8_t type, uint32_t stream, uint8_t *data, size_t payload_len)
{
	struct frame frame = {.type = type, .stream = stream, .length = (uint32_t)payload_len};
	int rc;

	assert(conn->magic == MAGIC);
	rc = check_send(conn, payload_len);
	if (rc == 0) {
		frame_encode_header(&frame, data);
		rc = sendq_push(&conn->queue, data, FRAME_HEADER_BYTES + payload_len);
	}
	if (rc != 0) {
		free(data);
		return rc;
	}
	return after_send(conn);
}

/* --- opening --- */

struct framed *framed_open(uv_loop_t *loop, int fd, const struct framed_callbacks *callbacks,
	const struct framed_opts *opts, void *arg, int *ret_err)
{
	struct framed *conn = xcalloc(1, sizeof(*conn));
	int rc;

	conn->magic = MAGIC;
	conn->opts = *opts;
	conn->arg = arg;
	sendq_init(&conn->queue);
	uv_pipe_init(loop, &conn->pipe, 0);
	uv_timer_init(loop, &conn->timer);
	uv_idle_init(loop, &conn->idle);
	conn->pipe.data = conn->timer.data = conn->idle.data = conn;
	conn->n_handles = 3;
	rc = uv_pipe_open(&conn->pipe, fd);
	if (rc != 0)
		close(fd);
	else
		rc = start_reading(conn);
	if (rc != 0) {
		close_handles(conn); /* without callbacks: nobody has seen it */
		*ret_err = rc;
		return NULL;
	}
	conn->callbacks = *callbacks;
	return conn;
}
