/*
 * Owns the list of runs that need work (`tracked`), up to ARCHIVER_MAX_JOBS jobs, at most one scan,
 * two timers. What the runs are and how far comes from the agent; how far they are archived from
 * the database.
 *
 * Happy path: agent and database are there → scan (archive_scan.c) finds what is missing; from then
 * on the agent's run.changed events do. Each run with something to archive is due at once or, while
 * it goes on and is only a little ahead, some seconds later. Due runs get jobs (archive_job.c) in
 * turns.
 *
 * Failure modes: either side gone: jobs end by themselves and nothing new starts until both are
 * back, then the scan is made again. A job that failed is due again after a backoff. A run whose
 * copy cannot be made right is left for ARCHIVER_DAMAGED_RETRY_MS and noted in its row. More runs
 * than can be tracked: the rest is found by another scan when these are done.
 */
#include "core/app/archiver.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/archive_batch.h"
#include "core/app/archive_job.h"
#include "core/app/archive_scan.h"
#include "core/app/rundoc.h"
#include "core/base/clock.h"
#include "core/base/log.h"

#define ARCHIVER_TELL_MS 250	    /* between two on_change */
#define ARCHIVER_MAX_PROJECTIONS 64 /* kept between turns; others are made again from run_log */
#define NEVER UINT64_MAX

struct tracked {
	struct list link; /* archiver.tracked */
	struct archiver *archiver;
	struct uuid run;
	bool final;
	bool damaged;
	uint64_t durable;
	uint64_t archived;	 /* UINT64_MAX: not known */
	uint64_t turn_ms;	 /* uv_now() when its last turn ended */
	uint64_t due_ms;	 /* uv_now() from which it may have a turn; NEVER */
	unsigned failures;	 /* in a row */
	struct archive_job *job; /* NULL: none runs */
	struct projection *projection;
};

struct archiver {
	uv_loop_t *loop;
	struct link *agent;
	struct pool *pool;
	void (*on_change)(const struct archiver_status *status, void *arg);
	void *arg;

	struct link_watch agent_watch;
	struct pool_watch pool_watch;
	bool agent_up, database_up;
	struct list tracked; /* tracked.link, who waited longest first */
	size_t n_tracked, n_projections;
	unsigned n_jobs;
	struct archive_scan *scan;
	bool scanned;	  /* since both were there */
	bool overflow;	  /* a run did not fit into tracked */
	uint64_t scan_ms; /* uv_now() from which a scan may be made */
	unsigned scan_failures;
	bool database_fails; /* it is there, but the last turn failed because of it */

