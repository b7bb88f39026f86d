#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/notify/notify_message.h"
#include "core/base/utf8.h"

#define SIGNED "sha256=a438e398bfafc57e4396bb7fc2304422f0f768e965d073ca313cb52e22e6ad03"

static const struct notify_words en = {NOTIFY_EN, "https://ops.example.org", "thoth"};
static const struct notify_words nl = {NOTIFY_NL, "https://ops.example.org", "thoth"};

static const struct rundoc failed = {.host = "",
	.name = "backup",
	.title = "Nightly backup",
	.status = "failed",
	.actor = "schedule:backup",
	.number = 1480,
	.exit_code = 100,
	.signal = RUNDOC_NONE,
	.started_us = 1000000,
	.finished_us = 244000000};

static void says_what_failed_where_and_why(void **state)
{
	struct notify_event event = {.on = NOTIFY_RUN_FAILED};

	(void)state;
	notify_text_run(&en, &failed, "disk is full", &event);
	assert_string_equal(event.title, "Nightly backup failed on thoth");
	assert_string_equal(event.text,
		"#1480 backup: failed, exit code 100, after 4 min 3 s\nStarted by schedule:backup\n"
		"Last line: disk is full\n");
	assert_string_equal(event.link, "https://ops.example.org/runs/1480");
	assert_int_equal(event.time_us, 244000000);
}

static void says_it_in_dutch(void **state)
{
	struct notify_event event = {.on = NOTIFY_RUN_FAILED};

	(void)state;
	notify_text_run(&nl, &failed, "", &event);
	assert_string_equal(event.title, "Nightly backup is mislukt op thoth");
	assert_string_equal(event.text, "#1480 backup: mislukt, exit code 100, na 4 min 3 "
					"s\nGestart door schedule:backup\n");
}

/* A text that is too long ends at a whole character. */
static void cuts_between_characters(void **state)
{
	struct notify_event event = {.on = NOTIFY_RUN_FAILED};
	struct rundoc doc = failed;
	char line[2000], title[400];

	(void)state;
	for (size_t i = 0; i + 2 < sizeof(line); i += 2)
		memcpy(line + i, "é", 3);
	snprintf(title, sizeof(title), "x%.300s", line);
	doc.title = title;
	notify_text_run(&en, &doc, line, &event);
	assert_true(utf8_is_valid(event.title, strlen(event.title)));
	assert_true(utf8_is_valid(event.text, strlen(event.text)));
	assert_true(strlen(event.title) < NOTIFY_TITLE_BYTES);
}

static void one_digest_names_the_newest_and_counts_the_rest(void **state)
{
	struct notify_event events[40] = {0}, digest;
	const struct notify_event *list[40];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		events[i].on = i == 3 ? NOTIFY_RUN_FAILED : NOTIFY_RUN_RECOVERED;
		snprintf(events[i].title, sizeof(events[i].title), "event %zu", i);
		snprintf(events[i].host, sizeof(events[i].host), "thoth");
		snprintf(events[i].run, sizeof(events[i].run), "x");
		list[i] = &events[i];
	}
	notify_text_digest(&en, list, ARRAY_LEN(list), 460, &digest);
	assert_string_equal(digest.title, "500 events on thoth");
	assert_int_equal(strncmp(digest.text, "- event 39\n- event 38\n", 22), 0);
	assert_non_null(strstr(digest.text, "- event 20\nand 480 more\n"));
	assert_int_equal(digest.on, NOTIFY_RUN_FAILED);
	assert_string_equal(digest.link, "https://ops.example.org/history");
}

/* RFC 4231 has no such message; computed with `openssl dgst -sha256 -hmac key`. */
static void signs_the_timestamp_and_the_body(void **state)
{
	struct buf body;
	char signature[72];

	(void)state;
	buf_init(&body, 100);
	buf_append_str(&body, "{\"a\":1}");
	notify_message_sign("key", "1700000000", &body, signature);
	assert_string_equal(signature, SIGNED);
	buf_fini(&body);
}

static void a_mail_keeps_lines_short_and_ascii(void **state)
{
	static char from[] = "ops@example.org", one[] = "a@example.org", two[] = "b@example.org";
	struct notify_target target = {.kind = NOTIFY_MAIL, .from = from, .to = {2, {one, two}}};
	struct notify_event event = {.on = NOTIFY_RUN_FAILED};
	struct buf out;
	size_t column = 0;

	(void)state;
	snprintf(event.title, sizeof(event.title),
		"Een lange titel met één é op elke plaats waar hij zou kunnen worden gebroken, "
		"ééé");
	memset(event.text, 'x', 900);
	buf_init(&out, 1 << 16);
	notify_message_mail(&target, &event, "id", &out);
	for (size_t i = 0; i < out.len; i++) {
		assert_true(out.data[i] < 0x80);
		column = out.data[i] == '\n' ? 0 : column + 1;
		assert_true(column <= 78);
		if (out.data[i] == '\n')
			assert_int_equal(out.data[i - 1], '\r');
	}
	buf_append_byte(&out, 0);
	assert_non_null(strstr((char *)out.data, "\r\nTo: a@example.org,\r\n b@example.org\r\n"));
	assert_non_null(strstr((char *)out.data, "\r\nMessage-ID: <id@example.org>\r\n"));
	buf_fini(&out);
}

static void knows_what_is_worth_another_try(void **state)
{
	static const struct {
		int err;
		long status;
		bool arrived, temporary;
	} rows[] = {{0, 200, true, false}, {0, 204, true, false}, {0, 301, false, false},
		{0, 404, false, false}, {0, 401, false, false}, {0, 408, false, true},
		{0, 429, false, true}, {0, 500, false, true}, {0, 503, false, true},
		{-ETIMEDOUT, 0, false, true}, {-ECONNREFUSED, 0, false, true},
		{-EPROTO, 0, false, true}, {-EINVAL, 0, false, false}, {-EACCES, 450, false, true},
		{-EACCES, 550, false, false}, {-EACCES, 535, false, false}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct outgoing_result result = {rows[i].err, rows[i].status, ""};

		assert_int_equal(notify_message_arrived(&result), rows[i].arrived);
		if (!rows[i].arrived)
			assert_int_equal(notify_message_is_temporary(&result), rows[i].temporary);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_failed_where_and_why),
		cmocka_unit_test(says_it_in_dutch),
		cmocka_unit_test(cuts_between_characters),
		cmocka_unit_test(one_digest_names_the_newest_and_counts_the_rest),
		cmocka_unit_test(signs_the_timestamp_and_the_body),
		cmocka_unit_test(a_mail_keeps_lines_short_and_ascii),
		cmocka_unit_test(knows_what_is_worth_another_try),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
