/*
 * The connection to the agent.
 *
 * Owns: the framed connection, three timers, the table of requests and streams (ops.c), and what
 * is known about the agent. Watchers and the arguments of callbacks are other people's.
 *
 * Happy path: WAITING -(timer)-> connect(2), which on a Unix socket is done at once -> hello ->
 * HELLO -(answer)-> events stream -> EVENTS -(answer)-> UP, LINK_CONNECTED is told. After 10 s of
 * silence a PING goes out (PINGED), any frame brings it back to UP.
 *
 * Failure modes, all through link_drop(): no socket, nobody listens, end of file, malformed bytes,
 * a deadline of hello, events or PING, GOAWAY. All ops end with -ECONNRESET, the state becomes
 * LINK_AWAY (LINK_REFUSED when the agent said it is about us), and the timer waits for the next
 * attempt. The old struct framed may still be closing while the next one is opened: its callbacks
 * are told apart by `conn`.
 *
 * Closing: ops are cancelled from the close callback of the last handle, then on_closed is called
 * and the link freed.
 */
#include "core/agentlink/link.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/agentlink/internal.h"
#include "core/base/clock.h"
#include "core/base/crypto.h"

#define LOW_WATER (256u << 10)
#define FLUSH_MS 200

static const char *text_or_empty(const char *s)
{
	return s != NULL ? s : "";
}

const char *link_state_name(enum link_state state)
{
	static const char *const names[] = {
		[LINK_CONNECTING] = "connecting",
		[LINK_CONNECTED] = "connected",
		[LINK_REFUSED] = "refused",
		[LINK_AWAY] = "away",
	};

	return names[state];
}

bool link_is_connected(const struct link *link)
{
	return link->phase == PHASE_UP || link->phase == PHASE_PINGED;
}

void link_get_info(const struct link *link, struct link_info *ret_info)
{
	*ret_info = (struct link_info){
		.state = link->state,
		.since_us = link->since_us,
		.reason = link->reason,
		.host = text_or_empty(link->host),
		.agent_id = text_or_empty(link->agent_id),
		.agent_version = text_or_empty(link->agent_version),
		.config_digest = text_or_empty(link->config_digest),
		.agent_started_us = link->agent_started_us,
		.reconnects = link->connections > 0 ? link->connections - 1 : 0,
	};
}

void link_watch_add(struct link *link, struct link_watch *watch)
{
	list_append(&link->watchers, &watch->link);
}

void link_watch_remove(struct link_watch *watch)
{
	list_remove(&watch->link);
}

static void on_timer(uv_timer_t *timer);

static void link_set_state(struct link *link, enum link_state state, const char *reason)
{
	struct link_info info;

	if (link->state == state && strcmp(link->reason, reason) == 0)
		return;
	if (link->state != state)
		link->since_us = clock_wall_us();
	link->state = state;
	snprintf(link->reason, sizeof(link->reason), "%s", reason);
	link_get_info(link, &info);
	list_foreach(pos, tmp, &link->watchers)
	{
		struct link_watch *watch = container_of(pos, struct link_watch, link);

		if (watch->on_state != NULL)
			watch->on_state(watch, &info);
	}
}

/* 0.2 s, doubled by each failure up to 5 s; the last quarter is chance, so that a restarted agent
 * does not meet all its clients at once. */
static uint64_t backoff_ms(unsigned failures)
{
	uint64_t ms = LINK_BACKOFF_MAX_MS;
	uint32_t chance;

	if (failures < 6)
		ms = MIN((uint64_t)LINK_BACKOFF_MIN_MS << failures, LINK_BACKOFF_MAX_MS);
	crypto_random(&chance, sizeof(chance));
	return ms - ms / 4 + chance % (ms / 4 + 1);
}

static void link_wait(struct link *link, uint64_t ms)
{
	link->phase = PHASE_WAITING;
	uv_timer_start(&link->timer, on_timer, ms, 0);
}

