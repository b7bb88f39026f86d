/*
 * A WebSocket on a connection that was HTTP (ws.h).
 *
 * Received bytes go to ws_recv.c, which gives back messages, control frames to answer with, and
 * close codes. Frames of ours are built here and queued whole on the connection, as are those
 * answers, so nothing ever falls inside a message.
 *
 * Happy path: OPEN → either side sends a close frame → the other answers → flush, shut down,
 * linger, on_close. States: OPEN; CLOSE_SENT (ours went first, waiting for theirs for
 * ws_close_ms); OVER (nothing is read or sent any more, the connection finishes).
 *
 * Failure modes: a violation → our close frame with its code, OVER. Silence → a ping after
 * ws_ping_ms, the end after ws_pong_ms; a peer that was sent much before the ping is given the
 * time to read it at WS_SLOWEST bytes a second, for the ping lies behind it, as long as its kernel
 * goes on acknowledging. A full queue → cut.
 * on_close always comes from the connection's last callback.
 */
#include "core/web/ws.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/web/handshake.h"
#include "core/web/request_impl.h"
#include "core/web/response_impl.h"
#include "core/web/ws_frame.h"
#include "core/web/ws_impl.h"
#include "core/web/ws_recv.h"

#define WS_MAGIC 0x57534f4b
#define WS_SLOWEST (4u << 10) /* bytes a second that a living peer reads at least */

_Static_assert(WS_FRAME_HEADER_MAX == WS_HEADER_ROOM, "the room is for one header");

enum ws_state {
	WS_OPEN,
	WS_CLOSE_SENT,
	WS_OVER,
};

struct ws {
	unsigned magic;
	enum ws_state state;
	struct conn *conn;
	const struct ws_callbacks *callbacks;
	void *arg;
	size_t high_water, max_queue;
	unsigned code; /* of on_close; 0: none yet */
	bool was_full;
	struct ws_recv recv;
	char id[REQUEST_ID_BYTES];
	char remote[CONN_REMOTE_BYTES]; /* request_client() */
	uint64_t heard_ms;		/* loop time of the last bytes from the peer */
	uint64_t total_then;		/* bytes queued so far at that time */
	uint64_t acked;			/* by the peer's kernel, when the last ping was sent */
};

static uint64_t now_ms(const struct ws *ws)
{
	return uv_now(ws->conn->server->loop);
}

static bool is_alive(const struct ws *ws)
{
	return ws->conn->state == CONN_WEBSOCKET;
}

/* Our last frame is queued, or none will be: the connection runs out. */
static void end(struct ws *ws)
{
	ws->state = WS_OVER;
	if (is_alive(ws))
		conn_finish(ws->conn);
}

static int send_close_frame(struct ws *ws, unsigned code, const char *reason)
{
	uint8_t frame[2 + WS_FRAME_CLOSE_MAX];
	struct out_piece piece = {.data = frame, .mode = OUT_COPY};

	piece.len = ws_frame_close(code, reason, frame);
	if (ws->code == 0)
		ws->code = code;
	return conn_write(ws->conn, &piece, 1);
}

/* The peer broke the protocol: tell it why and stop listening. */
static void fail(struct ws *ws, unsigned code)
{
	ws->conn->server->counts.malformed++;
	if (ws->state == WS_OPEN && send_close_frame(ws, code, NULL) != 0)
		return;
	end(ws);
}

/* A whole message has arrived. What comes after we have closed is of no interest. */
static unsigned on_message(void *arg, bool is_text, const uint8_t *data, size_t len)
{
	struct ws *ws = arg;

	if (ws->state != WS_OPEN || !is_alive(ws))
		return 0;
	if (is_text)
		ws->callbacks->on_text(ws, (const char *)data, len);
	else if (ws->callbacks->on_binary != NULL)
		ws->callbacks->on_binary(ws, data, len);
	else
		return WS_CLOSE_UNSUPPORTED;
	return 0;
}

static int send_pieces(struct ws *ws, const struct out_piece *pieces, size_t n, size_t len);

/* Pings, or a close, are to be answered. */
static void on_replies(void *arg, uint8_t *frames, size_t len)
{
	struct ws *ws = arg;
	struct out_piece piece = {.data = frames, .len = len, .base = frames, .mode = OUT_OWNED};

	/* After our own close frame nothing may follow; a queue that is full cuts the connection.
	 */
	(void)!send_pieces(ws, &piece, 1, len);
}

/* The peer closes. */
static void on_peer_close(void *arg, unsigned code)
{
	struct ws *ws = arg;

	if (ws->code == 0)
		ws->code = code;
}

