/*
 * One turn at archiving one run: from what the agent says about it to its records being committed,
 * and, when it has ended, to its release. It ends by itself; archiver.h decides which run has a
 * turn when.
 */
#ifndef OPS_CORE_APP_ARCHIVE_ARCHIVE_JOB_H
#define OPS_CORE_APP_ARCHIVE_ARCHIVE_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "core/agentlink/link.h"
#include "core/app/archive/projection.h"
#include "core/base/uuid.h"
#include "core/db/pool.h"

enum archive_outcome {
	ARCHIVE_CAUGHT_UP,     /* everything durable is archived; the run goes on */
	ARCHIVE_COMPLETE,      /* everything is archived, and released */
	ARCHIVE_AGAIN,	       /* its turn is over, or somebody else archived meanwhile */
	ARCHIVE_GONE,	       /* the agent does not have the run any more */
	ARCHIVE_AGENT_AWAY,    /* try again later */
	ARCHIVE_DATABASE_AWAY, /* try again later */
	ARCHIVE_DAMAGED,       /* the digest does not match twice, or the database refuses it */
	ARCHIVE_FOREIGN,       /* it is, or says that it is, another host's: nothing was changed */
};

struct archive_job_result {
	enum archive_outcome outcome;
	const char *message; /* for a person; "" when nothing failed. Valid during the callback */
	uint64_t archived;   /* offset that is committed; UINT64_MAX: not known */
	uint64_t bytes;	     /* committed in this turn */
	bool refilled;	     /* the run's rows were thrown away first */
	/* For the next turn when it goes on at `archived`; the callee's, or NULL. */
	struct projection *projection;
};

struct archive_job;

typedef void (*archive_job_done_fn)(
	struct archive_job *job, const struct archive_job_result *result, void *arg);

/* The hosts whose runs are not this agent's, whatever it says. */
struct archive_others {
	bool (*has)(const char *host, void *arg);
	/* All of them as the text of a PostgreSQL array, which lasts until the next call. */
	const char *(*array)(void *arg);
	/* The database has that run as this agent's. */
	void (*ours)(const struct uuid *run, void *arg);
	void *arg;
};

struct archive_job_opts {
	struct link *link;
	struct pool *pool;
	struct uuid run;
	uint64_t durable;	       /* what is known of it */
	uint64_t turn_bytes;	       /* after these another run may be waiting */
	struct projection *projection; /* of the turn before, or NULL; the job's from now on */
	/* Whether records may be committed now; when not, archive_job_resume() tells. Both may be
	 * NULL: always, and nobody wants to know. */
	bool (*may_commit)(void *arg);
	const struct archive_others *others; /* must outlive the job; NULL: there are none */
	void (*on_commit)(void *arg, uint64_t took_ms); /* a transaction is through */
};

/* done comes once, later, unless the job is cancelled; the job is freed after it. */
struct archive_job *archive_job_start(
	const struct archive_job_opts *opts, archive_job_done_fn done, void *arg);
/* The agent has made more of the run durable: the job goes on to there. */
void archive_job_durable(struct archive_job *job, uint64_t durable);
/* may_commit() may say something else now. The job may end. */
void archive_job_resume(struct archive_job *job);
/* Bytes committed in this turn so far. */
uint64_t archive_job_bytes(const struct archive_job *job);
/* The offset that is committed; UINT64_MAX: not known yet. */
uint64_t archive_job_archived(const struct archive_job *job);
/* Stops and frees it; done does not come. */
void archive_job_cancel(struct archive_job *job);

#endif
