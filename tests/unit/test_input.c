#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/config/input.h"
#include "core/base/mem.h"

struct value_case {
	const char *value;
	const char *problem; /* NULL: the value is good */
};

static void check_cases(const struct input_spec *spec, const struct value_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct err err = {0};
		int rc = input_check(spec, cases[i].value, strlen(cases[i].value), &err);

		if (cases[i].problem == NULL) {
			if (rc != 0)
				fail_msg("'%s' was refused: %s", cases[i].value, err.msg);
			continue;
		}
		assert_int_equal(rc, -EINVAL);
		assert_string_equal(err.msg, cases[i].problem);
	}
}

#define CHECK(spec, ...)                                                                           \
	do {                                                                                       \
		static const struct value_case cases[] = {__VA_ARGS__};                            \
		check_cases(spec, cases, ARRAY_LEN(cases));                                        \
	} while (0)

static void strings_are_one_line_of_visible_text(void **state)
{
	struct input_spec spec = {.type = INPUT_STRING, .max_length = 8};

	(void)state;
	CHECK(&spec, {"hello", NULL}, {"a b;$()`", NULL}, {"żółć日本語", NULL}, {"../..", NULL},
		{"", "must not be empty"}, {"-rf", "must not begin with '-'"},
		{"a\nb", "must be a single line"}, {"a\rb", "must be a single line"},
		{"a\tb", "must not hold control characters (U+0009 at character 2)"},
		{"a\x1b[m", "must not hold control characters (U+001B at character 2)"},
		{"a\x7f", "must not hold control characters (U+007F at character 2)"},
		{"ż\xc2\x85", "must not hold invisible characters (U+0085 at character 2)"},
		{"a\xe2\x80\xae", "must not hold invisible characters (U+202E at character 2)"},
		{"\xe2\x80\x8b", "must not hold invisible characters (U+200B at character 1)"},
		{"\xef\xbb\xbfx", "must not hold invisible characters (U+FEFF at character 1)"},
		{"a\xff", "is not valid UTF-8 at byte 2"},
		{"\xc0\xaf", "is not valid UTF-8 at byte 1"},
		{"123456789", "may have at most 8 characters; this one has 9"});
}

static void a_nul_is_refused_wherever_it_stands(void **state)
{
	struct input_spec spec = {.type = INPUT_STRING, .max_length = 8};
	struct err err;

	(void)state;
	assert_int_equal(input_check(&spec, "a\0b", 3, &err), -EINVAL);
	assert_string_equal(err.msg, "must not hold control characters (U+0000 at character 2)");
	assert_int_equal(input_check(&spec, "\0", 1, &err), -EINVAL);
}

static void no_value_is_longer_than_the_hard_limit(void **state)
{
	struct input_spec spec = {.type = INPUT_STRING, .max_length = UINT32_MAX};
	char *value = xcalloc(1, INPUT_MAX_VALUE_BYTES + 2);
	struct err err;

	(void)state;
	memset(value, 'x', INPUT_MAX_VALUE_BYTES + 1);
	assert_int_equal(input_check(&spec, value, INPUT_MAX_VALUE_BYTES, &err), 0);
	assert_int_equal(input_check(&spec, value, INPUT_MAX_VALUE_BYTES + 1, &err), -EINVAL);
	assert_string_equal(err.msg, "may have at most 16384 bytes; this one has 16385");
	free(value);
}

static void patterns_match_the_whole_value(void **state)
{
	struct input_spec spec = {
		.type = INPUT_STRING, .max_length = 64, .pattern = (char[]){"a|ab|x+"}};
	struct input_spec optional = {
		.type = INPUT_STRING, .max_length = 64, .pattern = (char[]){"[a-z]*"}};
	struct input_spec option = {.type = INPUT_STRING,
		.max_length = 64,
		.pattern = (char[]){"-[a-z]"},
		.allow_dash = true};

	(void)state;
	CHECK(&spec, {"a", NULL}, {"ab", NULL}, {"xxx", NULL}, {"abc", "must match a|ab|x+"},
		{"ba", "must match a|ab|x+"}, {"", "must match a|ab|x+"});
	CHECK(&optional, {"", NULL}, {"abc", NULL}, {"A", "must match [a-z]*"});
	CHECK(&option, {"-v", NULL}, {"--", "must match -[a-z]"});
}

