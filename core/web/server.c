/*
 * The server: listeners, the table of connections, ids and dates, drain and close.
 *
 * Happy path: web_server_open(), web_server_listen(), connections come and go by themselves;
 * web_server_drain() stops listening and waits for them, web_server_close() cuts what is left.
 * The memory goes when the last handle has closed: n_open counts listeners, the two timers and the
 * idle handle; counts and n_refused the connections.
 *
 * Failure modes: those of peers are listen.c's and conn.c's; a drain that takes too long says so,
 * and the caller closes.
 */
#include "core/web/server.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/crypto.h"
#include "core/base/hex.h"
#include "core/net/tls.h"
#include "core/web/request_impl.h"
#include "core/web/server_impl.h"
#include "core/web/ws_impl.h"

#define SERVER_MAGIC 0x57454253

const struct web_limits web_limits_default = {
	.max_connections = 1024,
	.max_queued = WEB_MAX_QUEUED,
	.header_ms = 10000,
	.head_grace_ms = 1000,
	.body_ms = 30000,
	.idle_ms = 75000,
	.write_ms = 30000,
	.handle_ms = 60000,
	.linger_ms = 2000,
	.ws_ping_ms = 20000,
	.ws_pong_ms = 45000,
	.ws_close_ms = 3000,
};

