/*
 * A WebSocket on a connection that was HTTP (ws.h).
 *
 * Receiving: wslay parses and assembles. Its context costs 8 KiB, so there is one only while a
 * frame or message is incomplete: at a message's end, when every byte that was fed has been used,
 * it is freed. Sending: frames of ours are built here and queued whole on the connection, below
 * wslay; what wslay itself wants to send (pongs, its answer to a close) is collected after each
 * wslay_event_recv() and queued as whole frames too, so nothing ever falls inside a message.
 *
 * Happy path: OPEN → either side sends a close frame → the other answers → flush, shut down,
 * linger, on_close. States: OPEN; CLOSE_SENT (ours went first, waiting for theirs for
 * ws_close_ms); OVER (nothing is read or sent any more, the connection finishes).
 *
 * Failure modes: a violation → our close frame with its code, OVER. wslay answers some of them
 * with an empty close or none: then what it wants to send is dropped. Silence → a ping after
 * ws_ping_ms, the end after ws_pong_ms; a peer that was sent much before the ping is given the
 * time to read it at WS_SLOWEST bytes a second, for the ping lies behind it. A full queue → cut.
 * on_close always comes from the connection's last callback.
 */
#include "core/web/ws.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

#include "core/web/handshake.h"
#include "core/web/request_impl.h"
#include "core/web/response_impl.h"
#include "core/web/ws_frame.h"
#include "core/web/ws_impl.h"

#define WS_MAGIC 0x57534f4b
#define WS_SLOWEST (4u << 10) /* bytes a second that a living peer reads at least */
#define WS_MAX_REPLIES (WEB_MAX_HEAD + WEB_READ_BUFFER) /* no pong is longer than its ping */

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
	size_t max_message, high_water;
	unsigned code;	    /* of on_close; 0: none yet */
	unsigned fail_code; /* a violation seen within wslay's callbacks */
	bool was_full;
	char id[REQUEST_ID_BYTES];

	/* receiving */
	wslay_event_context_ptr parser; /* NULL between messages */
	const char *feed;		/* bytes that wslay has not taken yet */
	size_t feed_len;
	uint64_t fed, used;  /* bytes given to this parser, and accounted for by its frames */
	uint64_t frame_left; /* payload bytes that the current frame still lacks */
	unsigned fragments;  /* frames of the message that is being received */
	bool in_message;
	struct buf replies; /* what wslay sends */

	uint64_t heard_ms;   /* loop time of the last bytes from the peer */
	uint64_t total_then; /* bytes queued so far at that time */
};

static uint64_t now_ms(const struct ws *ws)
{
	return uv_now(ws->conn->server->loop);
}

static bool is_alive(const struct ws *ws)
{
	return ws->conn->state == CONN_WEBSOCKET;
}

