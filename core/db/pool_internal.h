/* What pool.c (calls) and pool_conn.c (connections) share. */
#ifndef OPS_CORE_DB_POOL_INTERNAL_H
#define OPS_CORE_DB_POOL_INTERNAL_H

#include <stdbool.h>
#include <uv.h>

#include "core/db/conninfo.h"
#include "core/db/migrate.h"
#include "core/db/pg.h"
#include "core/db/pool.h"

enum conn_state {
	CONN_CONNECTING,
	CONN_MIGRATING,
	CONN_READY, /* and no call runs on it */
	CONN_BUSY,
	CONN_CLOSING,
};

struct pool_conn {
	struct list link; /* pool.conns */
	struct pool *pool;
	struct pg *pg;
	enum conn_state state;
	struct migrate *migrate; /* MIGRATING */
	struct pool_call *call;	 /* BUSY; NULL: a probe of ours */
	bool proven;		 /* it has answered something */
};

struct pool_call {
	struct list link; /* pool.waiting[], or pool.failed */
	struct pool *pool;
	struct pg_batch *batch;
	unsigned flags, tries;
	bool waiting;	      /* in a queue of the pool */
	uint64_t deadline_ms; /* uv_now() */
	int err;	      /* in pool.failed */
	pool_done_fn cb;      /* NULL: forgotten */
	void *arg;
};

enum {
	WAIT_PAGES,
	WAIT_BACKGROUND,
	WAIT_CLASSES,
};

struct pool {
	uv_loop_t *loop;
	struct conninfo *info;
	unsigned max_connections;
	bool migrate;

	enum pool_state state;
	uint64_t since_us;
	char reason[PG_MAX_MESSAGE + 64];
	bool read_only;
	uint64_t outages;
	struct list watchers; /* pool_watch.link */

	struct list conns; /* pool_conn.link */
	unsigned n_conns, n_ready, n_busy, n_background;
	unsigned attempt;  /* counts connection attempts, for the choice of the address */
	unsigned failures; /* in a row, for the backoff */

	struct list waiting[WAIT_CLASSES]; /* pool_call.link */
	unsigned n_waiting;
	struct list failed; /* pool_call.link */

	uv_timer_t again; /* the next attempt to connect */
	uv_timer_t sweep; /* the earliest deadline of a waiting call */
	uv_timer_t soon;  /* calls failed back */
	uv_timer_t probe; /* while read_only */
	unsigned n_handles;
	bool closing;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

/* pool.c: state, calls */
void pool_set_state(struct pool *pool, enum pool_state state, const char *reason);
void pool_set_read_only(struct pool *pool, bool read_only);
/* Puts calls on connections that are free. */
void pool_dispatch(struct pool *pool);
/* The connection that ran the call has its answer. */
void pool_call_answered(struct pool *pool, struct pool_call *call, const struct pg_reply *reply);
/* Everybody who waits is answered with err. */
void pool_fail_waiting(struct pool *pool, int err);
void pool_maybe_closed(struct pool *pool);

/* pool_conn.c: connections */
void pool_connect(struct pool *pool);
/* A connection that is READY, or NULL. */
struct pool_conn *pool_free_conn(struct pool *pool);
/* Opens another connection when calls wait and all are busy. */
void pool_grow(struct pool *pool);
void pool_conn_run(struct pool_conn *conn, struct pool_call *call);
void pool_conn_close_all(struct pool *pool);
/* Looks every few seconds whether a read-only server takes writes again. */
void pool_probe_arm(struct pool *pool);

#endif