void server_new_id(struct web_server *server, char id[REQUEST_ID_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	uint64_t n = ++server->last_id;
	size_t len = strlen(server->id_prefix), at = REQUEST_ID_BYTES - 1;
	char tail[REQUEST_ID_BYTES];

	memcpy(id, server->id_prefix, len);
	id[len++] = '-';
	do {
		tail[--at] = digits[n & 15];
		n >>= 4;
	} while (n > 0);
	memcpy(id + len, tail + at, REQUEST_ID_BYTES - 1 - at);
	id[len + REQUEST_ID_BYTES - 1 - at] = '\0';
}

const char *server_date(struct web_server *server, size_t *ret_len)
{
	time_t now = time(NULL);
	struct tm tm;

	if (now != server->date_s || server->date_len == 0) {
		server->date_s = now;
		gmtime_r(&now, &tm);
		/* The daemon never sets a locale: names of days and months are English. */
		server->date_len = strftime(server->date_line, sizeof(server->date_line),
			"Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
	}
	*ret_len = server->date_len;
	return server->date_line;
}

/* A loop iteration for connections with bytes that wait. */
static void on_ready(uv_idle_t *idle)
{
	struct web_server *server = container_of(idle, struct web_server, ready_idle);
	struct list now;

	list_move_all(&server->ready, &now);
	while (!list_empty(&now)) {
		struct conn *c = container_of(now.next, struct conn, ready);

		list_remove(&c->ready);
		conn_continue(c);
	}
	if (list_empty(&server->ready))
		uv_idle_stop(idle);
}

void server_add_ready(struct web_server *server, struct conn *c)
{
	if (!list_empty(&c->ready) || server->is_closing)
		return;
	list_append(&server->ready, &c->ready);
	uv_idle_start(&server->ready_idle, on_ready);
}

static bool has_conns(const struct web_server *server)
{
	return !list_empty(&server->conns);
}

static void server_free(struct web_server *server)
{
	void (*on_closed)(void *arg) = server->on_closed;
	void *arg = server->close_arg;

	list_foreach(pos, next, &server->requests)
	{
		struct request *req = container_of(pos, struct request, link);

		/* Its handler still owes it an end. */
		list_remove(&req->link);
		req->server = NULL;
	}
	router_free(server->router);
	security_fini(&server->security);
	free(server->read_buffer);
	free(server->plain_buffer);
	tls_identity_release(server->identity);
	server->magic = 0;
	free(server);
	if (on_closed != NULL)
		on_closed(arg);
}

static void on_deadlines_closed(struct deadlines *deadlines)
{
	server_free(container_of(deadlines, struct web_server, deadlines));
}

/* The last step of closing, when handles and connections are gone. */
static void maybe_free(struct web_server *server)
{
	if (server->is_closing && server->n_open == 0 && !has_conns(server)) {
		server->is_closing = false;
		deadlines_close(&server->deadlines, on_deadlines_closed);
	}
}

static void finish_drain(struct web_server *server, int err)
{
	void (*on_drained)(int err, void *arg) = server->on_drained;

	server->on_drained = NULL;
	uv_timer_stop(&server->drain_timer);
	if (on_drained != NULL)
		on_drained(err, server->drain_arg);
}

void server_on_conn_gone(struct web_server *server)
{
	if (server->is_draining && !server->is_closing && !has_conns(server))
		finish_drain(server, 0);
	maybe_free(server);
}

/* One of the handles counted in n_open has closed. */
static void on_handle_closed(uv_handle_t *handle)
{
	struct web_server *server = handle->data;

	server->n_open--;
	maybe_free(server);
}

void server_close_handle(struct web_server *server, uv_handle_t *handle)
{
	handle->data = server;
	uv_close(handle, on_handle_closed);
}

static void set_deadlines(struct web_server *server)
{
	const struct web_limits *limits = &server->limits;
	unsigned ping_ms = limits->ws_ping_ms;
	const unsigned lengths[DL_COUNT] = {
		[DL_IDLE] = limits->idle_ms,
		[DL_HEADER] = limits->header_ms,
		[DL_BODY] = limits->body_ms,
		[DL_HANDLE] = limits->handle_ms,
		[DL_LINGER] = limits->linger_ms,
		[DL_WS_PING] = ping_ms,
		[DL_WS_PONG] = MAX(limits->ws_pong_ms, ping_ms + 1) - ping_ms,
		[DL_WS_CLOSE] = limits->ws_close_ms,
		[DL_WRITE] = limits->write_ms,
	};

	for (unsigned kind = 0; kind < DL_COUNT; kind++)
		deadlines_set_length(&server->deadlines, kind, lengths[kind]);
}

struct web_server *web_server_open(uv_loop_t *loop, const struct web_opts *opts, struct err *err)
{
	struct web_server *server = xcalloc(1, sizeof(*server));
	uint8_t random[8];

	server->magic = SERVER_MAGIC;
	server->loop = loop;
	server->opts = *opts;
	server->limits = opts->limits != NULL ? *opts->limits : web_limits_default;
	list_init(&server->conns);
	list_init(&server->ready);
	list_init(&server->requests);
	if (security_init(&server->security, opts->public_origin, err) != 0)
		goto fail;
	server->router = router_new(opts->routes, opts->n_routes, err);
	if (server->router == NULL)
		goto fail;
	crypto_random(random, sizeof(random));
	hex_encode(random, sizeof(random), server->id_prefix);
	server->read_buffer = xcalloc(1, WEB_READ_BUFFER);
	deadlines_init(&server->deadlines, loop, conn_on_due);
	set_deadlines(server);
	uv_idle_init(loop, &server->ready_idle);
	uv_timer_init(loop, &server->drain_timer);
	server->n_open = 2;
	return server;
fail:
	security_fini(&server->security);
	free(server);
	return NULL;
}

void web_server_set_identity(struct web_server *server, struct tls_identity *identity)
{
	if (server->plain_buffer == NULL)
		server->plain_buffer = xcalloc(1, WEB_READ_BUFFER);
	tls_identity_release(server->identity);
	server->identity = identity;
}

int web_server_set_origin(struct web_server *server, const char *origin, struct err *err)
{
	struct security security = {0};
	int r = security_init(&security, origin, err);

	if (r != 0)
		return r;
	security_fini(&server->security);
	server->security = security;
	return 0;
}

void web_server_get_counts(const struct web_server *server, struct web_counts *ret_counts)
{
	*ret_counts = server->counts;
}

static void stop_listening(struct web_server *server)
{
	for (size_t i = 0; i < server->n_listeners; i++) {
		struct listener *l = &server->listeners[i];

		if (l->is_open)
			server_close_handle(server, (uv_handle_t *)&l->tcp);
		l->is_open = false;
	}
}

/* The drain's time is over; or, with nothing to wait for, its first moment. */
static void on_drain_timer(uv_timer_t *timer)
{
	struct web_server *server = container_of(timer, struct web_server, drain_timer);

	finish_drain(server, has_conns(server) ? -ETIMEDOUT : 0);
}

void web_server_drain(struct web_server *server, unsigned deadline_ms,
	void (*on_drained)(int err, void *arg), void *arg)
{
	assert(!server->is_draining && !server->is_closing);
	server->is_draining = true;
	server->on_drained = on_drained;
	server->drain_arg = arg;
	stop_listening(server);
	list_foreach(pos, next, &server->conns)
	{
		struct conn *c = container_of(pos, struct conn, link);

		if (c->state == CONN_IDLE)
			conn_finish(c);
		else if (c->state == CONN_WEBSOCKET)
			ws_close(c->ws, WS_CLOSE_GOING_AWAY, "stopping: connect again");
	}
	uv_timer_start(
		&server->drain_timer, on_drain_timer, has_conns(server) ? deadline_ms : 0, 0);
}

void web_server_close(struct web_server *server, void (*on_closed)(void *arg), void *arg)
{
	assert(server->magic == SERVER_MAGIC && !server->is_closing);
	server->is_closing = true;
	server->on_closed = on_closed;
	server->close_arg = arg;
	stop_listening(server);
	list_foreach(pos, next, &server->conns)
	{
		conn_close(container_of(pos, struct conn, link), "server closes");
	}
	server_close_handle(server, (uv_handle_t *)&server->drain_timer);
	server_close_handle(server, (uv_handle_t *)&server->ready_idle);
}
