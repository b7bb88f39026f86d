/*
 * The calls of the pool and its face; the connections are pool_conn.c's.
 *
 * Happy path of a call: pool_run() appends it to the queue of its class, pool_dispatch() gives it a
 * free connection, its answer frees it and then calls back.
 *
 * Failure modes: what cannot even wait (no connection and none in sight, queue full, pool closing)
 * goes to `failed` and is answered from the `soon` timer. Waiting calls past their deadline are
 * found by the `sweep` timer. When an attempt to connect fails all who wait are answered, so a page
 * hears within seconds. An idempotent call whose connection broke goes back to the head of its
 * queue, POOL_MAX_TRIES times at most.
 *
 * States of the pool: CONNECTING → READY → CONNECTING | DOWN → READY …; pool_set_state() tells the
 * watchers.
 */
#include "core/db/pool.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/db/internal.h"
#include "core/db/pool_internal.h"

const char *pool_state_name(enum pool_state state)
{
	switch (state) {
	case POOL_CONNECTING:
		return "connecting";
	case POOL_READY:
		return "ready";
	case POOL_DOWN:
		return "down";
	}
	return "unknown";
}

void pool_get_info(const struct pool *pool, struct pool_info *ret_info)
{
	*ret_info = (struct pool_info){
		.state = pool->state,
		.since_us = pool->since_us,
		.reason = pool->reason,
		.where = pool->info->where,
		.read_only = pool->state == POOL_READY && pool->read_only,
		.connections = pool->n_ready,
		.busy = pool->n_busy,
		.waiting = pool->n_waiting,
		.outages = pool->outages,
	};
}

const struct conninfo *pool_conninfo(const struct pool *pool)
{
	return pool->info;
}

void pool_watch_add(struct pool *pool, struct pool_watch *watch)
{
	list_append(&pool->watchers, &watch->link);
}

void pool_watch_remove(struct pool_watch *watch)
{
	list_remove(&watch->link);
}

/* Watchers may come and go while they are told. */
static void pool_tell(struct pool *pool)
{
	struct list todo;
	list_move_all(&pool->watchers, &todo);
	while (!list_empty(&todo)) {
		struct pool_watch *watch = container_of(todo.next, struct pool_watch, link);
		struct pool_info info;
		list_remove(&watch->link);
		list_append(&pool->watchers, &watch->link);
		if (!pool->closing) {
			pool_get_info(pool, &info);
			watch->on_state(watch, &info);
		}
	}
}

void pool_set_state(struct pool *pool, enum pool_state state, const char *reason)
{
	bool changed = pool->state != state || strcmp(pool->reason, reason) != 0;

	if (pool->state != state) {
		pool->outages += pool->state == POOL_READY;
		pool->state = state;
		pool->since_us = clock_wall_us();
	}
	snprintf(pool->reason, sizeof(pool->reason), "%s", reason);
	if (state == POOL_DOWN)
		pool_fail_waiting(pool, -ENOTCONN);
	if (changed)
		pool_tell(pool);
}

void pool_set_read_only(struct pool *pool, bool read_only)
{
	if (pool->read_only == read_only)
		return;
	pool->read_only = read_only;
	pool_probe_arm(pool);
	if (pool->state == POOL_READY)
		pool_tell(pool);
}

/* Answers a call that is in no list any more. */
static void call_finish(struct pool_call *call, const struct pg_reply *reply)
{
	pool_done_fn cb = call->cb;
	void *arg = call->arg;
	pg_batch_free(call->batch);
	free(call);
	if (cb != NULL)
		cb(reply, arg);
}

/* Calls wait to be told that they failed. */
static void on_soon(uv_timer_t *timer)
{
	struct pool *pool = container_of(timer, struct pool, soon);
	struct list todo;
	list_move_all(&pool->failed, &todo);
	while (!list_empty(&todo)) {
		struct pool_call *call = container_of(todo.next, struct pool_call, link);
		struct pg_reply reply;
		char text[PG_MAX_MESSAGE + 64 + 40];
		snprintf(text, sizeof(text), "PostgreSQL cannot be reached: %s", pool->reason);
		reply_set(&reply, call->err,
			call->err == -ENOTCONN && pool->reason[0] != '\0' ? text : NULL);
		list_remove(&call->link);
		call_finish(call, &reply);
	}
}

