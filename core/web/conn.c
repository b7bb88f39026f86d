/*
 * One connection (conn.h): the socket, its buffers, its deadlines, its states.
 *
 * Happy path: accepted → IDLE; bytes are read into the server's shared buffer and used in place;
 * what cannot be used yet is kept in conn.in, which has no memory otherwise. http.c moves the
 * state while requests come; conn_next() brings it back to IDLE after each answer. A WebSocket
 * takes the connection over (WEBSOCKET). The end: conn_finish() flushes, shuts our side down and
 * lingers, so that the peer sees the last bytes instead of a reset; conn_close() is the exit door.
 *
 * Failure modes: end of file while a request is handled is taken as "will send no more" (the
 * answer is still sent) but on streaming routes as gone; errors close; a peer that takes nothing
 * of what is queued for write_ms is closed (what its kernel acknowledges counts as taken, so a
 * slow reader lives); more than a head's worth of bytes ahead of the answer stops the reading.
 *
 * Transitions are listed in may_follow[].
 */
#include "core/web/conn.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/base/log.h"
#include "core/net/tls.h"
#include "core/web/http.h"
#include "core/web/request_impl.h"
#include "core/web/response_impl.h"
#include "core/web/server_impl.h"
#include "core/web/tcp_acked.h"
#include "core/web/ws_impl.h"

#define CONN_MAGIC 0x434f4e31
#define BIT(state) (1u << (state))

static const unsigned may_follow[] = {
	[CONN_IDLE] = BIT(CONN_HEAD) | BIT(CONN_FLUSH) | BIT(CONN_LINGER),
	[CONN_HEAD] = BIT(CONN_HOOKS) | BIT(CONN_FLUSH) | BIT(CONN_LINGER),
	[CONN_HOOKS] = BIT(CONN_BODY) | BIT(CONN_HANDLING) | BIT(CONN_SKIP) | BIT(CONN_FLUSH) |
		       BIT(CONN_IDLE) | BIT(CONN_LINGER),
	[CONN_BODY] = BIT(CONN_HANDLING) | BIT(CONN_SKIP) | BIT(CONN_FLUSH) | BIT(CONN_IDLE) |
		      BIT(CONN_LINGER),
	[CONN_HANDLING] = BIT(CONN_WEBSOCKET) | BIT(CONN_SKIP) | BIT(CONN_FLUSH) | BIT(CONN_IDLE) |
			  BIT(CONN_LINGER),
	[CONN_SKIP] = BIT(CONN_FLUSH) | BIT(CONN_IDLE) | BIT(CONN_LINGER),
	[CONN_FLUSH] = BIT(CONN_IDLE) | BIT(CONN_LINGER),
	[CONN_WEBSOCKET] = BIT(CONN_FLUSH) | BIT(CONN_LINGER),
	[CONN_LINGER] = 0,
	[CONN_CLOSING] = 0,
};

void conn_set_state(struct conn *c, enum conn_state state)
{
	struct deadlines *ds = &c->server->deadlines;

	assert(c->magic == CONN_MAGIC);
	assert(c->state != CONN_CLOSING);
	assert(state == CONN_CLOSING || (may_follow[c->state] & BIT(state)));
	c->state = state;
	switch (state) {
	case CONN_IDLE:
		deadline_set(ds, &c->deadline, DL_IDLE);
		break;
	case CONN_HEAD:
		deadline_set(ds, &c->deadline, DL_HEADER);
		break;
	case CONN_HOOKS:
	case CONN_HANDLING:
		deadline_set(ds, &c->deadline, DL_HANDLE);
		break;
	case CONN_BODY:
	case CONN_SKIP:
		deadline_set(ds, &c->deadline, DL_BODY);
		break;
	case CONN_WEBSOCKET:
		deadline_set(ds, &c->deadline, DL_WS_PING);
		break;
	case CONN_LINGER:
		deadline_set(ds, &c->deadline, DL_LINGER);
		break;
	case CONN_FLUSH: /* the write deadline watches it */
	case CONN_CLOSING:
		deadline_clear(&c->deadline);
		break;
	}
}

