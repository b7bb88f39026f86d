/*
 * Owns one request to the agent, one tail stream and one call to the pool, at most; the records
 * between them (never more than the stream's credit); the projection of what was read.
 *
 * Happy path: GET (the run's document) → OPEN (its row, and how far it is archived) → REBUILD (only
 * when the projection must be made again: from run_log, row by row) → COPY (tail; a transaction at
 * a time, while the next records arrive; credit only for what is committed) → at run.finished, its
 * digest compared with ours: FINAL (the last transaction makes the run complete) → RELEASE → the
 * end. A run that goes on is copied up to what is durable, then the turn ends.
 *
 * Failure modes: every end is job_end(), once; what is in flight is forgotten, and the next turn
 * starts from what the database says. A digest that does not match, a damaged or missing row, a
 * journal that shrank: all rows of the run are dropped and copied again (REFILL), once; if that
 * does not help the run is DAMAGED.
 */
#include "core/app/archive/archive_job.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/archive/archive_job_internal.h"
#include "core/base/clock.h"
#include "core/base/hex.h"
#include "proto/frame.h"
#include "proto/msg.h"

void job_drop_document(struct archive_job *job)
{
	json_decref(job->json);
	free(job->document);
	job->json = NULL;
	job->document = NULL;
}

void job_drop_projection(struct archive_job *job)
{
	if (job->projection != NULL)
		projection_fini(job->projection);
	free(job->projection);
	job->projection = NULL;
}

static void job_close_stream(struct archive_job *job)
{
	if (job->stream != NULL)
		link_close_stream(job->stream);
	job->stream = NULL;
}

static void job_free(struct archive_job *job)
{
	if (job->request != NULL)
		link_call_forget(job->request);
	job_close_stream(job);
	pool_call_forget(job->call);
	job_drop_document(job);
	job_drop_projection(job);
	archive_batch_fini(&job->batch);
	free(job);
}

void job_end(struct archive_job *job, enum archive_outcome outcome, const char *message)
{
	char text[PG_MAX_MESSAGE];
	/* It may live in what is about to be freed. */
	snprintf(text, sizeof(text), "%s", message);
	struct archive_job_result result = {
		.outcome = outcome,
		.message = text,
		.archived = job->archived,
		.bytes = job->bytes,
		.refilled = job->refilled,
	};
	if (job->projection != NULL && job->call == NULL && !job->projection->finished &&
		job->projection->offset == job->archived) {
		result.projection = job->projection;
		job->projection = NULL;
	}
	job->done(job, &result, job->arg);
	job_free(job);
}

void archive_job_cancel(struct archive_job *job)
{
	job_free(job);
}

uint64_t archive_job_bytes(const struct archive_job *job)
{
	return job->bytes;
}

uint64_t archive_job_archived(const struct archive_job *job)
{
	return job->archived;
}

void archive_job_resume(struct archive_job *job)
{
	if (job->held_back)
		job_pump(job);
}

void archive_job_durable(struct archive_job *job, uint64_t durable)
{
	job->target = MAX(job->target, durable);
}

void job_database_failed(struct archive_job *job, const struct pg_reply *reply)
{
	if (strcmp(reply->sqlstate, ARCHIVE_SQLSTATE_MOVED) == 0)
		job_end(job, ARCHIVE_AGAIN, reply->message);
	else if (strcmp(reply->sqlstate, ARCHIVE_SQLSTATE_DOUBLE) == 0)
		job_mismatch(
			job, "the database holds rows of the log that the run does not know of");
	else if (pg_reply_is_temporary(reply))
		job_end(job, ARCHIVE_DATABASE_AWAY, reply->message);
	else
		job_end(job, ARCHIVE_DAMAGED, reply->message);
}

void job_agent_failed(struct archive_job *job, const struct link_reply *reply)
{
	char text[PG_MAX_MESSAGE];
	if (reply->err != 0) {
		job_end(job, ARCHIVE_AGENT_AWAY,
			reply->err == -ETIMEDOUT ? "the agent did not answer in time"
						 : "the connection to the agent was lost");
		return;
	}
	snprintf(text, sizeof(text), "the agent answers %s: %.*s", msg_status_name(reply->status),
		(int)reply->message.len, reply->message.data);
	job_end(job, reply->status == MSG_NOT_FOUND ? ARCHIVE_GONE : ARCHIVE_AGENT_AWAY, text);
}

