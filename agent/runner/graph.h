/*
 * Which step comes next, and how a run ended. Pure: looks at the plan, the steps' states and what
 * they set; several steps may be running, waiting or retrying while it decides about the others.
 *
 * A step of the main phase has its turn when all that it needs is through. Its condition (`if`)
 * then says whether it runs:
 *
 *	success()	every direct need succeeded, or failed with continue_on_error; and the run
 *was not stopped. Meant where no condition is written, and in front of one that mentions no
 *function failure()	a step that it needs, directly or through others, failed (and may not)
 *	cancelled()	the run was cancelled
 *	always()	true
 *
 * After a stop (cancelled, or timed out as a whole) only a step whose condition mentions always()
 * or cancelled() still runs. `on_failure` runs after a failed step or the run's timeout, not after
 * a cancel; `finally` always. The items of these two run one after the other, whatever becomes of
 * the one before.
 */
#ifndef OPS_AGENT_RUNNER_GRAPH_H
#define OPS_AGENT_RUNNER_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/run/outputs.h"
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
	bool stop;	/* cancelled or timed out */
	bool cancelled; /* cancelled; with stop */
	bool kill;	/* a second cancel, or a broken journal: nothing starts any more */
};

struct graph_decision {
	enum graph_action action;
	uint16_t step; /* of GRAPH_START and GRAPH_SKIP */
};

/* What the decisions look at. */
struct graph_view {
	const struct plan *plan;
	const struct run_state *state;
	const struct outputs *outputs; /* of steps, for conditions; NULL: none */
	struct graph_orders orders;
};

/* One decision; carry it out and ask again until the action is GRAPH_WAIT or GRAPH_END. */
struct graph_decision graph_next(const struct graph_view *view);

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