/* The handle is released: nothing will come for this connection any more. */
static void on_closed(uv_handle_t *handle)
{
	struct conn *c = container_of((uv_tcp_t *)handle, struct conn, tcp);
	struct web_server *server = c->server;

	out_fini(&c->out);
	tls_free(c->tls);
	buf_fini(&c->in);
	list_remove(&c->link);
	server->counts.connections -= !c->is_refused;
	server->n_refused -= c->is_refused;
	if (c->req != NULL)
		request_abort(c->req);
	if (c->ws != NULL)
		ws_on_gone(c->ws);
	c->magic = 0;
	free(c);
	server_on_conn_gone(server);
}

void conn_close(struct conn *c, const char *reason)
{
	assert(c->magic == CONN_MAGIC);
	if (c->state == CONN_CLOSING)
		return;
	log_debug(LOG_EV("web.conn.closed"), LOG_STR("remote", c->remote),
		LOG_STR("reason", reason), LOG_INT("state", c->state));
	conn_set_state(c, CONN_CLOSING);
	deadline_clear(&c->write_deadline);
	list_remove(&c->ready);
	uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static int conn_fd(const struct conn *c)
{
	uv_os_fd_t fd;

	return uv_fileno((const uv_handle_t *)&c->tcp, &fd) == 0 ? fd : -1;
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf);
static int queue(struct conn *c, const struct out_piece *pieces, size_t n);

/* libuv asks where to read to: all connections share one buffer. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
	struct conn *c = container_of((uv_tcp_t *)handle, struct conn, tcp);

	(void)suggested;
	*ret_buf = uv_buf_init(c->server->read_buffer, WEB_READ_BUFFER);
}

static void start_reading(struct conn *c)
{
	if (c->reading || c->eof || c->state == CONN_CLOSING)
		return;
	if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0)
		conn_close(c, "cannot read");
	else
		c->reading = true;
}

static void stop_reading(struct conn *c)
{
	uv_read_stop((uv_stream_t *)&c->tcp);
	c->reading = false;
}

/* Whether arriving bytes are of use now; else they are kept until they are. */
static bool is_reading_state(enum conn_state state)
{
	return state != CONN_HOOKS && state != CONN_HANDLING && state != CONN_FLUSH;
}

static void on_end_of_file(struct conn *c)
{
	c->eof = true;
	stop_reading(c);
	if (is_reading_state(c->state))
		conn_close(c, "peer closed");
	else if (c->req != NULL && c->req->route != NULL && (c->req->route->flags & ROUTE_STREAM))
		conn_close(c, "peer left a stream");
}

/* Uses what it can of new bytes (NULL: only of those that wait) and keeps the rest. */
static void process(struct conn *c, const char *data, size_t n)
{
	if (c->in.len > 0) {
		buf_append(&c->in, data, n);
		if (buf_err(&c->in) != 0) {
			conn_close(c, "too much sent ahead");
			return;
		}
		buf_consume(&c->in, http_process(c, (const char *)c->in.data, c->in.len));
	} else if (n > 0) {
		size_t used = http_process(c, data, n);

		buf_append(&c->in, data + used, n - used);
	}
	if (c->in.len == 0)
		buf_fini(&c->in);
	if (c->state == CONN_CLOSING)
		return;
	if (buf_err(&c->in) != 0)
		conn_close(c, "out of memory");
	else if (!is_reading_state(c->state) && c->in.len > WEB_MAX_HEAD)
		stop_reading(c);
	else if (c->eof && is_reading_state(c->state))
		conn_close(c, "peer closed");
	else
		start_reading(c);
}

/* Sends what the TLS layer has to say. Negative: the connection is being closed. */
static int send_tls(struct conn *c)
{
	size_t len;
	uint8_t *block = tls_take_output(c->tls, &len);
	struct out_piece piece = {.data = block, .len = len, .base = block, .mode = OUT_OWNED};

	return block == NULL ? 0 : queue(c, &piece, 1);
}

/* Plaintext has arrived. */
static void take(struct conn *c, const char *data, size_t n)
{
	if (c->state != CONN_LINGER) {
		process(c, data, n);
		return;
	}
	c->lingered += n;
	if (c->lingered > WEB_MAX_LINGER)
		conn_close(c, "refused but goes on sending");
}

/* Ciphertext has arrived. */
static void take_tls(struct conn *c, const char *data, size_t n)
{
	bool was_open = tls_is_open(c->tls);
	long got = 0;

	tls_put(c->tls, data, n);
	while (c->state != CONN_CLOSING &&
		(got = tls_read(c->tls, c->server->plain_buffer, WEB_READ_BUFFER)) > 0)
		take(c, c->server->plain_buffer, (size_t)got);
	if (c->state == CONN_CLOSING || send_tls(c) < 0)
		return;
	if (got == -ENOTCONN)
		on_end_of_file(c);
	else if (got < 0)
		conn_close(c, "broke TLS");
	else if (!was_open && tls_is_open(c->tls) && c->state == CONN_IDLE)
		deadline_set(&c->server->deadlines, &c->deadline, DL_IDLE);
}

/* Bytes, end of file or an error. */
static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
	struct conn *c = container_of((uv_tcp_t *)stream, struct conn, tcp);

	if (nread == 0)
		return;
	if (nread == UV_EOF) {
		on_end_of_file(c);
	} else if (nread < 0) {
		conn_close(c, uv_err_name((int)nread));
	} else if (c->tls != NULL) {
		take_tls(c, buf->base, (size_t)nread);
	} else {
		take(c, buf->base, (size_t)nread);
	}
}

