/*
 * Owns one struct pg, two timers, and the leases.
 *
 * Happy path: the pool is ready → connect → LISTEN → up: watchers are told, and the leases in
 * `todo` are locked or unlocked one after the other.
 *
 * Failure modes: the connection breaks: a lease that is being asked for gets LEASE_AWAY, others
 * wait for CHANNEL_PATIENCE_MS before they get that too, those held are lost (LEASE_LOST: nothing
 * to unlock any more); it connects again while the pool is ready, after a wait that doubles.
 * Everything that calls out does so from a timer or a callback of pg.
 *
 * States of a lease: WANTED → ASKING → HELD → UNLOCKING, or WANTED → ASKING → REFUSED; a lost
 * connection makes each of them LOST. A released lease is freed as soon as pg is not busy with it.
 */
#include "core/db/channel.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/db/pg.h"

#define LISTEN_SQL "LISTEN " CHANNEL_NAME
#define LOCK_SQL "SELECT pg_catalog.pg_try_advisory_lock($1)"
#define UNLOCK_SQL "SELECT pg_catalog.pg_advisory_unlock($1)"

enum lease_state {
	STATE_WANTED,
	STATE_ASKING,
	STATE_HELD,
	STATE_UNLOCKING,
	STATE_REFUSED, /* answered, not held */
	STATE_AWAY,    /* LEASE_AWAY is still to be told */
	STATE_LOST,
};

struct lease {
	struct list link; /* channel.todo, or channel.idle */
	struct channel *channel;
	int64_t key;
	enum lease_state state;
	bool released;
	lease_fn cb;
	void *arg;
};

