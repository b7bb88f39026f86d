/*
 * One request, from its complete head to its finished answer.
 *
 * Lifetime: the handler that was given a request owes it exactly one end: response_send() and
 * friends, response_end(), response_abandon() or ws_accept(). Until then the pointer stays valid,
 * also when the peer has gone or a deadline has answered in the handler's place: answering is
 * then a silent no-op that frees the request. So a handler may answer from any later callback
 * without asking first. After the end the pointer is dead.
 *
 * All texts are NUL-terminated, belong to the request and never hold a NUL within.
 */
#ifndef OPS_CORE_WEB_REQUEST_H
#define OPS_CORE_WEB_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/mem.h"
#include "core/web/route.h"

struct request;

/* "GET" also for HEAD: ask request_is_head() where the difference matters. */
const char *request_method(const struct request *req);
bool request_is_head(const struct request *req);
/* Whether the method is GET or HEAD, which change nothing. */
bool request_is_safe(const struct request *req);
/* The decoded path without the query: valid UTF-8, begins with '/', no "." or ".." segments, no
 * control bytes. "*" for OPTIONS *, which only the admit hook sees. */
const char *request_path(const struct request *req);
/* The target as it came, path and query, still percent-encoded (for a redirect or a log). */
const char *request_target(const struct request *req);
/* The value of {name} in the route's pattern, decoded. Aborts when the pattern has no such name. */
const char *request_param(const struct request *req, const char *name);
/* The n-th value of a name in the query, decoded ('+' is a space), or NULL. request_query() is the
 * first one. A query with broken escapes, NUL or invalid UTF-8 never reaches a handler. */
const char *request_query(const struct request *req, const char *name);
const char *request_query_nth(const struct request *req, const char *name, size_t n);

/* The value of the first header field of that name (any case), or NULL. Fields that may stand only
 * once (Host, Origin, Authorization, Content-Type …) do: the request is refused otherwise. */
const char *request_header(const struct request *req, const char *name);
/* The n-th one. */
const char *request_header_nth(const struct request *req, const char *name, size_t n);
/* Host as sent, or that of an absolute target; "" when an HTTP/1.0 request has none. */
const char *request_host(const struct request *req);
/* A cookie by its exact name: 0, -ENOENT, or -EEXIST when the peer sent several of that name
 * (somebody tosses cookies: refuse); -ENOMEM. A value in double quotes comes without them. */
MUSTCHECK int request_cookie(struct request *req, const char *name, const char **ret_value);

/* The body, there in full when a handler runs; empty in the hooks. *ret_len may be 0. */
const uint8_t *request_body(const struct request *req, size_t *ret_len);

/* The peer's address as text ("127.0.0.1", "2001:db8::1"), never from a header. */
const char *request_remote(const struct request *req);
/* Who is behind a trusted proxy, as the application knows it: for logs. The peer's until set. */
void request_set_client(struct request *req, const char *address);
const char *request_client(const struct request *req);
/* A process-wide unique id; also sent as X-Request-Id. */
const char *request_id(const struct request *req);
/* Its row; NULL in admit and in the fallback handler. */
const struct route *request_route(const struct request *req);
/* The arg of struct web_opts. */
void *request_app(const struct request *req);

/* Who sent it, as the authorize hook found; NULL at first. on_finished gets it back. */
void request_set_identity(struct request *req, void *identity);
void *request_identity(const struct request *req);
/* Whatever the handler wants to keep with it (a pending query); NULL at first. */
void request_set_arg(struct request *req, void *arg);
void *request_arg(const struct request *req);

/* From now on: the peer has gone, or the answer took too long and 503 was sent. Called at most
 * once, from the loop, never after the handler's end. The handler may stop its work and call
 * response_abandon(), at once or later. Without it the handler's later answer is just dropped. */
void request_on_abort(struct request *req, void (*on_abort)(struct request *req));
/* Whether that has happened. */
bool request_is_aborted(const struct request *req);

#endif