void conn_continue(struct conn *c)
{
	if (is_reading_state(c->state))
		process(c, NULL, 0);
}

/* The kernel has taken some of the queue, or the connection broke. */
static void on_progress(struct out *out, int status)
{
	struct conn *c = container_of(out, struct conn, out);

	if (c->state == CONN_CLOSING)
		return;
	if (status != 0) {
		conn_close(c, uv_err_name(status));
		return;
	}
	if (out_queued(out) == 0)
		deadline_clear(&c->write_deadline);
	else
		deadline_set(&c->server->deadlines, &c->write_deadline, DL_WRITE);
	if (c->state == CONN_HANDLING)
		response_on_progress(c->req);
	else if (c->state == CONN_WEBSOCKET)
		ws_on_progress(c->ws);
	else if (c->state == CONN_FLUSH && out_queued(out) == 0)
		conn_next(c);
}

/* Writes or queues pieces as they go over the wire. */
static int queue(struct conn *c, const struct out_piece *pieces, size_t n)
{
	int r;

	r = out_write(&c->out, pieces, n);
	if (r != 0) {
		conn_close(c, uv_err_name(r));
		return r;
	}
	if (out_queued(&c->out) > 0 && !deadline_is_set(&c->write_deadline)) {
		c->acked = tcp_acked(conn_fd(c));
		deadline_set(&c->server->deadlines, &c->write_deadline, DL_WRITE);
	}
	return 0;
}

int conn_write(struct conn *c, const struct out_piece *pieces, size_t n)
{
	int r = 0;

	if (c->state == CONN_CLOSING) {
		out_release(pieces, n);
		return -EPIPE;
	}
	if (c->tls == NULL)
		return queue(c, pieces, n);
	/* A peer that has not finished its handshake cannot be told anything. */
	if (!tls_is_open(c->tls))
		r = -EPIPE;
	for (size_t i = 0; i < n && r == 0; i++)
		r = tls_write(c->tls, pieces[i].data, pieces[i].len);
	out_release(pieces, n);
	if (r == 0)
		return send_tls(c);
	conn_close(c, uv_err_name(r));
	return r;
}

static void linger(struct conn *c)
{
	if (c->tls != NULL) {
		tls_finish(c->tls);
		if (send_tls(c) < 0)
			return;
	}
	if (c->eof) {
		conn_close(c, "done");
		return;
	}
	conn_set_state(c, CONN_LINGER);
	shutdown(conn_fd(c), SHUT_WR);
	start_reading(c);
}

void conn_finish(struct conn *c)
{
	c->close_after = true;
	c->skip = 0;
	conn_next(c);
}

