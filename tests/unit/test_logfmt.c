#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/app/logs/logfmt.h"
#include "core/app/logs/pen.h"
#include "proto/record.h"

static struct buf in, out;

static void put(uint16_t step, uint8_t kind, const char *payload, size_t len)
{
	struct record rec = {
		.time_us = UINT64_C(1763937087123456),
		.length = (uint32_t)len,
		.line = 3,
		.step = step,
		.kind = kind,
		.payload = (const uint8_t *)payload,
	};
	uint8_t header[RECORD_HEADER_BYTES];

	record_encode_header(&rec, header);
	buf_append(&in, header, sizeof(header));
	buf_append(&in, payload, len);
}

#define OUT(text) put(0, RECORD_STDOUT, text, sizeof(text) - 1)
#define ERR(text) put(0, RECORD_STDERR, text, sizeof(text) - 1)

static const char *format_as(struct logfmt_opts opts)
{
	struct logfmt *fmt = logfmt_new(&opts);
	size_t at = 0;

	while (at < in.len) {
		int n = logfmt_record(fmt, at, in.data + at, in.len - at, &out);

		assert_true(n > 0);
		at += (size_t)n;
	}
	logfmt_end(fmt, &out);
	logfmt_free(fmt);
	buf_append_byte(&out, '\0');
	assert_int_equal(buf_err(&out), 0);
	return (const char *)out.data;
}

static const char *as_text(void)
{
	return format_as((struct logfmt_opts){.kind = LOGFMT_TEXT, .step = -1});
}

