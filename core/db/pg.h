/*
 * One connection to PostgreSQL on the loop: libpq, never blocking, names looked up with
 * uv_getaddrinfo(). It connects once; when it breaks it says so and is of no further use. The pool
 * (pool.h) is what makes new ones; daemons use the pool.
 *
 * No callback comes from within the call that asked for it, each comes exactly once.
 */
#ifndef OPS_CORE_DB_PG_H
#define OPS_CORE_DB_PG_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "core/base/mem.h"
#include "core/db/batch.h"
#include "core/db/conninfo.h"
#include "core/db/result.h"

#define PG_CONNECT_TIMEOUT_MS 5000 /* lookup, connecting, signing in and settings together */
#define PG_STATEMENT_TIMEOUT_MS                                                                    \
	60000 /* the server's own, so that what we gave up ends there too                          \
	       */
#define PG_LOCK_TIMEOUT_MS 20000
#define PG_MAX_SCRIPT_BYTES (256u << 10)

struct pg;

struct pg_callbacks {
	/* Connected and set up; pg_run() may be called. */
	void (*on_ready)(struct pg *pg, void *arg);
	/* The connection failed or broke: reason is one line for a person, valid during the call. A
	 * batch that was running has been called back before. The callee calls pg_close(). Does not
	 * come after pg_close(). */
	void (*on_down)(struct pg *pg, const char *reason, void *arg);
	/* A notification came, on a channel that was LISTENed to. May be NULL. */
	void (*on_notify)(struct pg *pg, const char *text, void *arg);
};

typedef void (*pg_done_fn)(const struct pg_reply *reply, void *arg);

/* Starts connecting. info must outlive the connection. libpq gives a host that swallows packets all
 * the time there is, so each attempt (0, 1, …) of a caller starts with the next address. */
struct pg *pg_open(uv_loop_t *loop, const struct conninfo *info, unsigned attempt,
	const struct pg_callbacks *callbacks, void *arg);
/* Ends it at once; a running batch is called back with -ECANCELED from the loop, then on_closed
 * comes and the connection is freed. This is also how a query is cancelled: the server notices the
 * lost connection when it answers, or by its statement_timeout. */
void pg_close(struct pg *pg, void (*on_closed)(void *arg), void *arg);

/* Whether pg_run() may be called: set up, and no batch is running. */
bool pg_is_idle(const struct pg *pg);
/* Whether the server takes no writes; known from on_ready on. */
bool pg_is_read_only(const struct pg *pg);

/* Runs a batch and takes it over. Only while pg_is_idle(). When deadline_ms (> 0) passes before the
 * answer is complete, cb gets -ETIMEDOUT and the connection goes down. */
void pg_run(struct pg *pg, struct pg_batch *batch, unsigned deadline_ms, pg_done_fn cb, void *arg);
/* Runs several SQL commands separated by semicolons, without parameters and results, through the
 * simple protocol: for migrations. PostgreSQL makes them one transaction as long as there is no
 * BEGIN among them. sql must stay valid until cb. */
void pg_run_script(struct pg *pg, const char *sql, unsigned deadline_ms, pg_done_fn cb, void *arg);

#endif
