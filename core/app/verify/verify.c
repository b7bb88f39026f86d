/*
 * Owns a loop of its own, a pool without migrations, and for verify a connection to each agent.
 *
 * Happy path: LIST (a page of runs, newest first) → per run WALK (its rows one by one, through a
 * projection) → verify: the next run; rebuild: of a failed run WHY (its rows again, for the line
 * that says so), WRITE (steps and end) → … → the summary.
 *
 * Failure modes: a run is damaged: PROBE (does the agent still have the journal? nothing is thrown
 * away before it says so) → REFILL (archive_job.h copies it again) → WALK once more. The agent
 * away, or without the journal: the run is named and stays as it is. The database away: the end.
 * verify reads the audit's chain last (verify_audit.h).
 *
 * Over 500 lines: one walk, whose states follow each other.
 */
#include "core/app/verify/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "core/app/archive/archive_batch.h"
#include "core/app/archive/archive_job.h"
#include "core/app/archive/projection.h"
#include "core/app/auth/store.h"
#include "core/app/config/config.h"
#include "core/app/config/report.h"
#include "core/app/verify/verify_audit.h"
#include "core/app/verify/verify_sql.h"
#include "core/base/mem.h"

#define AGENT_WAIT_MS 3000
#define LOOK_MS 50
#define ROW_MS 30000

struct item {
	struct uuid id;
	char text[UUID_TEXT_BYTES];
	uint64_t archived, size, stored;
	bool known, complete;
	uint8_t digest[CRYPTO_SHA256_BYTES];
	char host[LIMIT_HOST_BYTES]; /* "": not known */
};

struct verify {
	uv_loop_t loop;
	bool rebuild, started, ended, refilled; /* refilled: this run, just now */
	struct pool *pool;
	struct link *links[LIMIT_HOSTS]; /* of each host; NULL: rebuild */
	const struct agents_conf *agents;
	size_t n_links; /* that are not closed */
	struct link_stream *probe;
	struct archive_job *job;
	uv_timer_t patience;
	uint64_t give_up_ms;
	struct item page[VERIFY_PAGE];
	size_t n_page, at;
	struct uuid before;
	bool has_before;
	struct projection projection;
	struct errorline_scan *why; /* rebuild: the second walk, of a run that failed */
	uint64_t why_at;	    /* in its log */
	uint64_t why_from;	    /* where the step that went wrong begins, as in errorlines.c */
	bool walking;
	char damage[320];
	struct audit_head head;
	uint64_t n_runs, n_bytes, n_holes, n_damaged, n_refilled, n_written;
	int rc;
};

static void verify_list(struct verify *v);
static void verify_walk(struct verify *v);

static void on_nothing(void *arg)
{
	(void)arg;
}

static void on_link_closed(void *arg)
{
	struct verify *v = arg;

	if (--v->n_links == 0)
		pool_close(v->pool, on_nothing, NULL);
}

static void verify_end(struct verify *v, int rc)
{
	if (v->ended)
		return;
	v->ended = true;
	v->rc = rc;
	uv_close((uv_handle_t *)&v->patience, NULL);
	if (v->n_links == 0)
		pool_close(v->pool, on_nothing, NULL);
	for (size_t i = 0, n = v->n_links; i < n; i++)
		link_close(v->links[i], on_link_closed, v);
}

static void verify_failed(struct verify *v, const struct pg_reply *reply)
{
	fprintf(stderr, "ops-dashboard: %s\n", reply->message);
	verify_end(v, EX_UNAVAILABLE);
}

/* The audit's chain was read. */
static void on_audit(const struct verify_audit_result *result, void *arg)
{
	struct verify *v = arg;

	if (result->err != 0) {
		fprintf(stderr, "ops-dashboard: %s\n", result->message);
		verify_end(v, EX_UNAVAILABLE);
		return;
	}
	if (result->is_whole)
		printf("audit: %" PRIu64 " entries, the chain is whole%s\n", result->n_entries,
			v->head.position > 0
				? ""
				: "; no head of it is noted in STATE_DIR to compare with");
	else
		printf("%s\n", result->message);
	verify_end(v, v->n_damaged > 0 || !result->is_whole ? 1 : 0);
}

