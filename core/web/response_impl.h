/* Answers that are given without a handler. Used within core/web only. */
#ifndef OPS_CORE_WEB_RESPONSE_IMPL_H
#define OPS_CORE_WEB_RESPONSE_IMPL_H

#include "core/web/conn.h"
#include "core/web/request_impl.h"
#include "core/web/response.h"

/* The head of an answer whose status and length are set, in the server's scratch space; decides
 * about the connection's future. Its length, 0 when it does not fit. */
size_t response_compose(struct request *req, const char *content_type);

/* A problem told without a request, and the connection finishes. id NULL: a new one. */
void response_refuse(struct conn *conn, const struct problem *problem, const char *id);

/* 503 in the place of a handler that took too long: the request stays, aborted. */
void response_overdue(struct request *req);

/* Header lines made beforehand that live as long as the process (assets); each ends in CRLF. They
 * hold a Cache-Control. is_page: the page's Content-Security-Policy is sent. */
void response_set_lines(struct request *req, const char *lines, size_t len, bool is_page);

/* The kernel has taken some of what a streamed answer queued. */
void response_on_progress(struct request *req);

/* The head of 101, into the server's scratch space; returns its length, 0 when it does not fit. */
size_t response_switching(struct request *req, const char *accept, const char *subprotocol);

#endif
