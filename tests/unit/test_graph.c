#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "agent/runner/graph.h"
#include "run_fixture.h"

struct scene {
	struct plan *plan;
	struct run_state state;
	struct outputs outputs;
	struct graph_orders orders;
};

static struct graph_decision next_of(struct scene *scene)
{
	struct graph_view view = {scene->plan, &scene->state, &scene->outputs, scene->orders};

	return graph_next(&view);
}

/* Carries decisions out: steps end as `ends` says when they are started. Returns the order. */
static const char *play(struct scene *scene, const enum step_status *ends)
{
	static char order[256];

	order[0] = '\0';
	for (int turns = 0; turns < 500; turns++) {
		struct graph_decision next = next_of(scene);
		struct step_state *step = &scene->state.steps[next.step];

		if (next.action == GRAPH_END)
			return order;
		assert_int_not_equal(next.action, GRAPH_WAIT);
		assert_int_equal(step->status, STEP_PENDING);
		step->status =
			(uint8_t)(next.action == GRAPH_SKIP ? STEP_SKIPPED : ends[next.step]);
		step->exit_code = step->status == STEP_FAILED ? (int16_t)(next.step + 1) : 0;
		step->reason = REASON_EXIT;
		if (next.action == GRAPH_START)
			snprintf(order + strlen(order), sizeof(order) - strlen(order), "%u ",
				next.step);
	}
	fail();
	return NULL;
}

static struct scene scene_of(size_t n)
{
	struct scene scene = {.plan = fixture_plan(n)};

	state_init(&scene.state, scene.plan);
	return scene;
}

#define ENDS(...) ((const enum step_status[]){__VA_ARGS__})
#define OK STEP_SUCCEEDED
#define BAD STEP_FAILED

static void a_chain_runs_in_order(void **unused)
{
	struct scene s = scene_of(3);

	(void)unused;
	assert_string_equal(play(&s, ENDS(OK, OK, OK)), "0 1 2 ");
	assert_int_equal(graph_result(s.plan, &s.state).status, RUN_SUCCEEDED);
	assert_int_equal(graph_result(s.plan, &s.state).exit_code, 0);
	plan_free(s.plan);
}

static void a_failure_skips_who_needs_it_and_whoever_needs_them(void **unused)
{
	struct scene s = scene_of(4);
	struct graph_result result;

	(void)unused;
	s.plan->steps[3].phase = PLAN_FINALLY;
	assert_string_equal(play(&s, ENDS(BAD, OK, OK, OK)), "0 3 ");
	result = graph_result(s.plan, &s.state);
	assert_int_equal(result.status, RUN_FAILED);
	assert_int_equal(result.exit_code, 1);
	plan_free(s.plan);
}

static void independent_steps_go_on(void **unused)
{
	struct scene s = scene_of(3);

	(void)unused;
	s.plan->steps[2].n_needs = 0;
	assert_string_equal(play(&s, ENDS(BAD, OK, OK)), "0 2 ");
	assert_int_equal(graph_result(s.plan, &s.state).status, RUN_FAILED);
	plan_free(s.plan);
}

static void continue_on_error_counts_as_good(void **unused)
{
	struct scene s = scene_of(3);

	(void)unused;
	s.plan->steps[0].continue_on_error = true;
	s.plan->steps[1].continue_on_error = true;
	assert_string_equal(play(&s, ENDS(BAD, STEP_TIMED_OUT, OK)), "0 1 2 ");
	assert_int_equal(graph_result(s.plan, &s.state).status, RUN_SUCCEEDED);
	plan_free(s.plan);
}

static void on_failure_runs_between_main_and_finally(void **unused)
{
	struct scene s = scene_of(4);

	(void)unused;
	s.plan->steps[2].phase = PLAN_ON_FAILURE;
	s.plan->steps[3].phase = PLAN_FINALLY;
	assert_string_equal(play(&s, ENDS(OK, BAD, BAD, BAD)), "0 1 2 3 ");
	assert_int_equal(graph_result(s.plan, &s.state).exit_code, 2);
	plan_free(s.plan);
	s = scene_of(4);
	s.plan->steps[2].phase = PLAN_ON_FAILURE;
	s.plan->steps[3].phase = PLAN_FINALLY;
	assert_string_equal(play(&s, ENDS(OK, OK, OK, BAD)), "0 1 3 ");
	assert_int_equal(graph_result(s.plan, &s.state).status, RUN_FAILED);
	plan_free(s.plan);
}

