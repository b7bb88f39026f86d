#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "agent/config/expr.h"
#include "core/base/mem.h"

static void conditions_are_accepted(void **state)
{
	static const char *const good[] = {
		"success()",
		"!cancelled()",
		" always( ) ",
		"failure() || cancelled()",
		"success() && inputs.db == 'app'",
		"!(steps.dump.status != 'failed') && (run.id == '' || always())",
		"steps.dump.outputs.path == inputs.path",
		"!!success()",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(expr_check(good[i], NULL), 0);
}

static void anything_else_is_refused(void **state)
{
	static const char *const bad[] = {"success", "success() &", "success() & failure()",
		"success())", "exit()", "inputs.", "steps.x", "a == b", "'open", "== 'a'",
		"success() failure()", "1 + 1", "${inputs.x}", "success(1)"};
	static const char *const cut[] = {
		"", "success() &&", "!", "(", "(success()", "inputs.a =="};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(expr_check(bad[i], &err), -EINVAL);
		assert_non_null(strstr(err.msg, "is "));
	}
	for (size_t i = 0; i < ARRAY_LEN(cut); i++) {
		assert_int_equal(expr_check(cut[i], &err), -EINVAL);
		assert_string_equal(err.msg, "ends too early");
	}
}

static void depth_and_length_have_limits(void **state)
{
	char text[EXPR_MAX_BYTES + 2];

	(void)state;
	memset(text, '!', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(expr_check(text, NULL), -EINVAL);
	text[500] = '\0';
	assert_int_equal(expr_check(text, NULL), -EINVAL);
}

static bool on_function(void *arg, enum expr_function function)
{
	return (*(const unsigned *)arg & (1u << function)) != 0;
}

static const char *on_reference(void *arg, const struct template *reference)
{
	(void)arg;
	switch (reference->ref) {
	case PLAN_INPUT:
		return reference->name;
	case PLAN_STEP_OUTPUT:
		return strcmp(reference->name, "yes") == 0 ? "true" : NULL;
	case PLAN_STEP_STATUS:
		return "failed";
	case PLAN_RUN_ID:
	case PLAN_LITERAL:
		break;
	}
	return "id";
}

static void conditions_have_the_value_that_is_expected(void **state)
{
	static const struct {
		const char *text;
		bool value;
		unsigned mentioned;
	} rows[] = {
		{"success()", true, 1u << EXPR_SUCCESS},
		{"failure()", false, 1u << EXPR_FAILURE},
		{"failure() || !cancelled() && success()", true,
			1u << EXPR_FAILURE | 1u << EXPR_CANCELLED | 1u << EXPR_SUCCESS},
		{"(success() || success()) && failure()", false,
			1u << EXPR_FAILURE | 1u << EXPR_SUCCESS},
		{"success() || success() && failure()", true,
			1u << EXPR_FAILURE | 1u << EXPR_SUCCESS},
		{"inputs.db == 'db'", true, 0},
		{"inputs.db != 'db'", false, 0},
		{"inputs.db == inputs.db2", false, 0},
		{"steps.a.status == 'failed'", true, 0},
		{"steps.a.outputs.yes", true, 0},
		{"steps.a.outputs.no", false, 0},
		{"steps.a.outputs.no == ''", true, 0},
		{"!steps.a.outputs.no", true, 0},
		{"'true'", true, 0},
		{"'1'", false, 0},
		{"success() == failure()", false, 1u << EXPR_FAILURE | 1u << EXPR_SUCCESS},
		{"run.id == 'id' && !('a' == 'b')", true, 0},
	};
	unsigned truths = 1u << EXPR_SUCCESS | 1u << EXPR_ALWAYS;
	const struct expr_scope scope = {&truths, on_function, on_reference};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned mentioned = 99;
		bool value = !rows[i].value;

		assert_int_equal(expr_eval(rows[i].text, &scope, &value, &mentioned, NULL), 0);
		if (value != rows[i].value || mentioned != rows[i].mentioned)
			fail_msg("%s", rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conditions_are_accepted),
		cmocka_unit_test(anything_else_is_refused),
		cmocka_unit_test(depth_and_length_have_limits),
		cmocka_unit_test(conditions_have_the_value_that_is_expected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
