/*
 * Owns: the marks, the events that wait for a claim, and everything of notify_*.c.
 *
 * Happy path: notify_watch.c sees something -> notify_tell() -> it waits -> a batch of waiting
 * events is claimed in PostgreSQL (one transaction; the answer names who owns each) -> ours are
 * queued for their targets (notify_lane.c), all get a mark -> the state is written.
 *
 * The order makes it "at least once": a claim is ours again after a crash, since it names our
 * STATE_DIR's owner id, and a message is forgotten only when it was taken. Only when the process
 * dies between a target's answer and the next write of the state is something told twice.
 *
 * Failure modes: PostgreSQL known to be away: events are told at once, unclaimed. It does not
 * answer or is read-only: whatever waits by then is told unclaimed, so nothing waits for it twice.
 * Too many events wait: the oldest is dropped and counted.
 */
#include "core/app/notify/notify.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/app/notify/notify_internal.h"
#include "core/app/server.h"
#include "core/base/clock.h"
#include "core/base/log.h"

/* Who told it first tells it; a state that is another one is told anew. */
#define CLAIM_SQL                                                                                  \
	"INSERT INTO ops.notify_claims AS c (key, state, owner, time_us) VALUES ($1, $2, $3, $4)"  \
	" ON CONFLICT (key) DO UPDATE SET state = EXCLUDED.state,"                                 \
	" owner = CASE WHEN c.state = EXCLUDED.state THEN c.owner ELSE EXCLUDED.owner END,"        \
	" time_us = EXCLUDED.time_us RETURNING owner"
#define FORGET_SQL "DELETE FROM ops.notify_claims WHERE time_us < $1 AND key LIKE 'run/%'"
#define CLAIMS_KEPT_US (UINT64_C(60) * 24 * 3600 * 1000000)

struct notify_words notify_words(const struct notify *n)
{
	const struct host *host = hosts_primary(n->server->hosts);

	return (struct notify_words){
		.language = n->conf != NULL ? n->conf->language : NOTIFY_EN,
		.origin = n->server->cfg->public_origin,
		.host = host != NULL ? host_name(host) : "",
	};
}

/* ---- marks ---- */

struct notify_mark *notify_find_mark(const struct notify *n, const char *key)
{
	list_foreach(pos, tmp, &n->marks)
	{
		struct notify_mark *mark = container_of(pos, struct notify_mark, link);

		if (strcmp(mark->key, key) == 0)
			return mark;
	}
	return NULL;
}

void notify_drop_mark(struct notify *n, struct notify_mark *mark)
{
	if (mark == NULL)
		return;
	list_remove(&mark->link);
	n->n_marks--;
	free(mark);
	notify_state_touch(n);
}

/* Room for one more: the oldest of a run goes; a scan will not ask for it again. */
static void make_room(struct notify *n)
{
	struct notify_mark *victim = NULL;

	if (n->n_marks < NOTIFY_MAX_MARKS)
		return;
	list_foreach(pos, tmp, &n->marks)
	{
		struct notify_mark *mark = container_of(pos, struct notify_mark, link);

		if (victim == NULL || (mark->is_run && !victim->is_run))
			victim = mark;
		if (victim->is_run)
			break;
	}
	notify_drop_mark(n, victim);
}

void notify_set_mark(
	struct notify *n, const char *key, const char *state, uint64_t time_us, bool is_run)
{
	struct notify_mark *mark = notify_find_mark(n, key);

	if (mark == NULL) {
		make_room(n);
		mark = xcalloc(1, sizeof(*mark) + strlen(key) + 1);
		memcpy(mark->key, key, strlen(key));
		list_append(&n->marks, &mark->link);
		n->n_marks++;
	}
	snprintf(mark->state, sizeof(mark->state), "%s", state);
	mark->time_us = time_us;
	mark->is_run = is_run;
	notify_state_touch(n);
}

/* ---- claims ---- */

static void claim_next(struct notify *n);

static struct notify_item *first_waiting(struct notify *n)
{
	return container_of(n->waiting.next, struct notify_item, link);
}

static void drop_first_waiting(struct notify *n)
{
	struct notify_item *item = first_waiting(n);

	list_remove(&item->link);
	n->n_waiting--;
	free(item);
}

