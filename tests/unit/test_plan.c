#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/run/plan.h"
#include "core/base/mem.h"

static struct plan_text literal(const char *text)
{
	return (struct plan_text){.prefix = xstrdup(text)};
}

static void fill_step(struct plan_step *step, const char *id, enum plan_phase phase)
{
	step->id = xstrdup(id);
	step->uses = xstrdup("pg.dump");
	step->title = xstrdup("Dump");
	step->phase = phase;
	step->executable = xstrdup("/bin/dump");
	step->n_inputs = 2;
	step->inputs = xcalloc(2, sizeof(*step->inputs));
	step->inputs[0].spec = (struct input_spec){.name = xstrdup("label"),
		.type = INPUT_SLUG,
		.required = true,
		.max_length = 32,
		.pattern = xstrdup("[a-z]+")};
	step->inputs[0].value = literal("manual");
	step->inputs[0].present = true;
	step->inputs[1].spec = (struct input_spec){.name = xstrdup("n"),
		.type = INPUT_INT,
		.default_value = xstrdup("-3"),
		.max_length = 1024,
		.has_min = true,
		.min = INT64_MIN};
	step->inputs[1].value = literal("-3");
	step->n_argv = 3;
	step->argv = xcalloc(3, sizeof(*step->argv));
	step->argv[0] = literal("/bin/dump");
	step->argv[1] = literal("--label=");
	step->argv[1].ref = PLAN_INPUT;
	step->argv[2] = literal("");
	step->argv[2].ref = PLAN_RUN_ID;
	step->n_env = 1;
	step->env = xcalloc(1, sizeof(*step->env));
	step->env[0].name = xstrdup("A");
	step->env[0].value = literal("b");
	step->env[0].secret_path = xstrdup("/etc/secret");
	step->user = xstrdup("postgres");
	step->cwd = xstrdup("/");
	step->timeout_us = UINT64_MAX;
	step->kill_after_us = 1;
	step->n_success_codes = 2;
	step->success_codes = xcalloc(2, 1);
	step->success_codes[1] = 255;
	step->n_outputs = 1;
	step->outputs = xcalloc(1, sizeof(*step->outputs));
	step->outputs[0] = xstrdup("path");
	step->new_privileges = true;
	step->condition = xstrdup("failure() || always()");
	step->retry = (struct plan_retry){2, 30000000, 2, xcalloc(1, 1), 1};
	step->limits = (struct plan_limits){1u << 30, 200, 64};
}

static struct plan *make_plan(void)
{
	struct plan *plan = xcalloc(1, sizeof(*plan));

	uuid_v7(&plan->id);
	plan->number = 1482;
	plan->is_flow = true;
	plan->name = xstrdup("backup");
	plan->title = xstrdup("Backup");
	plan->host = xstrdup("thoth");
	plan->actor = xstrdup("user:admin");
	plan->trigger = xstrdup("manual");
	plan->config_digest = xstrdup("ab");
	plan->created_us = 5;
	plan->max_output = 1 << 20;
	plan->n_inputs = 1;
	plan->inputs = xcalloc(1, sizeof(*plan->inputs));
	plan->inputs[0].name = xstrdup("label");
	plan->inputs[0].value = xstrdup("***");
	plan->inputs[0].secret = true;
	plan->n_steps = 2;
	plan->steps = xcalloc(2, sizeof(*plan->steps));
	fill_step(&plan->steps[0], "dump", PLAN_MAIN);
	fill_step(&plan->steps[1], "finally.1", PLAN_FINALLY);
	plan->steps[1].n_needs = 1;
	plan->steps[1].needs = xcalloc(1, sizeof(uint16_t));
	plan->steps[1].inputs[0].value.prefix[0] = '\0';
	plan->steps[1].inputs[0].value.ref = PLAN_STEP_OUTPUT;
	plan->steps[1].inputs[0].value.name = xstrdup("path");
	return plan;
}

static void encode(const struct plan *plan, struct buf *buf)
{
	buf_init(buf, PLAN_MAX_BYTES);
	assert_int_equal(plan_encode(plan, buf), 0);
}

static void what_is_encoded_decodes_to_the_same(void **state)
{
	struct plan *plan = make_plan();
	struct buf first, second;
	struct plan *again;
	struct err err = {0};

	(void)state;
	encode(plan, &first);
	again = plan_decode(first.data, first.len, &err);
	assert_non_null(again);
	encode(again, &second);
	assert_int_equal(first.len, second.len);
	assert_memory_equal(first.data, second.data, first.len);
	assert_string_equal(again->name, "backup");
	assert_true(again->number == 1482);
	assert_string_equal(again->steps[0].inputs[0].spec.pattern, "[a-z]+");
	assert_true(again->steps[0].inputs[1].spec.min == INT64_MIN);
	assert_true(again->steps[0].timeout_us == UINT64_MAX);
	assert_string_equal(again->steps[1].inputs[0].value.name, "path");
	assert_null(again->steps[0].stdin_text.prefix);
	assert_string_equal(again->steps[1].condition, "failure() || always()");
	assert_int_equal(again->steps[1].retry.delay_us, 30000000);
	assert_int_equal(again->steps[1].retry.n_exit_codes, 1);
	assert_int_equal(again->steps[1].limits.cpu_percent, 200);
	assert_null(again->steps[0].approve.prompt);
	assert_null(again->default_user_override);
	plan_free(again);
	plan_free(plan);
	buf_fini(&first);
	buf_fini(&second);
}

