/*
 * Owns a timer and at most one call to the pool.
 *
 * Happy path: the pool is ready -> one statement over PostgreSQL's own views -> items -> the status
 * document -> again after a while, sooner while somebody looks.
 *
 * Failure modes: the pool is not ready, or the look failed: the items are unknown and say why; the
 * pool coming back is looked at at once. Statements and replicas of others are told only to members
 * of pg_monitor; without it ours are all there are.
 */
#include "core/app/status/dbstatus.h"

#include <stdlib.h>
#include <string.h>

#include "core/app/server.h"
#include "core/app/status/dbitems.h"
#include "core/base/clock.h"

/* Columns as in read_facts(); NULL where there is nothing. */
#define LOOK_SQL                                                                                   \
	"SELECT split_part(current_setting('server_version'), ' ', 1),"                            \
	" (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint,"                     \
	" pg_database_size(current_database())::bigint,"                                           \
	" (SELECT sum(numbackends)::bigint FROM pg_stat_database),"                                \
	" current_setting('max_connections')::bigint, a.active, a.waiting, a.slowest, a.idle,"     \
	" (SELECT count(*) FROM pg_stat_replication)::bigint,"                                     \
	" CASE WHEN pg_is_in_recovery() THEN"                                                      \
	" CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0"                   \
	" ELSE (extract(epoch FROM now() - pg_last_xact_replay_timestamp()) * 1000)::bigint END"   \
	" ELSE (SELECT (extract(epoch FROM max(replay_lag)) * 1000)::bigint"                       \
	" FROM pg_stat_replication) END,"                                                          \
	" pg_is_in_recovery(), t.dead, t.live, t.vacuumed,"                                        \
	" (SELECT sum(checksum_failures)::bigint FROM pg_stat_database),"                          \
	" (SELECT max(age(datfrozenxid))::bigint FROM pg_database WHERE datallowconn)"             \
	" FROM (SELECT (count(*) FILTER (WHERE state = 'active'))::bigint AS active,"              \
	" (count(*) FILTER (WHERE wait_event_type = 'Lock'))::bigint AS waiting,"                  \
	" (extract(epoch FROM max(now() - query_start)"                                            \
	" FILTER (WHERE state = 'active' AND pid <> pg_backend_pid())) * 1000)::bigint AS "        \
	"slowest,"                                                                                 \
	" (extract(epoch FROM max(now() - state_change)"                                           \
	" FILTER (WHERE state LIKE 'idle in transaction%')) * 1000)::bigint AS idle"               \
	" FROM pg_stat_activity WHERE backend_type = 'client backend') a,"                         \
	" (SELECT sum(n_dead_tup)::bigint AS dead, sum(n_live_tup)::bigint AS live,"               \
	" (extract(epoch FROM max(last_autovacuum)) * 1000000)::bigint AS vacuumed"                \
	" FROM pg_stat_user_tables) t"

struct dbstatus {
	struct server *server;
	struct pool_watch watch;
	struct pool_call *call;
	struct db_items items;
	uint64_t looked_ms; /* uv_now(); 0: look now */
	uv_timer_t timer;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

static int64_t number(const struct pg_result *result, size_t col)
{
	return pg_is_null(result, 0, col) ? -1 : pg_get_i64(result, 0, col);
}

static struct db_facts read_facts(const struct pg_result *result)
{
	struct pg_bytes_view version = pg_get_text(result, 0, 0);
	struct db_facts f = {
		.started_us = number(result, 1),
		.size_bytes = number(result, 2),
		.connections = number(result, 3),
		.connections_max = number(result, 4),
		.active = number(result, 5),
		.waiting = number(result, 6),
		.slowest_ms = number(result, 7),
		.idle_transaction_ms = number(result, 8),
		.replicas = number(result, 9),
		.lag_ms = number(result, 10),
		.is_standby = pg_get_bool(result, 0, 11),
		.dead_rows = number(result, 12),
		.live_rows = number(result, 13),
		.autovacuum_us = number(result, 14),
		.checksum_failures = number(result, 15),
		.xid_age = number(result, 16),
	};

	memcpy(f.version, version.data, MIN(version.len, sizeof(f.version) - 1));
	return f;
}

static void put(struct dbstatus *d, json_t *items)
{
	const struct host *host = hosts_primary(d->server->hosts);

	status_put_section(host->status, "database", items);
}

/* PostgreSQL has told, or could not. */
static void on_facts(const struct pg_reply *reply, void *arg)
{
	struct dbstatus *d = arg;

	d->call = NULL;
	if (reply->err == 0) {
		struct db_facts facts = read_facts(reply->results[0]);

		put(d, db_items_take(&d->items, &facts, clock_wall_us()));
	} else {
		put(d, db_items_away(&d->items, reply->message, clock_wall_us()));
	}
}

static void look(struct dbstatus *d)
{
	struct pool_info info;

	pool_get_info(d->server->pool, &info);
	d->looked_ms = uv_now(d->server->loop);
	if (info.state == POOL_DOWN)
		put(d, db_items_away(&d->items, info.reason, clock_wall_us()));
	else if (info.state == POOL_READY && d->call == NULL)
		d->call = pool_run(d->server->pool, pg_batch_one(LOOK_SQL, NULL, 0),
			POOL_IDEMPOTENT | POOL_BACKGROUND, DBSTATUS_DEADLINE_MS, on_facts, d);
}

/* A while has passed. */
static void on_time(uv_timer_t *timer)
{
	struct dbstatus *d = timer->data;

	if (status_is_watched(hosts_primary(d->server->hosts)->status) ||
		uv_now(d->server->loop) - d->looked_ms >= DBSTATUS_IDLE_MS)
		look(d);
}

/* The pool came or went. */
static void on_pool_state(struct pool_watch *watch, const struct pool_info *info)
{
	(void)info;
	look(container_of(watch, struct dbstatus, watch));
}

void dbstatus_move(struct dbstatus *d)
{
	for (size_t i = 1; i < hosts_count(d->server->hosts); i++)
		status_put_section(hosts_at(d->server->hosts, i)->status, "database", NULL);
	look(d);
}

struct dbstatus *dbstatus_open(struct server *server)
{
	struct dbstatus *d = xcalloc(1, sizeof(*d));

	d->server = server;
	d->watch.on_state = on_pool_state;
	pool_watch_add(server->pool, &d->watch);
	uv_timer_init(server->loop, &d->timer);
	d->timer.data = d;
	uv_timer_start(&d->timer, on_time, DBSTATUS_WATCHED_MS, DBSTATUS_WATCHED_MS);
	look(d);
	return d;
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct dbstatus *d = handle->data;
	void (*on_closed)(void *arg) = d->on_closed;
	void *arg = d->closed_arg;

	free(d);
	on_closed(arg);
}

void dbstatus_close(struct dbstatus *d, void (*on_closed)(void *arg), void *arg)
{
	d->on_closed = on_closed;
	d->closed_arg = arg;
	pool_watch_remove(&d->watch);
	pool_call_forget(d->call);
	d->call = NULL;
	uv_close((uv_handle_t *)&d->timer, on_timer_closed);
}
