/*
 * Answers: a head written into the server's scratch space, then head and body in one write.
 *
 * Happy path: response_send() composes the head, gives head and body to the connection in one go,
 * ends the request, and the connection goes on to its next one (conn_next()). A streamed answer
 * sends its head in response_begin(), blocks as they come, and ends the request in response_end().
 *
 * Failure modes: the peer has gone (req->conn is NULL, or the connection is closing): everything
 * here frees what it was given and the request. A write that fails closes the connection, which
 * tells the request later, from the loop. A head that does not fit is replaced by a 500.
 *
 * Whether the connection stays open is settled before the head is written: HTTP/1.1 without
 * `close`, nothing left of the body that is not worth skipping, and no drain.
 */
#include "core/web/response.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/json.h"
#include "core/web/response_impl.h"
#include "core/web/status.h"

#define PROBLEM_TYPE "application/problem+json"
#define SMALL_BODY 4096
#define MAX_JSON_PROBLEM (64u << 10)

/* Writes into the server's scratch space; what does not fit shows at the end. */
struct writer {
	char *at, *end;
	bool is_full;
};

static void put(struct writer *w, const char *s, size_t n)
{
	if ((size_t)(w->end - w->at) < n) {
		w->is_full = true;
	} else if (n > 0) {
		memcpy(w->at, s, n);
		w->at += n;
	}
}

static void put_str(struct writer *w, const char *s)
{
	put(w, s, strlen(s));
}

static void put_line(struct writer *w, const char *name, const char *value)
{
	put_str(w, name);
	put(w, ": ", 2);
	put_str(w, value);
	put(w, "\r\n", 2);
}

