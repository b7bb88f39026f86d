/*
 * Owns the list of runs that need work (`tracked`), up to ARCHIVER_MAX_JOBS jobs, at most one scan,
 * three timers. What the runs are and how far comes from the agent; how far they are archived from
 * the database.
 *
 * Happy path: agent and database are there → scan (archive_scan.c) finds what is missing; from then
 * on the agent's run.changed events do. Each run with something to archive is due at once or, while
 * it goes on and is only a little ahead, some seconds later. Due runs get jobs (archive_job.c) in
 * turns; while viewers are given a flood, all of them pause after each transaction
 * (archive_pace.h).
 *
 * Failure modes: either side gone: jobs end by themselves and nothing new starts until both are
 * back, then the scan is made again. A job that failed is due again after a backoff. A run whose
 * copy cannot be made right is left for ARCHIVER_DAMAGED_RETRY_MS and noted in its row. More runs
 * than can be tracked: the rest is found by another scan when these are done.
 */
#include "core/app/archive/archiver.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/archive/archive_batch.h"
#include "core/app/archive/archiver_internal.h"
#include "core/base/clock.h"

const char *archiver_state_name(enum archiver_state state)
{
	switch (state) {
	case ARCHIVER_IDLE:
		return "idle";
	case ARCHIVER_WORKING:
		return "working";
	case ARCHIVER_WAITING_FOR_DATABASE:
		return "waiting_for_database";
	case ARCHIVER_WAITING_FOR_AGENT:
		return "waiting_for_agent";
	}
	return "unknown";
}

void archiver_get_status(const struct archiver *a, struct archiver_status *ret_status)
{
	*ret_status = a->status;
	ret_status->behind_runs = ret_status->behind_bytes = ret_status->damaged_runs = 0;
	list_foreach(at, tmp, &a->tracked)
	{
		const struct tracked *t = container_of(at, struct tracked, link);
		uint64_t behind = tracked_behind(t);
		ret_status->behind_bytes += behind;
		ret_status->behind_runs += behind > 0 || t->final;
		ret_status->damaged_runs += t->damaged;
		if (t->job != NULL)
			ret_status->archived_bytes += archive_job_bytes(t->job);
	}
	ret_status->problem =
		a->problem[0] == '\0' && ret_status->damaged_runs > 0 ? a->damage : a->problem;
}

/* Time to say how things are. */
static void on_tell(uv_timer_t *timer)
{
	struct archiver *a = container_of(timer, struct archiver, tell);
	struct archiver_status status;
	archiver_get_status(a, &status);
	if (a->on_change != NULL)
		a->on_change(&status, a->arg);
}

void archiver_touch(struct archiver *a)
{
	if (!uv_is_active((uv_handle_t *)&a->tell))
		uv_timer_start(&a->tell, on_tell, ARCHIVER_TELL_MS, 0);
}

static void archiver_set_state(struct archiver *a, enum archiver_state state)
{
	if (a->status.state == state)
		return;
	a->status.state = state;
	a->status.since_us = clock_wall_us();
	archiver_touch(a);
}

void archiver_problem(struct archiver *a, const char *message)
{
	snprintf(a->problem, sizeof(a->problem), "%s", message);
	archiver_touch(a);
}

unsigned archiver_backoff_ms(unsigned failures)
{
	unsigned ms = ARCHIVER_BACKOFF_MIN_MS;
	for (unsigned i = 1; i < failures && ms < ARCHIVER_BACKOFF_MAX_MS; i++)
		ms *= 2;
	return MIN(ms, ARCHIVER_BACKOFF_MAX_MS);
}

/* ---- scans ---- */

static void on_scan_run(const struct rundoc *doc, void *arg)
{
	archiver_note(arg, doc);
}

static void on_scan_done(const char *problem, void *arg)
{
	struct archiver *a = arg;
	a->scan = NULL;
	if (problem[0] == '\0') {
		a->scanned = true;
		a->scan_failures = 0;
	} else {
		archiver_problem(a, problem);
		a->scan_failures++;
		a->scan_ms = uv_now(a->loop) + archiver_backoff_ms(a->scan_failures);
	}
	archiver_pump(a);
}

static bool archiver_wants_scan(const struct archiver *a)
{
	return a->scan == NULL &&
	       (!a->scanned || (a->overflow && a->n_tracked < ARCHIVER_MAX_TRACKED / 2));
}

static void archiver_scan(struct archiver *a)
{
	static const struct archive_scan_callbacks callbacks = {
		.on_run = on_scan_run, .on_done = on_scan_done};
	a->scanned = false;
	a->overflow = false;
	a->scan = archive_scan_start(a->agent, a->pool, a->others, &callbacks, a);
}

/* ---- what to do now ---- */

static void archiver_judge(struct archiver *a)
{
	if (!a->database_up || a->database_fails)
		archiver_set_state(a, ARCHIVER_WAITING_FOR_DATABASE);
	else if (!a->agent_up)
		archiver_set_state(a, ARCHIVER_WAITING_FOR_AGENT);
	else if (a->n_jobs > 0 || a->scan != NULL)
		archiver_set_state(a, ARCHIVER_WORKING);
	else
		archiver_set_state(a, ARCHIVER_IDLE);
}

/* Somebody may have a turn now. */
static void on_due(uv_timer_t *timer)
{
	archiver_pump(container_of(timer, struct archiver, due));
}

