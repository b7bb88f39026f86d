/*
 * Routes are data: one row per method and path. The web server finds the row, checks what the row
 * says, and calls its handler; who may do what is decided by the application's authorize hook,
 * which is called for every row before a body is read.
 */
#ifndef OPS_CORE_WEB_ROUTE_H
#define OPS_CORE_WEB_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/web/limits.h"

struct request;

enum route_flag {
	/* A WebSocket endpoint (GET): the handshake was found valid, the handler calls ws_accept()
	 * or answers with a refusal. Other requests get 426. */
	ROUTE_WEBSOCKET = 1u << 0,
	/* A long streamed answer: the peer's end of file means that it has left (on an ordinary
	 * route a peer that has sent its request may close its sending side and still gets the
	 * answer). */
	ROUTE_STREAM = 1u << 1,
};

struct route {
	const char *method;  /* GET, POST, PUT, PATCH or DELETE; a GET row answers HEAD too */
	const char *pattern; /* "/api/v1/runs/{id}/log": a {name} matches one non-empty segment;
			      * where two rows match, the one with the earlier literal wins */
	unsigned access;     /* for the authorize hook; means nothing here */
	unsigned flags;	     /* enum route_flag */
	size_t max_body;     /* 0: WEB_MAX_BODY */
	const char *accepts; /* media type a body must have, as "application/json"; else 415.
			      * NULL: any */
	/* Called with the whole body there. Must finish the request exactly once, now or later
	 * (response.h). */
	void (*handle)(struct request *req);
};

/* The table, checked and compiled. For the server and for tests. */
struct router;

struct route_match {
	const struct route *route; /* NULL: see allowed */
	size_t n_params;
	struct {
		const char *name; /* within the compiled pattern */
		size_t name_len;
		size_t segment; /* index of the path segment that is its value */
	} params[WEB_MAX_PARAMS];
	char allowed[64]; /* methods the path has, for Allow; "" when the path is unknown */
};

/* Compiles a table whose memory must outlive the router. NULL with a text when a row is wrong:
 * an unknown method, a bad pattern, the same method and path twice, no handler. */
struct router *router_new(const struct route *routes, size_t n_routes, struct err *err);
void router_free(struct router *router);

/* Looks up a path already split at '/' and decoded ("/" has no segments). */
void router_find(const struct router *router, const char *method, const char *const *segments,
	size_t n_segments, struct route_match *ret_match);

#endif