/* Whether the row says that we are to tell it. */
static bool row_is_ours(const struct notify *n, const struct pg_result *rows)
{
	struct pg_bytes_view owner;

	if (pg_rows(rows) != 1)
		return true;
	owner = pg_get_text(rows, 0, 0);
	return owner.len == strlen(n->owner) && memcmp(owner.data, n->owner, owner.len) == 0;
}

static void settle_claimed(struct notify *n, const struct pg_reply *reply)
{
	size_t n_claimed = n->n_claiming;

	n->n_claiming = 0;
	for (size_t i = 0; i < n_claimed; i++) {
		struct notify_item *item = first_waiting(n);
		bool ours = reply == NULL || row_is_ours(n, reply->results[i]);

		if (ours)
			notify_lanes_add(n, &item->event);
		else
			log_debug(LOG_EV("notify.told_elsewhere"), LOG_STR("key", item->event.key));
		drop_first_waiting(n);
	}
	notify_state_touch(n);
	notify_lanes_pump(n);
}

/* Nobody says who tells what: we tell all of it. */
static void settle_unclaimed(struct notify *n, const char *reason)
{
	log_warn(LOG_EV("notify.unclaimed"), LOG_INT("events", n->n_waiting),
		LOG_STR("reason", reason));
	n->n_claiming = n->n_waiting;
	settle_claimed(n, NULL);
}

/* PostgreSQL says who tells what, or cannot. */
static void on_claimed(const struct pg_reply *reply, void *arg)
{
	struct notify *n = arg;

	n->claim = NULL;
	if (reply->err == -ECANCELED)
		return; /* closing: they are in the state that is written */
	if (reply->err != 0) {
		settle_unclaimed(n, reply->message);
		return;
	}
	settle_claimed(n, reply);
	claim_next(n);
}

static void claim_next(struct notify *n)
{
	struct pg_batch *batch;
	struct pool_info pool;

	if (n->claim != NULL || n->n_waiting == 0 || n->closing)
		return;
	pool_get_info(n->server->pool, &pool);
	if (pool.state == POOL_DOWN) {
		settle_unclaimed(n, pool.reason);
		return;
	}
	batch = pg_batch_new();
	n->n_claiming = 0;
	list_foreach(pos, tmp, &n->waiting)
	{
		const struct notify_event *e = &container_of(pos, struct notify_item, link)->event;
		const struct pg_param params[] = {pg_text(e->key), pg_text(e->state),
			pg_text(n->owner), pg_u64(clock_wall_us())};

		if (n->n_claiming == NOTIFY_CLAIM_BATCH)
			break;
		pg_batch_add(batch, CLAIM_SQL, params, ARRAY_LEN(params));
		n->n_claiming++;
	}
	n->claim =
		pool_run(n->server->pool, batch, POOL_IDEMPOTENT, NOTIFY_CLAIM_MS, on_claimed, n);
}

static void forget_old_claims(struct notify *n)
{
	const struct pg_param before = pg_u64(clock_wall_us() - CLAIMS_KEPT_US);

	pool_run(n->server->pool, pg_batch_one(FORGET_SQL, &before, 1),
		POOL_IDEMPOTENT | POOL_BACKGROUND, 0, NULL, NULL);
}

/* Whether a rule is about it; of what has a state, about any of its states: the claim must follow
 * them all. Else who has told "bad" would own the next "bad" too, long after it was well again, and
 * when that dashboard is gone nobody would tell. */
static bool is_wanted(const struct notify *n, const struct notify_event *event)
{
	static const uint32_t agent = 1u << NOTIFY_AGENT_LOST | 1u << NOTIFY_AGENT_BACK,
			      levels = 1u << NOTIFY_STATUS_BAD | 1u << NOTIFY_STATUS_WARN |
				       1u << NOTIFY_STATUS_UNKNOWN | 1u << NOTIFY_STATUS_OK;
	uint32_t on = 1u << event->on;

	if ((on & agent) != 0)
		on = agent;
	else if ((on & levels) != 0)
		on = levels;
	for (size_t i = 0; n->conf != NULL && i < n->conf->n_rules; i++) {
		if ((n->conf->rules[i].on & on) != 0)
			return true;
	}
	return false;
}

