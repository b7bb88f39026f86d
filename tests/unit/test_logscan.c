#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/logs/logscan.h"
#include "core/app/logs/pen.h"
#include "proto/record.h"

static struct buf in, out;
static uint32_t lines;

static void put(uint16_t step, uint8_t kind, const void *payload, size_t len)
{
	struct record rec = {
		.time_us = 1000 + in.len,
		.length = (uint32_t)len,
		.line = lines,
		.step = step,
		.kind = kind,
		.payload = payload,
	};
	uint8_t header[RECORD_HEADER_BYTES];

	record_encode_header(&rec, header);
	buf_append(&in, header, sizeof(header));
	buf_append(&in, payload, len);
	if (kind != RECORD_EVENT)
		lines += record_count_newlines(payload, len);
}

#define OUT(text) put(0, RECORD_STDOUT, text, sizeof(text) - 1)
#define ERR(text) put(0, RECORD_STDERR, text, sizeof(text) - 1)

/* Feeds all of it, step bytes of records more at a time (0: at once). */
static const char *scan_with(struct logscan_opts opts)
{
	struct logscan *scan = logscan_new(&opts);
	size_t at = 0;

	while (at < in.len) {
		long n = logscan_feed(scan, at, in.data + at, in.len - at, &out);

		assert_true(n >= 0);
		at += (size_t)n;
	}
	logscan_end(scan, &out);
	logscan_free(scan);
	buf_append_byte(&out, '\0');
	assert_int_equal(buf_err(&out), 0);
	return (const char *)out.data;
}

static const char *scan_for(const char *text, bool is_regex, struct logscan_opts opts)
{
	struct err err = {0};
	struct pattern *pattern = pattern_new(text, is_regex, false, &err);
	const char *found;

	assert_non_null(pattern);
	opts.pattern = pattern;
	opts.step = -1;
	if (opts.limit == 0)
		opts.limit = 100;
	found = scan_with(opts);
	pattern_free(pattern);
	return found;
}

static int setup(void **state)
{
	(void)state;
	buf_init(&in, 8 << 20);
	buf_init(&out, 8 << 20);
	lines = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_fini(&in);
	buf_fini(&out);
	return 0;
}

static void tells_line_place_and_ranges(void **state)
{
	(void)state;
	OUT("first\nse");
	ERR("an Error here\n");
	OUT("cond \x1b[31merr\x1b[0mor, \xc3\xa9 error\r\nlast ERROR");
	assert_string_equal(scan_for("error", false, (struct logscan_opts){0}),
		"{\"offset\":32,\"line\":2,\"step\":0,\"stream\":\"stderr\",\"time_us\":1032,"
		"\"text\":\"an Error here\",\"ranges\":[[3,8]],\"before\":[],\"after\":[]}\n"
		"{\"offset\":0,\"line\":3,\"step\":0,\"stream\":\"stdout\",\"time_us\":1000,"
		"\"text\":\"second error, \xc3\xa9 error\",\"ranges\":[[7,12],[16,21]],"
		"\"before\":[],\"after\":[]}\n"
		"{\"offset\":70,\"line\":4,\"step\":0,\"stream\":\"stdout\",\"time_us\":1070,"
		"\"text\":\"last ERROR\",\"ranges\":[[5,10]],\"before\":[],\"after\":[]}\n"
		"{\"total\":3,\"truncated\":false,\"given_up\":0}\n");
}

static void gives_lines_around(void **state)
{
	const char *found;

	(void)state;
	OUT("a\nb\nc\nhit 1\nd\nhit 2\ne\nf\ng\nhit 3\n");
	found = scan_for("HIT", false, (struct logscan_opts){.before = 2, .after = 2});
	assert_non_null(strstr(found, "\"before\":[\"b\",\"c\"],\"after\":[\"d\",\"hit 2\"]"));
	assert_non_null(strstr(found, "\"before\":[\"hit 1\",\"d\"],\"after\":[\"e\",\"f\"]"));
	assert_non_null(strstr(found, "\"before\":[\"f\",\"g\"],\"after\":[]}"));
	assert_true(strstr(found, "hit 1\",\"ranges") < strstr(found, "hit 2\",\"ranges"));
}

