/*
 * One more connection to PostgreSQL, kept open, for what a pool's cannot hold: it LISTENs, so that
 * several dashboards on one database hear of each other's changes, and it holds session advisory
 * locks (leases), so that they share work instead of doing it twice.
 *
 * Both are hints. Nothing may depend on a notification arriving or on a lease being exclusive: the
 * connection may break at any time, and the server then gives the locks to others.
 *
 * No callback comes from within the call that asked for it.
 */
#ifndef OPS_CORE_DB_CHANNEL_H
#define OPS_CORE_DB_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/base/list.h"
#include "core/db/pool.h"

/* What `SELECT pg_notify(CHANNEL_NAME, 'kind argument')` reaches; the kinds are the callers'. */
#define CHANNEL_NAME "ops"
#define CHANNEL_MAX_LEASES 64
#define CHANNEL_RETRY_MIN_MS 500
#define CHANNEL_RETRY_MAX_MS 10000
#define CHANNEL_PATIENCE_MS 2000  /* that a lease waits for the connection */
#define CHANNEL_DEADLINE_MS 10000 /* of one question */

struct channel;

/* Connects whenever the pool is ready. pool must outlive it. */
struct channel *channel_open(uv_loop_t *loop, struct pool *pool);
/* Leases still out are forgotten: their callbacks do not come, lease_release() is still owed. */
void channel_close(struct channel *channel, void (*on_closed)(void *arg), void *arg);
/* Whether it listens now. */
bool channel_is_up(const struct channel *channel);

/* The memory is the caller's; remove it before freeing. */
struct channel_watch {
	struct list link; /* channel.watchers */
	/* Somebody, possibly we ourselves, sent this text. */
	void (*on_notify)(struct channel_watch *watch, const char *text);
	/* It listens from now on: what was sent before was missed. May be NULL. */
	void (*on_up)(struct channel_watch *watch);
};
void channel_watch_add(struct channel *channel, struct channel_watch *watch);
void channel_watch_remove(struct channel_watch *watch); /* twice is fine */

enum lease_answer {
	LEASE_HELD,
	LEASE_TAKEN, /* another session has it */
	LEASE_AWAY,  /* there is no connection to ask through, or too many leases */
};

struct lease;
typedef void (*lease_fn)(enum lease_answer answer, void *arg);

/* Asks for the advisory lock of this key; cb comes once, later. */
struct lease *channel_lease(struct channel *channel, int64_t key, lease_fn cb, void *arg);
/* Gives it back, whatever was answered; before the answer: cb does not come. NULL is fine. */
void lease_release(struct lease *lease);

#endif