static void verify_summary(struct verify *v)
{
	printf("%" PRIu64 " runs, %" PRIu64 " bytes: ", v->n_runs, v->n_bytes);
	if (v->rebuild)
		printf("%" PRIu64 " written anew, ", v->n_written);
	else
		printf("%" PRIu64 " copied again, ", v->n_refilled);
	printf("%" PRIu64 " damaged\n", v->n_damaged);
	/* An index that still points into a page of zeros would find what is put there next. */
	if (v->n_holes > 0)
		printf("Rows were missing. If a page of the disk became zeros: REINDEX TABLE "
		       "ops.run_log;\n");
	if (v->rebuild)
		verify_end(v, v->n_damaged > 0 ? 1 : 0);
	else
		verify_audit(v->pool, &v->head, on_audit, v);
}

/* ---- the runs ---- */

static void walk_end(struct verify *v)
{
	if (v->walking)
		projection_fini(&v->projection);
	errorline_scan_free(v->why);
	v->why = NULL;
	v->walking = false;
}

static void verify_next(struct verify *v)
{
	walk_end(v);
	v->refilled = false;
	if (++v->at < v->n_page) {
		verify_walk(v);
	} else if (v->n_page == VERIFY_PAGE) {
		v->before = v->page[v->n_page - 1].id;
		v->has_before = true;
		verify_list(v);
	} else {
		verify_summary(v);
	}
}

static void on_page(const struct pg_reply *reply, void *arg)
{
	struct verify *v = arg;

	if (reply->err != 0) {
		verify_failed(v, reply);
		return;
	}
	const struct pg_result *rows = reply->results[0];
	v->n_page = pg_rows(rows);
	for (size_t i = 0; i < v->n_page; i++) {
		struct item *item = &v->page[i];
		struct pg_bytes_view digest = pg_get_bytes(rows, i, 5);
		struct pg_bytes_view host = pg_get_text(rows, i, 7);

		*item = (struct item){.id = pg_get_uuid(rows, i, 0),
			.archived = (uint64_t)pg_get_i64(rows, i, 1),
			.stored = (uint64_t)pg_get_i64(rows, i, 2),
			.complete = pg_get_bool(rows, i, 3),
			.size = (uint64_t)pg_get_i64(rows, i, 4),
			.known = pg_get_bool(rows, i, 6)};
		uuid_format(&item->id, item->text);
		snprintf(item->host, sizeof(item->host), "%.*s", (int)host.len,
			(const char *)host.data);
		if (digest.len == sizeof(item->digest))
			memcpy(item->digest, digest.data, sizeof(item->digest));
	}
	v->at = 0;
	if (v->n_page == 0)
		verify_summary(v);
	else
		verify_walk(v);
}

static void verify_list(struct verify *v)
{
	pool_run(v->pool, verify_sql_page(v->has_before ? &v->before : NULL), POOL_IDEMPOTENT,
		ROW_MS, on_page, v);
}

/* ---- REFILL ---- */

static void verify_damaged(struct verify *v, const char *why)
{
	v->n_damaged++;
	printf("%s: %s: %s\n", v->page[v->at].text, v->damage, why);
	verify_next(v);
}

/* The agent that has, or had, the run: where there is one, that. NULL: none that is configured. */
static struct link *link_of(const struct verify *v, const struct item *item)
{
	for (size_t i = 0; i < v->n_links; i++) {
		const char *host = v->agents->items[i].host;

		if (host == NULL || strcmp(host, item->host) == 0)
			return v->links[i];
	}
	return NULL;
}

