/*
 * A small pool of connections to PostgreSQL, for as long as the daemon runs. It connects by itself,
 * brings the schema up to date with its first connection (migrate.h), reconnects after losses (0.2
 * s doubling to 5 s, with jitter), and runs batches (batch.h) in the order given.
 *
 * Works with PostgreSQL absent, late, hung, restarted, read-only: a call without a connection is
 * answered soon with -ENOTCONN, and nothing here ever blocks. No callback comes from within the
 * call that asked for it; each comes exactly once.
 */
#ifndef OPS_CORE_DB_POOL_H
#define OPS_CORE_DB_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "core/base/err.h"
#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/db/batch.h"
#include "core/db/result.h"

#define POOL_MAX_CONNECTIONS 8
#define POOL_DEFAULT_CONNECTIONS 3
#define POOL_MAX_WAITING 256   /* calls; more: -ENOBUFS */
#define POOL_DEADLINE_MS 10000 /* of a call that names none */
#define POOL_MAX_TRIES 3       /* of an idempotent call */
#define POOL_BACKOFF_MIN_MS 200
#define POOL_BACKOFF_MAX_MS 5000

struct conninfo;
struct pool;
struct pool_call;

enum pool_state {
	POOL_CONNECTING, /* the first attempt, or the first after a loss; calls wait */
	POOL_READY,	 /* at least one connection, schema up to date */
	POOL_DOWN,	 /* cannot connect, or the schema does not suit; trying again */
};

/* Texts belong to the pool and are valid until the loop runs again. */
struct pool_info {
	enum pool_state state;
	uint64_t since_us;  /* wall clock: in this state since */
	const char *reason; /* what failed last, for a person; "" when ready */
	const char *where;  /* "ops at localhost:5432", without the password */
	bool read_only;	    /* ready, but the server takes no writes */
	unsigned connections, busy, waiting;
	uint64_t outages; /* times it went from ready to not ready */
};

struct pool_opts {
	const char *database_url;
	unsigned max_connections; /* 0: POOL_DEFAULT_CONNECTIONS */
	bool migrate;		  /* bring the schema up to date before the first call */
};

/* Starts connecting. NULL with err set only when database_url is no connection string. */
struct pool *pool_open(uv_loop_t *loop, const struct pool_opts *opts, struct err *err);
/* Calls still out are called back with -ECANCELED (their callbacks must not ask again), then
 * on_closed comes and the pool is freed. Watchers are not called any more. */
void pool_close(struct pool *pool, void (*on_closed)(void *arg), void *arg);

void pool_get_info(const struct pool *pool, struct pool_info *ret_info);
const char *pool_state_name(enum pool_state state); /* connecting ready down */
/* What DATABASE_URL says; lives as long as the pool. */
const struct conninfo *pool_conninfo(const struct pool *pool);

/* Watchers: told of every change of state. The memory is the caller's; remove it before freeing. */
struct pool_watch {
	struct list link; /* pool.watchers */
	void (*on_state)(struct pool_watch *watch, const struct pool_info *info);
};
void pool_watch_add(struct pool *pool, struct pool_watch *watch);
void pool_watch_remove(struct pool_watch *watch); /* twice is fine */

enum pool_flags {
	/* Running it twice does no harm (it only reads, or says ON CONFLICT): when the connection
	 * breaks before the answer, it is sent again, POOL_MAX_TRIES times at most. */
	POOL_IDEMPOTENT = 1,
	/* Never takes the last free connection, so that pages wait for no bulk work. */
	POOL_BACKGROUND = 2,
};

typedef void (*pool_done_fn)(const struct pg_reply *reply, void *arg);

/* Runs a batch as one transaction; takes it over. deadline_ms counts from now, waiting included; 0:
 * POOL_DEADLINE_MS. The call is valid until cb is called. */
struct pool_call *pool_run(struct pool *pool, struct pg_batch *batch, unsigned flags,
	unsigned deadline_ms, pool_done_fn cb, void *arg);
/* Forgets a call whose caller is going away: cb will not be called. It may still be executed. */
void pool_call_forget(struct pool_call *call);

#endif
