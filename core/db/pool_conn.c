/*
 * The pool's connections: opens, prepares, uses and closes them.
 *
 * Happy path of one: CONNECTING → (the first one of the pool: MIGRATING →) READY ⇄ BUSY. They are
 * opened one at a time, further ones only when calls wait and none is free: so a resolver or server
 * that hangs holds one attempt, not three.
 *
 * Failure modes: every end comes through conn_down(). When no other connection is left the pool
 * connects again, at once when the lost one had answered something, else after a backoff, and is
 * CONNECTING until an attempt fails, DOWN from then on. A failed attempt beside living connections
 * changes no state.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/crypto.h"
#include "core/db/internal.h"
#include "core/db/pool_internal.h"

#define POOL_PROBE_EVERY_MS 5000
#define POOL_PROBE_MS 5000
#define POOL_PROBE_SQL                                                                             \
	"SELECT pg_catalog.pg_is_in_recovery()"                                                    \
	" OR pg_catalog.current_setting('transaction_read_only')::boolean"

static void conn_set_state(struct pool_conn *conn, enum conn_state state)
{
	static const unsigned allowed[] = {
		[CONN_CONNECTING] = 1u << CONN_MIGRATING | 1u << CONN_READY | 1u << CONN_CLOSING,
		[CONN_MIGRATING] = 1u << CONN_READY | 1u << CONN_CLOSING,
		[CONN_READY] = 1u << CONN_BUSY | 1u << CONN_CLOSING,
		[CONN_BUSY] = 1u << CONN_READY | 1u << CONN_CLOSING,
		[CONN_CLOSING] = 0,
	};
	struct pool *pool = conn->pool;
	assert((allowed[conn->state] & 1u << state) != 0);
	pool->n_ready -= conn->state == CONN_READY || conn->state == CONN_BUSY;
	pool->n_busy -= conn->state == CONN_BUSY;
	conn->state = state;
	pool->n_ready += state == CONN_READY || state == CONN_BUSY;
	pool->n_busy += state == CONN_BUSY;
}

static void on_again(uv_timer_t *timer)
{
	struct pool *pool = container_of(timer, struct pool, again);
	pool_connect(pool);
}

/* 0.2 s doubling to 5 s, of which a random half, so that several dashboards spread out. */
static unsigned backoff_ms(unsigned failures)
{
	uint32_t random;
	unsigned ms = POOL_BACKOFF_MIN_MS;
	for (unsigned i = 1; i < failures && ms < POOL_BACKOFF_MAX_MS; i++)
		ms *= 2;
	ms = MIN(ms, POOL_BACKOFF_MAX_MS);
	crypto_random(&random, sizeof(random));
	return ms / 2 + random % (ms / 2 + 1);
}

/* A closed connection leaves; its place is free. */
static void on_pg_closed(void *arg)
{
	struct pool_conn *conn = arg;
	struct pool *pool = conn->pool;
	list_remove(&conn->link);
	pool->n_conns--;
	free(conn);
	if (pool->closing) {
		pool_maybe_closed(pool);
		return;
	}
	if (pool->n_ready == 0 && pool->n_conns == 0 &&
		!uv_is_active((uv_handle_t *)&pool->again)) {
		unsigned delay = pool->failures > 0 ? backoff_ms(pool->failures) : 0;
		uv_timer_start(&pool->again, on_again, delay, 0);
	} else {
		pool_dispatch(pool);
	}
}

static void conn_close(struct pool_conn *conn)
{
	if (conn->migrate != NULL) {
		migrate_cancel(conn->migrate);
		conn->migrate = NULL;
	}
	conn_set_state(conn, CONN_CLOSING);
	pg_close(conn->pg, on_pg_closed, conn);
}

/* The connection is of no more use: reason says why. */
static void conn_down(struct pool_conn *conn, const char *reason)
{
	struct pool *pool = conn->pool;
	bool was_up = conn->state == CONN_READY || conn->state == CONN_BUSY;
	/* It may live in the connection that is being closed. */
	char text[PG_MAX_MESSAGE];

	snprintf(text, sizeof(text), "%s", reason);
	if (!conn->proven)
		pool->failures++;
	conn_close(conn);
	if (pool->n_ready > 0)
		return;
	pool_set_state(pool, was_up ? POOL_CONNECTING : POOL_DOWN, text);
}

static void conn_ready(struct pool_conn *conn)
{
	struct pool *pool = conn->pool;
	conn_set_state(conn, CONN_READY);
	pool_set_read_only(pool, pg_is_read_only(conn->pg));
	pool_set_state(pool, POOL_READY, "");
	pool_dispatch(pool);
}

/* The schema is up to date, or cannot be. */
static void on_migrated(const struct err *err, int applied, void *arg)
{
	struct pool_conn *conn = arg;
	(void)applied;
	conn->migrate = NULL;
	if (err->code != 0) {
		conn_down(conn, err->msg);
		return;
	}
	conn_ready(conn);
}