/* The run was copied again, or not. */
static void on_copied(struct archive_job *job, const struct archive_job_result *result, void *arg)
{
	struct verify *v = arg;
	struct item *item = &v->page[v->at];

	(void)job;
	v->job = NULL;
	if (result->projection != NULL) {
		projection_fini(result->projection);
		free(result->projection);
	}
	if (result->outcome != ARCHIVE_COMPLETE) {
		verify_damaged(v, result->message[0] != '\0' ? result->message
							     : "it could not be copied again");
		return;
	}
	v->refilled = true;
	item->archived = item->stored = item->size;
	verify_walk(v);
}

static void on_emptied(const struct pg_reply *reply, void *arg)
{
	struct verify *v = arg;
	const struct item *item = &v->page[v->at];
	const struct archive_job_opts opts = {.link = link_of(v, item),
		.pool = v->pool,
		.run = item->id,
		.durable = item->size,
		.turn_bytes = UINT64_MAX};

	if (reply->err != 0)
		verify_damaged(v, reply->message);
	else
		v->job = archive_job_start(&opts, on_copied, v);
}

/* Whether the agent still has the journal. */
static void on_probed(struct link_stream *stream, const struct link_reply *reply)
{
	struct verify *v = link_stream_arg(stream);

	v->probe = NULL;
	if (reply->err != 0) {
		verify_damaged(v, "the agent cannot be asked");
	} else if (reply->status != MSG_OK) {
		verify_damaged(v, "the agent does not have it any more");
	} else {
		link_close_stream(stream);
		pool_run(v->pool, archive_sql_refill(&v->page[v->at].id), POOL_IDEMPOTENT, ROW_MS,
			on_emptied, v);
	}
}

static void on_no_chunk(struct link_stream *stream, const uint8_t *payload, size_t len)
{
	(void)stream;
	(void)payload;
	(void)len;
}

static void on_no_end(struct link_stream *stream, const struct link_end *end)
{
	(void)stream;
	(void)end;
}

static void verify_mend(struct verify *v)
{
	static const struct link_stream_callbacks callbacks = {
		.on_reply = on_probed, .on_chunk = on_no_chunk, .on_end = on_no_end};
	const struct item *item = &v->page[v->at];

	if (v->rebuild)
		verify_damaged(v, "left as it is; `ops-dashboard verify` may have it copied again");
	else if (v->refilled)
		verify_damaged(v, "also after it was copied again");
	else if (!item->known)
		verify_damaged(v, "`ops-dashboard rebuild` makes it again");
	else if (!item->complete)
		verify_damaged(v, "it is not finished; the archiver will find it");
	else if (link_of(v, item) == NULL)
		verify_damaged(v, "its host is not in AGENTS_FILE");
	else
		v->probe = link_tail(link_of(v, item), item->text, 0, &callbacks, v);
}

/* ---- WALK ---- */

static void verify_damage(struct verify *v, const char *what)
{
	snprintf(v->damage, sizeof(v->damage), "at offset %" PRIu64 " %s", v->projection.offset,
		what);
	verify_mend(v);
}

static void on_written(const struct pg_reply *reply, void *arg)
{
	struct verify *v = arg;

	if (reply->err != 0) {
		snprintf(v->damage, sizeof(v->damage), "cannot be written");
		verify_damaged(v, reply->message);
		return;
	}
	v->n_written++;
	verify_next(v);
}

/* What the run's rows are to be is known. */
static void verify_write(struct verify *v)
{
	const struct item *item = &v->page[v->at];
	struct errorline why = {0};

	if (v->why != NULL)
		errorline_scan_end(v->why, &why);
	pool_run(v->pool, verify_sql_rebuild(&item->id, item->known, &v->projection, &why),
		POOL_IDEMPOTENT, ROW_MS, on_written, v);
}

static void verify_ask_why(struct verify *v);

