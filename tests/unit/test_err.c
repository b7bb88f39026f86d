#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/err.h"

static void holds_code_and_text(void **state)
{
	struct err err = {0};

	(void)state;
	assert_int_equal(err_set(&err, -EINVAL, "no such %s: %d", "thing", 7), -EINVAL);
	assert_int_equal(err.code, -EINVAL);
	assert_string_equal(err.msg, "no such thing: 7");
}

static void says_what_the_system_said(void **state)
{
	struct err err = {0};

	(void)state;
	assert_int_equal(err_set_errno(&err, -ENOENT, "cannot open %s", "/x"), -ENOENT);
	assert_string_equal(err.msg, "cannot open /x: No such file or directory");
}

static void callers_put_their_view_in_front(void **state)
{
	struct err err = {0};

	(void)state;
	err_set(&err, -EINVAL, "line 3: unknown key");
	assert_int_equal(err_wrap(&err, "flow '%s'", "backup"), -EINVAL);
	err_wrap(&err, "cannot reload");
	assert_string_equal(err.msg, "cannot reload: flow 'backup': line 3: unknown key");
}

static void wrapping_keeps_as_much_as_fits(void **state)
{
	struct err err = {0};
	char expected[sizeof(err.msg)];

	(void)state;
	err_set(&err, -EINVAL, "%s%0200d", "start ", 1);
	err_wrap(&err, "p");
	snprintf(expected, sizeof(expected), "p: start %0200d", 1);
	assert_string_equal(err.msg, expected);
	for (int i = 0; i < 100; i++)
		err_wrap(&err, "another caller");
	assert_true(strlen(err.msg) < sizeof(err.msg));
	assert_memory_equal(err.msg, "another caller: another caller: ", 32);
	assert_int_equal(err.code, -EINVAL);
}

static void long_texts_are_cut_and_ended(void **state)
{
	struct err err = {0};

	(void)state;
	err_set(&err, -E2BIG, "%01000d", 7);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	err_set_errno(&err, -ENOSPC, "%01000d", 7);
	assert_non_null(strstr(err.msg, ": No space left on device"));
}

static void nobody_has_to_listen(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, -EINVAL, "x"), -EINVAL);
	assert_int_equal(err_set_errno(NULL, -ENOENT, "x"), -ENOENT);
	err_wrap(NULL, "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_code_and_text),
		cmocka_unit_test(says_what_the_system_said),
		cmocka_unit_test(callers_put_their_view_in_front),
		cmocka_unit_test(wrapping_keeps_as_much_as_fits),
		cmocka_unit_test(long_texts_are_cut_and_ended),
		cmocka_unit_test(nobody_has_to_listen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
