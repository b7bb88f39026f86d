/* What archiver.c (when there is work) and archiver_runs.c (the runs and their turns) share. */
#ifndef OPS_CORE_APP_ARCHIVE_ARCHIVER_INTERNAL_H
#define OPS_CORE_APP_ARCHIVE_ARCHIVER_INTERNAL_H

#include <stdbool.h>

#include "core/app/archive/archive_job.h"
#include "core/app/archive/archive_pace.h"
#include "core/app/archive/archive_scan.h"
#include "core/app/archive/archiver.h"
#include "core/app/runs/rundoc.h"
#include "core/base/list.h"

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
	uint64_t taken_ms;	 /* uv_now() until which it is left to another dashboard */
	struct lease *lease;	 /* NULL: none */
	bool asking;		 /* the lease is not answered yet; counts as a job */
	struct archive_job *job; /* NULL: none runs */
	struct projection *projection;
};

struct archiver {
	uv_loop_t *loop;
	struct link *agent;
	struct pool *pool;
	struct channel *channel;
	struct channel_watch channel_watch;
	void (*on_change)(const struct archiver_status *status, void *arg);
	void *arg;

	struct link_watch agent_watch;
	struct pool_watch pool_watch;
	bool agent_up, database_up;
	struct list tracked; /* tracked.link, who waited longest first */
	size_t n_tracked, n_projections;
	unsigned n_jobs;
	struct archive_pace pace;
	const struct archive_others *others;
	const uint64_t *watched_bytes;
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
	uv_timer_t go_on;				   /* a pause ends */
	uv_timer_t tell;				   /* on_change */
	unsigned n_handles;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

/* archiver.c */
void archiver_touch(struct archiver *a);			/* on_change is due */
void archiver_problem(struct archiver *a, const char *message); /* "" when all is well */
void archiver_pump(struct archiver *a);				/* starts what can be started */
unsigned archiver_backoff_ms(unsigned failures);

/* archiver_runs.c */
/* Something about a run is known: it may have to be archived. */
void archiver_note(struct archiver *a, const struct rundoc *doc);
/* Another dashboard may have archived this run (text of a UUID): it need not be waited for. */
void archiver_taken_over(struct archiver *a, const char *run);
/* Gives turns to those who are due at now; returns when the next is, or NEVER. */
uint64_t archiver_give_turns(struct archiver *a, uint64_t now);
/* Those who were held back may ask again. */
void archiver_resume_jobs(struct archiver *a);
/* Bytes that are durable at the agent and not committed here. */
uint64_t tracked_behind(const struct tracked *t);
/* Cancels all turns and forgets all runs. */
void archiver_forget_runs(struct archiver *a);

#endif