/* A row was read once more; the first walk found it to be well. */
static void on_why(const struct pg_reply *reply, void *arg)
{
	struct verify *v = arg;
	struct pg_bytes_view records;
	size_t before;

	if (reply->err != 0) {
		verify_failed(v, reply);
		return;
	}
	if (pg_rows(reply->results[0]) != 1) {
		verify_write(v);
		return;
	}
	records = pg_get_bytes(reply->results[0], 0, 2);
	before = v->why_from > v->why_at ? MIN(v->why_from - v->why_at, records.len) : 0;
	v->why_at += records.len;
	if (errorline_scan_feed(v->why, records.data + before, records.len - before) != 0)
		verify_write(v);
	else
		verify_ask_why(v);
}

static void verify_ask_why(struct verify *v)
{
	if (v->why_at < v->projection.offset)
		pool_run(v->pool, archive_sql_row(&v->page[v->at].id, v->why_at), POOL_IDEMPOTENT,
			ROW_MS, on_why, v);
	else
		verify_write(v);
}

/* The first step that went wrong. */
static int step_of(const struct projection *p)
{
	for (size_t i = 0; i < p->n_steps; i++) {
		if (errorline_is_asked(p->steps[i].status))
			return (int)i;
	}
	return ERRORLINE_ANY_STEP;
}

static uint64_t begin_of(const struct projection *p, int step)
{
	if (step == ERRORLINE_ANY_STEP || p->steps[step].offset == PROJECTION_NONE)
		return 0;
	return (uint64_t)p->steps[step].offset;
}

/* All rows of the run were read and are what they should be. */
static void verify_walked(struct verify *v)
{
	const struct item *item = &v->page[v->at];

	v->n_runs++;
	v->n_bytes += v->projection.offset;
	if (v->refilled) {
		v->n_refilled++;
		printf("%s: %s: copied again from the agent\n", item->text, v->damage);
	}
	if (!v->rebuild) {
		verify_next(v);
	} else if (errorline_is_asked(v->projection.status)) {
		int step = step_of(&v->projection);

		v->why = errorline_scan_new(step);
		v->why_from = begin_of(&v->projection, step);
		v->why_at = 0;
		verify_ask_why(v);
	} else {
		verify_write(v);
	}
}

/* The row of a run that was copied again was read before that; rebuild writes it. */
static bool is_another_digest(const struct verify *v)
{
	return !v->refilled && !v->rebuild &&
	       memcmp(v->projection.digest, v->page[v->at].digest, CRYPTO_SHA256_BYTES) != 0;
}

static void verify_judge(struct verify *v)
{
	const struct item *item = &v->page[v->at];
	const struct projection *p = &v->projection;

	if (!item->known && !v->rebuild)
		verify_damage(v, "the run's own row is missing");
	else if (p->offset > item->archived)
		verify_damage(v, "there is more than the run says");
	else if (item->stored != item->archived)
		verify_damage(v, "there are rows that do not belong to it");
	else if (item->complete && (!p->finished || p->offset != item->size))
		verify_damage(v, "the log ends too early");
	else if (item->complete && (!p->digest_matches || is_another_digest(v)))
		verify_damage(v, "the digest is another one");
	else
		verify_walked(v);
}

static void verify_step(struct verify *v);

static void on_row(const struct pg_reply *reply, void *arg)
{
	struct verify *v = arg;
	struct projection *p = &v->projection;
	char text[PG_MAX_MESSAGE + 32];

	if (reply->err != 0 && pg_reply_is_temporary(reply)) {
		verify_failed(v, reply);
		return;
	}
	if (reply->err != 0) {
		snprintf(text, sizeof(text), "PostgreSQL says: %s", reply->message);
		verify_damage(v, text);
		return;
	}
	if (pg_rows(reply->results[0]) != 1) {
		v->n_holes++;
		verify_damage(v, "a row is missing");
		return;
	}
	struct pg_bytes_view records = pg_get_bytes(reply->results[0], 0, 2);
	for (size_t at = 0; at < records.len;) {
		int size = projection_feed(p, records.data + at, records.len - at);
		if (size < 0) {
			verify_damage(v, "a record is damaged");
			return;
		}
		at += (size_t)size;
	}
	verify_step(v);
}