/* A connection is set up. */
static void on_ready(struct pg *pg, void *arg)
{
	struct pool_conn *conn = arg;
	struct pool *pool = conn->pool;
	if (pool->migrate && pool->n_ready == 0) {
		conn_set_state(conn, CONN_MIGRATING);
		conn->migrate = migrate_start(pool->loop, pg, on_migrated, conn);
		return;
	}
	conn_ready(conn);
}

/* A connection failed or broke. */
static void on_down(struct pg *pg, const char *reason, void *arg)
{
	(void)pg;
	conn_down(arg, reason);
}

void pool_connect(struct pool *pool)
{
	static const struct pg_callbacks callbacks = {.on_ready = on_ready, .on_down = on_down};
	struct pool_conn *conn = xcalloc(1, sizeof(*conn));

	conn->pool = pool;
	conn->state = CONN_CONNECTING;
	list_append(&pool->conns, &conn->link);
	pool->n_conns++;
	conn->pg = pg_open(pool->loop, pool->info, pool->attempt++, &callbacks, conn);
}

struct pool_conn *pool_free_conn(struct pool *pool)
{
	list_foreach(at, tmp, &pool->conns)
	{
		struct pool_conn *conn = container_of(at, struct pool_conn, link);
		if (conn->state == CONN_READY && pg_is_idle(conn->pg))
			return conn;
	}
	return NULL;
}

/* Whether another connection should be opened for those who wait. */
static bool pool_may_grow(const struct pool *pool)
{
	return pool->state == POOL_READY && pool->n_waiting > 0 &&
	       pool->n_conns < pool->max_connections && pool->n_conns == pool->n_busy &&
	       !uv_is_active((const uv_handle_t *)&pool->again);
}

void pool_grow(struct pool *pool)
{
	if (pool_may_grow(pool)) {
		uv_timer_start(&pool->again, on_again,
			pool->failures > 0 ? backoff_ms(pool->failures) : 0, 0);
	}
}

/* The answer to a call. */
static void on_answer(const struct pg_reply *reply, void *arg)
{
	struct pool_conn *conn = arg;
	struct pool *pool = conn->pool;
	struct pool_call *call = conn->call;

	conn->call = NULL;
	pool->n_background -= (call->flags & POOL_BACKGROUND) != 0;
	if (reply->err == 0 || reply->err == -EREMOTEIO) {
		conn->proven = true;
		pool->failures = 0;
	}
	/* Broken or closing connections are no longer idle, and on_down or on_closed follows. */
	if (conn->state == CONN_BUSY && pg_is_idle(conn->pg))
		conn_set_state(conn, CONN_READY);
	if (pg_reply_is_read_only(reply))
		pool_set_read_only(pool, true);
	pool_call_answered(pool, call, reply);
}

void pool_conn_run(struct pool_conn *conn, struct pool_call *call)
{
	uint64_t now = uv_now(conn->pool->loop);
	unsigned left = call->deadline_ms > now ? (unsigned)(call->deadline_ms - now) : 1;

	conn_set_state(conn, CONN_BUSY);
	conn->call = call;
	conn->pool->n_background += (call->flags & POOL_BACKGROUND) != 0;
	call->tries++;
	/* It may have to be sent again on another connection. */
	pg_run(conn->pg, pg_batch_ref(call->batch), left, on_answer, conn);
}

/* Whether the server still takes no writes. */
static void on_probed(const struct pg_reply *reply, void *arg)
{
	struct pool_conn *conn = arg;
	struct pool *pool = conn->pool;
	if (conn->state == CONN_BUSY && pg_is_idle(conn->pg))
		conn_set_state(conn, CONN_READY);
	if (reply->err == 0)
		pool_set_read_only(pool, pg_get_bool(reply->results[0], 0, 0));
	if (!pool->closing)
		pool_dispatch(pool);
}

/* Time to look whether the server takes writes again. */
static void on_probe_time(uv_timer_t *timer)
{
	struct pool *pool = container_of(timer, struct pool, probe);
	struct pool_conn *conn = pool_free_conn(pool);
	if (conn != NULL) {
		conn_set_state(conn, CONN_BUSY);
		pg_run(conn->pg, pg_batch_one(POOL_PROBE_SQL, NULL, 0), POOL_PROBE_MS, on_probed,
			conn);
	}
}

void pool_probe_arm(struct pool *pool)
{
	if (!pool->read_only || pool->closing) {
		uv_timer_stop(&pool->probe);
	} else if (!uv_is_active((uv_handle_t *)&pool->probe)) {
		uv_timer_start(
			&pool->probe, on_probe_time, POOL_PROBE_EVERY_MS, POOL_PROBE_EVERY_MS);
	}
}

void pool_conn_close_all(struct pool *pool)
{
	list_foreach(at, tmp, &pool->conns)
	{
		struct pool_conn *conn = container_of(at, struct pool_conn, link);
		if (conn->state != CONN_CLOSING)
			conn_close(conn);
	}
}
