/*
 * The server: listeners, the table of connections, ids and dates, drain and close.
 *
 * Happy path: web_server_open(), web_server_listen(), connections come and go by themselves;
 * web_server_drain() stops listening and waits for them, web_server_close() cuts what is left.
 * The memory goes when the last handle has closed: n_open counts listeners, the two timers and the
 * idle handle; counts and n_refused the connections.
 *
 * Failure modes: at max_connections the idle connection that has waited longest makes room; where
 * there is none, up to WEB_REFUSED_MAX peers are told 503, further ones are closed at once. Without
 * descriptors libuv itself closes the waiting peers through the reserve descriptor that it keeps
 * for this (no spinning); what it cannot accept otherwise counts as refused.
 */
#include "core/web/server.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/crypto.h"
#include "core/base/hex.h"
#include "core/web/request_impl.h"
#include "core/web/server_impl.h"
#include "core/web/ws_impl.h"

#define SERVER_MAGIC 0x57454253
#define BACKLOG 1024

const struct web_limits web_limits_default = {
	.max_connections = 1024,
	.header_ms = 10000,
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

static void close_handle(struct web_server *server, uv_handle_t *handle)
{
	handle->data = server;
	uv_close(handle, on_handle_closed);
}

/* Makes room, or says that there is none. */
static bool make_room(struct web_server *server)
{
	struct deadline *idle;

	if (server->counts.connections < server->limits.max_connections)
		return true;
	idle = deadlines_first(&server->deadlines, DL_IDLE);
	if (idle == NULL)
		return false;
	conn_close(container_of(idle, struct conn, deadline), "made room");
	return true;
}

/* A peer is waiting, or could not be accepted. */
static void on_connection(uv_stream_t *stream, int status)
{
	struct listener *l = container_of((uv_tcp_t *)stream, struct listener, tcp);
	struct web_server *server = l->server;
	bool is_refused;

	if (status != 0) {
		server->counts.refused++;
		return;
	}
	is_refused = !make_room(server);
	if (conn_accept(server, stream, is_refused) == 0 && !is_refused) {
		server->counts.accepted++;
		return;
	}
	server->counts.refused++;
	/* The one just made is the last in the list. */
	if (server->n_refused > WEB_REFUSED_MAX)
		conn_close(container_of(server->conns.prev, struct conn, link), "too many");
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

/* "127.0.0.1:3001" or "[::1]:3001". */
static int parse_address(const char *address, struct sockaddr_storage *ret_addr, struct err *err)
{
	const char *colon = strrchr(address, ':');
	char host[64] = "", *end;
	bool is_v6 = address[0] == '[';
	size_t len = colon != NULL ? (size_t)(colon - address) : 0;
	unsigned long port = colon != NULL ? strtoul(colon + 1, &end, 10) : 0;
	int r = UV_EINVAL;

	if (is_v6 && len > 2 && address[len - 1] == ']') {
		address++;
		len -= 2;
	}
	if (colon != NULL && len > 0 && len < sizeof(host) && colon[1] >= '0' && colon[1] <= '9' &&
		*end == '\0' && port <= UINT16_MAX) {
		memcpy(host, address, len);
		if (is_v6)
			r = uv_ip6_addr(host, (int)port, (struct sockaddr_in6 *)ret_addr);
		else
			r = uv_ip4_addr(host, (int)port, (struct sockaddr_in *)ret_addr);
	}
	if (r != 0)
		return err_set(err, -EINVAL,
			"expected an address as 127.0.0.1:3001 or [::1]:3001, not '%s'", address);
	return 0;
}

/* A listener's handle is closed after a failure to listen. */
static void on_listener_failed(uv_handle_t *handle)
{
	struct listener *l = container_of((uv_tcp_t *)handle, struct listener, tcp);

	l->is_open = false;
	on_handle_closed(handle);
}

static int fail_listener(struct listener *l, int code, struct err *err)
{
	l->tcp.data = l->server;
	l->server->n_listeners--;
	uv_close((uv_handle_t *)&l->tcp, on_listener_failed);
	return err_set_errno(err, code, "cannot listen");
}

/* A free listener with an initialised handle; NULL with a text. */
static struct listener *new_listener(struct web_server *server, struct err *err)
{
	for (size_t i = server->n_listeners; i < WEB_MAX_LISTENERS; i++) {
		struct listener *l = &server->listeners[i];

		if (l->is_open)
			continue;
		if (uv_tcp_init(server->loop, &l->tcp) != 0)
			break;
		l->server = server;
		l->is_open = true;
		server->n_listeners = i + 1;
		server->n_open++;
		return l;
	}
	err_set(err, -ENOSPC, "no more than %d addresses to listen on", WEB_MAX_LISTENERS);
	return NULL;
}

int web_server_listen(struct web_server *server, const char *address, struct err *err)
{
	struct sockaddr_storage addr = {0};
	struct listener *l;
	int r = parse_address(address, &addr, err);

	if (r != 0)
		return r;
	l = new_listener(server, err);
	if (l == NULL)
		return -ENOSPC;
	r = uv_tcp_bind(&l->tcp, (struct sockaddr *)&addr, 0);
	if (r == 0)
		r = uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_connection);
	if (r == 0)
		return 0;
	r = fail_listener(l, r, err);
	return err_wrap(err, "%s", address), r;
}

int web_server_listen_fd(struct web_server *server, int fd, struct err *err)
{
	struct listener *l = new_listener(server, err);
	int r;

	if (l == NULL) {
		close(fd);
		return -ENOSPC;
	}
	r = uv_tcp_open(&l->tcp, fd);
	if (r != 0)
		close(fd);
	else
		r = uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_connection);
	return r == 0 ? 0 : fail_listener(l, r, err);
}

uint16_t web_server_port(const struct web_server *server, size_t n)
{
	struct sockaddr_storage addr = {0};
	int len = sizeof(addr);

	assert(n < server->n_listeners);
	if (uv_tcp_getsockname(&server->listeners[n].tcp, (struct sockaddr *)&addr, &len) != 0)
		return 0;
	/* The port lies at the same place in both families. */
	return ntohs(((struct sockaddr_in *)&addr)->sin_port);
}

void web_server_get_counts(const struct web_server *server, struct web_counts *ret_counts)
{
	*ret_counts = server->counts;
}

static void stop_listening(struct web_server *server)
{
	for (size_t i = 0; i < server->n_listeners; i++)
		close_handle(server, (uv_handle_t *)&server->listeners[i].tcp);
	server->n_listeners = 0;
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
			ws_close(c->ws, WS_CLOSE_GOING_AWAY, NULL);
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
	close_handle(server, (uv_handle_t *)&server->drain_timer);
	close_handle(server, (uv_handle_t *)&server->ready_idle);
}
