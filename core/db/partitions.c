/*
 * Owns a timer and at most one call to the pool.
 *
 * Happy path: the pool becomes ready → make → drop → wait PARTITIONS_EVERY_MS → make … It is
 * repeated when the pool comes back, so that a long outage over the turn of a month does no harm.
 */
#include "core/db/partitions.h"

#include <stdlib.h>

#include "core/base/clock.h"

#define PARTITIONS_MS 60000
#define DROP_SQL "SELECT ops.drop_older($1)"
#define PARTITIONS_SQL "SELECT ops.make_partitions($1)"

struct partitions {
	struct pool *pool;
	struct pool_watch watch;
	struct pool_call *call;
	unsigned retention_days; /* 0: everything is kept */
	uv_timer_t timer;
	enum pool_state seen;
	void (*on_result)(const char *problem, void *arg);
	void *arg;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

/* What is too old is gone, or not. */
static void on_dropped(const struct pg_reply *reply, void *arg)
{
	struct partitions *p = arg;
	p->call = NULL;
	if (p->on_result != NULL)
		p->on_result(reply->message, p->arg);
}

/* They are made, or not. */
static void on_made(const struct pg_reply *reply, void *arg)
{
	struct partitions *p = arg;
	p->call = NULL;
	if (reply->err == 0 && p->retention_days > 0) {
		uint64_t days = MAX(p->retention_days, (unsigned)PARTITIONS_MIN_RETENTION_DAYS);
		const struct pg_param before =
			pg_i64((int64_t)(clock_wall_us() - days * 86400 * CLOCK_SECOND_US));
		p->call = pool_run(p->pool, pg_batch_one(DROP_SQL, &before, 1), POOL_IDEMPOTENT,
			PARTITIONS_MS, on_dropped, p);
		return;
	}
	if (p->on_result != NULL)
		p->on_result(reply->message, p->arg);
}

static void partitions_make(struct partitions *p)
{
	struct pool_info info;
	pool_get_info(p->pool, &info);
	if (p->call != NULL || info.state != POOL_READY || info.read_only)
		return;
	const struct pg_param months = pg_i32(PARTITIONS_MONTHS_AHEAD);
	p->call = pool_run(p->pool, pg_batch_one(PARTITIONS_SQL, &months, 1), POOL_IDEMPOTENT,
		PARTITIONS_MS, on_made, p);
}

/* Some hours have passed. */
static void on_time(uv_timer_t *timer)
{
	partitions_make(container_of(timer, struct partitions, timer));
}

/* The pool came or went. */
static void on_pool_state(struct pool_watch *watch, const struct pool_info *info)
{
	struct partitions *p = container_of(watch, struct partitions, watch);
	bool came = info->state == POOL_READY && p->seen != POOL_READY;
	p->seen = info->state;
	if (came)
		partitions_make(p);
}

struct partitions *partitions_open(uv_loop_t *loop, struct pool *pool, unsigned retention_days,
	void (*on_result)(const char *problem, void *arg), void *arg)
{
	struct partitions *p = xcalloc(1, sizeof(*p));
	p->pool = pool;
	p->retention_days = retention_days;
	p->on_result = on_result;
	p->arg = arg;
	p->watch.on_state = on_pool_state;
	p->seen = POOL_CONNECTING;
	pool_watch_add(pool, &p->watch);
	uv_timer_init(loop, &p->timer);
	uv_timer_start(&p->timer, on_time, PARTITIONS_EVERY_MS, PARTITIONS_EVERY_MS);
	partitions_make(p);
	return p;
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct partitions *p = container_of((uv_timer_t *)handle, struct partitions, timer);
	void (*on_closed)(void *) = p->on_closed;
	void *arg = p->closed_arg;
	free(p);
	if (on_closed != NULL)
		on_closed(arg);
}

void partitions_close(struct partitions *p, void (*on_closed)(void *arg), void *arg)
{
	p->on_closed = on_closed;
	p->closed_arg = arg;
	pool_watch_remove(&p->watch);
	pool_call_forget(p->call);
	p->call = NULL;
	uv_close((uv_handle_t *)&p->timer, on_timer_closed);
}