static void every_cut_and_every_extra_byte_is_refused(void **state)
{
	struct plan *plan = make_plan();
	struct buf buf;
	struct err err;

	(void)state;
	encode(plan, &buf);
	for (size_t n = 0; n < buf.len; n++) {
		uint8_t *cut =
			malloc(n + 1); /* on the heap, so that a sanitizer sees a read past it */

		assert_non_null(cut);
		memcpy(cut, buf.data, n);
		assert_null(plan_decode(cut, n, &err));
		assert_int_equal(err.code, -EBADMSG);
		free(cut);
	}
	buf_append_byte(&buf, 0);
	assert_null(plan_decode(buf.data, buf.len, &err));
	buf_fini(&buf);
	plan_free(plan);
}

static void any_changed_byte_is_refused_or_stays_sound(void **state)
{
	struct plan *plan = make_plan();
	struct buf buf, out;
	struct err err;

	(void)state;
	encode(plan, &buf);
	for (size_t at = 0; at < buf.len; at++) {
		for (unsigned flip = 1; flip < 256; flip += 127) {
			struct plan *changed;

			buf.data[at] ^= (uint8_t)flip;
			changed = plan_decode(buf.data, buf.len, &err);
			if (changed != NULL) {
				encode(changed, &out);
				assert_memory_equal(out.data, buf.data, buf.len);
				buf_fini(&out);
			}
			plan_free(changed);
			buf.data[at] ^= (uint8_t)flip;
		}
	}
	buf_fini(&buf);
	plan_free(plan);
}

/* Encodes the plan as it is and expects the decoder to refuse it. */
static void refuse(struct plan *plan)
{
	struct buf buf;
	struct err err;

	encode(plan, &buf);
	assert_null(plan_decode(buf.data, buf.len, &err));
	buf_fini(&buf);
	plan_free(plan);
}

static void references_that_point_nowhere_are_refused(void **state)
{
	struct plan *plan;

	(void)state;
	plan = make_plan();
	plan->steps[0].argv[1].index = 2; /* there are two inputs */
	refuse(plan);
	plan = make_plan();
	plan->steps[1].inputs[0].value.index = 1; /* itself */
	refuse(plan);
	plan = make_plan();
	plan->steps[1].inputs[0].value.name[0] = 'x'; /* no such output */
	refuse(plan);
	plan = make_plan();
	plan->steps[0].argv[1].ref = PLAN_STEP_STATUS; /* a step's text straight into argv */
	refuse(plan);
	plan = make_plan();
	plan->steps[0].inputs[0].value.ref = PLAN_INPUT; /* a value that refers to itself */
	refuse(plan);
	plan = make_plan();
	plan->steps[1].needs[0] = 1;
	refuse(plan);
	plan = make_plan();
	plan->steps[0].phase = PLAN_FINALLY;
	plan->steps[1].phase = PLAN_MAIN;
	refuse(plan);
	plan = make_plan();
	memcpy(plan->steps[0].executable, "bin//dump", 9);
	refuse(plan);
	plan = make_plan();
	plan->steps[0].approve.prompt = xstrdup("a command and an approval");
	refuse(plan);
	plan = make_plan();
	plan->steps[0].condition[0] = '(';
	refuse(plan);
	plan = make_plan();
	plan->steps[0].retry.limit = PLAN_MAX_RETRIES + 1;
	refuse(plan);
}

static void shows_what_is_known_before_the_run(void **state)
{
	struct plan *plan = make_plan();
	struct plan_step *first = &plan->steps[0], *last = &plan->steps[1];
	struct buf buf;
	char *text;

	(void)state;
	buf_init(&buf, 1024);
	plan_text_show(plan, first, &first->argv[1], &buf);
	buf_append_byte(&buf, ' ');
	plan_text_show(plan, last, &last->argv[1], &buf);
	buf_append_byte(&buf, ' ');
	plan_text_show(plan, first, &first->argv[2], &buf);
	first->inputs[0].spec.type = INPUT_SECRET;
	buf_append_byte(&buf, ' ');
	plan_text_show(plan, first, &first->argv[1], &buf);
	plan->id = (struct uuid){0};
	buf_append_byte(&buf, ' ');
	plan_text_show(plan, first, &first->argv[2], &buf);
	text = buf_take_str(&buf);
	assert_non_null(text);
	assert_memory_equal(text, "--label=manual --label=${steps.dump.outputs.path} ", 50);
	assert_string_equal(text + 50 + UUID_TEXT_BYTES - 1, " --label=*** ${run.id}");
	free(text);
	plan_free(plan);
}

static void a_plan_over_its_maximum_is_not_encoded(void **state)
{
	struct plan *plan = make_plan();
	struct buf buf;

	(void)state;
	free(plan->title);
	plan->title = xcalloc(1, PLAN_MAX_BYTES);
	memset(plan->title, 'x', PLAN_MAX_BYTES - 1);
	buf_init(&buf, PLAN_MAX_BYTES);
	assert_int_equal(plan_encode(plan, &buf), -EMSGSIZE);
	buf_fini(&buf);
	plan_free(plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_encoded_decodes_to_the_same),
		cmocka_unit_test(every_cut_and_every_extra_byte_is_refused),
		cmocka_unit_test(any_changed_byte_is_refused_or_stays_sound),
		cmocka_unit_test(references_that_point_nowhere_are_refused),
		cmocka_unit_test(shows_what_is_known_before_the_run),
		cmocka_unit_test(a_plan_over_its_maximum_is_not_encoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
