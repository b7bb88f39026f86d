#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/log.h"

static char line[16384];

/* Standard error goes into a pipe while one line is logged. */
static int saved_stderr, pipe_read;

static void capture(void)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	saved_stderr = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	pipe_read = fds[0];
}

static const char *captured(void)
{
	ssize_t n = read(pipe_read, line, sizeof(line) - 1);

	line[n > 0 ? n : 0] = '\0';
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	close(pipe_read);
	return line;
}

static void writes_one_line_of_key_and_value(void **state)
{
	const char *text;

	(void)state;
	log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	capture();
	log_warn(LOG_EV("agent.lost"), LOG_STR("socket", "/run/a.sock"), LOG_INT("attempt", -3),
		LOG_STR("empty", ""), LOG_STR("null", NULL), LOG_STR("text", "two words=\"x\"\ny"));
	text = captured();
	assert_int_equal(text[10], 'T');
	assert_memory_equal(text + 26, "Z warn  agent.lost ", 19);
	assert_string_equal(text + 45, "socket=/run/a.sock attempt=-3 empty=\"\" null=\"\" "
				       "text=\"two words=\\\"x\\\"\\ny\"\n");
}

static void writes_json_that_a_parser_reads(void **state)
{
	json_t *object;

	(void)state;
	log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	capture();
	log_error(LOG_EV("disk.full"), LOG_STR("path", "/a\"b"), LOG_INT("free", 12));
	object = json_loads(captured(), 0, NULL);
	assert_non_null(object);
	assert_string_equal(json_string_value(json_object_get(object, "event")), "disk.full");
	assert_string_equal(json_string_value(json_object_get(object, "level")), "error");
	assert_string_equal(json_string_value(json_object_get(object, "path")), "/a\"b");
	assert_int_equal(json_integer_value(json_object_get(object, "free")), 12);
	assert_int_equal(strlen(json_string_value(json_object_get(object, "time"))), 27);
	json_decref(object);
}

static void what_is_below_the_level_is_not_written(void **state)
{
	(void)state;
	log_setup(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
	capture();
	log_info(LOG_EV("nobody.reads.this"));
	assert_string_equal(captured(), "");
}

static void a_line_that_is_too_long_stays_one_line(void **state)
{
	char *value = malloc(10001);
	json_t *object;
	const char *text;

	(void)state;
	memset(value, 'v', 10000);
	value[10000] = '\0';
	log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	capture();
	log_info(LOG_EV("long"), LOG_STR("before", "kept"), LOG_STR("value", value));
	text = captured();
	assert_true(strlen(text) <= 4097);
	assert_non_null(strstr(text, "info  long before=kept"));
	assert_int_equal(strchr(text, '\n') - text, strlen(text) - 1);
	log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	capture();
	log_info(LOG_EV("long"), LOG_STR("before", "kept"), LOG_STR("value", value));
	object = json_loads(captured(), 0, NULL);
	assert_non_null(object);
	assert_string_equal(json_string_value(json_object_get(object, "event")), "long");
	assert_true(json_is_true(json_object_get(object, "cut")));
	json_decref(object);
	free(value);
}

static void reads_levels_and_formats(void **state)
{
	enum log_level level = LOG_LEVEL_INFO;
	enum log_format format = LOG_FORMAT_TEXT;

	(void)state;
	assert_int_equal(log_parse_level("error", &level), 0);
	assert_int_equal(level, LOG_LEVEL_ERROR);
	assert_int_equal(log_parse_level("Error", &level), -EINVAL);
	assert_int_equal(log_parse_level("", &level), -EINVAL);
	assert_int_equal(log_parse_format("json", &format), 0);
	assert_int_equal(format, LOG_FORMAT_JSON);
	assert_int_equal(log_parse_format("xml", &format), -EINVAL);
}

static void buffered_lines_wait_and_keep_their_order(void **state)
{
	const char *text, *first, *second, *third;

	(void)state;
	log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	log_set_buffered(true);
	capture();
	log_info(LOG_EV("first"));
	log_info(LOG_EV("second"));
	assert_string_equal(captured(), "");
	capture();
	log_warn(LOG_EV("third"));
	text = captured();
	first = strstr(text, "first");
	second = strstr(text, "second");
	third = strstr(text, "third");
	assert_true(first != NULL && second > first && third > second);
	capture();
	log_info(LOG_EV("fourth"));
	log_flush();
	assert_non_null(strstr(captured(), "fourth"));
	log_set_buffered(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_one_line_of_key_and_value),
		cmocka_unit_test(writes_json_that_a_parser_reads),
		cmocka_unit_test(what_is_below_the_level_is_not_written),
		cmocka_unit_test(a_line_that_is_too_long_stays_one_line),
		cmocka_unit_test(reads_levels_and_formats),
		cmocka_unit_test(buffered_lines_wait_and_keep_their_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
