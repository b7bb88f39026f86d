/*
 * Owns a timer that comes on every slot of the wall clock, the moments that are not in PostgreSQL,
 * and at most one call to the pool.
 *
 * Happy path: the slot's time has come -> the newest document is sampled -> SAMPLES_BATCH moments
 * are held -> they are written in one transaction -> the database rolls up -> the next slots.
 *
 * Failure modes: PostgreSQL is away, or the transaction failed for a reason that passes: the
 * moments stay, and are written when the pool is ready; of more than SAMPLES_MAX_HELD the oldest
 * goes. A moment that the database refuses for good is dropped with its batch, and said. A failed
 * roll-up is repeated with the next batch.
 */
#include "core/app/status/samples.h"

#include <stdlib.h>
#include <string.h>

#include "core/app/server.h"
#include "core/app/status/sample.h"
#include "core/base/clock.h"
#include "core/base/log.h"

#define PUT_SQL "SELECT ops.metric_put($1, $2, $3)"
#define ROLL_UP_SQL "SELECT ops.metric_roll_up($1)"
#define SLOT_US (SAMPLE_EVERY_S * CLOCK_SECOND_US)

struct moment {
	struct list link; /* samples.held */
	uint64_t time_us;
	char *host;
	char *text;
};

struct samples {
	struct server *server;
	struct host *host;
	struct pool_watch watch;
	struct pool_call *call;
	struct list held; /* moment.link, oldest first */
	size_t n_held, n_sent;
	uint64_t last_us; /* the slot that was sampled last */
	bool told_dropped, told_left_out;
	struct samples_counts counts;
	uv_timer_t timer;
	bool closing;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

static void moment_free(struct moment *moment)
{
	list_remove(&moment->link);
	free(moment->host);
	free(moment->text);
	free(moment);
}

static void drop_oldest(struct samples *s)
{
	moment_free(container_of(s->held.next, struct moment, link));
	s->n_held--;
}

/* ---- PostgreSQL ---- */

static void write_held(struct samples *s);
static void finish(struct samples *s);

/* The database has rolled up, or not. */
static void on_rolled_up(const struct pg_reply *reply, void *arg)
{
	struct samples *s = arg;

	s->call = NULL;
	if (reply->err != 0 && !pg_reply_is_temporary(reply))
		log_warn(LOG_EV("samples.not_rolled_up"), LOG_STR("reason", reply->message));
	if (s->n_held >= SAMPLES_BATCH)
		write_held(s);
}

static void roll_up(struct samples *s)
{
	const struct pg_param now = pg_u64(clock_wall_us());

	s->call = pool_run(s->server->pool, pg_batch_one(ROLL_UP_SQL, &now, 1),
		POOL_IDEMPOTENT | POOL_BACKGROUND, SAMPLES_ROLL_UP_MS, on_rolled_up, s);
}

/* The moments that were sent are in, or not. */
static void on_written(const struct pg_reply *reply, void *arg)
{
	struct samples *s = arg;
	bool refused = reply->err != 0 && !pg_reply_is_temporary(reply);
	size_t n = s->n_sent;

	s->call = NULL;
	s->n_sent = 0;
	if (reply->err == 0 || refused) {
		for (size_t i = 0; i < n; i++)
			drop_oldest(s);
	}
	if (refused) {
		s->counts.dropped += n;
		log_warn(LOG_EV("samples.refused"), LOG_INT("moments", n),
			LOG_STR("reason", reply->message));
	} else if (reply->err == 0) {
		s->counts.written += n;
		s->told_dropped = false;
	}
	if (s->closing)
		finish(s);
	else if (reply->err == 0)
		roll_up(s);
}

static bool database_takes_writes(const struct samples *s)
{
	struct pool_info info;

	pool_get_info(s->server->pool, &info);
	return info.state == POOL_READY && !info.read_only;
}

static void write_held(struct samples *s)
{
	struct pg_batch *batch;

	if (s->call != NULL || s->n_held == 0 || !database_takes_writes(s))
		return;
	batch = pg_batch_new();
	list_foreach(at, tmp, &s->held)
	{
		const struct moment *moment = container_of(at, struct moment, link);
		const struct pg_param params[] = {
			pg_text(moment->host), pg_u64(moment->time_us), pg_text(moment->text)};

		pg_batch_add(batch, PUT_SQL, params, ARRAY_LEN(params));
		if (++s->n_sent == SAMPLES_MAX_BATCH)
			break;
	}
	s->call = pool_run(s->server->pool, batch, POOL_IDEMPOTENT | POOL_BACKGROUND,
		s->closing ? SAMPLES_CLOSE_MS : 0, on_written, s);
}

static void on_pool_state(struct pool_watch *watch, const struct pool_info *info)
{
	struct samples *s = container_of(watch, struct samples, watch);

	if (info->state == POOL_READY && s->n_held >= SAMPLES_BATCH)
		write_held(s);
}

/* ---- the clock ---- */

/* Room for one more; those that are being written stay. */
static void make_room(struct samples *s)
{
	if (s->n_held < SAMPLES_MAX_HELD || s->n_sent > 0)
		return;
	drop_oldest(s);
	s->counts.dropped++;
	if (!s->told_dropped)
		log_warn(LOG_EV("samples.dropped"), LOG_INT("held", s->n_held),
			LOG_STR("reason", "the database is away for too long"));
	s->told_dropped = true;
}

static void take(struct samples *s, uint64_t slot_us)
{
	const json_t *doc = status_document(s->host->status);
	const char *host = json_string_value(json_object_get(doc, "host"));
	struct moment *moment;
	size_t left_out;
	char *text;

	if (doc == NULL || host == NULL || slot_us <= s->last_us ||
		status_age_us(s->host->status) > SAMPLES_MAX_AGE_US)
		return;
	text = sample_text(doc, &left_out);
	if (left_out > 0 && !s->told_left_out)
		log_warn(LOG_EV("samples.too_many"), LOG_INT("left_out", left_out),
			LOG_INT("most", SAMPLE_MAX_SERIES));
	s->told_left_out = left_out > 0;
	if (text == NULL)
		return;
	make_room(s);
	moment = xcalloc(1, sizeof(*moment));
	moment->time_us = slot_us;
	moment->host = xstrdup(host);
	moment->text = text;
	list_append(&s->held, &moment->link);
	s->n_held++;
	s->last_us = slot_us;
}

static void await_slot(struct samples *s);

/* A slot of the wall clock has begun. */
static void on_slot(uv_timer_t *timer)
{
	struct samples *s = timer->data;
	uint64_t now = clock_wall_us() + CLOCK_SECOND_US / 2; /* a timer may be early */

	if (now < s->last_us) /* the clock was set back: go on from there */
		s->last_us = 0;
	status_ensure(s->host->status);
	take(s, now - now % SLOT_US);
	if (s->n_held >= SAMPLES_BATCH)
		write_held(s);
	await_slot(s);
}

static void await_slot(struct samples *s)
{
	uint64_t left_us = SLOT_US - clock_wall_us() % SLOT_US;

	uv_timer_start(&s->timer, on_slot, left_us / 1000 + 1, 0);
}

/* ---- from open to close ---- */

struct samples_counts samples_counts(const struct samples *samples)
{
	struct samples_counts counts = samples->counts;

	counts.held = samples->n_held;
	return counts;
}

struct samples *samples_open(struct host *host)
{
	struct server *server = host->server;
	struct samples *s = xcalloc(1, sizeof(*s));

	s->server = server;
	s->host = host;
	list_init(&s->held);
	s->watch.on_state = on_pool_state;
	pool_watch_add(server->pool, &s->watch);
	uv_timer_init(server->loop, &s->timer);
	s->timer.data = s;
	await_slot(s);
	return s;
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct samples *s = handle->data;
	void (*on_closed)(void *arg) = s->on_closed;
	void *arg = s->closed_arg;

	while (!list_empty(&s->held))
		drop_oldest(s);
	free(s);
	on_closed(arg);
}

static void finish(struct samples *s)
{
	uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

void samples_close(struct samples *s, void (*on_closed)(void *arg), void *arg)
{
	s->closing = true;
	s->on_closed = on_closed;
	s->closed_arg = arg;
	pool_watch_remove(&s->watch);
	uv_timer_stop(&s->timer);
	pool_call_forget(s->call);
	s->call = NULL;
	s->n_sent = 0;
	write_held(s);
	if (s->call == NULL)
		finish(s);
}