static void put_number(struct writer *w, uint64_t v)
{
	char digits[20];
	size_t n = sizeof(digits);

	do {
		digits[--n] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	put(w, digits + n, sizeof(digits) - n);
}

static void put_status(struct writer *w, unsigned status)
{
	put(w, "HTTP/1.1 ", 9);
	put_number(w, status);
	put(w, " ", 1);
	put_str(w, status_phrase(status));
	put(w, "\r\n", 2);
}

/* What every answer carries. */
static void put_common(struct writer *w, struct web_server *server, const char *id)
{
	size_t date_len;
	const char *date = server_date(server, &date_len);

	put(w, date, date_len);
	put_line(w, "X-Request-Id", id);
	put(w, server->security.common, server->security.common_len);
}

static bool may_have_body(unsigned status)
{
	return status != 204 && status != 304 && status >= 200;
}

/* Decides what becomes of the connection, and skips or gives up what is left of the body. */
static void settle_connection(struct request *req)
{
	struct conn *c = req->conn;

	if (!(req->flags & HEAD_KEEP_ALIVE) || req->server->is_draining)
		c->close_after = true;
	if (req->body_ended)
		return;
	if ((req->flags & (HEAD_CHUNKED | HEAD_EXPECT_CONTINUE)) ||
		req->body.remaining > WEB_MAX_DISCARD)
		c->close_after = true;
	else
		c->skip = req->body.remaining;
}

static void put_framing(struct writer *w, struct request *req, bool has_body)
{
	struct request_answer *a = &req->answer;

	if (!has_body)
		return;
	if (a->length != RESPONSE_LENGTH_UNKNOWN) {
		put(w, "Content-Length: ", 16);
		put_number(w, a->length);
		put(w, "\r\n", 2);
	} else if (req->minor_version > 0) {
		a->is_chunked = true;
		put_line(w, "Transfer-Encoding", "chunked");
	} else {
		req->conn->close_after = true;
	}
}

size_t response_compose(struct request *req, const char *content_type)
{
	struct web_server *server = req->server;
	struct request_answer *a = &req->answer;
	struct writer w = {server->head, server->head + sizeof(server->head), a->is_broken};

	settle_connection(req);
	put_status(&w, a->status);
	put_common(&w, server, req->id);
	put_framing(&w, req, may_have_body(a->status));
	if (content_type != NULL)
		put_line(&w, "Content-Type", content_type);
	if (!a->has_csp)
		put_line(&w, "Content-Security-Policy",
			a->is_page ? server->security.page_csp : server->security.other_csp);
	if (!a->has_cache_control)
		put_line(&w, "Cache-Control", "no-store");
	put(&w, a->lines, a->lines != NULL ? a->lines_len : 0);
	put(&w, (const char *)a->extra.data, a->extra.len);
	if (req->conn->close_after)
		put_line(&w, "Connection", "close");
	else if (req->minor_version == 0)
		put_line(&w, "Connection", "keep-alive");
	put(&w, "\r\n", 2);
	return w.is_full ? 0 : (size_t)(w.at - server->head);
}

void response_set_lines(struct request *req, const char *lines, size_t len, bool is_page)
{
	req->answer.lines = lines;
	req->answer.lines_len = len;
	req->answer.has_cache_control = true;
	req->answer.is_page = is_page;
}

void response_header(struct request *req, const char *name, const char *value)
{
	struct request_answer *a = &req->answer;

	for (const char *s = name; *s != '\0'; s++)
		a->is_broken |= !head_is_token_char((unsigned char)*s);
	for (const char *s = value; *s != '\0'; s++)
		a->is_broken |= ((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f;
	a->has_cache_control |= strcasecmp(name, "cache-control") == 0;
	a->has_csp |= strcasecmp(name, "content-security-policy") == 0;
	buf_printf(&a->extra, "%s: %s\r\n", name, value);
	a->is_broken |= buf_err(&a->extra) != 0;
}

/* The answer is queued, or nobody wants it: the request's end. */
static void finish(struct request *req)
{
	struct conn *c = req->conn;

	request_free(req);
	if (c != NULL)
		conn_next(c);
}

/* A head that cannot be sent: nothing of the handler's is trusted any more. */
static size_t compose_failure(struct request *req)
{
	struct request_answer *a = &req->answer;

	buf_reset(&a->extra);
	a->is_broken = false;
	a->lines = NULL;
	a->has_csp = a->has_cache_control = a->is_page = false;
	a->status = 500;
	a->length = 0;
	return response_compose(req, NULL);
}

/* One answer in one write. The body is released in every case. */
static void send_whole(
	struct request *req, unsigned status, const char *content_type, struct out_piece body)
{
	struct request_answer *a = &req->answer;
	struct out_piece pieces[2] = {{.mode = OUT_COPY}, body};
	bool has_body = may_have_body(status) && !request_is_head(req) && body.len > 0;

	assert(!a->has_begun);
	if (!request_has_peer(req)) {
		out_release(&body, 1);
		finish(req);
		return;
	}
	a->status = status;
	a->length = body.len;
	pieces[0].data = req->server->head;
	pieces[0].len = response_compose(req, may_have_body(status) ? content_type : NULL);
	if (pieces[0].len == 0) {
		pieces[0].len = compose_failure(req);
		has_body = false;
	}
	a->sent = has_body ? body.len : 0;
	/* One buffer is cheaper to write than two, as long as the copy is small. */
	if (has_body && body.len <= SMALL_BODY &&
		body.len <= sizeof(req->server->head) - pieces[0].len) {
		memcpy(req->server->head + pieces[0].len, body.data, body.len);
		pieces[0].len += body.len;
		has_body = false;
	}
	if (!has_body)
		out_release(&body, 1);
	if (conn_write(req->conn, pieces, has_body ? 2 : 1) == 0)
		finish(req);
	else
		request_free(req);
}

void response_send(struct request *req, unsigned status, const char *content_type, const void *body,
	size_t len)
{
	send_whole(req, status, content_type,
		(struct out_piece){.data = body, .len = len, .mode = OUT_COPY});
}

void response_send_static(struct request *req, unsigned status, const char *content_type,
	const void *body, size_t len)
{
	send_whole(req, status, content_type,
		(struct out_piece){.data = body, .len = len, .mode = OUT_STATIC});
}

static void send_buf(struct request *req, unsigned status, const char *type, struct buf *buf)
{
	struct out_piece body = {
		.data = buf->data, .len = buf->len, .base = buf->data, .mode = OUT_OWNED};
	size_t max = buf->max;

	if (buf_err(buf) != 0) {
		buf_fini(buf);
		response_problem(req, 500, "internal", "The answer could not be put together.");
		return;
	}
	/* The bytes are the connection's now. */
	buf_init(buf, max);
	send_whole(req, status, type, body);
}

void response_json(struct request *req, unsigned status, struct buf *json)
{
	send_buf(req, status, "application/json", json);
}

void response_empty(struct request *req, unsigned status)
{
	response_send_static(req, status, NULL, "", 0);
}

static void write_problem(struct buf *buf, const struct problem *problem, const char *id)
{
	struct json json;

	json_init(&json, buf);
	json_open_object(&json);
	json_kv_str(&json, "type", "about:blank");
	json_kv_str(&json, "title", status_phrase(problem->status));
	json_kv_uint(&json, "status", problem->status);
	json_kv_str(&json, "code", problem->code);
	if (problem->detail != NULL)
		json_kv_str(&json, "detail", problem->detail);
	json_kv_str(&json, "request_id", id);
	if (problem->extra != NULL) {
		buf_append_byte(buf, ',');
		buf_append_str(buf, problem->extra);
	}
	json_close_object(&json);
}

void response_problem_ex(struct request *req, const struct problem *problem)
{
	struct buf buf;

	buf_init(&buf, MAX_JSON_PROBLEM);
	write_problem(&buf, problem, req->id);
	if (buf_err(&buf) != 0) {
		buf_fini(&buf);
		response_empty(req, problem->status);
		return;
	}
	send_buf(req, problem->status, PROBLEM_TYPE, &buf);
}

void response_problem(struct request *req, unsigned status, const char *code, const char *detail)
{
	response_problem_ex(
		req, &(struct problem){.status = status, .code = code, .detail = detail});
}

void response_refuse(struct conn *c, const struct problem *problem, const char *id)
{
	struct web_server *server = c->server;
	struct writer w = {server->head, server->head + sizeof(server->head), false};
	char new_id[REQUEST_ID_BYTES];
	struct buf buf;

	buf_init(&buf, MAX_JSON_PROBLEM);
	if (id == NULL) {
		server_new_id(server, new_id);
		id = new_id;
	}
	write_problem(&buf, problem, id);
	put_status(&w, problem->status);
	put_common(&w, server, id);
	put_line(&w, "Content-Type", PROBLEM_TYPE);
	put_line(&w, "Content-Security-Policy", server->security.other_csp);
	put_line(&w, "Cache-Control", "no-store");
	put_line(&w, "Connection", "close");
	put(&w, "Content-Length: ", 16);
	put_number(&w, buf.len);
	put(&w, "\r\n\r\n", 4);
	if (conn_write(c,
		    (struct out_piece[]){{.data = server->head,
						 .len = (size_t)(w.at - server->head),
						 .mode = OUT_COPY},
			    {.data = buf.data,
				    .len = buf.len,
				    .base = buf.data,
				    .mode = OUT_OWNED}},
		    2) == 0)
		conn_finish(c);
}

size_t response_switching(struct request *req, const char *accept, const char *subprotocol)
{
	struct web_server *server = req->server;
	struct writer w = {server->head, server->head + sizeof(server->head), false};

	put_str(&w, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		    "Connection: Upgrade\r\n");
	put_line(&w, "Sec-WebSocket-Accept", accept);
	if (subprotocol != NULL)
		put_line(&w, "Sec-WebSocket-Protocol", subprotocol);
	put_common(&w, server, req->id);
	if (!req->answer.is_broken)
		put(&w, (const char *)req->answer.extra.data, req->answer.extra.len);
	put(&w, "\r\n", 2);
	return w.is_full ? 0 : (size_t)(w.at - server->head);
}