static void call_fail(struct pool_call *call, int err)
{
	struct pool *pool = call->pool;
	call->err = err;
	list_append(&pool->failed, &call->link);
	if (!uv_is_closing((uv_handle_t *)&pool->soon))
		uv_timer_start(&pool->soon, on_soon, 0, 0);
}

static size_t call_class(const struct pool_call *call)
{
	return (call->flags & POOL_BACKGROUND) != 0 ? WAIT_BACKGROUND : WAIT_PAGES;
}

/* at_head: it had its turn already. */
static void call_queue(struct pool_call *call, bool at_head)
{
	struct list *queue = &call->pool->waiting[call_class(call)];
	list_insert(at_head ? queue : queue->prev, &call->link);
	call->waiting = true;
	call->pool->n_waiting++;
}

static void call_leave_queue(struct pool_call *call)
{
	list_remove(&call->link);
	call->waiting = false;
	call->pool->n_waiting--;
}

void pool_fail_waiting(struct pool *pool, int err)
{
	for (size_t i = 0; i < WAIT_CLASSES; i++) {
		list_foreach(at, tmp, &pool->waiting[i])
		{
			struct pool_call *call = container_of(at, struct pool_call, link);
			call_leave_queue(call);
			call_fail(call, err);
		}
	}
}

static void pool_arm_sweep(struct pool *pool);

/* The earliest deadline among the waiting calls has come. */
static void on_sweep(uv_timer_t *timer)
{
	struct pool *pool = container_of(timer, struct pool, sweep);
	uint64_t now = uv_now(pool->loop);
	for (size_t i = 0; i < WAIT_CLASSES; i++) {
		list_foreach(at, tmp, &pool->waiting[i])
		{
			struct pool_call *call = container_of(at, struct pool_call, link);
			if (call->deadline_ms <= now) {
				call_leave_queue(call);
				call_fail(call, -ETIMEDOUT);
			}
		}
	}
	pool_arm_sweep(pool);
}

/* At most POOL_MAX_WAITING calls wait, so looking at all of them is cheap. */
static void pool_arm_sweep(struct pool *pool)
{
	uint64_t earliest = UINT64_MAX, now = uv_now(pool->loop);
	for (size_t i = 0; i < WAIT_CLASSES; i++) {
		list_foreach(at, tmp, &pool->waiting[i])
		{
			struct pool_call *call = container_of(at, struct pool_call, link);
			earliest = MIN(earliest, call->deadline_ms);
		}
	}
	if (earliest == UINT64_MAX || pool->closing)
		uv_timer_stop(&pool->sweep);
	else
		uv_timer_start(&pool->sweep, on_sweep, earliest > now ? earliest - now : 0, 0);
}

/* The call that is next in turn, or NULL. */
static struct pool_call *pool_next_call(struct pool *pool)
{
	if (!list_empty(&pool->waiting[WAIT_PAGES]))
		return container_of(pool->waiting[WAIT_PAGES].next, struct pool_call, link);
	unsigned room = pool->max_connections > 1 ? pool->max_connections - 1 : 1;
	if (!list_empty(&pool->waiting[WAIT_BACKGROUND]) && pool->n_background < room)
		return container_of(pool->waiting[WAIT_BACKGROUND].next, struct pool_call, link);
	return NULL;
}

void pool_dispatch(struct pool *pool)
{
	struct pool_call *call;
	bool moved = false;
	while (!pool->closing && pool->state == POOL_READY &&
		(call = pool_next_call(pool)) != NULL) {
		struct pool_conn *conn = pool_free_conn(pool);
		if (conn == NULL) {
			pool_grow(pool);
			break;
		}
		call_leave_queue(call);
		pool_conn_run(conn, call);
		moved = true;
	}
	if (moved)
		pool_arm_sweep(pool);
}