void job_query(struct archive_job *job, struct pg_batch *sql, unsigned flags, pool_done_fn cb)
{
	assert(job->call == NULL);
	job->call = pool_run(job->pool, sql, flags | POOL_BACKGROUND, ARCHIVE_DEADLINE_MS, cb, job);
}

/* ---- REFILL ---- */

void job_start_at(struct archive_job *job, uint64_t archived)
{
	job->archived = archived;
	job_drop_projection(job);
	job->projection = xcalloc(1, sizeof(*job->projection));
	projection_init(job->projection);
	archive_batch_fini(&job->batch);
	archive_batch_init(&job->batch, archived);
}

/* The rows of the run are gone. */
static void on_emptied(const struct pg_reply *reply, void *arg)
{
	struct archive_job *job = arg;
	job->call = NULL;
	if (reply->err != 0) {
		job_database_failed(job, reply);
		return;
	}
	job_start_at(job, 0);
	job_copy(job);
}

void job_mismatch(struct archive_job *job, const char *why)
{
	job_close_stream(job);
	pool_call_forget(job->call);
	job->call = NULL;
	if (job->refilled) {
		job_end(job, ARCHIVE_DAMAGED, why);
		return;
	}
	job->refilled = true;
	job_query(job, archive_sql_refill(&job->run), POOL_IDEMPOTENT, on_emptied);
}

/* ---- COPY ---- */

/* A transaction is through, or not. */
static void on_committed(const struct pg_reply *reply, void *arg);

static void job_commit(struct archive_job *job, bool final)
{
	struct archive_end end = {
		.projection = job->projection,
		.doc = &job->doc,
		.document = {job->document, (uint32_t)job->document_len},
	};
	job->call_is_final = final;
	job->sending = job->batch.block.len;
	job->sent_ms = clock_mono_us() / 1000;
	job_query(job,
		archive_sql_commit(&job->run, &job->batch, job->projection, final ? &end : NULL), 0,
		on_committed);
}

/* Sends what there is to send; ends the turn when there is nothing more to come. */
void job_pump(struct archive_job *job)
{
	bool coming = job->stream != NULL;

	if (job->call != NULL || job->request != NULL)
		return;
	if (job->projection->finished && !coming) {
		if (!job->projection->digest_matches)
			job_mismatch(job, "the journal's digest does not match its records");
		else if (!job->doc.final)
			job_get(job); /* it ended since: the last document is wanted */
		else
			job_commit(job, true);
		return;
	}
	if (job->batch.block.len >= (coming ? ARCHIVE_SEND_BYTES : 1)) {
		job->held_back = job->may_commit != NULL && !job->may_commit(job->arg);
		if (!job->held_back)
			job_commit(job, false);
		return;
	}
	if (coming)
		return;
	if (job->doc.final && job->archived >= job->doc.size)
		job_mismatch(job, "the journal ends without run.finished");
	else
		job_end(job, job->archived >= job->target ? ARCHIVE_CAUGHT_UP : ARCHIVE_AGAIN, "");
}

static void on_committed(const struct pg_reply *reply, void *arg)
{
	struct archive_job *job = arg;
	job->call = NULL;
	if (reply->err != 0) {
		job_database_failed(job, reply);
		return;
	}
	job->archived = job->batch.offset;
	job->bytes += job->sending;
	if (job->on_commit != NULL)
		job->on_commit(job->arg, clock_mono_us() / 1000 - job->sent_ms);
	if (job->call_is_final) {
		memcpy(job->digest, job->projection->digest, sizeof(job->digest));
		job_release(job);
		return;
	}
	if (job->stream != NULL) {
		if (job->bytes >= job->turn_bytes)
			job_close_stream(job);
		else
			link_credit(job->stream, (uint32_t)job->sending);
	}
	job_pump(job);
}

/* Takes the records of a chunk that are wanted. False when the job has ended. */
static bool job_take(struct archive_job *job, const uint8_t *data, size_t n)
{
	struct projection *p = job->projection;
	size_t at = 0;
	while (at < n && !p->finished) {
		struct record rec;
		if (record_decode_header(data + at, n - at, &rec) != 0 ||
			p->offset + RECORD_HEADER_BYTES + rec.length > job->target)
			break;
		int size = projection_feed(p, data + at, n - at);
		if (size < 0) {
			job_mismatch(job, "the agent sent a record that is damaged");
			return false;
		}
		int rc = archive_batch_add(&job->batch, data + at, (size_t)size);
		if (rc != 0) {
			job_end(job, ARCHIVE_AGENT_AWAY,
				rc == -ENOMEM ? "out of memory"
					      : "the agent sent more than it had credit for");
			return false;
		}
		at += (size_t)size;
	}
	if (at < n || p->finished || p->offset >= job->target)
		job_close_stream(job); /* what comes now is not wanted yet */
	return true;
}

