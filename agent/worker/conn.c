/*
 * Owns the framed connection, one timer, and the streams.
 *
 * Happy path: accept, credentials checked; a REQUEST makes a stream and goes to methods_dispatch(),
 * which answers it at once, or later when the monitor has, or starts a stream. Ready streams are
 * served by the worker's check handle, one piece a turn, until CONN_LOW_WATER is queued; on_drain
 * goes on.
 *
 * Failure modes: frames that are none, messages that are none, a frame that makes no sense, no good
 * REQUEST in CONN_REQUEST_MS, half a frame for CONN_FRAME_MS, a client that does not read: GOAWAY
 * with the reason where it can still be told, and close; nobody else notices. A wrong secret: the
 * connection is not read for CONN_BAD_SECRET_MS, then the request is answered unauthorized; the
 * monitor writes the ledger. CONN_MAX_BAD_SECRETS: GOAWAY.
 *
 * Ends: conn_close() (idempotent) frees all streams, closes timer and framed; memory goes with the
 * last of the two close callbacks.
 */
#include "agent/worker/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/worker/methods.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "proto/frame.h"

/* ---- streams ---- */

struct stream *stream_find(struct conn *conn, uint32_t id)
{
	list_foreach(pos, tmp, &conn->streams)
	{
		struct stream *stream = container_of(pos, struct stream, link);

		if (stream->id == id)
			return stream;
	}
	return NULL;
}

static struct stream *stream_new(struct conn *conn, uint32_t id)
{
	struct stream *stream = xcalloc(1, sizeof(*stream));

	stream->conn = conn;
	stream->id = id;
	list_init(&stream->ready_link);
	list_init(&stream->all_link);
	list_append(&conn->streams, &stream->link);
	conn->n_streams++;
	return stream;
}

void stream_close(struct stream *stream)
{
	list_remove(&stream->link);
	list_remove(&stream->ready_link);
	list_remove(&stream->all_link);
	stream->conn->n_streams--;
	if (stream->ops != NULL)
		stream->ops->free(stream);
	free(stream);
}

void stream_end(struct stream *stream, enum msg_end_reason reason)
{
	struct msg_end end = {.reason = (uint16_t)reason};
	uint8_t bytes[16];
	int n;

	if (stream->ops != NULL)
		end.offset = stream->ops->offset(stream);
	n = msg_end_encode(&end, bytes, sizeof(bytes));
	/* a connection that cannot take it ends by itself */
	if (n > 0)
		(void)!framed_send(stream->conn->framed, FRAME_END, stream->id,
			&(struct framed_part){bytes, (size_t)n}, 1);
	stream_close(stream);
}

/* Somebody is ready: the loop must not block before its check handle has served them. */
static void on_idle(uv_idle_t *idle)
{
	(void)idle;
}

static void conn_make_ready(struct conn *conn)
{
	uv_idle_t *idle = &conn->worker->idle;

	if (conn->closing || conn->jammed || list_empty(&conn->ready))
		return;
	if (list_empty(&conn->ready_link))
		list_append(&conn->worker->ready, &conn->ready_link);
	/* a timer's callback comes before the loop blocks, and the check handle's after that */
	if (!uv_is_closing((uv_handle_t *)idle))
		uv_idle_start(idle, on_idle);
}

void stream_wake(struct stream *stream)
{
	if (list_empty(&stream->ready_link))
		list_append(&stream->conn->ready, &stream->ready_link);
	conn_make_ready(stream->conn);
}

void stream_start(struct stream *stream, const struct stream_ops *ops, void *arg)
{
	stream->ops = ops;
	stream->arg = arg;
	stream_wake(stream);
}