static void a_pattern_cannot_run_away(void **state)
{
	struct input_spec spec = {
		.type = INPUT_STRING, .max_length = 64, .pattern = (char[]){"(a+)+b|z"}};
	struct err err;

	(void)state;
	assert_int_equal(
		input_check(&spec, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", 41, &err), -EINVAL);
	assert_string_equal(err.msg, "cannot be checked against (a+)+b|z within its limits");
}

static void broken_patterns_are_explained(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(input_pattern_check("[a-z]+", &err), 0);
	assert_int_equal(input_pattern_check("[a-z", &err), -EINVAL);
	assert_string_equal(err.msg, "missing terminating ] for character class at character 5");
	assert_int_equal(input_pattern_check("\\C", &err), -EINVAL);
}

static void slugs_are_names_and_no_paths(void **state)
{
	struct input_spec spec = {.type = INPUT_SLUG, .max_length = 32};

	(void)state;
	CHECK(&spec, {"app", NULL}, {"A-1_b.c", NULL}, {"0", NULL},
		{".hidden", "must begin with a letter or a digit (A-Z, a-z, 0-9)"},
		{"-x", "must not begin with '-'"},
		{"a/b", "may hold only letters, digits, '.', '_' and '-' (A-Z, a-z, 0-9)"},
		{"a b", "may hold only letters, digits, '.', '_' and '-' (A-Z, a-z, 0-9)"},
		{"a..b", "must not hold '..'"},
		{"ż", "must begin with a letter or a digit (A-Z, a-z, 0-9)"},
		{"aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd",
			"may have at most 32 characters; this one has 40"});
}

static void numbers_stay_in_their_range(void **state)
{
	struct input_spec range = {.type = INPUT_INT,
		.max_length = 64,
		.has_min = true,
		.has_max = true,
		.min = 1,
		.max = 4096};
	struct input_spec above = {.type = INPUT_INT, .max_length = 64, .has_min = true, .min = -5};
	struct input_spec any = {.type = INPUT_INT, .max_length = 64};

	(void)state;
	CHECK(&range, {"1", NULL}, {"4096", NULL}, {"0", "must be between 1 and 4096"},
		{"4097", "must be between 1 and 4096"}, {"-1", "must be between 1 and 4096"},
		{"010", "must be a whole number (digits only, no leading zero)"},
		{"1;id", "must be a whole number (digits only, no leading zero)"},
		{"-rf", "must be a whole number (digits only, no leading zero)"},
		{"99999999999999999999", "is too large a number"});
	CHECK(&above, {"-5", NULL}, {"-6", "must be at least -5"});
	CHECK(&any, {"7", NULL}, {"-7", "must not be negative"});
}

static void booleans_and_choices_are_exact(void **state)
{
	char *values[] = {(char[]){"app"}, (char[]){"ops"}};
	struct input_spec choice = {
		.type = INPUT_ENUM, .max_length = 64, .values = values, .n_values = 2};
	struct input_spec yes = {.type = INPUT_BOOL, .max_length = 64};

	(void)state;
	CHECK(&choice, {"app", NULL}, {"ops", NULL}, {"App", "must be one of app, ops"},
		{"ap", "must be one of app, ops"}, {"app ", "must be one of app, ops"});
	CHECK(&yes, {"true", NULL}, {"false", NULL}, {"yes", "must be true or false"},
		{"1", "must be true or false"});
}

static void hosts_are_names_or_addresses(void **state)
{
	static const char problem[] = "must be a host name or an IP address, without a port";
	struct input_spec spec = {.type = INPUT_HOST, .max_length = 300};

	(void)state;
	CHECK(&spec, {"example.org", NULL}, {"localhost", NULL}, {"10.0.0.1", NULL}, {"::1", NULL},
		{"fe80::1", NULL}, {"a-b.c", NULL}, {"xn--bcher-kva.example", NULL},
		{"1.2.3", problem}, {"256.1.1.1", problem}, {"a..b", problem}, {"a.", problem},
		{".a", problem}, {"a-.b", problem}, {"host:80", problem}, {"a b", problem},
		{"ex_ample.org", problem}, {"-a.b", "must not begin with '-'"});
}

static void urls_have_an_allowed_scheme_and_no_password(void **state)
{
	char *schemes[] = {(char[]){"ssh"}, (char[]){"git"}};
	struct input_spec spec = {.type = INPUT_URL, .max_length = 300};
	struct input_spec git = {
		.type = INPUT_URL, .max_length = 300, .schemes = schemes, .n_schemes = 2};
	static const char scheme[] = "must begin with https:// or http://";
	static const char host[] = "has no valid host name behind ://";

	(void)state;
	CHECK(&spec, {"https://example.org", NULL}, {"http://example.org:8080/a?b=c#d", NULL},
		{"https://[::1]:443/", NULL}, {"https://10.0.0.1/%20", NULL},
		{"ftp://example.org", scheme}, {"javascript:alert(1)", scheme},
		{"//example.org", scheme}, {"HTTPS://example.org", scheme}, {"https://", host},
		{"https:///etc", host}, {"https://a:0/", host}, {"https://a:99999/", host},
		{"https://::1/", host}, {"https://[zz]/", host},
		{"https://u:p@example.org/", "must not hold a user or a password"},
		{"https://example.org/a b",
			"must be an address in printable ASCII; write others as %XX"});
	CHECK(&git, {"ssh://example.org/x.git", NULL},
		{"https://example.org", "must begin with ssh:// or git://"});
}

static void durations_stay_in_their_range(void **state)
{
	struct input_spec spec = {.type = INPUT_DURATION,
		.max_length = 64,
		.has_min = true,
		.has_max = true,
		.min = 1000000,
		.max = 3600000000};

	(void)state;
	CHECK(&spec, {"1s", NULL}, {"1h", NULL}, {"90s", NULL}, {"999ms", "must be at least 1s"},
		{"61m", "must be at most 1h"}, {"5", "must be a time such as 30s, 5m or 1h30m"},
		{"99999d", "is too long a time"});
}

static void problems_of_secrets_never_repeat_them(void **state)
{
	struct input_spec spec = {
		.type = INPUT_SECRET, .max_length = 12, .pattern = (char[]){"[a-z]+"}};

	(void)state;
	CHECK(&spec, {"hunterhunter", NULL}, {"short", "must have at least 8 characters"},
		{"HUNTER222", "must match [a-z]+"},
		{"hunterhunterhunter", "may have at most 12 characters; this one has 18"});
}

static void make_file(const char *path)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fclose(file);
}

static void paths_stay_below_their_folder(void **state)
{
	char dir[] = "/tmp/test_input.XXXXXX";
	struct input_spec spec = {.type = INPUT_PATH, .max_length = 4096};
	char missing[128], outside[128];
	struct err err;
	char *value;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(mkdir("root", 0755), 0);
	assert_int_equal(mkdir("root/sub", 0755), 0);
	make_file("root/sub/file");
	make_file("secret");
	assert_int_equal(symlink("sub/file", "root/inside"), 0);
	assert_int_equal(symlink("../secret", "root/escape"), 0);
	assert_int_equal(symlink("/etc", "root/absolute"), 0);
	assert_int_equal(symlink("loop", "root/loop"), 0);
	spec.under = xasprintf("%s/root", dir);
	snprintf(missing, sizeof(missing), "does not exist below %s", spec.under);
	snprintf(outside, sizeof(outside), "leads out of %s through a symbolic link", spec.under);

	static const struct {
		const char *relative;
		char outcome; /* '+' good, '?' missing, '!' outside, '.' dots, '@' loop */
	} cases[] = {
		{"sub", '+'},
		{"sub/file", '+'},
		{"inside", '+'},
		{"nothing", '?'},
		{"sub/file/x", '?'},
		{"escape", '!'},
		{"absolute/passwd", '!'},
		{"../secret", '.'},
		{"sub/../sub", '.'},
		{"./sub", '.'},
		{"sub//file", '.'},
		{"sub/", '.'},
		{"loop", '@'},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *problem = cases[i].outcome == '?'	? missing
				      : cases[i].outcome == '!' ? outside
				      : cases[i].outcome == '.'
					      ? "must not hold '.', '..' or an empty part"
				      : cases[i].outcome == '@' ? "has too many symbolic links"
								: NULL;
		struct value_case one = {NULL, problem};

		value = input_complete(&spec, cases[i].relative, strlen(cases[i].relative));
		one.value = value;
		check_cases(&spec, &one, 1);
		free(value);
	}
	/* what a command would resolve from its own folder never passes as it is */
	assert_int_equal(input_check(&spec, "sub", 3, &err), -EINVAL);
	assert_int_equal(input_check(&spec, "/etc/passwd", 11, &err), -EINVAL);
	assert_int_equal(input_check(&spec, spec.under, strlen(spec.under), &err), -EINVAL);
	value = xasprintf("%s-other/x", spec.under);
	assert_int_equal(input_check(&spec, value, strlen(value), &err), -EINVAL);
	free(value);
	free(spec.under);
}

/* The worker may not look everywhere and leaves that to root. Who starts the command decides, and
 * what it cannot look at it does not pass on. */
static void a_path_nobody_could_look_at_is_not_executed(void **state)
{
	char dir[] = "/tmp/test_input.XXXXXX";
	struct input_spec spec = {.type = INPUT_PATH, .max_length = 4096, .under = dir};
	char *value;
	struct err err = {0};
	pid_t child;
	int status;

	(void)state;
	if (geteuid() != 0)
		skip(); /* only root can become somebody who may not look */
	assert_non_null(mkdtemp(dir));
	value = xasprintf("%s/file", dir);
	make_file(value);
	assert_int_equal(input_check_final(&spec, value, strlen(value), &err), 0);
	child = fork();
	if (child == 0) {
		if (setuid(65534) != 0)
			_exit(2);
		if (input_check(&spec, value, strlen(value), &err) != 0)
			_exit(3);
		if (input_check_final(&spec, value, strlen(value), &err) != -EINVAL)
			_exit(4);
		_exit(strstr(err.msg, "cannot be looked up below") != NULL ? 0 : 5);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	free(value);
}

static void no_value_names_the_updater(void **state)
{
	struct input_spec spec = {.type = INPUT_STRING, .max_length = 100};

	(void)state;
	check_cases(&spec,
		(const struct value_case[]){{"ops-dashboard-updater.service",
						    "names the updater, which is out of reach"},
			{"/etc/systemd/system/ops-dashboard-updater.timer",
				"names the updater, which is out of reach"},
			{"ops-dashboard", NULL}},
		3);
}

static void type_names_read_back(void **state)
{
	enum input_type type;

	(void)state;
	for (int i = INPUT_STRING; i <= INPUT_SECRET; i++) {
		assert_int_equal(input_type_parse(input_type_name((enum input_type)i), &type), 0);
		assert_int_equal(type, i);
	}
	assert_int_equal(input_type_parse("String", &type), -EINVAL);
	assert_null(input_type_name((enum input_type)99));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_are_one_line_of_visible_text),
		cmocka_unit_test(a_nul_is_refused_wherever_it_stands),
		cmocka_unit_test(no_value_is_longer_than_the_hard_limit),
		cmocka_unit_test(patterns_match_the_whole_value),
		cmocka_unit_test(a_pattern_cannot_run_away),
		cmocka_unit_test(broken_patterns_are_explained),
		cmocka_unit_test(slugs_are_names_and_no_paths),
		cmocka_unit_test(numbers_stay_in_their_range),
		cmocka_unit_test(booleans_and_choices_are_exact),
		cmocka_unit_test(hosts_are_names_or_addresses),
		cmocka_unit_test(urls_have_an_allowed_scheme_and_no_password),
		cmocka_unit_test(durations_stay_in_their_range),
		cmocka_unit_test(problems_of_secrets_never_repeat_them),
		cmocka_unit_test(paths_stay_below_their_folder),
		cmocka_unit_test(a_path_nobody_could_look_at_is_not_executed),
		cmocka_unit_test(no_value_names_the_updater),
		cmocka_unit_test(type_names_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