struct channel {
	uv_loop_t *loop;
	struct pool *pool;
	struct pool_watch pool_watch;
	struct pg *pg; /* NULL: no connection */
	bool up;
	unsigned failures;
	struct list watchers; /* channel_watch.link */
	struct list todo;     /* lease.link: WANTED, UNLOCKING, AWAY */
	struct list idle;     /* lease.link: the others */
	struct lease *busy;   /* what pg works at */
	unsigned n_leases;
	uv_timer_t again, soon;
	unsigned n_closing;
	bool closing;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

static void channel_connect(struct channel *c);
static void channel_work(struct channel *c);

static void lease_free(struct lease *lease)
{
	list_remove(&lease->link);
	if (lease->channel != NULL)
		lease->channel->n_leases--;
	free(lease);
}

static void lease_move(struct lease *lease, struct list *to, enum lease_state state)
{
	list_remove(&lease->link);
	list_append(to, &lease->link);
	lease->state = state;
}

/* Leases wait to be told that nobody can be asked. */
static void on_soon(uv_timer_t *timer)
{
	struct channel *c = container_of(timer, struct channel, soon);
	struct list all;

	list_move_all(&c->todo, &all);
	while (!list_empty(&all)) {
		struct lease *lease = container_of(all.next, struct lease, link);
		if (lease->state != STATE_AWAY && (lease->state != STATE_WANTED || c->up)) {
			lease_move(lease, &c->todo, lease->state);
			continue;
		}
		lease_move(lease, &c->idle, STATE_LOST);
		lease->cb(LEASE_AWAY, lease->arg);
	}
	channel_work(c);
}

/* Leases that cannot be asked for yet are told so when this has lasted for long. */
static void channel_wait(struct channel *c)
{
	if (!uv_is_active((uv_handle_t *)&c->soon))
		uv_timer_start(&c->soon, on_soon, CHANNEL_PATIENCE_MS, 0);
}

static void lease_tell_away(struct lease *lease)
{
	struct channel *c = lease->channel;
	lease_move(lease, &c->todo, STATE_AWAY);
	uv_timer_start(&c->soon, on_soon, 0, 0);
}

/* The connection is gone, and with it all locks. */
static void channel_lose(struct channel *c)
{
	c->up = false;
	if (c->busy != NULL) {
		struct lease *lease = c->busy;
		c->busy = NULL;
		if (lease->released)
			lease_free(lease);
		else
			lease_tell_away(lease);
	}
	list_foreach(at, tmp, &c->todo)
	{
		struct lease *lease = container_of(at, struct lease, link);
		if (lease->state == STATE_UNLOCKING)
			lease_free(lease);
		else if (lease->state == STATE_WANTED)
			channel_wait(c);
	}
	list_foreach(at, tmp, &c->idle)
	{
		container_of(at, struct lease, link)->state = STATE_LOST;
	}
}

/* A lock was taken or refused, or given back. */
static void on_answer(const struct pg_reply *reply, void *arg)
{
	struct channel *c = arg;
	struct lease *lease = c->busy;

	if (lease == NULL || (reply->err != 0 && reply->err != -EREMOTEIO))
		return; /* it broke: on_down follows */
	c->busy = NULL;
	if (reply->err != 0 && !lease->released) {
		lease_tell_away(lease);
		return;
	}
	bool held = reply->err == 0 && lease->state == STATE_ASKING &&
		    pg_get_bool(reply->results[0], 0, 0);
	if (lease->state == STATE_UNLOCKING || (lease->released && !held)) {
		lease_free(lease);
	} else if (lease->released) {
		lease_move(lease, &c->todo, STATE_UNLOCKING);
	} else {
		lease_move(lease, &c->idle, held ? STATE_HELD : STATE_REFUSED);
		lease->cb(held ? LEASE_HELD : LEASE_TAKEN, lease->arg);
	}
	channel_work(c);
}

static void channel_work(struct channel *c)
{
	if (!c->up || c->closing || c->busy != NULL || !pg_is_idle(c->pg))
		return;
	list_foreach(at, tmp, &c->todo)
	{
		struct lease *lease = container_of(at, struct lease, link);
		if (lease->state == STATE_AWAY)
			continue;
		bool lock = lease->state == STATE_WANTED;
		const struct pg_param key = pg_i64(lease->key);
		lease_move(lease, &c->idle, lock ? STATE_ASKING : STATE_UNLOCKING);
		c->busy = lease;
		pg_run(c->pg, pg_batch_one(lock ? LOCK_SQL : UNLOCK_SQL, &key, 1),
			CHANNEL_DEADLINE_MS, on_answer, c);
		return;
	}
}

struct lease *channel_lease(struct channel *c, int64_t key, lease_fn cb, void *arg)
{
	struct lease *lease = xcalloc(1, sizeof(*lease));
	lease->channel = c;
	lease->key = key;
	lease->cb = cb;
	lease->arg = arg;
	list_append(&c->todo, &lease->link);
	c->n_leases++;
	if (c->n_leases > CHANNEL_MAX_LEASES)
		lease_tell_away(lease);
	else if (!c->up)
		channel_wait(c);
	else
		channel_work(c);
	return lease;
}

void lease_release(struct lease *lease)
{
	if (lease == NULL)
		return;
	assert(!lease->released);
	lease->released = true;
	if (lease->channel == NULL ||
		(lease->state != STATE_HELD && lease->state != STATE_ASKING)) {
		lease_free(lease);
	} else if (lease->state == STATE_HELD) {
		struct channel *c = lease->channel;
		lease_move(lease, &c->todo, STATE_UNLOCKING);
		channel_work(c);
	}
}

/* ---- the connection ---- */

/* Watchers may come and go while they are told. text NULL: it is up. */
static void channel_tell(struct channel *c, const char *text)
{
	struct list todo;
	list_move_all(&c->watchers, &todo);
	while (!list_empty(&todo)) {
		struct channel_watch *watch = container_of(todo.next, struct channel_watch, link);
		list_remove(&watch->link);
		list_append(&c->watchers, &watch->link);
		if (c->closing)
			continue;
		if (text != NULL)
			watch->on_notify(watch, text);
		else if (watch->on_up != NULL)
			watch->on_up(watch);
	}
}

static void on_notify(struct pg *pg, const char *text, void *arg)
{
	(void)pg;
	channel_tell(arg, text);
}

static void on_pg_closed(void *arg)
{
	struct channel *c = arg;
	if (c->closing && --c->n_closing == 0) {
		void (*on_closed)(void *) = c->on_closed;
		void *closed_arg = c->closed_arg;
		free(c);
		on_closed(closed_arg);
	}
}

static void on_pg_gone(void *arg)
{
	(void)arg; /* one that broke; another may be there already */
}

static void on_again(uv_timer_t *timer)
{
	channel_connect(container_of(timer, struct channel, again));
}

/* The connection failed or broke. */
static void on_down(struct pg *pg, const char *reason, void *arg)
{
	struct channel *c = arg;
	unsigned ms = (unsigned)CHANNEL_RETRY_MIN_MS << MIN(c->failures, 5u);

	(void)reason;
	c->pg = NULL;
	pg_close(pg, on_pg_gone, NULL);
	c->failures++;
	channel_lose(c);
	uv_timer_start(&c->again, on_again, MIN(ms, CHANNEL_RETRY_MAX_MS), 0);
}

/* It listens, or was refused. */
static void on_listening(const struct pg_reply *reply, void *arg)
{
	struct channel *c = arg;
	if (reply->err != 0)
		return; /* broken: on_down follows. Refused: it stays without use, which does no
			   harm */
	c->up = true;
	c->failures = 0;
	channel_tell(c, NULL);
	channel_work(c);
}

static void on_ready(struct pg *pg, void *arg)
{
	pg_run(pg, pg_batch_one(LISTEN_SQL, NULL, 0), CHANNEL_DEADLINE_MS, on_listening, arg);
}

static void channel_connect(struct channel *c)
{
	static const struct pg_callbacks callbacks = {
		.on_ready = on_ready, .on_down = on_down, .on_notify = on_notify};
	struct pool_info info;

	pool_get_info(c->pool, &info);
	if (c->pg != NULL || c->closing || info.state != POOL_READY)
		return;
	c->pg = pg_open(c->loop, pool_conninfo(c->pool), c->failures, &callbacks, c);
}

/* The pool came or went. */
static void on_pool_state(struct pool_watch *watch, const struct pool_info *info)
{
	struct channel *c = container_of(watch, struct channel, pool_watch);
	if (info->state == POOL_READY && c->pg == NULL) {
		c->failures = 0;
		uv_timer_start(&c->again, on_again, 0, 0);
	}
}

bool channel_is_up(const struct channel *c)
{
	return c->up;
}

void channel_watch_add(struct channel *c, struct channel_watch *watch)
{
	list_append(&c->watchers, &watch->link);
}

void channel_watch_remove(struct channel_watch *watch)
{
	list_remove(&watch->link);
}

struct channel *channel_open(uv_loop_t *loop, struct pool *pool)
{
	struct channel *c = xcalloc(1, sizeof(*c));
	c->loop = loop;
	c->pool = pool;
	list_init(&c->watchers);
	list_init(&c->todo);
	list_init(&c->idle);
	uv_timer_init(loop, &c->again);
	uv_timer_init(loop, &c->soon);
	c->pool_watch.on_state = on_pool_state;
	pool_watch_add(pool, &c->pool_watch);
	uv_timer_start(&c->again, on_again, 0, 0);
	return c;
}

static void on_timer_closed(uv_handle_t *handle)
{
	on_pg_closed(handle->data);
}

/* Their owners release them later, when there is no channel any more. */
static void leases_orphan(struct list *list)
{
	list_foreach(at, tmp, list)
	{
		struct lease *lease = container_of(at, struct lease, link);
		list_remove(at);
		if (lease->released)
			free(lease);
		else
			lease->channel = NULL;
	}
}

void channel_close(struct channel *c, void (*on_closed)(void *arg), void *arg)
{
	struct pg *pg = c->pg;
	assert(!c->closing);
	c->closing = true;
	c->on_closed = on_closed;
	c->closed_arg = arg;
	c->busy = NULL;
	c->up = false;
	c->pg = NULL;
	pool_watch_remove(&c->pool_watch);
	leases_orphan(&c->todo);
	leases_orphan(&c->idle);
	list_foreach(at, tmp, &c->watchers)
	{
		list_remove(at);
	}
	c->n_closing = 2 + (pg != NULL);
	c->again.data = c->soon.data = c;
	uv_close((uv_handle_t *)&c->again, on_timer_closed);
	uv_close((uv_handle_t *)&c->soon, on_timer_closed);
	if (pg != NULL)
		pg_close(pg, on_pg_closed, c);
}
