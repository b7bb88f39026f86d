/*
 * max_rate: how often a command was started lately, by itself or as a step of a flow. In memory
 * only; a new agent learns it from the runs on disk (rates_note_meta()), which are kept longer than
 * any rate may look back.
 */
#ifndef OPS_AGENT_MONITOR_RATES_H
#define OPS_AGENT_MONITOR_RATES_H

#include <stddef.h>
#include <stdint.h>

#include "agent/config/catalog.h"
#include "agent/run/plan.h"
#include "core/base/err.h"

#define RATES_MAX 16384 /* starts remembered; more in 24 hours: the next ones are refused */

struct rates {
	size_t first, n; /* a ring, oldest first */
	struct rate_start {
		uint64_t time_us;
		uint64_t command; /* a hash of its id */
	} ring[RATES_MAX];
};

/* 0 when the plan may start now; -EBUSY with err naming the command and when it may again. */
MUSTCHECK int rates_check(struct rates *rates, const struct catalog *catalog,
	const struct plan *plan, uint64_t now_us, struct err *err);
/* The plan starts. */
void rates_note(struct rates *rates, const struct catalog *catalog, const struct plan *plan);
/* A run of the past, found on disk. */
void rates_note_meta(struct rates *rates, const struct catalog *catalog, const struct plan *meta,
	uint64_t now_us);

#endif