	struct archiver_status status;
	char problem[PG_MAX_MESSAGE]; /* of the last turn or scan; "" when it went well */
	char damage[PG_MAX_MESSAGE + UUID_TEXT_BYTES + 8]; /* of the last run that was given up */
	uv_timer_t due;					   /* the next turn or scan */
	uv_timer_t tell;				   /* on_change */
	unsigned n_handles;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

static void archiver_pump(struct archiver *a);

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

static uint64_t tracked_behind(const struct tracked *t)
{
	uint64_t archived = t->archived;
	if (t->job != NULL && archive_job_archived(t->job) != UINT64_MAX)
		archived = archive_job_archived(t->job);
	if (archived == UINT64_MAX)
		archived = 0;
	return t->durable > archived ? t->durable - archived : 0;
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

static void archiver_touch(struct archiver *a)
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

static unsigned backoff_ms(unsigned failures)
{
	unsigned ms = ARCHIVER_BACKOFF_MIN_MS;
	for (unsigned i = 1; i < failures && ms < ARCHIVER_BACKOFF_MAX_MS; i++)
		ms *= 2;
	return MIN(ms, ARCHIVER_BACKOFF_MAX_MS);
}

/* ---- the list of runs ---- */

static void tracked_drop_projection(struct tracked *t)
{
	if (t->projection == NULL)
		return;
	projection_fini(t->projection);
	free(t->projection);
	t->projection = NULL;
	t->archiver->n_projections--;
}

static void tracked_free(struct tracked *t)
{
	struct archiver *a = t->archiver;
	if (t->job != NULL) {
		archive_job_cancel(t->job);
		a->n_jobs--;
	}
	tracked_drop_projection(t);
	list_remove(&t->link);
	a->n_tracked--;
	free(t);
}

static struct tracked *tracked_find(struct archiver *a, const struct uuid *run)
{
	list_foreach(at, tmp, &a->tracked)
	{
		struct tracked *t = container_of(at, struct tracked, link);
		if (memcmp(&t->run, run, sizeof(*run)) == 0)
			return t;
	}
	return NULL;
}

/* When it may have a turn, as far as that follows from how much there is to do. */
static uint64_t tracked_wants(const struct tracked *t)
{
	if (t->final || t->archived == UINT64_MAX)
		return 0;
	if (t->durable <= t->archived)
		return NEVER;
	if (t->durable - t->archived >= ARCHIVER_MIN_LAG_BYTES)
		return 0;
	return t->turn_ms + ARCHIVER_MAX_LAG_MS;
}

/* Something about the run is known: it may have to be archived. */
static void archiver_note(struct archiver *a, const struct rundoc *doc)
{
	struct tracked *t = tracked_find(a, &doc->id);
	if (t == NULL) {
		/* One that has only begun: its events bring it here when there is something. */
		if (!doc->final && doc->durable == 0)
			return;
		if (a->n_tracked == ARCHIVER_MAX_TRACKED) {
			a->overflow = true;
			return;
		}
		t = xcalloc(1, sizeof(*t));
		t->archiver = a;
		t->run = doc->id;
		t->archived = UINT64_MAX;
		list_append(&a->tracked, &t->link);
		a->n_tracked++;
		/* A new run is a little ahead from its first second on: not each is worth a row
		 * then. */
		t->turn_ms = uv_now(a->loop);
		t->due_ms = doc->final || doc->durable >= ARCHIVER_MIN_LAG_BYTES
				    ? 0
				    : t->turn_ms + ARCHIVER_MAX_LAG_MS;
	}
	bool ended = doc->final && !t->final;
	t->durable = doc->final ? doc->durable : MAX(t->durable, doc->durable);
	t->final |= doc->final;
	if (t->job != NULL)
		archive_job_durable(t->job, doc->durable);
	if (t->failures == 0 && t->archived != UINT64_MAX)
		t->due_ms = tracked_wants(t);
	else if (ended || (t->failures == 0 && t->durable >= ARCHIVER_MIN_LAG_BYTES))
		t->due_ms = 0;
	archiver_touch(a);
}

/* ---- turns ---- */

static void archiver_problem(struct archiver *a, const char *message)
{
	snprintf(a->problem, sizeof(a->problem), "%s", message);
	archiver_touch(a);
}

static void tracked_retry(struct tracked *t, unsigned after_ms)
{
	t->failures++;
	t->due_ms = uv_now(t->archiver->loop) + (after_ms > 0 ? after_ms : backoff_ms(t->failures));
}

static void tracked_log(const struct tracked *t, const char *event, const char *message)
{
	char run[UUID_TEXT_BYTES];
	uuid_format(&t->run, run);
	log_warn(LOG_EV(event), LOG_STR("run", run), LOG_STR("reason", message));
}

static void tracked_set_damage(struct tracked *t, const char *message)
{
	struct archiver *a = t->archiver;
	char run[UUID_TEXT_BYTES];
	uuid_format(&t->run, run);
	snprintf(a->damage, sizeof(a->damage), "run %s: %s", run, message);
	a->problem[0] = '\0';
}

static void tracked_note_problem(struct tracked *t, const char *message)
{
	pool_run(t->archiver->pool, archive_sql_problem(&t->run, message),
		POOL_IDEMPOTENT | POOL_BACKGROUND, 0, NULL, NULL);
}

static void tracked_keep(struct tracked *t, struct projection *projection)
{
	struct archiver *a = t->archiver;
	tracked_drop_projection(t);
	if (projection == NULL)
		return;
	t->projection = projection;
	a->n_projections++;
	if (a->n_projections > ARCHIVER_MAX_PROJECTIONS)
		tracked_drop_projection(t);
}

static void tracked_failed(struct tracked *t, const struct archive_job_result *result)
{
	struct archiver *a = t->archiver;
	archiver_problem(a, result->message);
	switch (result->outcome) {
	case ARCHIVE_GONE:
		tracked_log(t, "archive.lost", result->message);
		tracked_note_problem(t, result->message);
		tracked_free(t);
		return;
	case ARCHIVE_DAMAGED:
		if (!t->damaged)
			tracked_log(t, "archive.damaged", result->message);
		t->damaged = true;
		tracked_set_damage(t, result->message);
		tracked_note_problem(t, result->message);
		tracked_retry(t, ARCHIVER_DAMAGED_RETRY_MS);
		return;
	case ARCHIVE_DATABASE_AWAY:
		if (!a->database_fails)
			tracked_log(t, "archive.database_fails", result->message);
		a->database_fails = true;
		break;
	default:
		break;
	}
	tracked_retry(t, 0);
}

/* A run's turn is over. */
static void on_job_done(struct archive_job *job, const struct archive_job_result *result, void *arg)
{
	struct tracked *t = arg;
	struct archiver *a = t->archiver;

	(void)job;
	t->job = NULL;
	a->n_jobs--;
	t->turn_ms = uv_now(a->loop);
	t->archived = result->archived;
	tracked_keep(t, result->projection);
	a->status.archived_bytes += result->bytes;
	a->status.refilled_runs += result->refilled;
	if (result->refilled)
		tracked_log(t, "archive.refilled", result->message);
	/* Behind those who have been waiting meanwhile. */
	list_remove(&t->link);
	list_append(&a->tracked, &t->link);
	switch (result->outcome) {
	case ARCHIVE_COMPLETE:
		a->status.released_runs++;
		/* fallthrough */
	case ARCHIVE_CAUGHT_UP:
	case ARCHIVE_AGAIN:
		a->database_fails = false;
		a->problem[0] = '\0';
		if (result->outcome == ARCHIVE_COMPLETE) {
			tracked_free(t);
		} else if (result->message[0] != '\0' ||
			   (result->outcome == ARCHIVE_AGAIN && result->bytes == 0)) {
			tracked_retry(t, 0);
		} else {
			t->failures = 0;
			t->due_ms = tracked_wants(t);
		}
		break;
	default:
		tracked_failed(t, result);
		break;
	}
	archiver_touch(a);
	archiver_pump(a);
}

static void tracked_start(struct tracked *t)
{
	struct archiver *a = t->archiver;
	const struct archive_job_opts opts = {
		.link = a->agent,
		.pool = a->pool,
		.run = t->run,
		.durable = t->durable,
		.turn_bytes = ARCHIVER_TURN_BYTES,
		.projection = t->projection,
	};
	if (t->projection != NULL)
		a->n_projections--;
	t->projection = NULL;
	t->due_ms = NEVER;
	a->n_jobs++;
	t->job = archive_job_start(&opts, on_job_done, t);
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
		a->scan_ms = uv_now(a->loop) + backoff_ms(a->scan_failures);
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
	a->scan = archive_scan_start(a->agent, a->pool, &callbacks, a);
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

/* Gives turns to those who are due; returns when the next is. */
static uint64_t archiver_give_turns(struct archiver *a, uint64_t now)
{
	uint64_t next = NEVER;
	list_foreach(at, tmp, &a->tracked)
	{
		struct tracked *t = container_of(at, struct tracked, link);
		if (t->job != NULL)
			continue;
		if (t->due_ms > now)
			next = MIN(next, t->due_ms);
		else if (a->n_jobs < ARCHIVER_MAX_JOBS)
			tracked_start(t);
	}
	return next;
}

static void archiver_pump(struct archiver *a)
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

struct archiver *archiver_open(uv_loop_t *loop, const struct archiver_opts *opts)
{
	struct archiver *a = xcalloc(1, sizeof(*a));
	struct link_info agent;
	struct pool_info database;

	a->loop = loop;
	a->agent = opts->link;
	a->pool = opts->pool;
	a->on_change = opts->on_change;
	a->arg = opts->arg;
	a->status.state = ARCHIVER_IDLE;
	a->status.since_us = clock_wall_us();
	list_init(&a->tracked);
	uv_timer_init(loop, &a->due);
	uv_timer_init(loop, &a->tell);
	a->n_handles = 2;
	a->agent_watch.on_state = on_agent_state;
	a->agent_watch.on_event = on_agent_event;
	a->pool_watch.on_state = on_pool_state;
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
	archive_scan_cancel(a->scan);
	list_foreach(at, tmp, &a->tracked) tracked_free(container_of(at, struct tracked, link));
	a->due.data = a->tell.data = a;
	uv_close((uv_handle_t *)&a->due, on_handle_closed);
	uv_close((uv_handle_t *)&a->tell, on_handle_closed);
}
