/*
 * One accepted connection: the socket, what waits to be read and written, its deadlines, and the
 * request or WebSocket that it currently is. Used within core/web only.
 */
#ifndef OPS_CORE_WEB_CONN_H
#define OPS_CORE_WEB_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "core/base/buf.h"
#include "core/base/list.h"
#include "core/web/deadline.h"
#include "core/web/out.h"

struct tls;
struct web_server;
struct request;
struct ws;

#define CONN_REMOTE_BYTES 46 /* INET6_ADDRSTRLEN */

enum conn_state {
	CONN_IDLE,	/* between requests, nothing of the next one is here */
	CONN_HEAD,	/* some of a head is here */
	CONN_HOOKS,	/* the authorize hook will answer later */
	CONN_BODY,	/* the body is being read */
	CONN_HANDLING,	/* the handler has it, or streams its answer */
	CONN_SKIP,	/* answered; what is left of the body is thrown away */
	CONN_FLUSH,	/* answered; the queue must empty before the next step */
	CONN_WEBSOCKET, /* ws is set */
	CONN_LINGER,	/* our side is shut down; waiting for the peer to see it */
	CONN_CLOSING,	/* uv_close() was called */
};

enum conn_deadline {
	DL_IDLE,
	DL_HEADER,
	DL_BODY,
	DL_HANDLE,
	DL_LINGER,
	DL_WS_PING,
	DL_WS_PONG,
	DL_WS_CLOSE,
	DL_WRITE, /* the only kind of conn.write_deadline */
	DL_COUNT,
};

struct conn {
	unsigned magic;
	enum conn_state state;
	struct web_server *server;
	uv_tcp_t tcp;
	struct list link;	  /* web_server.conns */
	struct list ready;	  /* web_server.ready: buffered bytes wait for conn_continue() */
	struct deadline deadline; /* of the state */
	struct deadline write_deadline; /* while something is queued */
	uint64_t acked;			/* bytes the peer had acknowledged when last looked at */
	struct out out;
	struct tls *tls; /* NULL: plain */
	struct buf in;	 /* arrived and not used: empty and without memory while idle */
	size_t scanned;	 /* of in: head_find_end() */
	uint64_t skip;	 /* body bytes to throw away */
	size_t lingered;
	struct request *req; /* CONN_HOOKS … CONN_HANDLING */
	struct ws *ws;	     /* from ws_accept() to the end */
	bool close_after;    /* no further request */
	bool eof;	     /* the peer has closed its sending side */
	bool in_process;     /* http_process() is on the stack */
	bool reading;
	bool is_refused; /* over the maximum: counted apart */
	char remote[CONN_REMOTE_BYTES];
};

/* Takes a waiting connection from a listener; it counts as refused when it is over the maximum.
 * Negative: nothing was made. */
MUSTCHECK int conn_accept(struct web_server *server, uv_stream_t *listener, bool is_refused);

/* The one exit door: stops everything, and from the loop tells the request or WebSocket, then
 * frees. Safe to call twice. reason is for the debug log. */
void conn_close(struct conn *conn, const char *reason);

void conn_set_state(struct conn *conn, enum conn_state state);

/* Writes or queues pieces (out.h). On failure the connection is being closed. */
MUSTCHECK int conn_write(struct conn *conn, const struct out_piece *pieces, size_t n);

/* After the answer: skips the rest of a body, flushes, then waits for the next request or ends. */
void conn_next(struct conn *conn);
/* Nothing more will be written or understood: flush, shut down our side, wait for the peer's end
 * of file within linger_ms, close. */
void conn_finish(struct conn *conn);

/* Whether the peer's kernel has acknowledged something since *acked was noted, or has nothing left
 * to acknowledge. Notes it anew. */
bool conn_is_heard(struct conn *conn, uint64_t *acked);

/* Works on bytes that arrived earlier. */
void conn_continue(struct conn *conn);

/* For deadlines_init(): one of a connection's two deadlines has passed. */
void conn_on_due(struct deadline *deadline);

#endif