void link_drop(struct link *link, enum link_state state, const char *reason)
{
	struct framed *conn = link->conn;

	if (link->phase == PHASE_CLOSING)
		return;
	link->conn = NULL;
	link->events = NULL;
	if (conn != NULL)
		framed_close(conn, 0);
	link_wait(link, backoff_ms(link->failures));
	if (link->failures < 16)
		link->failures++;
	link_ops_fail_all(link, -ECONNRESET);
	if (link->phase != PHASE_CLOSING)
		link_set_state(link, state, reason);
}

void link_up(struct link *link)
{
	link->failures = 0;
	link->connections++;
	link->phase = PHASE_UP;
	uv_timer_start(&link->timer, on_timer, LINK_PING_EVERY_MS, 0);
	link_set_state(link, LINK_CONNECTED, "");
}

static void on_goaway(struct link *link, const uint8_t *payload, size_t len)
{
	struct msg_goaway goaway;
	char reason[LINK_MAX_REASON];
	bool refused;

	if (msg_goaway_decode(payload, len, &goaway) < 0) {
		link_drop(link, LINK_AWAY, "the agent sent a malformed GOAWAY");
		return;
	}
	refused = goaway.code == MSG_GOAWAY_FORBIDDEN || goaway.code == MSG_GOAWAY_UNAUTHORIZED ||
		  goaway.code == MSG_GOAWAY_VERSION;
	snprintf(reason, sizeof(reason), "the agent closed the connection: %.*s",
		(int)MIN(goaway.message.len, 200u), goaway.message.data);
	link_drop(link, refused ? LINK_REFUSED : LINK_AWAY, reason);
}

/* A whole frame has arrived. */
static void on_frame(struct framed *conn, const struct frame *frame, const uint8_t *payload)
{
	struct link *link = framed_arg(conn);

	if (conn != link->conn)
		return;
	link->heard_ms = uv_now(link->loop);
	if (link->phase == PHASE_PINGED) {
		link->phase = PHASE_UP;
		uv_timer_start(&link->timer, on_timer, LINK_PING_EVERY_MS, 0);
	}
	switch (frame->type) {
	case FRAME_PING:
		/* Failing to queue it is the connection's own on_error. */
		(void)!framed_send(
			conn, FRAME_PONG, 0, &(struct framed_part){payload, frame->length}, 1);
		return;
	case FRAME_PONG:
		return;
	case FRAME_GOAWAY:
		on_goaway(link, payload, frame->length);
		return;
	default:
		break;
	}
	if (link_ops_frame(link, frame, payload) < 0 && conn == link->conn)
		link_drop(link, LINK_AWAY, "the agent sent a malformed message");
}

/* The agent is gone, or sent what is no frame. */
static void on_error(struct framed *conn, int err)
{
	struct link *link = framed_arg(conn);
	char reason[LINK_MAX_REASON];

	if (conn != link->conn) {
		framed_close(conn, 0);
		return;
	}
	if (err == UV_EOF)
		snprintf(reason, sizeof(reason), "the agent closed the connection");
	else
		snprintf(
			reason, sizeof(reason), "connection to the agent lost: %s", strerror(-err));
	link_drop(link, LINK_AWAY, reason);
}

static void link_maybe_closed(struct link *link)
{
	void (*on_closed)(void *arg) = link->on_closed;
	void *arg = link->closed_arg;

	if (link->phase != PHASE_CLOSING || link->n_handles != 0 || link->n_framed != 0)
		return;
	/* A callback may ask again, only to be told the same. */
	while (!list_empty(&link->ops) || !list_empty(&link->failed))
		link_ops_fail_all(link, -ECANCELED);
	mem_wipe(link->authorization, strlen(link->authorization));
	free(link->authorization);
	free(link->socket_path);
	free(link->client);
	free(link->wanted_host);
	free(link->host);
	free(link->agent_id);
	free(link->agent_version);
	free(link->config_digest);
	free(link);
	on_closed(arg);
}

/* A connection, this one or an earlier one, has released everything. */
static void on_framed_closed(struct framed *conn)
{
	struct link *link = framed_arg(conn);

	link->n_framed--;
	link_maybe_closed(link);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct link *link = handle->data;

	link->n_handles--;
	link_maybe_closed(link);
}