static void a_stop_leaves_finally_and_a_kill_leaves_nothing(void **unused)
{
	for (int kill = 0; kill < 2; kill++) {
		struct scene s = scene_of(4);

		(void)unused;
		s.plan->steps[2].phase = PLAN_ON_FAILURE;
		s.plan->steps[3].phase = PLAN_FINALLY;
		s.state.steps[0].status = STEP_CANCELLED;
		s.orders =
			(struct graph_orders){.stop = true, .cancelled = true, .kill = kill != 0};
		assert_string_equal(play(&s, ENDS(OK, OK, OK, OK)), kill != 0 ? "" : "3 ");
		assert_int_equal(graph_result(s.plan, &s.state).status, RUN_CANCELLED);
		plan_free(s.plan);
	}
}

static void waits_for_what_runs(void **unused)
{
	struct scene s = scene_of(3);

	(void)unused;
	s.plan->steps[2].n_needs = 0;
	s.state.steps[0].status = STEP_RUNNING;
	assert_int_equal(next_of(&s).action, GRAPH_START);
	assert_int_equal(next_of(&s).step, 2);
	s.state.steps[2].status = STEP_RUNNING;
	assert_int_equal(next_of(&s).action, GRAPH_WAIT);
	assert_false(graph_is_cleaning_up(s.plan, &s.state));
	plan_free(s.plan);
}

/* Step 3 of a diamond (0 → 1, 0 → 2, 1 and 2 → 3) with this condition. */
static struct scene diamond(const char *condition)
{
	struct scene s = scene_of(4);
	struct plan_step *last = &s.plan->steps[3];

	s.plan->steps[2].needs[0] = 0;
	free(last->needs);
	last->needs = xcalloc(2, sizeof(*last->needs));
	last->needs[0] = 1;
	last->needs[1] = 2;
	last->n_needs = 2;
	last->condition = xstrdup(condition);
	return s;
}

static void the_branches_of_a_diamond_start_together_and_it_joins_them(void **unused)
{
	struct scene s = diamond(NULL);

	(void)unused;
	s.state.steps[0].status = STEP_SUCCEEDED;
	assert_int_equal(next_of(&s).step, 1);
	s.state.steps[1].status = STEP_RUNNING;
	assert_int_equal(next_of(&s).action, GRAPH_START);
	assert_int_equal(next_of(&s).step, 2);
	s.state.steps[2].status = STEP_RETRYING;
	s.state.steps[1].status = STEP_SUCCEEDED;
	assert_int_equal(next_of(&s).action, GRAPH_WAIT);
	s.state.steps[2].status = STEP_SUCCEEDED;
	assert_int_equal(next_of(&s).action, GRAPH_START);
	assert_int_equal(next_of(&s).step, 3);
	plan_free(s.plan);
}

/* What becomes of the diamond's last step. */
struct row {
	const char *condition;
	enum step_status first, left, right;
	bool stop, cancelled;
	enum graph_action action;
};

#define SKIPPED STEP_SKIPPED
#define ENDED STEP_CANCELLED