void pool_call_answered(struct pool *pool, struct pool_call *call, const struct pg_reply *reply)
{
	if (reply->err == -ECONNRESET && (call->flags & POOL_IDEMPOTENT) != 0 &&
		call->tries < POOL_MAX_TRIES && call->cb != NULL && !pool->closing &&
		call->deadline_ms > uv_now(pool->loop)) {
		call_queue(call, true);
		pool_arm_sweep(pool);
	} else {
		call_finish(call, reply);
	}
	pool_dispatch(pool);
}

struct pool_call *pool_run(struct pool *pool, struct pg_batch *batch, unsigned flags,
	unsigned deadline_ms, pool_done_fn cb, void *arg)
{
	struct pool_call *call = xcalloc(1, sizeof(*call));
	list_init(&call->link);
	call->pool = pool;
	call->batch = batch;
	call->flags = flags;
	call->deadline_ms = uv_now(pool->loop) + (deadline_ms > 0 ? deadline_ms : POOL_DEADLINE_MS);
	call->cb = cb;
	call->arg = arg;
	if (pool->closing) {
		call_fail(call, -ECANCELED);
	} else if (batch->err != 0) {
		call_fail(call, batch->err);
	} else if (pool->state == POOL_DOWN) {
		call_fail(call, -ENOTCONN);
	} else if (pool->n_waiting >= POOL_MAX_WAITING) {
		call_fail(call, -ENOBUFS);
	} else {
		call_queue(call, false);
		pool_arm_sweep(pool);
		pool_dispatch(pool);
	}
	return call;
}

void pool_call_forget(struct pool_call *call)
{
	if (call == NULL)
		return;
	call->cb = NULL;
	/* One that runs goes on to its end, unheard. */
	if (call->waiting) {
		call_leave_queue(call);
		call_fail(call, -ECANCELED);
	}
}

struct pool *pool_open(uv_loop_t *loop, const struct pool_opts *opts, struct err *err)
{
	struct conninfo *info = conninfo_parse(opts->database_url, err);
	if (info == NULL)
		return NULL;
	struct pool *pool = xcalloc(1, sizeof(*pool));
	pool->loop = loop;
	pool->info = info;
	pool->migrate = opts->migrate;
	pool->max_connections =
		opts->max_connections > 0 ? opts->max_connections : POOL_DEFAULT_CONNECTIONS;
	pool->max_connections = MIN(pool->max_connections, (unsigned)POOL_MAX_CONNECTIONS);
	pool->since_us = clock_wall_us();
	list_init(&pool->watchers);
	list_init(&pool->conns);
	list_init(&pool->failed);
	for (size_t i = 0; i < WAIT_CLASSES; i++)
		list_init(&pool->waiting[i]);
	uv_timer_init(loop, &pool->again);
	uv_timer_init(loop, &pool->sweep);
	uv_timer_init(loop, &pool->soon);
	uv_timer_init(loop, &pool->probe);
	pool->n_handles = 4;
	pool_connect(pool);
	return pool;
}

void pool_maybe_closed(struct pool *pool)
{
	if (!pool->closing || pool->n_handles > 0 || pool->n_conns > 0)
		return;
	/* Those who were told nothing yet, and what their callbacks asked for meanwhile. */
	pool_fail_waiting(pool, -ECANCELED);
	while (!list_empty(&pool->failed))
		on_soon(&pool->soon);
	void (*on_closed)(void *) = pool->on_closed;
	void *arg = pool->closed_arg;
	list_foreach(at, tmp, &pool->watchers)
	{
		list_remove(at);
	}
	conninfo_free(pool->info);
	free(pool);
	if (on_closed != NULL)
		on_closed(arg);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct pool *pool = handle->data;
	pool->n_handles--;
	pool_maybe_closed(pool);
}

void pool_close(struct pool *pool, void (*on_closed)(void *arg), void *arg)
{
	assert(!pool->closing);
	uv_timer_t *timers[] = {&pool->again, &pool->sweep, &pool->soon, &pool->probe};
	pool->closing = true;
	pool->on_closed = on_closed;
	pool->closed_arg = arg;
	pool_conn_close_all(pool);
	for (size_t i = 0; i < ARRAY_LEN(timers); i++) {
		timers[i]->data = pool;
		uv_close((uv_handle_t *)timers[i], on_handle_closed);
	}
}