void archiver_pump(struct archiver *a)
{
	uint64_t now = uv_now(a->loop), next = NEVER;
	if (a->on_closed != NULL)
		return;
	if (a->agent_up && a->database_up) {
		if (archiver_wants_scan(a)) {
			if (a->scan_ms <= now)
				archiver_scan(a);
			else
				next = a->scan_ms;
		}
		next = MIN(next, archiver_give_turns(a, now));
	}
	if (next != NEVER)
		uv_timer_start(&a->due, on_due, next - now, 0);
	else
		uv_timer_stop(&a->due);
	archiver_judge(a);
}

/* One side has come back: everything may have one more try at once. */
static void archiver_refresh(struct archiver *a)
{
	a->scanned = false;
	a->scan_ms = 0;
	list_foreach(at, tmp, &a->tracked)
	{
		struct tracked *t = container_of(at, struct tracked, link);
		if (t->job == NULL && !t->damaged && t->failures > 0)
			t->due_ms = 0;
	}
}

/* The agent came or went. */
static void on_agent_state(struct link_watch *watch, const struct link_info *info)
{
	struct archiver *a = container_of(watch, struct archiver, agent_watch);
	bool up = info->state == LINK_CONNECTED;
	if (up && !a->agent_up)
		archiver_refresh(a);
	a->agent_up = up;
	archiver_pump(a);
}

/* The agent tells something. */
static void on_agent_event(struct link_watch *watch, struct wire_str text)
{
	struct archiver *a = container_of(watch, struct archiver, agent_watch);
	struct rundoc doc;
	json_t *json;

	if (memmem(text.data, MIN(text.len, 64u), "\"run.changed\"", 13) == NULL)
		return;
	json = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	if (rundoc_read(json_object_get(json, "run"), &doc) == 0) {
		archiver_note(a, &doc);
		archiver_pump(a);
	}
	json_decref(json);
}

/* The database came or went, or takes no writes. */
static void on_pool_state(struct pool_watch *watch, const struct pool_info *info)
{
	struct archiver *a = container_of(watch, struct archiver, pool_watch);
	bool up = info->state == POOL_READY && !info->read_only;
	if (up && !a->database_up) {
		a->database_fails = false;
		archiver_problem(a, "");
		archiver_refresh(a);
	}
	if (!up)
		archiver_problem(a, info->read_only ? "the database takes no writes (read-only)"
						    : info->reason);
	a->database_up = up;
	archiver_pump(a);
}

/* A dashboard has archived a run wholly. */
static void on_notify(struct channel_watch *watch, const char *text)
{
	struct archiver *a = container_of(watch, struct archiver, channel_watch);
	if (strncmp(text, ARCHIVE_NOTIFY " ", sizeof(ARCHIVE_NOTIFY)) == 0) {
		archiver_taken_over(a, text + sizeof(ARCHIVE_NOTIFY));
		archiver_pump(a);
	}
}

struct archiver *archiver_open(uv_loop_t *loop, const struct archiver_opts *opts)
{
	struct archiver *a = xcalloc(1, sizeof(*a));
	struct link_info agent;
	struct pool_info database;

	a->loop = loop;
	a->agent = opts->link;
	a->pool = opts->pool;
	a->channel = opts->channel;
	a->others = opts->others;
	a->watched_bytes = opts->watched_bytes;
	a->on_change = opts->on_change;
	a->arg = opts->arg;
	a->status.state = ARCHIVER_IDLE;
	a->status.since_us = clock_wall_us();
	list_init(&a->tracked);
	uv_timer_init(loop, &a->due);
	uv_timer_init(loop, &a->tell);
	uv_timer_init(loop, &a->go_on);
	a->n_handles = 3;
	a->agent_watch.on_state = on_agent_state;
	a->agent_watch.on_event = on_agent_event;
	a->pool_watch.on_state = on_pool_state;
	a->channel_watch.on_notify = on_notify;
	list_init(&a->channel_watch.link);
	if (a->channel != NULL)
		channel_watch_add(a->channel, &a->channel_watch);
	link_watch_add(opts->link, &a->agent_watch);
	pool_watch_add(opts->pool, &a->pool_watch);
	link_get_info(opts->link, &agent);
	pool_get_info(opts->pool, &database);
	a->agent_up = agent.state == LINK_CONNECTED;
	a->database_up = database.state == POOL_READY && !database.read_only;
	archiver_pump(a);
	return a;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct archiver *a = handle->data;
	void (*on_closed)(void *) = a->on_closed;
	void *arg = a->closed_arg;
	if (--a->n_handles > 0)
		return;
	free(a);
	on_closed(arg);
}

void archiver_close(struct archiver *a, void (*on_closed)(void *arg), void *arg)
{
	assert(a->on_closed == NULL && on_closed != NULL);
	a->on_closed = on_closed;
	a->closed_arg = arg;
	link_watch_remove(&a->agent_watch);
	pool_watch_remove(&a->pool_watch);
	channel_watch_remove(&a->channel_watch);
	archive_scan_cancel(a->scan);
	archiver_forget_runs(a);
	a->due.data = a->tell.data = a->go_on.data = a;
	uv_close((uv_handle_t *)&a->due, on_handle_closed);
	uv_close((uv_handle_t *)&a->tell, on_handle_closed);
	uv_close((uv_handle_t *)&a->go_on, on_handle_closed);
}
