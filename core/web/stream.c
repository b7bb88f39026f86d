/*
 * Streamed answers (response.h): the head first, then blocks, framed as the head said.
 *
 * Happy path: response_begin(), response_write() until response_is_full(), on_writable, …,
 * response_end(). Failure modes: the peer goes or stops reading (the connection closes and tells
 * on_abort; what is written meanwhile is dropped); too much queued or too little written cuts the
 * connection, so that the peer never takes a broken answer for a whole one.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/web/response_impl.h"

void response_begin(struct request *req, unsigned status, const char *content_type, uint64_t length,
	void (*on_writable)(struct request *req))
{
	struct request_answer *a = &req->answer;
	struct out_piece head = {.mode = OUT_COPY};

	assert(!a->has_begun);
	a->has_begun = true;
	a->length = length;
	a->on_writable = on_writable;
	a->status = status;
	if (!request_has_peer(req))
		return;
	head.data = req->server->head;
	head.len = response_compose(req, content_type);
	if (head.len == 0) {
		conn_close(req->conn, "answer's head too large");
		return;
	}
	if (conn_write(req->conn, &head, 1) == 0)
		deadline_set(&req->server->deadlines, &req->conn->deadline, DL_HANDLE);
}

/* Writes a block that is released in every case. */
static void write_piece(struct request *req, struct out_piece piece)
{
	struct request_answer *a = &req->answer;
	struct out_piece pieces[3] = {{.mode = OUT_COPY}, piece, {.mode = OUT_COPY}};
	struct conn *c = req->conn;
	char size[20];
	int r;

	assert(a->has_begun);
	if (!request_has_peer(req) || request_is_head(req) || piece.len == 0) {
		out_release(&piece, 1);
		return;
	}
	assert(a->length == RESPONSE_LENGTH_UNKNOWN || piece.len <= a->length - a->sent);
	if (out_queued(&c->out) + piece.len > WEB_STREAM_MAX ||
		(req->server->queued > req->server->limits.max_queued && response_is_full(req))) {
		out_release(&piece, 1);
		conn_close(c, "streamed answer over its queue");
		return;
	}
	a->sent += piece.len;
	if (a->is_chunked) {
		pieces[0].data = size;
		pieces[0].len = (size_t)snprintf(size, sizeof(size), "%zx\r\n", piece.len);
		pieces[2].data = "\r\n";
		pieces[2].len = 2;
		r = conn_write(c, pieces, 3);
	} else {
		r = conn_write(c, &piece, 1);
	}
	if (r != 0)
		return;
	a->was_full |= response_is_full(req);
	deadline_set(&req->server->deadlines, &c->deadline, DL_HANDLE);
}

void response_write(struct request *req, const void *data, size_t len)
{
	write_piece(req, (struct out_piece){.data = data, .len = len, .mode = OUT_COPY});
}

void response_write_block(struct request *req, uint8_t *block, size_t len)
{
	write_piece(req,
		(struct out_piece){.data = block, .len = len, .base = block, .mode = OUT_OWNED});
}

void response_is_coming(struct request *req)
{
	if (request_has_peer(req) && req->answer.has_begun)
		deadline_set(&req->server->deadlines, &req->conn->deadline, DL_HANDLE);
}

size_t response_queued(const struct request *req)
{
	return req->conn != NULL ? out_queued(&req->conn->out) : 0;
}

bool response_is_full(const struct request *req)
{
	return response_queued(req) > WEB_STREAM_HIGH;
}

void response_on_progress(struct request *req)
{
	struct request_answer *a = &req->answer;

	if (!a->has_begun)
		return;
	deadline_set(&req->server->deadlines, &req->conn->deadline, DL_HANDLE);
	if (!a->was_full || response_queued(req) > WEB_STREAM_HIGH / 2)
		return;
	a->was_full = false;
	if (a->on_writable != NULL)
		a->on_writable(req);
}

void response_end(struct request *req)
{
	struct request_answer *a = &req->answer;
	struct conn *c = req->conn;

	assert(a->has_begun);
	if (request_has_peer(req) && !request_is_head(req)) {
		struct out_piece last = {.data = "0\r\n\r\n", .len = 5, .mode = OUT_COPY};

		if (a->is_chunked && conn_write(c, &last, 1) != 0)
			c = NULL;
		else if (a->length != RESPONSE_LENGTH_UNKNOWN && a->sent < a->length)
			conn_close(c, "answer shorter than announced");
	}
	request_free(req);
	if (c != NULL)
		conn_next(c);
}

void response_abandon(struct request *req)
{
	if (!req->answer.has_begun && request_has_peer(req)) {
		response_problem(req, 500, "internal", "The request was given up.");
		return;
	}
	if (request_has_peer(req))
		conn_close(req->conn, "answer given up");
	request_free(req);
}

void response_overdue(struct request *req)
{
	static const struct problem overdue = {
		.status = 503, .code = "timeout", .detail = "The answer took too long."};
	struct conn *c = req->conn;

	if (req->answer.has_begun) {
		conn_close(c, "handler stopped in its answer");
		return;
	}
	/* The handler keeps the request; the peer gets an answer now. */
	req->answer.status = overdue.status;
	response_refuse(c, &overdue, req->id);
	request_abort(req);
}
