/*
 * The path of a request through a connection (states in conn.h).
 *
 * Happy path: bytes arrive (IDLE → HEAD); a whole head is scanned and parsed, becomes a request,
 * goes through the admit hook, the router and the authorize hook (perhaps later: HOOKS); its body
 * is read (BODY); its handler is called (HANDLING) and answers, now or later. The answer leads to
 * conn_next(): SKIP, FLUSH, then IDLE or the end. Bytes of the next request wait meanwhile, so
 * that answers leave in the order of the requests.
 *
 * Failure modes: a head that is no head is answered once (400 414 417 431 501 505) and the
 * connection finishes; what a request lacks is answered as a problem; a body that is too large,
 * malformed or late likewise (413 400 408); a handler that takes too long is answered for (503)
 * and told by on_abort. Any hook or handler may end the request at once: after calling out, only
 * the connection is looked at, never the request.
 */
#include "core/web/http.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "core/web/handshake.h"
#include "core/web/negotiate.h"
#include "core/web/request_impl.h"
#include "core/web/response_impl.h"
#include "core/web/ws_impl.h"

static void refuse_malformed(struct conn *c, unsigned status, const char *code, const char *detail)
{
	c->server->counts.malformed++;
	response_refuse(
		c, &(struct problem){.status = status, .code = code, .detail = detail}, NULL);
}

/* A problem that ends a request whose message broke the protocol: no further one is read. */
static void fail_message(struct request *req, unsigned status, const char *code, const char *detail)
{
	req->server->counts.malformed += status == 400;
	req->conn->close_after = true;
	response_problem(req, status, code, detail);
}

/* The handshake is checked here, so that a handler only ever sees a valid one. */
static bool is_handshake(const struct request *req)
{
	const char *upgrade = request_header(req, "upgrade");
	const char *version = request_header(req, "sec-websocket-version");
	const char *key = request_header(req, "sec-websocket-key");

	return !request_is_head(req) && req->minor_version == 1 &&
	       (req->flags & HEAD_CONNECTION_UPGRADE) && req->body_ended && upgrade != NULL &&
	       handshake_list_has(upgrade, "websocket", false) && version != NULL &&
	       strcmp(version, "13") == 0 && key != NULL && handshake_is_key(key);
}

static void dispatch(struct request *req)
{
	struct conn *c = req->conn;

	if ((req->route->flags & ROUTE_WEBSOCKET) && !is_handshake(req)) {
		response_header(req, "Upgrade", "websocket");
		response_header(req, "Sec-WebSocket-Version", "13");
		response_problem(req, 426, "websocket_only", "This is a WebSocket endpoint.");
		return;
	}
	conn_set_state(c, CONN_HANDLING);
	req->is_held = true;
	req->route->handle(req);
}

/* Body bytes, decoded, have arrived. */
static int on_body_data(struct body *body, const char *data, size_t n)
{
	struct request *req = container_of(body, struct request, body);

	buf_append(&req->content, data, n);
	return buf_err(&req->content);
}

/* Whether the body may be read; else the request was answered. */
static bool check_body(struct request *req)
{
	const struct route *route = req->route;
	const char *encoding = request_header(req, "content-encoding");
	size_t max = route->max_body != 0 ? route->max_body : WEB_MAX_BODY;

	if (req->body_ended)
		return true;
	if (encoding != NULL && strcasecmp(encoding, "identity") != 0) {
		response_problem(req, 415, "unsupported_encoding", "The body must not be encoded.");
		return false;
	}
	if (route->accepts != NULL &&
		!negotiate_is_type(request_header(req, "content-type"), route->accepts)) {
		response_header(req, "Accept", route->accepts);
		response_problem(req, 415, "unsupported_media_type", "The body has another type.");
		return false;
	}
	if (req->content_length > max) {
		response_problem(
			req, 413, "body_too_large", "The body is larger than allowed here.");
		return false;
	}
	buf_init(&req->content, max);
	return true;
}

/* The hooks have let it pass. */
static void accept_body(struct request *req)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct out_piece piece = {.data = go_on, .len = sizeof(go_on) - 1, .mode = OUT_STATIC};
	struct conn *c = req->conn;

	if (!check_body(req))
		return;
	if (req->body_ended) {
		dispatch(req);
		return;
	}
	if ((req->flags & HEAD_EXPECT_CONTINUE) && conn_write(c, &piece, 1) != 0)
		return;
	/* The peer has been told to send it, so it will be there to be skipped. */
	req->flags &= ~(unsigned)HEAD_EXPECT_CONTINUE;
	conn_set_state(c, CONN_BODY);
}

void web_authorized(struct request *req)
{
	struct conn *c = req->conn;

	assert(req->is_held && (c == NULL || c->state == CONN_HOOKS || c->state == CONN_CLOSING));
	if (!request_has_peer(req)) {
		request_free(req);
		return;
	}
	req->is_held = false;
	accept_body(req);
	if (c->state == CONN_BODY)
		server_add_ready(c->server, c);
}

static void take_match(struct request *req, const struct route_match *match)
{
	req->route = match->route;
	req->n_params = (uint8_t)match->n_params;
	for (size_t i = 0; i < match->n_params; i++) {
		req->params[i].name = match->params[i].name;
		req->params[i].name_len = match->params[i].name_len;
		req->params[i].value = req->segment[match->params[i].segment];
	}
}

