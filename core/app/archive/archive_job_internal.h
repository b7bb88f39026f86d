/* What archive_job.c (copying) and archive_job_open.c (from the run's document to the offset)
 * share. */
#ifndef OPS_CORE_APP_ARCHIVE_ARCHIVE_JOB_INTERNAL_H
#define OPS_CORE_APP_ARCHIVE_ARCHIVE_JOB_INTERNAL_H

#include <jansson.h>

#include "core/app/archive/archive_batch.h"
#include "core/app/archive/archive_job.h"
#include "core/app/runs/rundoc.h"

#define ARCHIVE_DEADLINE_MS 60000 /* of a transaction */
/* While more is coming, a transaction has at least these. */
#define ARCHIVE_SEND_BYTES (512u << 10)

struct archive_job {
	struct link *link;
	struct pool *pool;
	struct uuid run;
	char run_text[UUID_TEXT_BYTES];
	uint64_t target; /* copy up to here */
	uint64_t turn_bytes;

	struct link_call *request;
	struct link_stream *stream;
	struct pool_call *call;
	bool call_is_final; /* the transaction on its way makes the run complete */
	uint64_t sending;   /* bytes in the transaction on its way */
	uint64_t sent_ms;   /* monotonic, when that was */
	bool held_back;	    /* there is enough for one, and it is not time yet */

	char *document; /* JSON text, and taken apart */
	size_t document_len;
	json_t *json;
	struct rundoc doc;

	struct projection *projection;
	struct archive_batch batch;
	uint64_t archived; /* committed; UINT64_MAX: not known */
	uint64_t bytes;
	bool refilled;
	uint8_t digest[CRYPTO_SHA256_BYTES]; /* of a complete run */

	const struct archive_others *others;
	bool (*may_commit)(void *arg);
	void (*on_commit)(void *arg, uint64_t took_ms);
	archive_job_done_fn done;
	void *arg;
};

/* The one end. The job is gone when this returns. */
void job_end(struct archive_job *job, enum archive_outcome outcome, const char *message);
void job_database_failed(struct archive_job *job, const struct pg_reply *reply);
void job_agent_failed(struct archive_job *job, const struct link_reply *reply);
/* The copy cannot be right: all of it again, once. */
void job_mismatch(struct archive_job *job, const char *why);
void job_query(struct archive_job *job, struct pg_batch *sql, unsigned flags, pool_done_fn cb);
/* An empty projection and batch for what begins at archived. */
void job_start_at(struct archive_job *job, uint64_t archived);
void job_drop_document(struct archive_job *job);
void job_drop_projection(struct archive_job *job);

/* The steps, in this order; each goes on to the next by itself. */
void job_get(struct archive_job *job);	   /* the document; then OPEN, or on with COPY */
void job_copy(struct archive_job *job);	   /* the records from job->archived on */
void job_pump(struct archive_job *job);	   /* a transaction, when it is time for one */
void job_release(struct archive_job *job); /* the agent is told that job->digest is all here */

#endif