static void counts_what_it_does_not_tell(void **state)
{
	(void)state;
	OUT("x\nx\nx\n");
	assert_non_null(strstr(scan_for("x", false, (struct logscan_opts){.limit = 1}),
		"}\n{\"total\":3,\"truncated\":true,"));
}

static void takes_expressions_and_empty_matches(void **state)
{
	const char *found;

	(void)state;
	OUT("ab12cd345\nnone\n");
	found = scan_for("[0-9]*", true, (struct logscan_opts){0});
	assert_non_null(strstr(found, "\"ranges\":[[2,4],[6,9]]"));
	assert_non_null(strstr(found, "\"text\":\"none\",\"ranges\":[]"));
}

static void text_is_no_expression(void **state)
{
	(void)state;
	OUT("a.c\nabc\n");
	assert_non_null(strstr(scan_for("A.C", false, (struct logscan_opts){0}), "{\"total\":1,"));
}

static void an_expression_that_runs_away_gives_the_line_up(void **state)
{
	char text[400];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 2] = '!';
	text[sizeof(text) - 1] = '\n';
	put(0, RECORD_STDOUT, text, sizeof(text));
	OUT("aaa\n");
	assert_non_null(strstr(scan_for("^(a+)+$", true, (struct logscan_opts){0}),
		"{\"total\":1,\"truncated\":true,\"given_up\":1}"));
}

/* No step limit holds here, since each place is tried in fewer steps; together they take seconds.
 */
static void an_expression_that_is_slow_on_a_long_line_gives_it_up(void **state)
{
	static char text[16000];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\n';
	put(0, RECORD_STDOUT, text, sizeof(text));
	OUT("aa!\n");
	assert_non_null(
		strstr(scan_for("\\w{0,50}\\w{0,50}\\w{0,50}[!?]", true, (struct logscan_opts){0}),
			"{\"total\":1,\"truncated\":true,\"given_up\":1}"));
}

static void an_expression_finds_what_is_far_into_a_long_line(void **state)
{
	static char text[16000];
	const char *found;

	(void)state;
	memset(text, 'x', sizeof(text));
	/* Of two bytes each, so that no stretch ends between characters by itself. */
	for (size_t i = 1; i + 2 < 9000; i += 2)
		memcpy(text + i, "\u00e9", 2);
	memcpy(text + 12345, "\u00e9n11", 5);
	memcpy(text + 15000, "n22", 3);
	text[sizeof(text) - 1] = '\n';
	put(0, RECORD_STDOUT, text, sizeof(text));
	found = scan_for("(?<=\u00e9)n\\d+", true, (struct logscan_opts){0});
	assert_non_null(strstr(found, "\"ranges\":[["));
	assert_non_null(strstr(found, "{\"total\":1,\"truncated\":false,\"given_up\":0}"));
	out.len = 0;
	assert_non_null(strstr(scan_for("n\\d\\dx*$", true, (struct logscan_opts){0}),
		"{\"total\":1,\"truncated\":false,\"given_up\":0}"));
}

static void finds_across_pieces_of_a_long_line_once(void **state)
{
	static char text[65536];
	const char *found;
	size_t at = PEN_MAX_LINE - 3;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text + at, "needle", 6);
	memcpy(text + 40000, "needle", 6);
	put(0, RECORD_STDOUT, text, sizeof(text));
	OUT("\nafter\n");
	found = scan_for("needle", false, (struct logscan_opts){.after = 1});
	assert_non_null(strstr(found, "\"line\":1,"));
	assert_non_null(strstr(found, "\"after\":[\"after\"]"));
	assert_non_null(strstr(found, "{\"total\":1,"));
	assert_true(strlen(found) < LOGSCAN_TEXT + 1000);
}