static void send_response(struct stream *stream, enum msg_status status, const char *message,
	const void *fields, size_t n)
{
	uint8_t head[1024];
	struct wire_writer w;
	int len;

	wire_writer_init(&w, head, sizeof(head));
	wire_put_u16(&w, (uint16_t)status);
	wire_put_str(&w, (struct wire_str){message, (uint32_t)strnlen(message, sizeof(head) - 8)});
	len = wire_writer_finish(&w);
	if (len > 0)
		(void)!framed_send(stream->conn->framed, FRAME_RESPONSE, stream->id,
			(const struct framed_part[]){{head, (size_t)len}, {fields, n}}, 2);
}

void stream_respond(struct stream *stream, enum msg_status status, const char *message,
	const void *fields, size_t n)
{
	if (n > FRAME_MAX_PAYLOAD - 1024) {
		status = MSG_INTERNAL;
		message = "the answer is too large";
		n = 0;
	}
	send_response(stream, status, message, fields, n);
	stream_close(stream);
}

void stream_respond_keep(struct stream *stream, const void *fields, size_t n)
{
	send_response(stream, MSG_OK, "", fields, n);
}

/* ---- the connection ---- */

/* One of the two handles is closed. */
static void handle_closed(struct conn *conn)
{
	if (--conn->n_handles == 0)
		free(conn);
}

static void on_timer_closed(uv_handle_t *handle)
{
	handle_closed(container_of(handle, struct conn, timer));
}

static void on_closed(struct framed *framed)
{
	handle_closed(framed_arg(framed));
}

static void conn_close(struct conn *conn, const char *reason, unsigned flush_ms)
{
	if (conn->closing)
		return;
	conn->closing = true;
	while (!list_empty(&conn->streams))
		stream_close(container_of(conn->streams.next, struct stream, link));
	list_remove(&conn->ready_link);
	list_remove(&conn->link);
	conn->worker->n_conns--;
	log_info(LOG_EV("client.closed"), LOG_INT("conn", conn->id), LOG_STR("reason", reason),
		LOG_INT("uid", conn->peer.uid), LOG_INT("pid", conn->peer.pid),
		LOG_INT("age_ms", (clock_mono_us() - conn->opened_us) / 1000));
	uv_close((uv_handle_t *)&conn->timer, on_timer_closed);
	framed_close(conn->framed, flush_ms);
}

void conn_goaway(struct conn *conn, enum msg_goaway_code code, const char *message)
{
	struct msg_goaway goaway = {.code = (uint16_t)code, .message = wire_str_of(message)};
	uint8_t bytes[512];
	int n;

	if (conn->closing)
		return;
	n = msg_goaway_encode(&goaway, bytes, sizeof(bytes));
	if (n > 0)
		(void)!framed_send(
			conn->framed, FRAME_GOAWAY, 0, &(struct framed_part){bytes, (size_t)n}, 1);
	conn_close(conn, message, CONN_FLUSH_MS);
}

/* No good REQUEST came in time. */
static void on_request_deadline(uv_timer_t *timer)
{
	conn_goaway(container_of(timer, struct conn, timer), MSG_GOAWAY_TIMEOUT,
		"no authorized request in time");
}

/* A refusal has been held back long enough. */
static void on_refusal(uv_timer_t *timer)
{
	struct conn *conn = container_of(timer, struct conn, timer);
	struct stream *stream = stream_find(conn, conn->refused_stream);

	conn->refused_stream = 0;
	if (stream != NULL)
		stream_respond(stream, MSG_UNAUTHORIZED, "wrong secret", NULL, 0);
	if (conn->bad_secrets >= CONN_MAX_BAD_SECRETS) {
		conn_goaway(conn, MSG_GOAWAY_UNAUTHORIZED, "too many wrong secrets");
		return;
	}
	if (!conn->authorized)
		uv_timer_start(&conn->timer, on_request_deadline, CONN_REQUEST_MS, 0);
	framed_resume(conn->framed);
}

static void refuse(struct conn *conn, struct stream *stream)
{
	conn->bad_secrets++;
	conn->refused_stream = stream->id;
	monlink_tell(&conn->worker->monitor,
		&(struct imsg){.type = IMSG_BAD_SECRET, .peer = conn->peer});
	framed_pause(conn->framed);
	uv_timer_start(&conn->timer, on_refusal, CONN_BAD_SECRET_MS, 0);
}

