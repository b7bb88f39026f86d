/*
 * Listening sockets of a server, and what happens when peers wait there.
 *
 * Failure modes: at max_connections one that is not being served makes room (find_victim()); where
 * there is none, up to WEB_REFUSED_MAX peers are told 503, further ones are closed at once. Without
 * descriptors libuv itself closes the waiting peers through the reserve descriptor that it keeps
 * for this (no spinning); what it cannot accept otherwise counts as refused. A listener that could
 * not be opened is closed again; its place in the table is not used a second time.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/web/server_impl.h"

#define BACKLOG 1024

/* Who goes for a newcomer. First whoever takes longer than head_grace_ms over a head (or a TLS
 * handshake): a client who means it sends one in a moment, so half-sent ones cannot keep others
 * out. Then the one that was idle longest, then any unfinished head. NULL: all are being served. */
static struct conn *find_victim(struct web_server *server)
{
	struct deadline *idle = deadlines_first(&server->deadlines, DL_IDLE);
	struct deadline *head = deadlines_first(&server->deadlines, DL_HEADER);

	if (head != NULL && (idle == NULL || deadline_age_ms(&server->deadlines, head) >=
						     server->limits.head_grace_ms))
		return container_of(head, struct conn, deadline);
	return idle != NULL ? container_of(idle, struct conn, deadline) : NULL;
}

/* Makes room, or says that there is none. */
static bool make_room(struct web_server *server)
{
	struct conn *victim;

	if (server->counts.connections < server->limits.max_connections)
		return true;
	victim = find_victim(server);
	if (victim != NULL)
		conn_close(victim, "made room");
	return victim != NULL;
}

/* A peer is waiting, or could not be accepted. */
static void on_connection(uv_stream_t *stream, int status)
{
	struct listener *l = container_of((uv_tcp_t *)stream, struct listener, tcp);
	struct web_server *server = l->server;
	bool is_refused;
	int r;

	if (status != 0) {
		server->counts.refused++;
		return;
	}
	is_refused = !make_room(server);
	r = conn_accept(server, stream, is_refused);
	if (r == 0 && !is_refused) {
		server->counts.accepted++;
		return;
	}
	server->counts.refused++;
	/* The one just made is the last in the list. */
	if (r == 0 && server->n_refused > WEB_REFUSED_MAX)
		conn_close(container_of(server->conns.prev, struct conn, link), "too many");
}

/* "127.0.0.1:3001" or "[::1]:3001". */
static int parse_address(const char *address, struct sockaddr_storage *ret_addr, struct err *err)
{
	const char *colon = strrchr(address, ':'), *from = address;
	char host[64] = "", *end;
	bool is_v6 = address[0] == '[';
	size_t len = colon != NULL ? (size_t)(colon - address) : 0;
	unsigned long port = colon != NULL ? strtoul(colon + 1, &end, 10) : 0;
	int r = UV_EINVAL;

	if (is_v6 && len > 2 && address[len - 1] == ']') {
		from++;
		len -= 2;
	}
	if (colon != NULL && len > 0 && len < sizeof(host) && colon[1] >= '0' && colon[1] <= '9' &&
		*end == '\0' && port <= UINT16_MAX) {
		memcpy(host, from, len);
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

static int fail_listener(struct listener *l, int code, struct err *err)
{
	l->is_open = false;
	server_close_handle(l->server, (uv_handle_t *)&l->tcp);
	return err_set_errno(err, code, "cannot listen");
}

/* The next listener, with an initialised handle; NULL with a text. */
static struct listener *new_listener(struct web_server *server, struct err *err)
{
	struct listener *l = &server->listeners[server->n_listeners];

	if (server->n_listeners == WEB_MAX_LISTENERS) {
		err_set(err, -ENOSPC, "no more than %d addresses to listen on", WEB_MAX_LISTENERS);
		return NULL;
	}
	uv_tcp_init(server->loop, &l->tcp);
	l->server = server;
	l->is_open = true;
	server->n_listeners++;
	server->n_open++;
	return l;
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
	fail_listener(l, r, err);
	err_wrap(err, "%s", address);
	return r;
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
