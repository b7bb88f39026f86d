/*
 * The beginning of a turn: the run's document from the agent (GET), its row in the database (OPEN),
 * and the projection of what is archived already (REBUILD), which is made again from run_log unless
 * the turn before left it. Failure modes: those of archive_job.c.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/archive/archive_job_internal.h"
#include "proto/msg.h"

/* ---- REBUILD ---- */

static void job_rebuild(struct archive_job *job);

/* One row of the log was read back. */
static void on_row(const struct pg_reply *reply, void *arg)
{
	struct archive_job *job = arg;
	struct projection *p = job->projection;
	job->call = NULL;
	if (reply->err != 0) {
		job_database_failed(job, reply);
		return;
	}
	const struct pg_result *result = reply->results[0];
	if (pg_rows(result) != 1) {
		job_mismatch(job, "the database misses a part of the log");
		return;
	}
	struct pg_bytes_view records = pg_get_bytes(result, 0, 2);
	for (size_t at = 0; at < records.len;) {
		int size = projection_feed(p, records.data + at, records.len - at);
		if (size < 0) {
			job_mismatch(job, "the database's copy of the log is damaged");
			return;
		}
		at += (size_t)size;
	}
	job_rebuild(job);
}

static void job_rebuild(struct archive_job *job)
{
	if (job->projection->offset < job->archived)
		job_query(job, archive_sql_row(&job->run, job->projection->offset), POOL_IDEMPOTENT,
			on_row);
	else if (job->projection->offset > job->archived)
		job_mismatch(job, "the database holds more of the log than it says");
	else
		job_copy(job);
}

/* ---- GET, OPEN ---- */

/* How far the run is archived is known. */
static void on_opened(const struct pg_reply *reply, void *arg)
{
	struct archive_job *job = arg;
	job->call = NULL;
	if (reply->err != 0) {
		job_database_failed(job, reply);
		return;
	}
	const struct pg_result *row = reply->results[ARCHIVE_OPEN_RESULT];
	if (pg_rows(row) != 1) {
		job_end(job, ARCHIVE_AGAIN, "the run's row is gone");
		return;
	}
	if (pg_get_bool(row, 0, 4)) {
		job_end(job, ARCHIVE_FOREIGN, "the database has it as another host's run");
		return;
	}
	if (job->others != NULL)
		job->others->ours(&job->run, job->others->arg);
	uint64_t archived = (uint64_t)pg_get_i64(row, 0, 0);
	struct pg_bytes_view digest = pg_get_bytes(row, 0, 3);
	if (pg_get_bool(row, 0, 1)) {
		job->archived = archived;
		if ((uint64_t)pg_get_i64(row, 0, 2) != job->doc.size || !job->doc.final ||
			digest.len != sizeof(job->digest)) {
			job_mismatch(job, "the agent's journal differs from what is archived");
			return;
		}
		memcpy(job->digest, digest.data, sizeof(job->digest));
		job_release(job);
		return;
	}
	if (job->projection != NULL && job->projection->offset == archived) {
		job->archived = archived;
		archive_batch_init(&job->batch, archived);
		job_copy(job);
		return;
	}
	job_start_at(job, archived);
	job_rebuild(job);
}

static int job_keep_document(struct archive_job *job, struct wire_str json)
{
	job_drop_document(job);
	job->document = malloc(json.len + 1);
	if (job->document == NULL)
		return -ENOMEM;
	memcpy(job->document, json.data, json.len);
	job->document_len = json.len;
	job->json = json_loadb(json.data, json.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	int rc = rundoc_read(job->json, &job->doc);
	return rc == 0 && memcmp(&job->doc.id, &job->run, sizeof(job->run)) != 0 ? -EINVAL : rc;
}

/* The run's document. */
static void on_document(const struct link_reply *reply, void *arg)
{
	struct archive_job *job = arg;
	struct msg_document document;

	job->request = NULL;
	if (reply->err != 0 || reply->status != MSG_OK) {
		job_agent_failed(job, reply);
		return;
	}
	if (msg_document_decode(reply->fields, reply->fields_len, &document) != 0 ||
		job_keep_document(job, document.json) != 0) {
		job_end(job, ARCHIVE_AGENT_AWAY, "the agent sent a run that cannot be read");
		return;
	}
	if (job->others != NULL && job->others->has(job->doc.host, job->others->arg)) {
		job_end(job, ARCHIVE_FOREIGN, "the agent says that it is another host's run");
		return;
	}
	job->target = MAX(job->target, job->doc.durable);
	if (job->archived == UINT64_MAX)
		job_query(job,
			archive_sql_open(&job->doc,
				(struct wire_str){job->document, (uint32_t)job->document_len},
				job->others != NULL ? job->others->array(job->others->arg) : "{}"),
			POOL_IDEMPOTENT, on_opened);
	else if (job->doc.final)
		job_pump(job);
	else
		job_end(job, ARCHIVE_AGAIN, "the run has ended but does not say so yet");
}

void job_get(struct archive_job *job)
{
	uint8_t fields[128];
	const struct msg_run_ref ref = {.run = wire_str_of(job->run_text)};
	int n = msg_run_ref_encode(&ref, fields, sizeof(fields));
	assert(n > 0);
	const struct wire_str out = {(const char *)fields, (uint32_t)n};
	job->request = link_request(job->link, MSG_RUN_GET, &out, 0, on_document, job);
}
