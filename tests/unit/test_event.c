#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>

#include "agent/run/event.h"
#include "run_fixture.h"

static char *taken(struct buf *buf)
{
	char *text = buf_take_str(buf);

	assert_non_null(text);
	return text;
}

static void run_created_masks_secrets_and_names_references(void **unused)
{
	struct plan *plan = fixture_plan(2);
	struct plan_text *arg;
	struct buf buf;
	char *text;

	(void)unused;
	arg = plan->steps[1].argv = realloc(plan->steps[1].argv, 2 * sizeof(*arg));
	plan->steps[1].n_argv = 2;
	arg[1] = (struct plan_text){.prefix = xstrdup("--file="),
		.ref = PLAN_STEP_OUTPUT,
		.index = 0,
		.name = xstrdup("path")};
	buf_init(&buf, RECORD_MAX_PAYLOAD);
	event_run_created(&buf, plan);
	text = taken(&buf);
	assert_ptr_equal(strstr(text, "{\"event\":\"run.created\",\"id\":\""), text);
	assert_non_null(strstr(text, "\"number\":1482"));
	assert_non_null(strstr(text, "\"title\":\"Nightly \\\"backup\\\"\""));
	assert_non_null(strstr(text, "\"inputs\":{\"db\":\"app\",\"password\":\"***\"}"));
	assert_non_null(strstr(text, "\"--file=${steps.s0.outputs.path}\""));
	assert_non_null(strstr(text, "\"needs\":[\"s0\"]"));
	assert_non_null(strstr(text, "\"abridged\":false"));
	free(text);
	plan_free(plan);
}

static void run_created_of_any_size_fits_a_record(void **unused)
{
	struct plan *plan = fixture_plan(PLAN_MAX_STEPS);
	struct buf buf;
	char *text;

	(void)unused;
	for (size_t i = 0; i < plan->n_steps; i++) {
		free(plan->steps[i].argv[0].prefix);
		plan->steps[i].argv[0].prefix = xcalloc(1, 20000);
		memset(plan->steps[i].argv[0].prefix, 'x', 19999);
	}
	free(plan->inputs[0].value);
	plan->inputs[0].value = xcalloc(1, 100000);
	memset(plan->inputs[0].value, '"', 99999);
	buf_init(&buf, RECORD_MAX_PAYLOAD);
	event_run_created(&buf, plan);
	assert_int_equal(buf_err(&buf), 0);
	text = taken(&buf);
	assert_non_null(strstr(text, "\"id\":\"s63\""));
	assert_non_null(strstr(text, "\"abridged\":true"));
	free(text);
	plan_free(plan);
}

static void step_finished_tells_its_outputs_or_that_they_are_too_many(void **unused)
{
	struct outputs outputs;
	struct event_step_finished ev = {.step = {"dump", 2},
		.status = STEP_FAILED,
		.reason = REASON_SIGNAL,
		.exit_code = -1,
		.signal = 9,
		.message = "what",
		.outputs = &outputs,
		.step_index = 1};
	struct output items[2] = {{1, 2, NULL, NULL}, {1, 1, NULL, NULL}};
	char name[] = "path", old[] = "old", value[] = "/x";
	char *huge = xcalloc(1, 70000);
	struct buf buf;
	char *text;

	(void)unused;
	items[0].name = items[1].name = name;
	items[0].value = value;
	items[1].value = old;
	outputs = (struct outputs){items, 2};
	buf_init(&buf, RECORD_MAX_PAYLOAD);
	event_step_finished(&buf, &ev);
	text = taken(&buf);
	assert_string_equal(text,
		"{\"event\":\"step.finished\",\"step_id\":\"dump\",\"attempt\":2,\"status\":"
		"\"failed\",\"reason\":\"signal\",\"exit_code\":null,\"signal\":9,\"message\":"
		"\"what\",\"outputs\":{\"path\":\"/x\"},\"outputs_omitted\":false}");
	free(text);
	memset(huge, 'x', 69999);
	items[0].value = huge;
	buf_init(&buf, RECORD_MAX_PAYLOAD);
	event_step_finished(&buf, &ev);
	text = taken(&buf);
	assert_non_null(strstr(text, "\"outputs\":null,\"outputs_omitted\":true"));
	free(text);
	free(huge);
}

static void run_finished_can_be_read_back(void **unused)
{
	struct event_run_finished ev = {.status = RUN_TIMED_OUT,
		.reason = REASON_TIMEOUT,
		.exit_code = -1,
		.signal = 15,
		.bytes = 123,
		.lines = 4,
		.records = 5,
		.truncated = true,
		.message = "a \"message\""};
	struct event_run_finished back;
	struct record rec = {.kind = RECORD_EVENT, .step = RECORD_STEP_RUN};
	struct buf buf;

	(void)unused;
	memset(ev.digest, 0x5a, sizeof(ev.digest));
	buf_init(&buf, RECORD_MAX_PAYLOAD);
	event_run_finished(&buf, &ev);
	rec.payload = buf.data;
	rec.length = (uint32_t)buf.len;
	assert_true(event_is_run_finished(&rec));
	assert_int_equal(event_read_run_finished(&rec, &back), 0);
	assert_int_equal(back.status, RUN_TIMED_OUT);
	assert_int_equal(back.reason, REASON_TIMEOUT);
	assert_int_equal(back.exit_code, -1);
	assert_int_equal(back.signal, 15);
	assert_true(back.truncated);
	assert_memory_equal(back.digest, ev.digest, 32);
	for (uint32_t n = 0; n < 100; n++) {
		rec.length = n;
		assert_int_equal(event_read_run_finished(&rec, &back), -EBADMSG);
	}
	/* A command that prints such a line does not end its run. */
	rec.length = (uint32_t)buf.len;
	rec.kind = RECORD_STDOUT;
	assert_false(event_is_run_finished(&rec));
	rec.kind = RECORD_EVENT;
	rec.step = 0;
	assert_false(event_is_run_finished(&rec));
	buf_fini(&buf);
}

static void the_small_ones_read_as_documented(void **unused)
{
	const char *names[] = {"sleep", "sh"};
	struct event_step step = {"a", 1};
	struct event_killed killed = {step, 3, 1, names, 2};
	struct buf buf;
	char *text;

	(void)unused;
	buf_init(&buf, RECORD_MAX_PAYLOAD);
	event_cancel_requested(&buf, "user:admin", "why", false);
	event_children_killed(&buf, &killed);
	event_output_truncated(&buf, &step, 77, "max_output");
	event_step_timed_out(&buf, &step, 5);
	event_disk_ok(&buf);
	text = taken(&buf);
	assert_string_equal(text,
		"{\"event\":\"run.cancel_requested\",\"actor\":\"user:admin\",\"reason\":\"why\","
		"\"kill\":false}"
		"{\"event\":\"children.killed\",\"step_id\":\"a\",\"attempt\":1,\"count\":3,"
		"\"names\":[\"sleep\",\"sh\"],\"left\":1}"
		"{\"event\":\"output.truncated\",\"step_id\":\"a\",\"attempt\":1,\"bytes\":77,"
		"\"reason\":\"max_output\"}"
		"{\"event\":\"step.timed_out\",\"step_id\":\"a\",\"attempt\":1,\"timeout_us\":5}"
		"{\"event\":\"run.disk_ok\"}");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(run_created_masks_secrets_and_names_references),
		cmocka_unit_test(run_created_of_any_size_fits_a_record),
		cmocka_unit_test(step_finished_tells_its_outputs_or_that_they_are_too_many),
		cmocka_unit_test(run_finished_can_be_read_back),
		cmocka_unit_test(the_small_ones_read_as_documented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