static void stops_when_it_has_written_enough_and_goes_on(void **state)
{
	static char text[65536];
	struct err err = {0};
	struct pattern *pattern = pattern_new("x", false, true, &err);
	struct logscan_opts opts = {.pattern = pattern, .step = -1, .limit = 100000};
	struct logscan *scan;
	unsigned calls = 0, found = 0;
	size_t at = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i += 2)
		memcpy(text + i, "x\n", 2);
	put(0, RECORD_STDOUT, text, sizeof(text));
	scan = logscan_new(&opts);
	while (at < in.len) {
		long n = logscan_feed(scan, at, in.data + at, in.len - at, &out);

		assert_true(n >= 0 && out.len < LOGSCAN_OUT_BYTES + 4096);
		for (size_t i = 0; i < out.len; i++)
			found += out.data[i] == '\n';
		buf_reset(&out);
		at += (size_t)n;
		calls++;
	}
	logscan_end(scan, &out);
	assert_int_equal(found, sizeof(text) / 2);
	assert_true(calls > 2);
	logscan_free(scan);
	pattern_free(pattern);
}

static void sees_only_the_step_and_stream_asked_for(void **state)
{
	struct err err = {0};
	struct pattern *pattern = pattern_new("x", false, true, &err);
	const char *found;

	(void)state;
	put(0, RECORD_STDOUT, "x0\n", 3);
	put(1, RECORD_STDOUT, "x1\n", 3);
	put(1, RECORD_STDERR, "x2\n", 3);
	put(1, RECORD_EVENT, "{\"x\":1}", 7);
	found = scan_with((struct logscan_opts){
		.pattern = pattern, .step = 1, .stream = RECORD_STDERR, .limit = 9});
	assert_non_null(strstr(found, "\"line\":3,\"step\":1,\"stream\":\"stderr\""));
	assert_non_null(strstr(found, "{\"total\":1,"));
	pattern_free(pattern);
}

static void refuses_what_is_no_expression(void **state)
{
	struct err err = {0};
	char text[PATTERN_MAX_BYTES + 2];

	(void)state;
	assert_null(pattern_new("a(b", true, false, &err));
	assert_non_null(strstr(err.msg, "at byte 3"));
	assert_null(pattern_new("", false, false, &err));
	assert_null(pattern_new("a\\Cb", true, false, &err));
	assert_null(pattern_new("\xff", false, false, &err));
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_null(pattern_new(text, false, false, &err));
}

static void knows_what_went_wrong_looks_like(void **state)
{
	struct pattern *pattern = pattern_new_errors();
	struct logscan_opts opts = {.pattern = pattern, .step = -1, .limit = 100};

	(void)state;
	OUT("E: Permission denied\nall is well\nTraceback (most recent)\nterrors\n0 errors\n");
	OUT("make: *** [all] Error 2\nconnection refused\nFAILED\n");
	assert_non_null(strstr(scan_with(opts), "{\"total\":5,"));
	pattern_free(pattern);
}

static void refuses_damaged_records(void **state)
{
	struct err err = {0};
	struct pattern *pattern = pattern_new("x", false, true, &err);
	struct logscan_opts opts = {.pattern = pattern, .step = -1, .limit = 1};
	struct logscan *scan = logscan_new(&opts);

	(void)state;
	OUT("text\n");
	in.data[RECORD_HEADER_BYTES]++;
	assert_int_equal(logscan_feed(scan, 0, in.data, in.len, &out), -EBADMSG);
	logscan_free(scan);
	pattern_free(pattern);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tells_line_place_and_ranges, setup, teardown),
		cmocka_unit_test_setup_teardown(gives_lines_around, setup, teardown),
		cmocka_unit_test_setup_teardown(counts_what_it_does_not_tell, setup, teardown),
		cmocka_unit_test_setup_teardown(
			takes_expressions_and_empty_matches, setup, teardown),
		cmocka_unit_test_setup_teardown(text_is_no_expression, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_expression_that_runs_away_gives_the_line_up, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_expression_that_is_slow_on_a_long_line_gives_it_up, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_expression_finds_what_is_far_into_a_long_line, setup, teardown),
		cmocka_unit_test_setup_teardown(
			finds_across_pieces_of_a_long_line_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
			stops_when_it_has_written_enough_and_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(
			sees_only_the_step_and_stream_asked_for, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_what_is_no_expression, setup, teardown),
		cmocka_unit_test_setup_teardown(knows_what_went_wrong_looks_like, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_damaged_records, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