/* No row: the page, or 405, or 404. */
static void answer_unrouted(struct request *req, const struct route_match *match)
{
	if (match->allowed[0] != '\0') {
		response_header(req, "Allow", match->allowed);
		response_problem(req, 405, "method_not_allowed", "Not with this method.");
	} else if (req->server->opts.fallback != NULL && request_is_safe(req)) {
		conn_set_state(req->conn, CONN_HANDLING);
		req->is_held = true;
		req->server->opts.fallback(req);
	} else {
		response_problem(req, 404, "not_found", "There is nothing at this address.");
	}
}

static void run_hooks(struct request *req)
{
	struct web_server *server = req->server;
	struct conn *c = req->conn;
	enum web_verdict verdict = WEB_ALLOW;
	struct route_match match;

	if (server->opts.admit != NULL && server->opts.admit(req) != WEB_ALLOW)
		return;
	if (req->flags & HEAD_ASTERISK) {
		response_header(req, "Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
		response_empty(req, 204);
		return;
	}
	router_find(server->router, req->method, req->segment, req->n_segments, &match);
	if (match.route == NULL) {
		answer_unrouted(req, &match);
		return;
	}
	take_match(req, &match);
	if (server->opts.authorize != NULL)
		verdict = server->opts.authorize(req, match.route);
	if (verdict == WEB_ALLOW && c->state == CONN_HOOKS)
		accept_body(req);
	else if (verdict == WEB_LATER)
		req->is_held = true;
}

/* A whole head of n bytes has arrived. */
static void on_head(struct conn *c, const char *data, size_t n)
{
	struct head_error error;
	struct head head;
	struct request *req;
	int bad, ends;

	if (head_parse(data, n, &head, &error) != 0) {
		refuse_malformed(c, error.status, error.code, error.detail);
		return;
	}
	req = request_new(c, &head, data, n, &bad);
	if (req == NULL) {
		conn_close(c, "out of memory");
		return;
	}
	c->server->counts.requests++;
	conn_set_state(c, CONN_HOOKS);
	ends = body_begin(&req->body, data, n, (head.flags & HEAD_CHUNKED) != 0,
		head.content_length, on_body_data);
	req->body_ended = ends == 1;
	if (ends < 0)
		fail_message(req, 400, "malformed_request", "the request is malformed");
	else if (bad != 0)
		fail_message(req, 400, "malformed_target", "the request target is malformed");
	else
		run_hooks(req);
}

/* Body bytes have arrived. Returns how many of them were used. */
static size_t on_body(struct conn *c, const char *data, size_t n)
{
	struct request *req = c->req;
	size_t used = n;
	int r = body_feed(&req->body, data, n, &used);

	if (r == 1) {
		req->body_ended = true;
		dispatch(req);
	} else if (r == -EMSGSIZE) {
		fail_message(req, 413, "body_too_large", "The body is larger than allowed here.");
		return n;
	} else if (r == -ENOMEM) {
		fail_message(req, 503, "out_of_memory", "Try again later.");
		return n;
	} else if (r < 0) {
		fail_message(req, 400, "malformed_body", "the body's framing is malformed");
		return n;
	}
	return used;
}

static size_t on_skip(struct conn *c, size_t n)
{
	size_t used = n < c->skip ? n : (size_t)c->skip;

	c->skip -= used;
	if (c->skip == 0)
		conn_next(c);
	return used;
}

/* Looks for the end of a head in all that has arrived of it. Returns how much was used. */
static size_t on_head_bytes(struct conn *c, const char *data, size_t n)
{
	struct head_error error;
	long len = head_find_end(data, n, &c->scanned, &error);

	if (len == 0) {
		if (c->state == CONN_IDLE)
			conn_set_state(c, CONN_HEAD);
		return 0;
	}
	c->scanned = 0;
	if (c->state == CONN_IDLE)
		conn_set_state(c, CONN_HEAD);
	if (len < 0) {
		refuse_malformed(c, error.status, error.code, error.detail);
		return n;
	}
	on_head(c, data, (size_t)len);
	return (size_t)len;
}

size_t http_process(struct conn *c, const char *data, size_t n)
{
	size_t used = 0, step = 1;

	assert(!c->in_process);
	c->in_process = true;
	while (used < n && step > 0) {
		switch (c->state) {
		case CONN_IDLE:
		case CONN_HEAD:
			step = on_head_bytes(c, data + used, n - used);
			break;
		case CONN_BODY:
			step = on_body(c, data + used, n - used);
			break;
		case CONN_SKIP:
			step = on_skip(c, n - used);
			break;
		case CONN_WEBSOCKET:
			ws_feed(c->ws, data + used, n - used);
			step = n - used;
			break;
		case CONN_LINGER:
		case CONN_CLOSING:
			step = n - used;
			break;
		case CONN_HOOKS:
		case CONN_HANDLING:
		case CONN_FLUSH:
			step = 0;
			break;
		}
		used += step;
	}
	c->in_process = false;
	return used;
}

/* The time for a handler or hook is over, unless the peer is the one who is slow. */
static void on_handle_deadline(struct conn *c)
{
	if (c->req->answer.has_begun && out_queued(&c->out) > 0)
		deadline_set(&c->server->deadlines, &c->deadline, DL_HANDLE);
	else
		response_overdue(c->req);
}

void http_on_deadline(struct conn *c, enum conn_deadline kind)
{
	if (kind == DL_HEADER) {
		refuse_malformed(c, 408, "timeout", "The request took too long to arrive.");
	} else if (kind == DL_BODY && c->state == CONN_BODY) {
		fail_message(c->req, 408, "timeout", "The body took too long to arrive.");
	} else if (kind == DL_HANDLE) {
		on_handle_deadline(c);
	} else {
		conn_close(c, kind == DL_IDLE ? "idle" : kind == DL_LINGER ? "lingered" : "late");
	}
}