static const struct row rows[] = {
	{NULL, OK, OK, OK, false, false, GRAPH_START},
	{NULL, OK, OK, BAD, false, false, GRAPH_SKIP},
	{NULL, OK, OK, SKIPPED, false, false, GRAPH_SKIP},
	{NULL, OK, OK, OK, true, true, GRAPH_SKIP},
	{"success()", OK, OK, OK, false, false, GRAPH_START},
	{"success()", OK, OK, BAD, false, false, GRAPH_SKIP},
	{"failure()", OK, OK, OK, false, false, GRAPH_SKIP},
	{"failure()", OK, BAD, OK, false, false, GRAPH_START},
	{"failure()", BAD, SKIPPED, SKIPPED, false, false, GRAPH_START},
	{"failure()", OK, ENDED, OK, true, true, GRAPH_SKIP},
	{"always()", OK, BAD, SKIPPED, false, false, GRAPH_START},
	{"always()", OK, ENDED, SKIPPED, true, true, GRAPH_START},
	{"always()", OK, STEP_TIMED_OUT, SKIPPED, true, false, GRAPH_START},
	{"cancelled()", OK, OK, OK, false, false, GRAPH_SKIP},
	{"cancelled()", OK, ENDED, OK, true, true, GRAPH_START},
	{"cancelled()", OK, STEP_TIMED_OUT, OK, true, false, GRAPH_SKIP},
	{"!cancelled()", OK, BAD, OK, false, false, GRAPH_START},
	{"!cancelled()", OK, ENDED, OK, true, true, GRAPH_SKIP},
	{"!success()", OK, BAD, OK, false, false, GRAPH_START},
	{"!success()", OK, ENDED, OK, true, true, GRAPH_SKIP},
	{"always() && success()", OK, OK, OK, true, true, GRAPH_SKIP},
	{"inputs.db == 'app'", OK, OK, OK, false, false, GRAPH_START},
	{"inputs.db == 'app'", OK, OK, BAD, false, false, GRAPH_SKIP},
	{"inputs.db == 'app'", OK, OK, OK, true, true, GRAPH_SKIP},
	{"inputs.db != 'app'", OK, OK, OK, false, false, GRAPH_SKIP},
	{"steps.s1.status == 'failed' && always()", OK, BAD, OK, false, false, GRAPH_START},
	{"steps.s1.status == 'failed' && always()", OK, OK, OK, false, false, GRAPH_SKIP},
	{"steps.s0.outputs.path == '/x'", OK, OK, OK, false, false, GRAPH_START},
	{"steps.s0.outputs.bytes == ''", OK, OK, OK, false, false, GRAPH_START},
	{"steps.s0.outputs.bytes", OK, OK, OK, false, false, GRAPH_SKIP},
};

static void a_condition_decides(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];
		struct scene s = diamond(row->condition);
		struct output output = {.step = 0, .attempt = 1};
		struct graph_decision next;

		output.name = xstrdup("path");
		output.value = xstrdup("/x");
		s.outputs = (struct outputs){.items = &output, .n = 1};
		s.state.steps[0].status = (uint8_t)row->first;
		s.state.steps[1].status = (uint8_t)row->left;
		s.state.steps[2].status = (uint8_t)row->right;
		s.orders = (struct graph_orders){.stop = row->stop, .cancelled = row->cancelled};
		next = next_of(&s);
		if (next.action != row->action || next.step != 3)
			fail_msg("row %zu: '%s'", i, row->condition);
		free(output.name);
		free(output.value);
		plan_free(s.plan);
	}
}

static void a_timeout_of_the_run_leads_to_on_failure_and_a_cancel_does_not(void **unused)
{
	for (int cancelled = 0; cancelled < 2; cancelled++) {
		struct scene s = scene_of(3);

		(void)unused;
		s.plan->steps[1].phase = PLAN_ON_FAILURE;
		s.plan->steps[2].phase = PLAN_FINALLY;
		s.state.steps[0].status =
			(uint8_t)(cancelled != 0 ? STEP_CANCELLED : STEP_TIMED_OUT);
		s.orders = (struct graph_orders){.stop = true, .cancelled = cancelled != 0};
		assert_string_equal(play(&s, ENDS(OK, OK, OK)), cancelled != 0 ? "2 " : "1 2 ");
		plan_free(s.plan);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_runs_in_order),
		cmocka_unit_test(a_failure_skips_who_needs_it_and_whoever_needs_them),
		cmocka_unit_test(independent_steps_go_on),
		cmocka_unit_test(continue_on_error_counts_as_good),
		cmocka_unit_test(on_failure_runs_between_main_and_finally),
		cmocka_unit_test(a_stop_leaves_finally_and_a_kill_leaves_nothing),
		cmocka_unit_test(waits_for_what_runs),
		cmocka_unit_test(the_branches_of_a_diamond_start_together_and_it_joins_them),
		cmocka_unit_test(a_condition_decides),
		cmocka_unit_test(a_timeout_of_the_run_leads_to_on_failure_and_a_cancel_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
