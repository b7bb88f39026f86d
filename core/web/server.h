/*
 * The HTTP/1.1 server: listening sockets, connections, deadlines. One thread, one libuv loop.
 *
 * What a request goes through, each step answered here when it fails (problem+json, request id):
 * head scan (400 414 431 501 505) → admit hook → route (404 405 426) → authorize hook → body
 * (413 415 417 408) → handler. A path that no row knows goes to the fallback handler
 * when there is one and the method is GET or HEAD.
 */
#ifndef OPS_CORE_WEB_SERVER_H
#define OPS_CORE_WEB_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/web/limits.h"
#include "core/web/request.h"
#include "core/web/route.h"

struct tls_identity;
struct web_server;

enum web_verdict {
	WEB_ALLOW,    /* go on */
	WEB_ANSWERED, /* the hook has ended the request with an answer of its own */
	WEB_LATER,    /* the hook will end it, or call web_authorized(), later */
};

/* One request that has ended, answered or not: for the access log and for metrics, and to free
 * what request_set_arg() keeps. Valid during the call. */
struct web_finished {
	/* remote: request_client() */
	const char *method, *target, *remote, *request_id;
	const struct route *route; /* NULL: no row */
	void *request_arg, *identity;
	unsigned status; /* 0: the peer left before any answer */
	uint64_t bytes;	 /* of the body, as sent */
	uint64_t duration_us;
};

struct web_opts {
	const struct route *routes; /* must outlive the server */
	size_t n_routes;
	/* "https://ops.example.org": for the security headers. Never compared with anything here.
	 */
	const char *public_origin;
	const struct web_limits *limits; /* copied; NULL: web_limits_default */
	void *arg;			 /* request_app() */

	/* Called for every request with a well-formed head, before routing: the Host rule. NULL:
	 * allow. WEB_LATER is not possible here. */
	enum web_verdict (*admit)(struct request *req);
	/* Called for every request that has a row, before its body is read: session, token, Origin,
	 * role. The body cannot be asked for here. NULL: allow. */
	enum web_verdict (*authorize)(struct request *req, const struct route *route);
	/* GET and HEAD without a row: the page and its assets. NULL: 404. Not authorized. */
	void (*fallback)(struct request *req);
	/* Exactly once for each request that the hooks have seen, when it ends (request.h). The
	 * only exception: requests that handlers still hold when the server is closed. May be NULL.
	 */
	void (*on_finished)(const struct web_finished *finished, void *arg);
};

/* Goes on with a request whose authorize hook returned WEB_LATER; from a later callback, and it may
 * call the handler before it returns. When the request was aborted meanwhile, this is its end and
 * no handler is called. */
void web_authorized(struct request *req);

/* A server without a socket yet. NULL with a text when the routes are wrong or the origin is no
 * origin. */
struct web_server *web_server_open(uv_loop_t *loop, const struct web_opts *opts, struct err *err);
/* Listens on "127.0.0.1:3001", "[::1]:3001", "0.0.0.0:3001" (numeric; port 0: any). Up to
 * WEB_MAX_LISTENERS times. */
MUSTCHECK int web_server_listen(struct web_server *server, const char *address, struct err *err);
/* Listens on an inherited, bound stream socket; owns it from then on, also on failure. */
MUSTCHECK int web_server_listen_fd(struct web_server *server, int fd, struct err *err);
/* The port of the n-th listener, in the order of the calls. */
uint16_t web_server_port(const struct web_server *server, size_t n);

/* From now on connections speak TLS with this certificate, whose reference is the server's then;
 * those that are open go on as they are. To be called before listening, then whenever there is a
 * new one. */
void web_server_set_identity(struct web_server *server, struct tls_identity *identity);

/* Another public_origin: later answers carry the headers that go with it. -EINVAL with a text, and
 * nothing changed, when it is none. */
MUSTCHECK int web_server_set_origin(struct web_server *server, const char *origin, struct err *err);

struct web_counts {
	size_t connections; /* open, WebSockets included */
	size_t websockets;
	uint64_t accepted, refused; /* refused: over the maximum, or no descriptor */
	uint64_t requests;
	uint64_t malformed; /* heads, bodies and frames that broke the protocol */
};
void web_server_get_counts(const struct web_server *server, struct web_counts *ret_counts);

/* Stops listening, closes idle connections, lets requests finish (answers say Connection: close)
 * and WebSockets close with 1001. on_drained comes once, from the loop: 0 when no connection is
 * left, -ETIMEDOUT after deadline_ms, -ECANCELED when web_server_close() comes first. */
void web_server_drain(struct web_server *server, unsigned deadline_ms,
	void (*on_drained)(int err, void *arg), void *arg);
/* Cuts whatever is open (on_abort and on_close come), then calls on_closed once and frees the
 * server right after it. Requests that handlers still hold stay valid: they end as usual. */
void web_server_close(struct web_server *server, void (*on_closed)(void *arg), void *arg);

#endif