static const struct ws_recv_events recv_events = {
	.on_message = on_message,
	.on_replies = on_replies,
	.on_peer_close = on_peer_close,
};

void ws_feed(struct ws *ws, const char *data, size_t n)
{
	unsigned code;

	assert(ws->magic == WS_MAGIC && ws->state != WS_OVER);
	ws->heard_ms = now_ms(ws);
	ws->total_then = ws->conn->out.total;
	if (ws->state == WS_OPEN)
		deadline_set(&ws->conn->server->deadlines, &ws->conn->deadline, DL_WS_PING);
	code = ws_recv_feed(&ws->recv, data, n);
	if (!is_alive(ws))
		return;
	if (code == WS_RECV_CLOSED)
		end(ws);
	else if (code != 0)
		fail(ws, code);
}

void ws_on_progress(struct ws *ws)
{
	if (!ws->was_full || ws_queued(ws) > ws->high_water / 2)
		return;
	ws->was_full = false;
	if (ws->state == WS_OPEN && ws->callbacks->on_drain != NULL)
		ws->callbacks->on_drain(ws);
}

static void send_ping(struct ws *ws)
{
	uint8_t frame[WS_FRAME_HEADER_MAX];
	struct out_piece piece = {.data = frame, .mode = OUT_COPY};

	piece.len = ws_frame_header(WS_FRAME_PING, 0, frame);
	(void)conn_is_heard(ws->conn, &ws->acked); /* from now on */
	if (conn_write(ws->conn, &piece, 1) == 0)
		deadline_set(&ws->conn->server->deadlines, &ws->conn->deadline, DL_WS_PONG);
}

void ws_on_deadline(struct ws *ws, enum conn_deadline kind)
{
	uint64_t silent_ms = now_ms(ws) - ws->heard_ms;
	uint64_t to_read = ws->conn->out.total - ws->total_then;

	if (kind == DL_WS_PING) {
		send_ping(ws);
	} else if (kind == DL_WS_PONG && conn_is_heard(ws->conn, &ws->acked) &&
		   silent_ms < ws->conn->server->limits.ws_pong_ms + to_read * 1000 / WS_SLOWEST) {
		deadline_set(&ws->conn->server->deadlines, &ws->conn->deadline, DL_WS_PONG);
	} else {
		conn_close(ws->conn, kind == DL_WS_CLOSE ? "close not answered" : "silent");
	}
}

void ws_on_gone(struct ws *ws)
{
	ws->conn->server->counts.websockets--;
	ws->callbacks->on_close(ws, ws->code != 0 ? ws->code : WS_CLOSE_ABNORMAL);
	ws_recv_fini(&ws->recv);
	ws->magic = 0;
	free(ws);
}

static bool offers(const struct request *req, const char *subprotocol)
{
	const char *list;

	for (size_t i = 0; (list = request_header_nth(req, "sec-websocket-protocol", i)) != NULL;
		i++) {
		if (handshake_list_has(list, subprotocol, true))
			return true;
	}
	return false;
}

/* Sends 101. False: the connection is closing. */
static bool switch_protocols(struct request *req, const char *subprotocol)
{
	char accept[HANDSHAKE_ACCEPT_BYTES];
	struct out_piece head = {.data = req->server->head, .mode = OUT_COPY};

	handshake_accept(request_header(req, "sec-websocket-key"), accept);
	head.len = response_switching(req, accept, subprotocol);
	req->answer.status = 101;
	if (head.len == 0) {
		conn_close(req->conn, "answer's head too large");
		return false;
	}
	return conn_write(req->conn, &head, 1) == 0;
}

struct ws *ws_accept(struct request *req, const struct ws_callbacks *callbacks,
	const struct ws_opts *opts, void *arg)
{
	struct conn *c = req->conn;
	struct ws *ws;

	assert(c == NULL || c->state == CONN_CLOSING || (req->route->flags & ROUTE_WEBSOCKET));
	if (!request_has_peer(req)) {
		request_free(req);
		return NULL;
	}
	if (req->server->is_draining) {
		response_problem(req, 503, "going_away", "The server is being stopped.");
		return NULL;
	}
	if (opts->subprotocol != NULL && !offers(req, opts->subprotocol)) {
		response_problem(req, 400, "subprotocol", "The subprotocol was not offered.");
		return NULL;
	}
	if (!switch_protocols(req, opts->subprotocol)) {
		request_free(req);
		return NULL;
	}
	ws = xcalloc(1, sizeof(*ws));
	ws->magic = WS_MAGIC;
	ws->conn = c;
	ws->callbacks = callbacks;
	ws->arg = arg;
	ws_recv_init(&ws->recv, &recv_events, ws,
		opts->max_message != 0 ? opts->max_message : WS_MAX_MESSAGE,
		opts->max_fragments != 0 ? opts->max_fragments : WS_MAX_FRAGMENTS);
	ws->max_queue = opts->max_queue != 0 ? opts->max_queue : WS_MAX_QUEUE;
	ws->high_water = opts->high_water != 0 ? opts->high_water : WS_HIGH_WATER;
	ws->heard_ms = now_ms(ws);
	ws->total_then = c->out.total;
	memcpy(ws->id, req->id, sizeof(ws->id));
	memcpy(ws->remote, req->client, sizeof(ws->remote));
	request_free(req);
	c->ws = ws;
	c->server->counts.websockets++;
	conn_set_state(c, CONN_WEBSOCKET);
	if (!c->in_process && c->in.len > 0)
		server_add_ready(c->server, c);
	return ws;
}

