#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/monitor/secret.h"
#include "core/base/mem.h"

static int setup(void **state)
{
	char *path = xstrdup("/tmp/ops-secret-XXXXXX");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	*state = path;
	return 0;
}

static int teardown(void **state)
{
	unlink(*state);
	free(*state);
	return 0;
}

static void put(const char *path, const void *text, size_t n, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_int_equal(write(fd, text, n), (ssize_t)n);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void trailing_white_space_does_not_count(void **state)
{
	static const char text[] = "0123456789abcdef \r\n\n";
	struct secret secret;

	put(*state, text, strlen(text), 0640);
	assert_int_equal(secret_load(*state, &secret, NULL), 0);
	assert_int_equal(secret.len, 16);
	assert_true(secret_matches(&secret, wire_str_of("Bearer 0123456789abcdef")));
}

static void only_the_whole_secret_with_its_scheme_matches(void **state)
{
	static const char *const wrong[] = {"", "Bearer ", "Bearer", "0123456789abcdef",
		"bearer 0123456789abcdef", "Bearer 0123456789abcde", "Bearer 0123456789abcdef0",
		"Bearer  0123456789abcdef"};
	struct secret secret;

	put(*state, "0123456789abcdef", 16, 0600);
	assert_int_equal(secret_load(*state, &secret, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(secret_matches(&secret, wire_str_of(wrong[i])));
}

static void refuses_a_file_that_others_can_read_or_the_group_can_write(void **state)
{
	static const mode_t modes[] = {0644, 0604, 0641, 0660, 0602};
	struct secret secret;
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		put(*state, "0123456789abcdef", 16, modes[i]);
		assert_int_equal(secret_load(*state, &secret, &err), -EPERM);
		assert_non_null(strstr(err.msg, "chmod 0640"));
	}
}

static void refuses_short_and_long_secrets(void **state)
{
	char text[SECRET_MAX_BYTES + 8];
	struct secret secret;

	memset(text, 'x', sizeof(text));
	put(*state, text, SECRET_MIN_BYTES - 1, 0600);
	assert_int_equal(secret_load(*state, &secret, NULL), -EINVAL);
	put(*state, text, SECRET_MAX_BYTES, 0600);
	assert_int_equal(secret_load(*state, &secret, NULL), 0);
	put(*state, text, SECRET_MAX_BYTES + 1, 0600);
	assert_int_equal(secret_load(*state, &secret, NULL), -EMSGSIZE);
	put(*state, text, sizeof(text), 0600);
	assert_int_equal(secret_load(*state, &secret, NULL), -EMSGSIZE);
}

static void refuses_what_is_no_regular_file(void **state)
{
	struct secret secret;

	(void)state;
	assert_int_equal(secret_load("/dev/null", &secret, NULL), -EINVAL);
	assert_int_equal(secret_load("/nonexistent/secret", &secret, NULL), -ENOENT);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(trailing_white_space_does_not_count),
		T(only_the_whole_secret_with_its_scheme_matches),
		T(refuses_a_file_that_others_can_read_or_the_group_can_write),
		T(refuses_short_and_long_secrets),
		T(refuses_what_is_no_regular_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
