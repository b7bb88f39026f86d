/*
 * Which step comes next, and how a run ended. Pure: looks at the plan and the steps' states only,
 * so several steps may be running, waiting or retrying while it decides about the others.
 */
#ifndef OPS_AGENT_RUNNER_GRAPH_H
#define OPS_AGENT_RUNNER_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/run/plan.h"
#include "agent/run/state.h"

enum graph_action {
	GRAPH_WAIT,  /* nothing can start before a running step ends */
	GRAPH_START, /* step may start; the caller makes it running */
	GRAPH_SKIP,  /* step will never run; the caller makes it skipped */
	GRAPH_END,   /* every step has a final status */
};

/* What was asked of the run as a whole. */
struct graph_orders {
	bool stop; /* cancelled or timed out: only `finally` still starts */
	bool kill; /* a second cancel, or a broken journal: not even that */
};

struct graph_decision {
	enum graph_action action;
	uint16_t step; /* of GRAPH_START and GRAPH_SKIP */
};

/* One decision; carry it out and ask again until the action is GRAPH_WAIT or GRAPH_END. */
struct graph_decision graph_next(
	const struct plan *plan, const struct run_state *state, const struct graph_orders *orders);

/* Whether all steps but those of `finally` have a final status: what comes then is cleaning up,
 * which a first cancel and the run's timeout leave alone. */
bool graph_is_cleaning_up(const struct plan *plan, const struct run_state *state);

struct graph_result {
	enum run_status status;
	enum run_reason reason;
	int exit_code; /* -1: none */
	int signal;    /* 0: none */
};

/* How a run whose steps are all final ended: as its first step did that counts as a failure;
 * succeeded with exit code 0 when there is none. What stopped the run as a whole goes before. */
struct graph_result graph_result(const struct plan *plan, const struct run_state *state);

#endif