static int connect_unix(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd, rc;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

static void explain_connect(const char *path, int err, char *out, size_t cap)
{
	const char *hint = "";

	if (err == -ENOENT || err == -ECONNREFUSED)
		hint = "; is ops-agent running?";
	else if (err == -EACCES || err == -EPERM)
		hint = "; is this process in the socket's group?";
	snprintf(out, cap, "cannot connect to the agent at %.120s: %s%s", path, strerror(-err),
		hint);
}

static void link_connect(struct link *link)
{
	static const struct framed_callbacks callbacks = {
		.on_frame = on_frame,
		.on_error = on_error,
		.on_closed = on_framed_closed,
	};
	struct framed_opts opts = {.max_queue = LINK_MAX_QUEUE, .low_water = LOW_WATER};
	char reason[LINK_MAX_REASON];
	int fd = connect_unix(link->socket_path), err = 0;

	if (fd >= 0)
		link->conn = framed_open(link->loop, fd, &callbacks, &opts, link, &err);
	if (link->conn == NULL) {
		explain_connect(link->socket_path, fd < 0 ? fd : err, reason, sizeof(reason));
		link_drop(link, LINK_AWAY, reason);
		return;
	}
	link->n_framed++;
	link->heard_ms = uv_now(link->loop);
	link_handshake(link);
}

static void on_silence(struct link *link)
{
	uint64_t quiet = uv_now(link->loop) - link->heard_ms;

	if (quiet < LINK_PING_EVERY_MS) {
		uv_timer_start(&link->timer, on_timer, LINK_PING_EVERY_MS - quiet, 0);
		return;
	}
	link->phase = PHASE_PINGED;
	uv_timer_start(&link->timer, on_timer, LINK_PING_ANSWER_MS, 0);
	(void)!framed_send(link->conn, FRAME_PING, 0, &(struct framed_part){"ops", 3}, 1);
}

/* What the phase waits for is due. */
static void on_timer(uv_timer_t *timer)
{
	struct link *link = timer->data;

	switch (link->phase) {
	case PHASE_WAITING:
		link_connect(link);
		return;
	case PHASE_UP:
		on_silence(link);
		return;
	case PHASE_PINGED:
		link_drop(link, LINK_AWAY, "the agent does not answer");
		return;
	case PHASE_HELLO:
	case PHASE_EVENTS:
	case PHASE_CLOSING:
		return; /* hello and events have deadlines of their own */
	}
}

static void timer_open(struct link *link, uv_timer_t *timer)
{
	uv_timer_init(link->loop, timer);
	timer->data = link;
	link->n_handles++;
}

struct link *link_open(uv_loop_t *loop, const struct link_opts *opts)
{
	struct link *link = xcalloc(1, sizeof(*link));

	link->loop = loop;
	link->socket_path = xstrdup(opts->socket_path);
	link->authorization = xasprintf("Bearer %s", opts->secret);
	link->client = xstrdup(opts->client);
	link->wanted_host = xstrdup(opts->host);
	link->state = LINK_CONNECTING;
	link->since_us = clock_wall_us();
	list_init(&link->watchers);
	link_ops_init(link);
	timer_open(link, &link->timer);
	timer_open(link, &link->sweep);
	timer_open(link, &link->soon);
	link_wait(link, 0);
	return link;
}

void link_set_secret(struct link *link, const char *secret)
{
	mem_wipe(link->authorization, strlen(link->authorization));
	free(link->authorization);
	link->authorization = xasprintf("Bearer %s", secret);
	link->failures = 0;
	link_drop(link, LINK_AWAY, "the secret was changed");
}

void link_close(struct link *link, void (*on_closed)(void *arg), void *arg)
{
	struct framed *conn = link->conn;

	assert(link->phase != PHASE_CLOSING);
	link->phase = PHASE_CLOSING;
	link->on_closed = on_closed;
	link->closed_arg = arg;
	link->conn = NULL;
	list_foreach(pos, tmp, &link->watchers) list_remove(pos);
	if (conn != NULL)
		framed_close(conn, FLUSH_MS);
	uv_close((uv_handle_t *)&link->timer, on_handle_closed);
	uv_close((uv_handle_t *)&link->sweep, on_handle_closed);
	uv_close((uv_handle_t *)&link->soon, on_handle_closed);
}