void *ws_arg(const struct ws *ws)
{
	return ws->arg;
}

void ws_set_arg(struct ws *ws, void *arg)
{
	ws->arg = arg;
}

const char *ws_remote(const struct ws *ws)
{
	return ws->remote;
}

const char *ws_request_id(const struct ws *ws)
{
	return ws->id;
}

/* Queues a frame's pieces, unless there is no room: then the WebSocket is cut. */
static int send_pieces(struct ws *ws, const struct out_piece *pieces, size_t n, size_t len)
{
	int r;

	assert(ws->magic == WS_MAGIC);
	if (ws->state != WS_OPEN || !is_alive(ws)) {
		out_release(pieces, n);
		return -EPIPE;
	}
	if (out_queued(&ws->conn->out) + len > ws->max_queue ||
		(ws->conn->server->queued > ws->conn->server->limits.max_queued &&
			ws_is_full(ws))) {
		out_release(pieces, n);
		ws->code = WS_CLOSE_POLICY;
		conn_close(ws->conn, "does not read");
		return -ENOBUFS;
	}
	r = conn_write(ws->conn, pieces, n);
	if (r == -ENOMEM)
		ws->code = WS_CLOSE_INTERNAL;
	ws->was_full |= r == 0 && ws_is_full(ws);
	return r == 0 || r == -ENOMEM ? r : -EPIPE;
}

static int send_message(struct ws *ws, uint8_t opcode, const void *data, size_t len)
{
	uint8_t header[WS_FRAME_HEADER_MAX];
	struct out_piece pieces[2] = {
		{.data = header, .len = ws_frame_header(opcode, len, header), .mode = OUT_COPY},
		{.data = data, .len = len, .mode = OUT_COPY}};

	return send_pieces(ws, pieces, 2, len);
}

int ws_send_text(struct ws *ws, const char *text, size_t len)
{
	return send_message(ws, WS_FRAME_TEXT, text, len);
}

int ws_send_binary(struct ws *ws, const void *data, size_t len)
{
	return send_message(ws, WS_FRAME_BINARY, data, len);
}

int ws_send_parts(struct ws *ws, const void *head, size_t head_len, const void *data, size_t len)
{
	uint8_t header[WS_FRAME_HEADER_MAX];
	struct out_piece pieces[3] = {
		{.data = header,
			.len = ws_frame_header(WS_FRAME_BINARY, head_len + len, header),
			.mode = OUT_COPY},
		{.data = head, .len = head_len, .mode = OUT_COPY},
		{.data = data, .len = len, .mode = OUT_COPY}};

	return send_pieces(ws, pieces, 3, head_len + len);
}

int ws_send_block(struct ws *ws, uint8_t *block, size_t header_room, size_t len)
{
	uint8_t header[WS_FRAME_HEADER_MAX];
	size_t n = ws_frame_header(WS_FRAME_BINARY, len, header);
	struct out_piece piece = {.len = n + len, .base = block, .mode = OUT_OWNED};

	assert(header_room >= n);
	memcpy(block + header_room - n, header, n);
	piece.data = block + header_room - n;
	return send_pieces(ws, &piece, 1, len);
}

size_t ws_queued(const struct ws *ws)
{
	return out_queued(&ws->conn->out);
}

bool ws_is_full(const struct ws *ws)
{
	return ws_queued(ws) > ws->high_water;
}

void ws_close(struct ws *ws, unsigned code, const char *reason)
{
	assert(ws->magic == WS_MAGIC);
	if (ws->state != WS_OPEN || !is_alive(ws))
		return;
	ws->state = WS_CLOSE_SENT;
	if (send_close_frame(ws, code, reason) == 0)
		deadline_set(&ws->conn->server->deadlines, &ws->conn->deadline, DL_WS_CLOSE);
}