static void on_request(struct conn *conn, const struct frame *frame, const uint8_t *payload)
{
	struct msg_request request;
	struct stream *stream;
	uint32_t generation;

	if (frame->stream == 0 || stream_find(conn, frame->stream) != NULL) {
		conn_goaway(conn, MSG_GOAWAY_PROTOCOL, "a request needs a stream that is not open");
		return;
	}
	if (frame->length > CONN_MAX_REQUEST_BYTES) {
		conn_goaway(conn, MSG_GOAWAY_TOO_LARGE, "a request of more than 64 KiB");
		return;
	}
	if (msg_request_decode(payload, frame->length, &request) != 0) {
		conn_goaway(conn, MSG_GOAWAY_MALFORMED, "bytes that are no request");
		return;
	}
	if (conn->n_streams >= CONN_MAX_STREAMS) {
		conn_goaway(conn, MSG_GOAWAY_LIMIT, "too many open streams");
		return;
	}
	stream = stream_new(conn, frame->stream);
	if (!secrets_match(conn->worker, request.authorization, &generation)) {
		refuse(conn, stream);
		return;
	}
	conn->secret_generation = generation;
	if (!conn->authorized) {
		conn->authorized = true;
		uv_timer_stop(&conn->timer);
	}
	methods_dispatch(stream, &request);
}

static void on_credit(struct conn *conn, const struct frame *frame, const uint8_t *payload)
{
	struct stream *stream = stream_find(conn, frame->stream);
	struct msg_credit credit;

	if (msg_credit_decode(payload, frame->length, &credit) != 0) {
		conn_goaway(conn, MSG_GOAWAY_MALFORMED, "bytes that are no credit");
		return;
	}
	/* the stream may have ended while this was on its way */
	if (stream != NULL && stream->ops != NULL && stream->ops->credit != NULL)
		stream->ops->credit(stream, credit.bytes);
}

static void on_close_frame(struct conn *conn, const struct frame *frame)
{
	struct stream *stream = stream_find(conn, frame->stream);

	if (frame->length != 0)
		conn_goaway(conn, MSG_GOAWAY_MALFORMED, "a close with a payload");
	else if (stream != NULL && stream->ops != NULL)
		stream_end(stream, MSG_END_CLOSED);
	else if (stream != NULL)
		conn_goaway(conn, MSG_GOAWAY_PROTOCOL, "a close before the response");
	/* else it has ended by itself, and said so */
}

static void on_ping(struct conn *conn, const struct frame *frame, const uint8_t *payload)
{
	if (frame->stream != 0) {
		conn_goaway(conn, MSG_GOAWAY_PROTOCOL, "a ping on a stream");
		return;
	}
	(void)!framed_send(
		conn->framed, FRAME_PONG, 0, &(struct framed_part){payload, frame->length}, 1);
}

/* A whole frame has arrived. */
static void on_frame(struct framed *framed, const struct frame *frame, const uint8_t *payload)
{
	struct conn *conn = framed_arg(framed);

	if (conn->closing)
		return;
	switch (frame->type) {
	case FRAME_REQUEST:
		on_request(conn, frame, payload);
		break;
	case FRAME_CREDIT:
		on_credit(conn, frame, payload);
		break;
	case FRAME_CLOSE:
		on_close_frame(conn, frame);
		break;
	case FRAME_PING:
		on_ping(conn, frame, payload);
		break;
	case FRAME_PONG:
		break;
	default:
		conn_goaway(conn, MSG_GOAWAY_PROTOCOL, "a frame that only the agent sends");
	}
}

/* The client has read most of what was queued. */
static void on_drain(struct framed *framed)
{
	struct conn *conn = framed_arg(framed);

	conn->jammed = false;
	conn_make_ready(conn);
}

