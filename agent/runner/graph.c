#include "agent/runner/graph.h"

#include <string.h>

#include "agent/config/expr.h"

#define MENTIONS(functions, f) (((functions) & (1u << (f))) != 0)

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

/* ---- conditions ---- */

/* A step whose condition is being looked at. */
struct question {
	const struct graph_view *view;
	size_t step;
	bool good; /* every direct need is */
	char run_id[UUID_TEXT_BYTES];
};

/* Whether a step that this one needs, directly or through others, failed. Needs point backwards,
 * so one pass from the step down finds all of them. */
static bool ancestor_failed(const struct graph_view *view, size_t step)
{
	bool needed[PLAN_MAX_STEPS] = {false};

	needed[step] = true;
	for (size_t i = step + 1; i-- > 0;) {
		const struct plan_step *s = &view->plan->steps[i];

		if (!needed[i])
			continue;
		if (i != step && failed(status_of(view->state, i)) &&
			!is_good(view->plan, view->state, i))
			return true;
		for (size_t k = 0; k < s->n_needs; k++)
			needed[s->needs[k]] = true;
	}
	return false;
}

static bool on_function(void *arg, enum expr_function function)
{
	const struct question *q = arg;

	switch (function) {
	case EXPR_SUCCESS:
		return q->good && !q->view->orders.stop;
	case EXPR_FAILURE:
		return ancestor_failed(q->view, q->step);
	case EXPR_CANCELLED:
		return q->view->orders.cancelled;
	case EXPR_ALWAYS:
	case EXPR_FUNCTIONS:
		break;
	}
	return true;
}

static size_t step_named(const struct plan *plan, const char *id)
{
	size_t i = 0;

	while (i < plan->n_steps && strcmp(plan->steps[i].id, id) != 0)
		i++;
	return i;
}

static const char *input_named(const struct plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->n_inputs; i++) {
		if (strcmp(plan->inputs[i].name, name) == 0)
			return plan->inputs[i].value;
	}
	return NULL;
}

static const char *on_reference(void *arg, const struct template *reference)
{
	struct question *q = arg;
	const struct graph_view *view = q->view;
	size_t i;

	if (reference->ref == PLAN_INPUT)
		return input_named(view->plan, reference->name);
	if (reference->ref == PLAN_RUN_ID) {
		uuid_format(&view->plan->id, q->run_id);
		return q->run_id;
	}
	i = step_named(view->plan, reference->step);
	if (i == view->plan->n_steps)
		return NULL;
	if (reference->ref == PLAN_STEP_STATUS)
		return step_status_name(status_of(view->state, i));
	return view->outputs != NULL ? outputs_get(view->outputs, (uint16_t)i, reference->name)
				     : NULL;
}

static bool condition_holds(const struct graph_view *view, size_t step, bool good)
{
	struct question q = {.view = view, .step = step, .good = good};
	const struct expr_scope scope = {
		.arg = &q, .function = on_function, .reference = on_reference};
	const char *condition = view->plan->steps[step].condition;
	unsigned mentioned = 0;
	bool value = false;

	if (condition == NULL)
		return good && !view->orders.stop;
	if (expr_eval(condition, &scope, &value, &mentioned, NULL) != 0)
		return false; /* not after plan_decode() */
	if (mentioned == 0)
		value = value && good && !view->orders.stop;
	if (view->orders.stop && !MENTIONS(mentioned, EXPR_ALWAYS) &&
		!MENTIONS(mentioned, EXPR_CANCELLED))
		value = false;
	return value;
}

/* ---- decisions ---- */

/* A pending step whose phase has come: GRAPH_WAIT while a step that it needs is not through. */
static enum graph_action judge_needs(const struct graph_view *view, size_t step)
{
	const struct plan_step *s = &view->plan->steps[step];
	bool all_good = true;

	for (size_t i = 0; i < s->n_needs; i++) {
		if (!step_status_is_final(status_of(view->state, s->needs[i])))
			return GRAPH_WAIT;
		if (!is_good(view->plan, view->state, s->needs[i]))
			all_good = false;
	}
	/* In the other phases needs are an order only: every item gets its chance. */
	if (s->phase != PLAN_MAIN)
		return GRAPH_START;
	return condition_holds(view, step, all_good) ? GRAPH_START : GRAPH_SKIP;
}

static enum graph_action judge(const struct graph_view *view, size_t step)
{
	const struct graph_orders *orders = &view->orders;

	if (orders->kill)
		return GRAPH_SKIP;
	switch (view->plan->steps[step].phase) {
	case PLAN_MAIN:
		break;
	case PLAN_ON_FAILURE:
		if (orders->cancelled)
			return GRAPH_SKIP;
		if (!phase_is_final(view->plan, view->state, PLAN_MAIN))
			return GRAPH_WAIT;
		if (!orders->stop && !main_failed(view->plan, view->state))
			return GRAPH_SKIP;
		break;
	case PLAN_FINALLY:
		if (!graph_is_cleaning_up(view->plan, view->state))
			return GRAPH_WAIT;
		break;
	}
	return judge_needs(view, step);
}

struct graph_decision graph_next(const struct graph_view *view)
{
	bool all_final = true;

	for (size_t i = 0; i < view->plan->n_steps; i++) {
		enum graph_action action;

		if (!step_status_is_final(status_of(view->state, i)))
			all_final = false;
		if (status_of(view->state, i) != STEP_PENDING)
			continue;
		action = judge(view, i);
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