void notify_tell(struct notify *n, const struct notify_event *event)
{
	struct notify_item *item;

	if (n->closing || !is_wanted(n, event))
		return;
	if (n->n_waiting == NOTIFY_MAX_WAITING) {
		/* Those that are being claimed stay until the answer. */
		struct list *at = n->waiting.next;

		for (size_t i = 0; i < n->n_claiming; i++)
			at = at->next;
		list_remove(at);
		free(container_of(at, struct notify_item, link));
		n->n_waiting--;
		log_warn(LOG_EV("notify.dropped"), LOG_STR("reason", "too many events"));
	}
	item = xcalloc(1, sizeof(*item));
	item->event = *event;
	list_append(&n->waiting, &item->link);
	n->n_waiting++;
	notify_state_touch(n);
	claim_next(n);
}

/* ---- birth, reload and death ---- */

static void free_lists(struct notify *n)
{
	while (!list_empty(&n->marks))
		notify_drop_mark(n, container_of(n->marks.next, struct notify_mark, link));
	while (!list_empty(&n->waiting))
		drop_first_waiting(n);
	while (!list_empty(&n->tallies)) {
		struct list *at = n->tallies.next;

		list_remove(at);
		free(container_of(at, struct notify_tally, link));
	}
	notify_lanes_free(n);
	json_decref(n->seen);
	buf_fini(&n->saved);
	if (n->dir_fd >= 0)
		close(n->dir_fd);
}

struct notify *notify_open(struct server *server, struct err *err)
{
	struct notify *n = xcalloc(1, sizeof(*n));

	n->server = server;
	n->conf = server->cfg->notify;
	n->dir_fd = -1;
	list_init(&n->marks);
	list_init(&n->waiting);
	list_init(&n->lanes);
	list_init(&n->tallies);
	list_init(&n->lines);
	list_init(&n->hosts);
	notify_lanes_configure(n);
	n->closing = true; /* nothing is written or begun while it is put together */
	if (notify_state_load(n, err) < 0) {
		free_lists(n);
		free(n);
		return NULL;
	}
	n->closing = false;
	n->outgoing = outgoing_open(server->loop);
	uv_timer_init(server->loop, &n->due);
	uv_timer_init(server->loop, &n->save_soon);
	n->due.data = n->save_soon.data = n;
	notify_watch_open(n);
	forget_old_claims(n);
	notify_state_touch(n);
	claim_next(n);
	notify_lanes_pump(n);
	return n;
}

void notify_reload(struct notify *n)
{
	bool was_off = n->conf == NULL;

	n->conf = n->server->cfg->notify;
	notify_lanes_configure(n);
	list_foreach(pos, tmp, &n->hosts)
	{
		struct notify_host *h = container_of(pos, struct notify_host, link);

		if (was_off) /* what was before is no news */
			h->seen_us = clock_wall_us() + NOTIFY_SLACK_US;
	}
	notify_watch_configure(n);
	notify_lanes_pump(n);
}

void notify_part_closed(void *arg)
{
	struct notify *n = arg;
	void (*on_closed)(void *) = n->on_closed;
	void *closed_arg = n->closed_arg;

	if (--n->n_closing > 0)
		return;
	free_lists(n);
	free(n);
	on_closed(closed_arg);
}

static void on_handle_closed(uv_handle_t *handle)
{
	notify_part_closed(handle->data);
}

void notify_close(struct notify *n, void (*on_closed)(void *arg), void *arg)
{
	assert(!n->closing);
	n->closing = true;
	n->on_closed = on_closed;
	n->closed_arg = arg;
	pool_call_forget(n->claim);
	n->claim = NULL;
	n->n_claiming = 0;
	notify_lines_forget(n);
	n->n_closing = 3 + n->n_hosts + (n->saving ? 1 : 0);
	notify_state_close(n);
	notify_watch_close(n);
	uv_close((uv_handle_t *)&n->due, on_handle_closed);
	uv_close((uv_handle_t *)&n->save_soon, on_handle_closed);
	outgoing_close(n->outgoing, notify_part_closed, n);
}
