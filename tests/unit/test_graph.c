#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agent/runner/graph.h"
#include "run_fixture.h"

struct scene {
	struct plan *plan;
	struct run_state state;
	struct graph_orders orders;
};

/* Carries decisions out: steps end as `ends` says when they are started. Returns the order. */
static const char *play(struct scene *scene, const enum step_status *ends)
{
	static char order[256];

	order[0] = '\0';
	for (int turns = 0; turns < 500; turns++) {
		struct graph_decision next = graph_next(scene->plan, &scene->state, &scene->orders);
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
		s.orders = (struct graph_orders){.stop = true, .kill = kill != 0};
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
	assert_int_equal(graph_next(s.plan, &s.state, &s.orders).action, GRAPH_START);
	assert_int_equal(graph_next(s.plan, &s.state, &s.orders).step, 2);
	s.state.steps[2].status = STEP_RUNNING;
	assert_int_equal(graph_next(s.plan, &s.state, &s.orders).action, GRAPH_WAIT);
	assert_false(graph_is_cleaning_up(s.plan, &s.state));
	plan_free(s.plan);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
