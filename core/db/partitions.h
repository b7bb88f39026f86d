/*
 * Makes the monthly partitions of ops.run_log ahead of time: as soon as the pool is ready and every
 * few hours from then on. When that fails, rows go to the DEFAULT partition and nothing is lost.
 */
#ifndef OPS_CORE_DB_PARTITIONS_H
#define OPS_CORE_DB_PARTITIONS_H

#include "core/db/pool.h"

#define PARTITIONS_MONTHS_AHEAD 3
#define PARTITIONS_EVERY_MS (6u * 3600u * 1000u)

struct partitions;

/* The agent keeps journals for two weeks after their release; what is dropped earlier would be
 * copied again. */
#define PARTITIONS_MIN_RETENTION_DAYS 15

/* retention_days: months that lie wholly before are dropped, with their runs; 0: none. pool must
 * outlive it. on_result (may be NULL) hears how each attempt went: "" or why not. */
struct partitions *partitions_open(uv_loop_t *loop, struct pool *pool, unsigned retention_days,
	void (*on_result)(const char *problem, void *arg), void *arg);
void partitions_close(struct partitions *partitions, void (*on_closed)(void *arg), void *arg);

#endif
