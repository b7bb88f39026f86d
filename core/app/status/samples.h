/*
 * Samples: what the status document measures, every SAMPLE_EVERY_S into PostgreSQL, where they are
 * rolled up and forgotten (core/db/migrations/0005_samples.sql). Several dashboards on one database
 * write each moment once.
 *
 * PostgreSQL away: SAMPLES_MAX_HELD moments are kept, older ones are dropped, and the gap stays a
 * gap. The agent away: there is nothing to sample, which is a gap as well.
 */
#ifndef OPS_CORE_APP_STATUS_SAMPLES_H
#define OPS_CORE_APP_STATUS_SAMPLES_H

#include <stdint.h>

#include "core/base/mem.h"

#define SAMPLES_MAX_HELD 90  /* moments that are not in PostgreSQL: a quarter of an hour */
#define SAMPLES_BATCH 6	     /* moments that are written at a time, when they have come */
#define SAMPLES_MAX_BATCH 30 /* and when there are more, after an outage */
#define SAMPLES_MAX_AGE_US                                                                         \
	UINT64_C(30000000)	 /* a document that was heard longer ago is not sampled */
#define SAMPLES_ROLL_UP_MS 60000 /* may take so long */
#define SAMPLES_CLOSE_MS 2000	 /* what is held is written for so long when stopping */
#define SAMPLES_MAX_KEYS 32	 /* values in one question */
#define SAMPLES_QUERY_MS 15000

struct host;
struct request;
struct samples;

/* Uses host->status and server->pool, which must outlive it. */
struct samples *samples_open(struct host *host);
/* Writes what is held, when that is possible within SAMPLES_CLOSE_MS; on_closed comes later. */
void samples_close(struct samples *samples, void (*on_closed)(void *arg), void *arg);

/* For /metrics: moments written, dropped because PostgreSQL was away, and held until there are
 * SAMPLES_BATCH of them. */
struct samples_counts {
	uint64_t written, dropped, held;
};
struct samples_counts samples_counts(const struct samples *samples);

/* Handles GET /api/v1/status/history: one value. */
void samples_get(struct request *req);
/* Handles GET /api/v1/status/histories: several, for the small lines of a page. */
void samples_get_many(struct request *req);

#endif