static void verify_step(struct verify *v)
{
	const struct item *item = &v->page[v->at];

	if (v->projection.offset < item->archived)
		pool_run(v->pool, archive_sql_row(&item->id, v->projection.offset), POOL_IDEMPOTENT,
			ROW_MS, on_row, v);
	else
		verify_judge(v);
}

static void verify_walk(struct verify *v)
{
	walk_end(v);
	projection_init(&v->projection);
	v->walking = true;
	verify_step(v);
}

/* ---- start ---- */

static void verify_start(struct verify *v)
{
	if (v->started || v->ended)
		return;
	v->started = true;
	uv_timer_stop(&v->patience);
	verify_list(v);
}

static bool agents_are_there(const struct verify *v)
{
	for (size_t i = 0; i < v->n_links; i++) {
		if (!link_is_connected(v->links[i]))
			return false;
	}
	return true;
}

/* Looks whether all are there. When an agent does not come in time, what is damaged will only be
 * named. */
static void on_patience(uv_timer_t *timer)
{
	struct verify *v = container_of(timer, struct verify, patience);
	bool late = uv_now(&v->loop) >= v->give_up_ms;
	struct pool_info info;

	pool_get_info(v->pool, &info);
	if (info.state == POOL_READY && (late || agents_are_there(v))) {
		verify_start(v);
	} else if (late) {
		fprintf(stderr, "ops-dashboard: %s: %s\n", info.where, info.reason);
		verify_end(v, EX_UNAVAILABLE);
	}
}

static bool on_stored_event(const char *json, size_t len, void *arg)
{
	struct verify *v = arg;

	(void)audit_head_parse(json, len, &v->head);
	return false;
}

/* The head that the dashboard noted. */
static void read_head(struct verify *v, const struct config *cfg)
{
	struct err err = {0};
	int rc = store_read(cfg->state_dir, STORE_FILE, on_stored_event, v, &err);

	if (rc < 0 && rc != -ENOENT)
		fprintf(stderr, "ops-dashboard: %s\n", err.msg);
}

static int verify_run(struct verify *v, const struct config *cfg)
{
	const struct pool_opts opts = {.database_url = cfg->database_url};
	struct err err = {0};

	if (uv_loop_init(&v->loop) < 0)
		return EX_OSERR;
	v->pool = pool_open(&v->loop, &opts, &err);
	if (v->pool == NULL) {
		fprintf(stderr, "DATABASE_URL: %s\n", err.msg);
		return EX_CONFIG;
	}
	if (!v->rebuild)
		read_head(v, cfg);
	v->agents = &cfg->agents;
	for (size_t i = 0; !v->rebuild && i < cfg->agents.n; i++) {
		const struct agent_conf *agent = &cfg->agents.items[i];

		v->links[v->n_links++] =
			link_open(&v->loop, &(struct link_opts){agent->socket, agent->secret,
						    "ops-dashboard verify", agent->host});
	}
	uv_timer_init(&v->loop, &v->patience);
	v->give_up_ms = uv_now(&v->loop) + AGENT_WAIT_MS;
	uv_timer_start(&v->patience, on_patience, 0, LOOK_MS);
	uv_run(&v->loop, UV_RUN_DEFAULT);
	uv_loop_close(&v->loop);
	return v->rc;
}

static int verify_main(char *const envp[], bool rebuild)
{
	struct verify *v = xcalloc(1, sizeof(*v));
	struct config_report report;
	struct config cfg;
	int rc = config_load(envp, &cfg, &report);

	v->rebuild = rebuild;
	if (rc < 0) {
		report_print(&report);
		rc = EX_CONFIG;
	} else {
		rc = verify_run(v, &cfg);
	}
	config_fini(&cfg);
	walk_end(v);
	free(v);
	return rc;
}

int command_verify(char *const envp[])
{
	return verify_main(envp, false);
}

int command_rebuild(char *const envp[])
{
	return verify_main(envp, true);
}