/* Records have come. */
static void on_chunk(struct link_stream *stream, const uint8_t *payload, size_t len)
{
	struct archive_job *job = link_stream_arg(stream);
	struct msg_chunk chunk;

	if (msg_chunk_decode(payload, len, &chunk) != 0 ||
		chunk.offset != job->projection->offset) {
		job_end(job, ARCHIVE_AGENT_AWAY, "the agent sent records of another offset");
		return;
	}
	if (job_take(job, chunk.records, chunk.records_len))
		job_pump(job);
}

/* The tail was answered. */
static void on_tail(struct link_stream *stream, const struct link_reply *reply)
{
	struct archive_job *job = link_stream_arg(stream);
	if (reply->err == 0 && reply->status == MSG_OK) {
		link_credit(stream, ARCHIVE_WINDOW_BYTES - FRAME_INITIAL_CREDIT);
		return;
	}
	job->stream = NULL;
	if (reply->err == 0 && reply->status == MSG_BAD_OFFSET && job->archived > 0)
		job_mismatch(job, "the agent's journal is shorter than what is archived");
	else
		job_agent_failed(job, reply);
}

/* The tail has ended before we closed it. */
static void on_tail_end(struct link_stream *stream, const struct link_end *end)
{
	struct archive_job *job = link_stream_arg(stream);
	job->stream = NULL;
	if (end->err != 0 || end->reason == MSG_END_SHUTDOWN)
		job_end(job, ARCHIVE_AGENT_AWAY, "the connection to the agent was lost");
	else if (end->reason == MSG_END_PRUNED)
		job_end(job, ARCHIVE_GONE, "the agent has dropped the journal");
	else if (end->reason == MSG_END_SHORTENED)
		job_mismatch(job, "the agent's journal became shorter");
	else
		job_mismatch(job, "the journal ends without run.finished");
}

void job_copy(struct archive_job *job)
{
	static const struct link_stream_callbacks callbacks = {
		.on_reply = on_tail, .on_chunk = on_chunk, .on_end = on_tail_end};

	if (!job->projection->finished && job->archived < job->target)
		job->stream = link_tail(job->link, job->run_text, job->archived, &callbacks, job);
	job_pump(job);
}

/* ---- RELEASE ---- */

/* That it is released was noted, which nothing depends on. */
static void on_noted(const struct pg_reply *reply, void *arg)
{
	struct archive_job *job = arg;
	(void)reply;
	job->call = NULL;
	job_end(job, ARCHIVE_COMPLETE, "");
}

/* The agent knows that we have it all, or disagrees. */
static void on_released(const struct link_reply *reply, void *arg)
{
	struct archive_job *job = arg;
	job->request = NULL;
	if (reply->err == 0 && reply->status == MSG_CONFLICT)
		job_mismatch(job, "the agent's journal has another digest");
	else if (reply->err != 0 || reply->status != MSG_OK)
		job_agent_failed(job, reply);
	else
		job_query(job, archive_sql_released(&job->run), POOL_IDEMPOTENT, on_noted);
}

void job_release(struct archive_job *job)
{
	char hex[2 * sizeof(job->digest) + 1];
	uint8_t fields[256];

	hex_encode(job->digest, sizeof(job->digest), hex);
	const struct msg_run_release release = {
		.run = wire_str_of(job->run_text), .digest = wire_str_of(hex)};
	int n = msg_run_release_encode(&release, fields, sizeof(fields));
	assert(n > 0);
	const struct wire_str out = {(const char *)fields, (uint32_t)n};
	job->request = link_request(job->link, MSG_RUN_RELEASE, &out, 0, on_released, job);
}

struct archive_job *archive_job_start(
	const struct archive_job_opts *opts, archive_job_done_fn done, void *arg)
{
	struct archive_job *job = xcalloc(1, sizeof(*job));
	job->link = opts->link;
	job->pool = opts->pool;
	job->run = opts->run;
	uuid_format(&job->run, job->run_text);
	job->target = opts->durable;
	job->turn_bytes = opts->turn_bytes;
	job->projection = opts->projection;
	job->archived = UINT64_MAX;
	archive_batch_init(&job->batch, 0);
	job->others = opts->others;
	job->may_commit = opts->may_commit;
	job->on_commit = opts->on_commit;
	job->done = done;
	job->arg = arg;
	job_get(job);
	return job;
}
