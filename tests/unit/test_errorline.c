#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/logs/errorline.h"
#include "core/app/logs/logscan.h"
#include "core/app/logs/pen.h"
#include "core/base/utf8.h"
#include "proto/record.h"
#include "tests/unit/vectors.h"

static struct buf in;
static uint32_t lines;

static void put(uint16_t step, uint8_t kind, const void *payload, size_t len)
{
	struct record rec = {
		.time_us = 1,
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

static int begin(void **state)
{
	(void)state;
	buf_init(&in, ERRORLINE_MAX_BYTES + (1u << 20));
	lines = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	buf_fini(&in);
	return 0;
}

/* What is found when the records come one by one, or (at_once) together: the same. */
static struct errorline look_in(int step, bool at_once)
{
	struct errorline_scan *scan = errorline_scan_new(step);
	struct errorline line = {0};
	int rc = 0;

	for (size_t at = 0; at < in.len && rc == 0;) {
		struct record rec;
		int size = record_decode(in.data + at, in.len - at, &rec);
		size_t n = at_once ? in.len - at : (size_t)size;

		assert_true(size > 0);
		rc = errorline_scan_feed(scan, in.data + at, n);
		at += n;
	}
	assert_true(rc >= 0);
	errorline_scan_end(scan, &line);
	errorline_scan_free(scan);
	assert_true(utf8_is_valid(line.text, strlen(line.text)));
	return line;
}

static struct errorline look_for(bool at_once)
{
	return look_in(ERRORLINE_ANY_STEP, at_once);
}

static void finds(uint64_t number, const char *text)
{
	for (int at_once = 0; at_once < 2; at_once++) {
		struct errorline line = look_for(at_once != 0);

		assert_string_equal(line.text, text);
		assert_int_equal(line.line, number);
	}
}

static void finds_the_first_error(void **state)
{
	(void)state;
	OUT("0 errors so far\nall is well\n");
	put(0xffff, RECORD_EVENT, "{\"event\":\"error: none\"}", 23);
	OUT("E: dpkg was \x1b[1minterr");
	OUT("upted\x1b[0m, run it again\nerror: later\n");
	finds(3, "E: dpkg was interrupted, run it again");
}

static void a_red_line_is_an_error(void **state)
{
	(void)state;
	OUT("one\n\x1b[31m");
	OUT("it went wrong\x1b[0m\nfatal: and so on\n");
	finds(2, "it went wrong");
}

static void parallel_steps_do_not_run_into_each_other(void **state)
{
	(void)state;
	put(1, RECORD_STDOUT, "not an er", 9);
	put(2, RECORD_STDOUT, "ror of this one\n", 16);
	put(1, RECORD_STDOUT, "rand\n", 5);
	put(2, RECORD_STDERR, "denied\n", 7);
	finds(3, "denied");
}

static void only_what_the_step_wrote_counts(void **state)
{
	(void)state;
	put(0, RECORD_STDOUT, "error: that was nothing\n", 24);
	put(1, RECORD_STDOUT, "one\n", 4);
	put(2, RECORD_STDERR, "fatal\n", 6);
	put(1, RECORD_STDERR, "two\n", 4);
	assert_int_equal(look_in(2, true).line, 3);
	assert_string_equal(look_in(1, false).text, "two");
	assert_int_equal(look_in(1, false).line, 4);
	assert_int_equal(look_in(3, true).line, 0);
}

static void else_the_last_line_of_stderr(void **state)
{
	(void)state;
	ERR("Cloning into 'x'...\n");
	ERR("the disk is full\n \n");
	OUT("done\n");
	finds(2, "the disk is full");
}

static void says_nothing_when_the_log_does_not(void **state)
{
	struct errorline line;
	struct buf json;

	(void)state;
	finds(0, "");
	OUT("all is well\n");
	finds(0, "");
	line = look_for(true);
	buf_init(&json, ERRORLINE_JSON);
	errorline_json(&line, &json);
	assert_int_equal(json.len, 2);
	buf_fini(&json);
}

static void a_line_that_no_newline_ends_counts(void **state)
{
	(void)state;
	OUT("one\ntwo\nfatal");
	finds(3, "fatal");
}

static void what_was_overwritten_does_not_count(void **state)
{
	(void)state;
	OUT("10 % failed\r100 %\nKilled\n");
	finds(2, "Killed");
}

static void of_a_long_line_the_error_is_kept(void **state)
{
	char text[3000];
	struct errorline line;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text + 1500, " \xe2\x82\xac error: here \xe2\x82\xac", 20);
	text[sizeof(text) - 1] = '\n';
	put(0, RECORD_STDOUT, text, sizeof(text));
	line = look_for(true);
	assert_int_equal(line.line, 1);
	assert_non_null(strstr(line.text, "\xe2\x82\xac error: here \xe2\x82\xac"));
	assert_memory_equal(line.text, "\xe2\x80\xa6xxx", 6);
	assert_true(strlen(line.text) <= ERRORLINE_TEXT);
}

static void an_error_far_into_a_line_of_megabytes_is_found(void **state)
{
	static char text[65000];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (int i = 0; i < 40; i++)
		put(0, RECORD_STDOUT, text, sizeof(text));
	OUT(" fatal\n");
	assert_int_equal(look_for(true).line, 1);
	assert_non_null(strstr(look_for(false).text, "x fatal"));
}

static void what_would_reorder_or_hide_text_is_a_space(void **state)
{
	(void)state;
	OUT("\t error:\ta\xe2\x80\xae"
	    "b\xc2\x9b"
	    "c\xe2\x81\xa6"
	    "d\xff \xf0\x9f\x98\x80 \x07\n");
	finds(1, "error: a b c d\xef\xbf\xbd \xf0\x9f\x98\x80");
}

static void only_whole_characters_are_kept(void **state)
{
	char text[600] = "error ";

	(void)state;
	for (size_t i = 6; i + 3 < sizeof(text); i += 3)
		memcpy(text + i, "\xe2\x82\xac", 4);
	put(0, RECORD_STDERR, text, strlen(text));
	assert_int_equal(strlen(look_for(true).text), 6 + 64 * 3);
}

static void its_json_is_bounded_whatever_it_holds(void **state)
{
	struct errorline line = {.line = UINT64_MAX};
	struct buf json;

	(void)state;
	memset(line.text, '"', ERRORLINE_TEXT);
	buf_init(&json, ERRORLINE_JSON);
	errorline_json(&line, &json);
	assert_int_equal(buf_err(&json), 0);
	buf_fini(&json);
}

static void damaged_records_are_refused(void **state)
{
	struct errorline_scan *scan = errorline_scan_new(ERRORLINE_ANY_STEP);

	(void)state;
	OUT("one\n");
	in.data[in.len - 1] ^= 1;
	assert_int_equal(errorline_scan_feed(scan, in.data, in.len), -EBADMSG);
	errorline_scan_free(scan);
}

/* Whether a search for errors finds the one line that is in the log. */
static bool a_search_finds_it(void)
{
	struct pattern *pattern = pattern_new_errors();
	struct logscan *scan =
		logscan_new(&(struct logscan_opts){.pattern = pattern, .step = -1, .limit = 1});
	struct buf out;
	bool found;

	buf_init(&out, 1u << 20);
	assert_int_equal(logscan_feed(scan, 0, in.data, in.len, &out), in.len);
	logscan_end(scan, &out);
	buf_append_byte(&out, '\0');
	found = strstr((const char *)out.data, "\"total\":1") != NULL;
	assert_true(found || strstr((const char *)out.data, "\"total\":0") != NULL);
	buf_fini(&out);
	logscan_free(scan);
	pattern_free(pattern);
	return found;
}

static void check_vectors(const json_t *list, bool is_error)
{
	json_t *one;
	size_t i;

	assert_true(json_array_size(list) > 20);
	json_array_foreach(list, i, one)
	{
		const char *text = json_string_value(one);

		assert_non_null(text);
		begin(NULL);
		put(0, RECORD_STDOUT, text, strlen(text));
		OUT("\n");
		if ((look_for(true).line == 1) != is_error || a_search_finds_it() != is_error)
			fail_msg("%s: %s", is_error ? "is an error" : "is none", text);
		end(NULL);
	}
}

static void what_an_error_is_is_said_once(void **state)
{
	json_t *vectors = vectors_load("errors");

	(void)state;
	check_vectors(vectors_array(vectors, "errors"), true);
	check_vectors(vectors_array(vectors, "others"), false);
	json_decref(vectors);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

static void on_no_text(struct pen *pen, bool ends, void *arg)
{
	(void)pen;
	(void)ends;
	(void)arg;
}

/* An agent may name each record another step: there are not more lines to be held for that. */
static void pens_are_bounded(void **state)
{
	struct pens pens;
	size_t n = 0;

	(void)state;
	pens_init(&pens, on_no_text, NULL);
	for (uint32_t step = 0; step <= UINT16_MAX; step += 7)
		(void)pens_write(&pens, pens_get(&pens, (uint16_t)step, RECORD_STDERR),
			(const uint8_t *)"text", 4, 1, 0);
	list_foreach(pos, tmp, &pens.all) n++;
	assert_int_equal(n, PENS_MAX);
	/* The last one is whose turn it is. */
	assert_int_equal(pens_get(&pens, 9, RECORD_STDOUT)->step, 9);
	assert_int_equal(pens_get(&pens, 9, RECORD_STDOUT)->kind, RECORD_STDOUT);
	assert_int_equal(pens_get(&pens, 7, RECORD_STDERR)->step, 7);
	pens_fini(&pens);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(finds_the_first_error),
		TEST(a_red_line_is_an_error),
		TEST(parallel_steps_do_not_run_into_each_other),
		TEST(only_what_the_step_wrote_counts),
		TEST(else_the_last_line_of_stderr),
		TEST(says_nothing_when_the_log_does_not),
		TEST(a_line_that_no_newline_ends_counts),
		TEST(what_was_overwritten_does_not_count),
		TEST(of_a_long_line_the_error_is_kept),
		TEST(an_error_far_into_a_line_of_megabytes_is_found),
		TEST(what_would_reorder_or_hide_text_is_a_space),
		TEST(only_whole_characters_are_kept),
		TEST(its_json_is_bounded_whatever_it_holds),
		TEST(damaged_records_are_refused),
		cmocka_unit_test(what_an_error_is_is_said_once),
		cmocka_unit_test(pens_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
