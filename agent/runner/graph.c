#include "agent/runner/graph.h"

static enum step_status status_of(const struct run_state *state, size_t step)
{
	return (enum step_status)state->steps[step].status;
}

static bool failed(enum step_status status)
{
	return status == STEP_FAILED || status == STEP_TIMED_OUT || status == STEP_CANCELLED ||
	       status == STEP_LOST;
}

/* Whether the step's end lets those go on that need it. */
static bool is_good(const struct plan *plan, const struct run_state *state, size_t step)
{
	enum step_status status = status_of(state, step);

	return status == STEP_SUCCEEDED ||
	       (plan->steps[step].continue_on_error &&
		       (status == STEP_FAILED || status == STEP_TIMED_OUT));
}

static bool phase_is_final(
	const struct plan *plan, const struct run_state *state, enum plan_phase phase)
{
	for (size_t i = 0; i < plan->n_steps; i++) {
		if (plan->steps[i].phase == phase && !step_status_is_final(status_of(state, i)))
			return false;
	}
	return true;
}

static bool main_failed(const struct plan *plan, const struct run_state *state)
{
	for (size_t i = 0; i < plan->n_steps; i++) {
		if (plan->steps[i].phase == PLAN_MAIN && failed(status_of(state, i)) &&
			!is_good(plan, state, i))
			return true;
	}
	return false;
}

/* A pending step whose phase has come: GRAPH_WAIT while a step that it needs is not through. */
static enum graph_action judge_needs(
	const struct plan *plan, const struct run_state *state, size_t step)
{
	const struct plan_step *s = &plan->steps[step];
	bool all_good = true;

	for (size_t i = 0; i < s->n_needs; i++) {
		if (!step_status_is_final(status_of(state, s->needs[i])))
			return GRAPH_WAIT;
		if (!is_good(plan, state, s->needs[i]))
			all_good = false;
	}
	/* In the other phases needs are an order only: every item gets its chance. */
	return all_good || s->phase != PLAN_MAIN ? GRAPH_START : GRAPH_SKIP;
}

static enum graph_action judge(const struct plan *plan, const struct run_state *state,
	const struct graph_orders *orders, size_t step)
{
	switch (plan->steps[step].phase) {
	case PLAN_MAIN:
		if (orders->stop || orders->kill)
			return GRAPH_SKIP;
		break;
	case PLAN_ON_FAILURE:
		if (orders->stop || orders->kill)
			return GRAPH_SKIP;
		if (!phase_is_final(plan, state, PLAN_MAIN))
			return GRAPH_WAIT;
		if (!main_failed(plan, state))
			return GRAPH_SKIP;
		break;
	case PLAN_FINALLY:
		if (orders->kill)
			return GRAPH_SKIP;
		if (!graph_is_cleaning_up(plan, state))
			return GRAPH_WAIT;
		break;
	}
	return judge_needs(plan, state, step);
}

struct graph_decision graph_next(
	const struct plan *plan, const struct run_state *state, const struct graph_orders *orders)
{
	bool all_final = true;

	for (size_t i = 0; i < plan->n_steps; i++) {
		enum graph_action action;

		if (!step_status_is_final(status_of(state, i)))
			all_final = false;
		if (status_of(state, i) != STEP_PENDING)
			continue;
		action = judge(plan, state, orders, i);
		if (action != GRAPH_WAIT)
			return (struct graph_decision){action, (uint16_t)i};
	}
	return (struct graph_decision){all_final ? GRAPH_END : GRAPH_WAIT, 0};
}

bool graph_is_cleaning_up(const struct plan *plan, const struct run_state *state)
{
	return phase_is_final(plan, state, PLAN_MAIN) &&
	       phase_is_final(plan, state, PLAN_ON_FAILURE);
}

struct graph_result graph_result(const struct plan *plan, const struct run_state *state)
{
	for (size_t i = 0; i < plan->n_steps; i++) {
		const struct step_state *step = &state->steps[i];
		struct graph_result result = {.reason = (enum run_reason)step->reason,
			.exit_code = step->exit_code,
			.signal = step->signal};

		if (!failed(status_of(state, i)) || is_good(plan, state, i))
			continue;
		result.status = step->status == STEP_TIMED_OUT	 ? RUN_TIMED_OUT
				: step->status == STEP_CANCELLED ? RUN_CANCELLED
				: step->status == STEP_LOST	 ? RUN_LOST
								 : RUN_FAILED;
		return result;
	}
	return (struct graph_result){.status = RUN_SUCCEEDED, .reason = REASON_EXIT};
}