static int setup(void **state)
{
	(void)state;
	buf_init(&in, 1 << 20);
	buf_init(&out, 1 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_fini(&in);
	buf_fini(&out);
	return 0;
}

static void strips_escapes(void **state)
{
	(void)state;
	OUT("\033[1;31mred\033[0m and \033]0;title\007plain\033]8;;http://x\033\\link\033(B\n");
	assert_string_equal(as_text(), "red and plainlink\n");
}

static void strips_escapes_split_over_records(void **state)
{
	(void)state;
	OUT("a\033");
	OUT("[3");
	OUT("1mb\033]0;ti");
	OUT("tle\033");
	OUT("\\c\n");
	assert_string_equal(as_text(), "abc\n");
}

static void an_unfinished_string_does_not_swallow_the_log(void **state)
{
	(void)state;
	OUT("\033]0;never ended\nnext\n");
	assert_string_equal(as_text(), "\nnext\n");
}

static void repairs_utf8(void **state)
{
	(void)state;
	OUT("caf\xc3\xa9 \xff\xfe \xe2\x82 \xc0\xaf \xed\xa0\x80\n");
	assert_string_equal(as_text(), "caf\xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd "
				       "\xef\xbf\xbd\xef\xbf\xbd "
				       "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\n");
}

static void joins_utf8_split_over_records(void **state)
{
	(void)state;
	OUT("\xf0\x9f");
	ERR("other\n");
	OUT("\x98");
	OUT("\x80\n");
	assert_string_equal(as_text(), "other\n\xf0\x9f\x98\x80\n");
}

static void a_progress_bar_leaves_its_last_state(void **state)
{
	(void)state;
	OUT("10%\r20%\r");
	OUT("\033[2K100%\r\ndone\r\n");
	assert_string_equal(as_text(), "100%\ndone\n");
}

static void lines_of_two_streams_do_not_run_into_each_other(void **state)
{
	(void)state;
	OUT("first half, ");
	ERR("error\n");
	OUT("second half\n");
	assert_string_equal(as_text(), "error\nfirst half, second half\n");
}

static void writes_a_last_line_without_newline(void **state)
{
	(void)state;
	OUT("a\nb");
	assert_string_equal(as_text(), "a\nb\n");
}

static void begins_lines_with_their_time(void **state)
{
	(void)state;
	OUT("a\nb\n");
	assert_string_equal(format_as((struct logfmt_opts){LOGFMT_TEXT, -1, 0, true}),
		"2025-11-23T22:31:27.123456Z a\n2025-11-23T22:31:27.123456Z b\n");
}

static void keeps_a_line_longer_than_its_buffer(void **state)
{
	static char text[3 * PEN_MAX_LINE];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\n';
	put(0, RECORD_STDOUT, text, sizeof(text));
	assert_int_equal(strlen(as_text()), sizeof(text));
	assert_memory_equal(out.data, text, sizeof(text));
}

static void raw_is_what_the_command_wrote(void **state)
{
	(void)state;
	OUT("\033[1mx\xff\r\n");
	put(RECORD_STEP_RUN, RECORD_EVENT, "{}", 2);
	ERR("y");
	assert_string_equal(format_as((struct logfmt_opts){.kind = LOGFMT_RAW, .step = -1}),
		"\033[1mx\xff\r\ny");
}

static void raw_can_be_one_stream_of_one_step(void **state)
{
	struct logfmt_opts opts = {.kind = LOGFMT_RAW, .step = 2, .stream = RECORD_STDERR};

	(void)state;
	put(1, RECORD_STDERR, "no", 2);
	put(2, RECORD_STDOUT, "no", 2);
	put(2, RECORD_STDERR, "yes", 3);
	assert_string_equal(format_as(opts), "yes");
}

static void records_are_unchanged(void **state)
{
	(void)state;
	OUT("a");
	put(RECORD_STEP_RUN, RECORD_EVENT, "{\"event\":\"x\"}", 13);
	format_as((struct logfmt_opts){.kind = LOGFMT_RECORDS, .step = -1});
	assert_int_equal(out.len, in.len + 1);
	assert_memory_equal(out.data, in.data, in.len);
}

static void ndjson_is_one_object_a_record(void **state)
{
	(void)state;
	OUT("a\"b\n");
	put(RECORD_STEP_RUN, RECORD_EVENT, "{\"event\":\"x\"}", 13);
	assert_string_equal(format_as((struct logfmt_opts){.kind = LOGFMT_NDJSON, .step = -1}),
		"{\"offset\":0,\"time_us\":1763937087123456,\"line\":3,\"step\":0,"
		"\"stream\":\"stdout\",\"text\":\"a\\\"b\\n\"}\n"
		"{\"offset\":28,\"time_us\":1763937087123456,\"line\":3,\"step\":null,"
		"\"stream\":\"event\",\"event\":{\"event\":\"x\"}}\n");
}

static void refuses_a_damaged_record(void **state)
{
	struct logfmt_opts opts = {.kind = LOGFMT_RAW, .step = -1};
	struct logfmt *fmt = logfmt_new(&opts);

	(void)state;
	OUT("a");
	in.data[in.len - 1] ^= 1;
	assert_int_equal(logfmt_record(fmt, 0, in.data, in.len, &out), -EBADMSG);
	logfmt_free(fmt);
}

static void a_newline_ends_every_escape(void **state)
{
	(void)state;
	OUT("a\x1b\nb\x1b[3\nc\x1b]0;title\nd\x1b]0;title\x1b\ne\n");
	assert_string_equal(as_text(), "a\nb\nc\nd\ne\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(strips_escapes, setup, teardown),
		cmocka_unit_test_setup_teardown(strips_escapes_split_over_records, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_unfinished_string_does_not_swallow_the_log, setup, teardown),
		cmocka_unit_test_setup_teardown(repairs_utf8, setup, teardown),
		cmocka_unit_test_setup_teardown(joins_utf8_split_over_records, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_progress_bar_leaves_its_last_state, setup, teardown),
		cmocka_unit_test_setup_teardown(
			lines_of_two_streams_do_not_run_into_each_other, setup, teardown),
		cmocka_unit_test_setup_teardown(
			writes_a_last_line_without_newline, setup, teardown),
		cmocka_unit_test_setup_teardown(begins_lines_with_their_time, setup, teardown),
		cmocka_unit_test_setup_teardown(
			keeps_a_line_longer_than_its_buffer, setup, teardown),
		cmocka_unit_test_setup_teardown(raw_is_what_the_command_wrote, setup, teardown),
		cmocka_unit_test_setup_teardown(raw_can_be_one_stream_of_one_step, setup, teardown),
		cmocka_unit_test_setup_teardown(records_are_unchanged, setup, teardown),
		cmocka_unit_test_setup_teardown(ndjson_is_one_object_a_record, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_a_damaged_record, setup, teardown),
		cmocka_unit_test_setup_teardown(a_newline_ends_every_escape, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