void conn_next(struct conn *c)
{
	if (c->state == CONN_CLOSING || c->state == CONN_LINGER)
		return;
	if (c->skip > 0 && !c->close_after)
		conn_set_state(c, CONN_SKIP);
	else if (out_queued(&c->out) > 0) {
		if (c->state != CONN_FLUSH)
			conn_set_state(c, CONN_FLUSH);
		return;
	} else if (c->close_after || c->server->is_draining || (c->eof && c->in.len == 0)) {
		linger(c);
		return;
	} else {
		conn_set_state(c, CONN_IDLE);
	}
	if (c->in_process)
		return;
	if (c->in.len > 0)
		server_add_ready(c->server, c);
	else
		start_reading(c);
}

bool conn_is_heard(struct conn *c, uint64_t *acked)
{
	uint64_t before = *acked;

	*acked = tcp_acked(conn_fd(c));
	return *acked != before || tcp_unacked(conn_fd(c)) == 0;
}

static void on_write_deadline(struct conn *c)
{
	if (!conn_is_heard(c, &c->acked)) {
		conn_close(c, "peer does not read");
		return;
	}
	deadline_set(&c->server->deadlines, &c->write_deadline, DL_WRITE);
}

void conn_on_due(struct deadline *d)
{
	if (d->kind == DL_WRITE) {
		on_write_deadline(container_of(d, struct conn, write_deadline));
	} else {
		struct conn *c = container_of(d, struct conn, deadline);

		if (c->state == CONN_WEBSOCKET)
			ws_on_deadline(c->ws, (enum conn_deadline)d->kind);
		else
			http_on_deadline(c, (enum conn_deadline)d->kind);
	}
}

static void take_remote(struct conn *c)
{
	struct sockaddr_storage addr;
	int len = sizeof(addr);

	if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&addr, &len) != 0 ||
		uv_ip_name((struct sockaddr *)&addr, c->remote, sizeof(c->remote)) != 0)
		memcpy(c->remote, "unknown", 8);
	/* An IPv4 peer of a socket that takes both kinds: by the name its proxy rules know. */
	if (strncmp(c->remote, "::ffff:", 7) == 0 && strchr(c->remote, '.') != NULL)
		memmove(c->remote, c->remote + 7, strlen(c->remote + 7) + 1);
}

int conn_accept(struct web_server *server, uv_stream_t *listener, bool is_refused)
{
	struct conn *c = calloc(1, sizeof(*c));
	int r;

	if (c == NULL)
		return -ENOMEM;
	r = uv_tcp_init(server->loop, &c->tcp);
	if (r != 0) {
		free(c);
		return r;
	}
	c->magic = CONN_MAGIC;
	c->server = server;
	c->is_refused = is_refused;
	list_append(&server->conns, &c->link);
	list_init(&c->ready);
	deadline_init(&c->deadline);
	deadline_init(&c->write_deadline);
	out_init(&c->out, (uv_stream_t *)&c->tcp, on_progress);
	c->out.all = &server->queued;
	/* A read may complete a TLS record that began before it. */
	buf_init(&c->in, WEB_MAX_HEAD + 2 * WEB_READ_BUFFER);
	server->counts.connections += !is_refused;
	server->n_refused += is_refused;
	/* A handshake has the time of a head. */
	deadline_set(
		&server->deadlines, &c->deadline, server->identity != NULL ? DL_HEADER : DL_IDLE);
	r = uv_accept(listener, (uv_stream_t *)&c->tcp);
	if (r != 0) {
		conn_close(c, "accept failed");
		return r;
	}
	take_remote(c);
	uv_tcp_nodelay(&c->tcp, 1);
	if (server->identity != NULL) {
		c->tls = tls_new(server->identity);
		if (c->tls == NULL || is_refused) {
			conn_close(c, is_refused ? "too many" : "out of memory");
			return 0;
		}
	}
	if (is_refused)
		response_refuse(c,
			&(struct problem){.status = 503,
				.code = "too_many_connections",
				.detail = "Too many connections; try again in a moment."},
			NULL);
	else
		start_reading(c);
	return 0;
}