static void drop_parser(struct ws *ws)
{
	if (ws->parser == NULL)
		return;
	wslay_event_context_free(ws->parser);
	ws->parser = NULL;
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

/* wslay asks for bytes. */
static ssize_t on_parser_recv(
	wslay_event_context_ptr parser, uint8_t *buf, size_t len, int flags, void *arg)
{
	struct ws *ws = arg;
	size_t n = MIN(len, ws->feed_len);

	(void)flags;
	if (n == 0) {
		wslay_event_set_error(parser, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	memcpy(buf, ws->feed, n);
	ws->feed += n;
	ws->feed_len -= n;
	ws->fed += n;
	return (ssize_t)n;
}

/* wslay has something to send; it is queued when it is done (flush_replies()). */
static ssize_t on_parser_send(
	wslay_event_context_ptr parser, const uint8_t *data, size_t len, int flags, void *arg)
{
	struct ws *ws = arg;

	(void)flags;
	buf_append(&ws->replies, data, len);
	if (buf_err(&ws->replies) != 0) {
		wslay_event_set_error(parser, WSLAY_ERR_CALLBACK_FAILURE);
		return -1;
	}
	return (ssize_t)len;
}

static void stop_parser(struct ws *ws, unsigned code)
{
	if (ws->fail_code == 0)
		ws->fail_code = code;
	wslay_event_shutdown_read(ws->parser);
}

/* A frame's header has been read. */
static void on_frame_start(wslay_event_context_ptr parser,
	const struct wslay_event_on_frame_recv_start_arg *frame, void *arg)
{
	struct ws *ws = arg;

	(void)parser;
	/* The masking key, and as long a header as a frame of ours of that length has. */
	ws->used += 4 + ws_frame_header_len(frame->payload_length);
	ws->frame_left = frame->payload_length;
	if (frame->opcode == WSLAY_CONNECTION_CLOSE && frame->payload_length == 1)
		stop_parser(ws, WS_CLOSE_PROTOCOL);
	if (wslay_is_ctrl_frame(frame->opcode))
		return;
	ws->in_message = !frame->fin;
	if (++ws->fragments > WS_MAX_FRAGMENTS)
		stop_parser(ws, WS_CLOSE_POLICY);
}

/* Some of a frame's payload has been read. */
static void on_frame_chunk(wslay_event_context_ptr parser,
	const struct wslay_event_on_frame_recv_chunk_arg *chunk, void *arg)
{
	struct ws *ws = arg;

	(void)parser;
	ws->used += chunk->data_length;
	ws->frame_left -= chunk->data_length;
}

/* Queues what wslay wants to send. */
static int flush_replies(struct ws *ws)
{
	struct out_piece piece = {.mode = OUT_OWNED};

	if (wslay_event_want_write(ws->parser) && wslay_event_send(ws->parser) != 0) {
		buf_fini(&ws->replies);
		buf_init(&ws->replies, WS_MAX_REPLIES);
		ws->code = WS_CLOSE_POLICY;
		conn_close(ws->conn, "flood of pings");
		return -ENOBUFS;
	}
	if (ws->replies.len == 0)
		return 0;
	piece.data = piece.base = ws->replies.data;
	piece.len = ws->replies.len;
	buf_init(&ws->replies, WS_MAX_REPLIES);
	if (ws->state != WS_OPEN) {
		out_release(&piece, 1);
		return 0;
	}
	if (out_queued(&ws->conn->out) + piece.len > WS_MAX_QUEUE) {
		out_release(&piece, 1);
		ws->code = WS_CLOSE_POLICY;
		conn_close(ws->conn, "pongs over the queue");
		return -ENOBUFS;
	}
	return conn_write(ws->conn, &piece, 1);
}

/* A whole message, or a control frame. */
static void on_message(
	wslay_event_context_ptr parser, const struct wslay_event_on_msg_recv_arg *msg, void *arg)
{
	struct ws *ws = arg;

	(void)parser;
	if (msg->opcode == WSLAY_CONNECTION_CLOSE) {
		if (ws->code == 0)
			ws->code = msg->status_code != 0 ? msg->status_code : WS_CLOSE_NO_STATUS;
		return;
	}
	if (wslay_is_ctrl_frame(msg->opcode))
		return;
	ws->fragments = 0;
	if (ws->state != WS_OPEN || ws->fail_code != 0 || !is_alive(ws))
		return;
	/* What answers this message stays behind the pongs for pings that came before it. */
	if (flush_replies(ws) != 0)
		return;
	/* wslay gives no pointer for an empty message. */
	if (msg->opcode == WSLAY_TEXT_FRAME)
		ws->callbacks->on_text(
			ws, msg->msg != NULL ? (const char *)msg->msg : "", msg->msg_length);
	else if (ws->callbacks->on_binary != NULL)
		ws->callbacks->on_binary(
			ws, msg->msg != NULL ? msg->msg : (const uint8_t *)"", msg->msg_length);
	else
		stop_parser(ws, WS_CLOSE_UNSUPPORTED);
	/* What the peer sends after we have closed is of no interest, but for its close frame. */
}

static bool make_parser(struct ws *ws)
{
	static const struct wslay_event_callbacks callbacks = {
		.recv_callback = on_parser_recv,
		.send_callback = on_parser_send,
		.on_frame_recv_start_callback = on_frame_start,
		.on_frame_recv_chunk_callback = on_frame_chunk,
		.on_msg_recv_callback = on_message,
	};

	if (ws->parser != NULL)
		return true;
	if (wslay_event_context_server_init(&ws->parser, &callbacks, ws) != 0)
		return false;
	wslay_event_config_set_max_recv_msg_length(ws->parser, ws->max_message);
	ws->fed = ws->used = ws->frame_left = 0;
	ws->fragments = 0;
	ws->in_message = false;
	return true;
}

/* wslay has used what it could: what came of it. */
static void after_parse(struct ws *ws, int result)
{
	if (!is_alive(ws))
		return;
	if (ws->fail_code != 0) {
		fail(ws, ws->fail_code);
	} else if (result == WSLAY_ERR_NOMEM) {
		fail(ws, WS_CLOSE_INTERNAL);
	} else if (result != 0) {
		/* A malformed frame: wslay's own close frame has no code. */
		fail(ws, WS_CLOSE_PROTOCOL);
	} else if (!wslay_event_want_read(ws->parser)) {
		/* Closed by the peer, or a violation that wslay has put a code to. */
		ws->conn->server->counts.malformed += !wslay_event_get_close_received(ws->parser);
		if (flush_replies(ws) != 0)
			return;
		if (ws->code == 0)
			ws->code = wslay_event_get_status_code_sent(ws->parser);
		end(ws);
	} else if (flush_replies(ws) == 0 && ws->used == ws->fed && ws->frame_left == 0 &&
		   !ws->in_message) {
		drop_parser(ws);
	}
}

void ws_feed(struct ws *ws, const char *data, size_t n)
{
	int result;

	assert(ws->magic == WS_MAGIC);
	ws->heard_ms = now_ms(ws);
	ws->total_then = ws->conn->out.total;
	if (ws->state == WS_OPEN)
		deadline_set(&ws->conn->server->deadlines, &ws->conn->deadline, DL_WS_PING);
	if (ws->state == WS_OVER)
		return;
	if (!make_parser(ws)) {
		fail(ws, WS_CLOSE_INTERNAL);
		return;
	}
	ws->feed = data;
	ws->feed_len = n;
	result = wslay_event_recv(ws->parser);
	ws->feed = NULL;
	ws->feed_len = 0;
	after_parse(ws, result);
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

	piece.len = ws_frame_header(WSLAY_PING, 0, frame);
	if (conn_write(ws->conn, &piece, 1) == 0)
		deadline_set(&ws->conn->server->deadlines, &ws->conn->deadline, DL_WS_PONG);
}

void ws_on_deadline(struct ws *ws, enum conn_deadline kind)
{
	uint64_t silent_ms = now_ms(ws) - ws->heard_ms;
	uint64_t to_read = ws->conn->out.total - ws->total_then;

	if (kind == DL_WS_PING) {
		send_ping(ws);
	} else if (kind == DL_WS_PONG &&
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
	drop_parser(ws);
	buf_fini(&ws->replies);
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
	ws->max_message = opts->max_message != 0 ? opts->max_message : WS_MAX_MESSAGE;
	ws->high_water = opts->high_water != 0 ? opts->high_water : WS_HIGH_WATER;
	ws->heard_ms = now_ms(ws);
	ws->total_then = c->out.total;
	memcpy(ws->id, req->id, sizeof(ws->id));
	buf_init(&ws->replies, WS_MAX_REPLIES);
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
	return ws->conn->remote;
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
	if (out_queued(&ws->conn->out) + len > WS_MAX_QUEUE) {
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
	return send_message(ws, WSLAY_TEXT_FRAME, text, len);
}

int ws_send_binary(struct ws *ws, const void *data, size_t len)
{
	return send_message(ws, WSLAY_BINARY_FRAME, data, len);
}

int ws_send_block(struct ws *ws, uint8_t *block, size_t header_room, size_t len)
{
	uint8_t header[WS_FRAME_HEADER_MAX];
	size_t n = ws_frame_header(WSLAY_BINARY_FRAME, len, header);
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
