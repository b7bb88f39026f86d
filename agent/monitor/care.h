/*
 * Care for the disk. Journals that the dashboard has released are kept for OPS_AGENT_KEEP_DAYS, and
 * given up earlier, oldest first, when all journals together are over OPS_AGENT_MAX_BYTES. What was
 * not released is never given up: when that alone is over the budget, no new runs are taken. Nor is
 * what has no seal yet, which is a matter of seconds.
 *
 * Looking at every RUN_DIR costs something, so it is done at start, after runs have ended or were
 * released (at most every CARE_PAUSE_US), and once a day.
 */
#ifndef OPS_AGENT_MONITOR_CARE_H
#define OPS_AGENT_MONITOR_CARE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"

#define CARE_KEEP_DAYS 14
#define CARE_MAX_BYTES (UINT64_C(10) << 30)
#define CARE_PAUSE_US (UINT64_C(600) * 1000000)
#define CARE_DAY_US (UINT64_C(86400) * 1000000)

struct monitor;

struct care {
	uint64_t keep_us, max_bytes;
	uint64_t unreleased_bytes; /* as of the last look, and what ended since */
	uint64_t looked_us;	   /* monotonic; 0: never */
	bool wanted;		   /* something has ended or was released since */
	bool awaits_seals;	   /* a journal could go, had it its seal (monitor/seal.h) */
};

/* Reads OPS_AGENT_KEEP_DAYS and OPS_AGENT_MAX_BYTES. -EINVAL with a text that names the variable.
 */
MUSTCHECK int care_init(struct care *care, struct err *err);
/* Looks if it is time to, and removes what may go. Returns when to be called again (monotonic). */
uint64_t care_step(struct monitor *m, uint64_t now_us);
/* Whether new runs must wait for releases. */
bool care_is_over_budget(const struct care *care);

#endif
