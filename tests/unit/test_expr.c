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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conditions_are_accepted),
		cmocka_unit_test(anything_else_is_refused),
		cmocka_unit_test(depth_and_length_have_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