/* The client is gone, or does not speak the protocol. */
static void on_error(struct framed *framed, int err)
{
	struct conn *conn = framed_arg(framed);

	switch (err) {
	case -EBADMSG:
		conn_goaway(conn, MSG_GOAWAY_MALFORMED, "bytes that are no frame");
		break;
	case -EPROTONOSUPPORT:
		conn_goaway(
			conn, MSG_GOAWAY_VERSION, "this agent speaks version 1 of the protocol");
		break;
	case -EMSGSIZE:
		conn_goaway(conn, MSG_GOAWAY_TOO_LARGE, "a frame over its maximum");
		break;
	case UV_ETIMEDOUT:
		conn_goaway(conn, MSG_GOAWAY_TIMEOUT, "half a frame for too long");
		break;
	case UV_EOF:
		conn_close(conn, "end of file", 0);
		break;
	default:
		conn_close(conn, uv_strerror(err), 0);
	}
}

static const struct framed_callbacks framed_cbs = {
	.on_frame = on_frame,
	.on_drain = on_drain,
	.on_error = on_error,
	.on_closed = on_closed,
};

static bool read_peer(int fd, struct imsg_peer *ret_peer)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return false;
	*ret_peer = (struct imsg_peer){.uid = cred.uid, .pid = cred.pid};
	return true;
}

void conn_accept(struct worker *worker, int fd)
{
	static const struct framed_opts opts = {.max_queue = CONN_MAX_QUEUE,
		.low_water = CONN_LOW_WATER,
		.frame_ms = CONN_FRAME_MS};
	struct imsg_peer peer;
	struct conn *conn;
	int rc;

	if (!read_peer(fd, &peer)) {
		close(fd);
		return;
	}
	conn = xcalloc(1, sizeof(*conn));
	conn->framed = framed_open(&worker->loop, fd, &framed_cbs, &opts, conn, &rc);
	if (conn->framed == NULL) {
		log_warn(LOG_EV("client.refused"), LOG_STR("error", uv_strerror(rc)));
		free(conn);
		return;
	}
	conn->worker = worker;
	conn->id = worker->next_conn_id++;
	conn->peer = peer;
	conn->opened_us = clock_mono_us();
	conn->n_handles = 2;
	list_init(&conn->streams);
	list_init(&conn->ready);
	list_init(&conn->ready_link);
	list_append(&worker->conns, &conn->link);
	uv_timer_init(&worker->loop, &conn->timer);
	if (++worker->n_conns > WORKER_MAX_CONNS) {
		conn_goaway(conn, MSG_GOAWAY_LIMIT, "too many connections");
		return;
	}
	if (!settings_peer_is_allowed(worker->opts->settings, peer.uid)) {
		monlink_tell(&worker->monitor, &(struct imsg){.type = IMSG_BAD_PEER, .peer = peer});
		conn_goaway(
			conn, MSG_GOAWAY_FORBIDDEN, "this uid may not connect: OPS_AGENT_PEERS");
		return;
	}
	uv_timer_start(&conn->timer, on_request_deadline, CONN_REQUEST_MS, 0);
}

struct conn *conn_find(struct worker *worker, uint64_t id)
{
	list_foreach(pos, tmp, &worker->conns)
	{
		struct conn *conn = container_of(pos, struct conn, link);

		if (conn->id == id)
			return conn;
	}
	return NULL;
}

void conn_service(struct conn *conn)
{
	struct stream *stream;

	/* the stream that made it ready may have been closed meanwhile */
	if (list_empty(&conn->ready)) {
		list_remove(&conn->ready_link);
		return;
	}
	if (framed_queued(conn->framed) > CONN_LOW_WATER) {
		conn->jammed = true;
		list_remove(&conn->ready_link);
		return;
	}
	stream = container_of(conn->ready.next, struct stream, ready_link);
	list_remove(&stream->ready_link);
	if (stream->ops->pump(stream) == STREAM_MORE)
		list_append(&conn->ready, &stream->ready_link);
	if (list_empty(&conn->ready))
		list_remove(&conn->ready_link);
}
