/*
 * The runs that need work, and their turns. A run is here from the moment something is known to be
 * missing until it is complete, or gone at the agent; who had a turn goes to the end of the list.
 */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/archive/archive_batch.h"
#include "core/app/archive/archiver_internal.h"
#include "core/base/clock.h"
#include "core/base/log.h"

uint64_t tracked_behind(const struct tracked *t)
{
	uint64_t archived = t->archived;
	if (t->job != NULL && archive_job_archived(t->job) != UINT64_MAX)
		archived = archive_job_archived(t->job);
	if (archived == UINT64_MAX)
		archived = 0;
	return t->durable > archived ? t->durable - archived : 0;
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
	if (t->job != NULL)
		archive_job_cancel(t->job);
	a->n_jobs -= t->job != NULL || t->asking;
	lease_release(t->lease);
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

void archiver_note(struct archiver *a, const struct rundoc *doc)
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

static void tracked_retry(struct tracked *t, unsigned after_ms)
{
	t->failures++;
	t->due_ms = uv_now(t->archiver->loop) +
		    (after_ms > 0 ? after_ms : archiver_backoff_ms(t->failures));
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
	case ARCHIVE_FOREIGN: /* the row, if there is one, is not ours to note that in */
		if (!t->damaged)
			tracked_log(t, "archive.foreign", result->message);
		t->damaged = true;
		tracked_set_damage(t, result->message);
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
	lease_release(t->lease);
	t->lease = NULL;
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
		__attribute__((fallthrough));
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

static uint64_t behind(const struct archiver *a)
{
	uint64_t bytes = 0;
	list_foreach(at, tmp, &a->tracked)
	{
		const struct tracked *t = container_of(at, struct tracked, link);
		bytes += t->damaged ? 0 : tracked_behind(t);
	}
	return bytes;
}

/* A pause is over. */
static void on_go_on(uv_timer_t *timer)
{
	archiver_resume_jobs(container_of(timer, struct archiver, go_on));
}

/* Enough for a transaction is there. */
static bool on_may_commit(void *arg)
{
	struct archiver *a = ((struct tracked *)arg)->archiver;
	unsigned wait_ms;

	if (a->watched_bytes == NULL)
		return true;
	wait_ms = archive_pace_wait_ms(
		&a->pace, clock_mono_us() / 1000, *a->watched_bytes, behind(a));
	if (wait_ms > 0)
		uv_timer_start(&a->go_on, on_go_on, wait_ms, 0);
	return wait_ms == 0;
}

static void on_commit(void *arg, uint64_t took_ms)
{
	struct archiver *a = ((struct tracked *)arg)->archiver;
	archive_pace_done(&a->pace, clock_mono_us() / 1000, took_ms);
}

void archiver_resume_jobs(struct archiver *a)
{
	struct archive_job *jobs[ARCHIVER_MAX_JOBS];
	size_t n = 0;

	list_foreach(at, tmp, &a->tracked)
	{
		struct tracked *t = container_of(at, struct tracked, link);
		if (t->job != NULL)
			jobs[n++] = t->job;
	}
	/* One that ends takes only itself off the list. */
	for (size_t i = 0; i < n; i++)
		archive_job_resume(jobs[i]);
}

static void tracked_begin(struct tracked *t)
{
	struct archiver *a = t->archiver;
	const struct archive_job_opts opts = {
		.link = a->agent,
		.pool = a->pool,
		.run = t->run,
		.durable = t->durable,
		.turn_bytes = ARCHIVER_TURN_BYTES,
		.projection = t->projection,
		.others = a->others,
		.may_commit = on_may_commit,
		.on_commit = on_commit,
	};
	if (t->projection != NULL)
		a->n_projections--;
	t->projection = NULL;
	t->job = archive_job_start(&opts, on_job_done, t);
}

/* Whether the run is ours for this turn is known. */
static void on_lease(enum lease_answer answer, void *arg)
{
	struct tracked *t = arg;
	struct archiver *a = t->archiver;

	t->asking = false;
	if (answer != LEASE_TAKEN) {
		tracked_begin(t); /* LEASE_AWAY: the offset keeps two from committing the same */
		return;
	}
	a->n_jobs--;
	lease_release(t->lease);
	t->lease = NULL;
	t->taken_ms = uv_now(a->loop) + ARCHIVER_TAKEN_RETRY_MS;
	t->due_ms = 0;
	list_remove(&t->link);
	list_append(&a->tracked, &t->link);
	archiver_pump(a);
}

static void tracked_start(struct tracked *t)
{
	struct archiver *a = t->archiver;
	uint64_t key;

	t->due_ms = NEVER;
	a->n_jobs++;
	if (a->channel == NULL) {
		tracked_begin(t);
		return;
	}
	/* The random half of the id. */
	memcpy(&key, t->run.bytes + 8, sizeof(key));
	t->asking = true;
	t->lease = channel_lease(a->channel, (int64_t)be64toh(key), on_lease, t);
}

void archiver_taken_over(struct archiver *a, const char *text)
{
	struct uuid run;
	struct tracked *t = NULL;
	if (uuid_parse(text, strlen(text), &run) == 0)
		t = tracked_find(a, &run);
	if (t != NULL)
		t->taken_ms = 0;
}

uint64_t archiver_give_turns(struct archiver *a, uint64_t now)
{
	uint64_t next = NEVER;
	list_foreach(at, tmp, &a->tracked)
	{
		struct tracked *t = container_of(at, struct tracked, link);
		uint64_t due_ms = MAX(t->due_ms, t->taken_ms);
		if (t->job != NULL || t->asking)
			continue;
		if (due_ms > now)
			next = MIN(next, due_ms);
		else if (a->n_jobs < ARCHIVER_MAX_JOBS)
			tracked_start(t);
	}
	return next;
}

void archiver_forget_runs(struct archiver *a)
{
	while (!list_empty(&a->tracked))
		tracked_free(container_of(a->tracked.next, struct tracked, link));
}
