/* What server.c, conn.c, http.c, response.c and ws.c share. Used within core/web only. */
#ifndef OPS_CORE_WEB_SERVER_IMPL_H
#define OPS_CORE_WEB_SERVER_IMPL_H

#include <time.h>

#include "core/base/list.h"
#include "core/web/conn.h"
#include "core/web/deadline.h"
#include "core/web/request.h"
#include "core/web/security.h"
#include "core/web/server.h"

#define REQUEST_ID_BYTES 32

struct listener {
	uv_tcp_t tcp;
	struct web_server *server;
	bool is_open;
};

struct web_server {
	unsigned magic;
	uv_loop_t *loop;
	struct web_opts opts;
	struct web_limits limits;
	struct security security;
	struct router *router;
	struct deadlines deadlines;
	struct listener listeners[WEB_MAX_LISTENERS];
	size_t n_listeners;
	size_t n_open; /* handles that must close before the end: listeners, timers, idle */

	struct list conns;    /* conn.link */
	struct list ready;    /* conn.ready */
	struct list requests; /* request.link: also those whose connection is gone */
	uv_idle_t ready_idle; /* runs while ready is not empty */
	struct web_counts counts;
	size_t queued;	  /* bytes of all connections */
	size_t n_refused; /* connections that are being told 503 */

	char id_prefix[17]; /* of request ids: random per process */
	uint64_t last_id;
	time_t date_s;	    /* what date_line says */
	char date_line[40]; /* "Date: …\r\n" */
	size_t date_len;
	char head[WEB_MAX_RESPONSE_HEAD]; /* where an answer's head is written */
	char *read_buffer;		  /* WEB_READ_BUFFER bytes */
	char *plain_buffer;		  /* the same, deciphered; NULL without TLS */
	struct tls_identity *identity;	  /* NULL: plain */

	bool is_draining, is_closing;
	uv_timer_t drain_timer;
	void (*on_drained)(int err, void *arg);
	void *drain_arg;
	void (*on_closed)(void *arg);
	void *close_arg;
};

void server_new_id(struct web_server *server, char id[REQUEST_ID_BYTES]);
/* The Date line, made anew once a second. */
const char *server_date(struct web_server *server, size_t *ret_len);
/* Calls conn_continue() from the loop. */
void server_add_ready(struct web_server *server, struct conn *conn);
/* Closes one of the handles that n_open counts. */
void server_close_handle(struct web_server *server, uv_handle_t *handle);
/* A connection is gone. */
void server_on_conn_gone(struct web_server *server);

#endif
