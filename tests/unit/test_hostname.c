#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/run/hostname.h"

static void takes_the_name_that_is_given(void **state)
{
	char name[256];
	struct err err = {0};

	(void)state;
	setenv("OPS_AGENT_HOST", "db-1.example_x", 1);
	assert_int_equal(hostname_read(name, sizeof(name), &err), 0);
	assert_string_equal(name, "db-1.example_x");
}

static void else_takes_the_kernels(void **state)
{
	char name[256], kernel[256];
	struct err err = {0};

	(void)state;
	assert_int_equal(gethostname(kernel, sizeof(kernel)), 0);
	setenv("OPS_AGENT_HOST", "", 1);
	assert_int_equal(hostname_read(name, sizeof(name), &err), 0);
	assert_string_equal(name, kernel);
	unsetenv("OPS_AGENT_HOST");
	assert_int_equal(hostname_read(name, sizeof(name), &err), 0);
	assert_string_equal(name, kernel);
}

static void refuses_what_is_no_name(void **state)
{
	static const char *const bad[] = {"-a", ".a", "a b", "a/b", "a\n", "*",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	char name[256] = "untouched";
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		setenv("OPS_AGENT_HOST", bad[i], 1);
		assert_int_equal(hostname_read(name, sizeof(name), &err), -EINVAL);
		assert_non_null(strstr(err.msg, "OPS_AGENT_HOST"));
		assert_string_equal(name, "untouched");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_the_name_that_is_given),
		cmocka_unit_test(else_takes_the_kernels),
		cmocka_unit_test(refuses_what_is_no_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
