/*
 * Copies the journals of runs from the agent into PostgreSQL: records into ops.run_log,
 * idempotently by offset, their events into ops.runs and ops.run_steps. A finished run whose bytes
 * are all committed and whose digest was recomputed is released at the agent. Whatever fails in
 * between, the copy goes on from ops.runs.archived_offset: no gap, no double.
 *
 * Of several dashboards on one database each run is archived by one at a time (a lease on the run's
 * id); should that fail, the offset still lets only one of them commit.
 *
 * Runs that are going on are archived up to what the agent has made durable, slowly while viewers
 * are given a flood. Up to ARCHIVER_MAX_JOBS runs are copied at once, in turns; memory is bounded
 * by the maxima here.
 */
#ifndef OPS_CORE_APP_ARCHIVE_ARCHIVER_H
#define OPS_CORE_APP_ARCHIVE_ARCHIVER_H

#include <stdint.h>
#include <uv.h>

#include "core/agentlink/link.h"
#include "core/base/mem.h"
#include "core/db/channel.h"
#include "core/db/pool.h"

#define ARCHIVER_MAX_JOBS 4 /* runs copied at once */
#define ARCHIVER_MAX_TRACKED                                                                       \
	1024 /* runs known to need work; beyond, the agent's list is read again */
#define ARCHIVER_TURN_BYTES (32u << 20) /* of one run, then another has its turn */
#define ARCHIVER_MIN_LAG_BYTES                                                                     \
	(64u << 10)		  /* a running run is copied when it is this far ahead …         \
				   */
#define ARCHIVER_MAX_LAG_MS 15000 /* … or after this time */
#define ARCHIVER_BACKOFF_MIN_MS 500
#define ARCHIVER_BACKOFF_MAX_MS 30000
#define ARCHIVER_TAKEN_RETRY_MS 5000		      /* of a run that another dashboard archives */
#define ARCHIVER_DAMAGED_RETRY_MS (10u * 60u * 1000u) /* of a run whose digest will not match */

struct archiver;

enum archiver_state {
	ARCHIVER_IDLE, /* everything the agent has made durable is in the database */
	ARCHIVER_WORKING,
	ARCHIVER_WAITING_FOR_DATABASE,
	ARCHIVER_WAITING_FOR_AGENT,
};

struct archiver_status {
	enum archiver_state state;
	uint64_t since_us;	 /* wall clock: in this state since */
	uint64_t behind_runs;	 /* runs not wholly archived, as far as known */
	uint64_t behind_bytes;	 /* of their journals */
	uint64_t archived_bytes; /* committed since the start */
	uint64_t released_runs;	 /* since the start */
	uint64_t refilled_runs;	 /* whose rows were replaced after a mismatch */
	uint64_t damaged_runs;	 /* given up for now: the digest does not match, twice */
	const char *problem;	 /* what failed last, for a person; "" when nothing did. Valid
				    until the loop runs again */
};

struct archiver_opts {
	struct link *link; /* all must outlive the archiver */
	struct pool *pool;
	struct channel *channel; /* shares the runs with other dashboards; NULL: there are none */
	const struct archive_others *others; /* whose runs are left alone; NULL: there are none */
	/* Bytes of logs given to viewers since the start; a flood of them comes before archiving
	 * (archive_pace.h). NULL: there are no viewers. */
	const uint64_t *watched_bytes;
	/* The status changed (at most a few times a second). May be NULL. */
	void (*on_change)(const struct archiver_status *status, void *arg);
	void *arg;
};

/* Starts as soon as agent and database are there. Never fails. */
struct archiver *archiver_open(uv_loop_t *loop, const struct archiver_opts *opts);
/* Stops in the middle; on_closed comes later, once, and it is freed. on_change comes no more. */
void archiver_close(struct archiver *archiver, void (*on_closed)(void *arg), void *arg);

void archiver_get_status(const struct archiver *archiver, struct archiver_status *ret_status);
/* idle working waiting_for_database waiting_for_agent */
const char *archiver_state_name(enum archiver_state state);

#endif
