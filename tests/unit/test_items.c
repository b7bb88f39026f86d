#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/probes/items.h"

static const struct status_config config = {.interval_us = UINT64_C(5000000)};
static const struct probe probe = {.section = "host", .id = "all", .title = "All of it"};

static void take(struct items *items, const char *const *ids, enum level level, uint8_t rise)
{
	struct report report;

	report_init(&report);
	for (; *ids != NULL; ids++) {
		struct finding *f = report_begin(&report, *ids, *ids);

		f->rise = rise;
		f->fall = rise;
		if (level != LEVEL_OK)
			finding_raise(f, level, "is_so", "it is %s", "so");
		report_end(&report);
	}
	assert_int_equal(items_take(items, &probe, report.bytes.data, report.bytes.len, 1000), 0);
	report_fini(&report);
}

/* What the worker hears, as one text a note: "put host/a warn", "del host/a". */
static char *hear(struct items *items, const int pair[2], char *text, size_t cap)
{
	static uint8_t bytes[NOTE_MAX_BYTES];
	size_t at = 0;
	ssize_t n;

	text[0] = '\0';
	assert_false(items_send(items, pair[0]));
	while ((n = recv(pair[1], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
		static const char *const kinds[] = {"", "reset", "put", "del", "beat"};
		struct note note;

		assert_int_equal(note_decode(bytes, (size_t)n, &note), 0);
		at += (size_t)snprintf(text + at, cap - at, "%s", kinds[note.kind]);
		if (note.kind == NOTE_PUT || note.kind == NOTE_DEL)
			at += (size_t)snprintf(text + at, cap - at, " %.*s %s", (int)note.id.len,
				note.id.data, level_name((enum level)note.level));
		at += (size_t)snprintf(text + at, cap - at, ";");
	}
	return text;
}

static void tells_each_change_once(void **state)
{
	struct items items;
	char text[512];
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	items_init(&items, &config);
	take(&items, (const char *const[]){"a", "b", NULL}, LEVEL_OK, 1);
	assert_string_equal(
		hear(&items, pair, text, sizeof(text)), "reset;put a ok;put b ok;beat;");
	assert_string_equal(hear(&items, pair, text, sizeof(text)), "");
	take(&items, (const char *const[]){"b", NULL}, LEVEL_BAD, 1);
	assert_string_equal(hear(&items, pair, text, sizeof(text)), "del a ok;put b bad;beat;");
	items_tell_again(&items);
	assert_string_equal(hear(&items, pair, text, sizeof(text)), "reset;put b bad;beat;");
	items_fini(&items);
	close(pair[0]);
	close(pair[1]);
}

/* A level that is still shown although the last look was fine goes on saying why. */
static void keeps_the_words_of_a_level_that_lasts(void **state)
{
	static uint8_t bytes[NOTE_MAX_BYTES];
	struct note note = {0};
	struct items items;
	char text[512];
	int pair[2];
	ssize_t n;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	items_init(&items, &config);
	take(&items, (const char *const[]){"a", NULL}, LEVEL_WARN, 1);
	assert_string_equal(hear(&items, pair, text, sizeof(text)), "reset;put a warn;beat;");
	take(&items, (const char *const[]){"a", NULL}, LEVEL_OK, 3);
	assert_false(items_send(&items, pair[0]));
	while (note.kind != NOTE_PUT && (n = recv(pair[1], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		assert_int_equal(note_decode(bytes, (size_t)n, &note), 0);
	assert_int_equal(note.kind, NOTE_PUT);
	assert_int_equal(note.level, LEVEL_WARN);
	assert_non_null(memmem(note.json.data, note.json.len, "\"message\":\"it is so\"", 20));
	assert_non_null(memmem(
		note.json.data, note.json.len, "\"code\":\"is_so\",\"params\":[\"so\"]", 30));
	items_fini(&items);
	close(pair[0]);
	close(pair[1]);
}

static void says_why_when_a_probe_tells_nothing(void **state)
{
	struct items items;
	char text[512];
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	items_init(&items, &config);
	/* nothing is known yet: one item stands for the probe, until there are real ones */
	items_unknown(&items, &probe, "no answer within 5 s", 1000);
	assert_string_equal(hear(&items, pair, text, sizeof(text)), "reset;put all unknown;beat;");
	take(&items, (const char *const[]){"a", NULL}, LEVEL_OK, 1);
	assert_non_null(strstr(hear(&items, pair, text, sizeof(text)), "del all"));
	items_unknown(&items, &probe, "no answer within 5 s", 1000);
	assert_string_equal(hear(&items, pair, text, sizeof(text)), "put a unknown;beat;");
	take(&items, (const char *const[]){"a", NULL}, LEVEL_OK, 6);
	assert_string_equal(hear(&items, pair, text, sizeof(text)), "put a ok;beat;");
	items_fini(&items);
	close(pair[0]);
	close(pair[1]);
}

/* A worker that does not read gets the newest of each item later, however long it was away. */
static void holds_no_queue_for_a_worker_that_does_not_read(void **state)
{
	struct items items;
	char text[512];
	int pair[2];
	bool full = false;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	items_init(&items, &config);
	for (int i = 0; i < 5000; i++) {
		take(&items, (const char *const[]){"a", NULL}, LEVEL_OK, 1);
		full = items_send(&items, pair[0]);
	}
	assert_true(full);
	take(&items, (const char *const[]){"a", NULL}, LEVEL_BAD, 1);
	while (items_send(&items, pair[0])) {
		char one[1024];

		assert_true(recv(pair[1], one, sizeof(one), MSG_DONTWAIT) > 0);
	}
	while (recv(pair[1], text, sizeof(text), MSG_DONTWAIT) > 0)
		;
	assert_string_equal(hear(&items, pair, text, sizeof(text)), "");
	items_fini(&items);
	close(pair[0]);
	close(pair[1]);
}

static void shows_a_level_when_it_lasts(void **state)
{
	struct settle s = {0};

	(void)state;
	assert_true(settle_level(&s, LEVEL_WARN, 3, 2)); /* the first finding of all */
	assert_int_equal(s.shown, LEVEL_OK);
	assert_false(settle_level(&s, LEVEL_WARN, 3, 2));
	assert_true(settle_level(&s, LEVEL_WARN, 3, 2));
	assert_int_equal(s.shown, LEVEL_WARN);
	assert_false(settle_level(&s, LEVEL_OK, 3, 2));
	assert_false(settle_level(&s, LEVEL_WARN, 3, 2)); /* begins to count anew */
	assert_false(settle_level(&s, LEVEL_OK, 3, 2));
	assert_true(settle_level(&s, LEVEL_OK, 3, 2));
	assert_int_equal(s.shown, LEVEL_OK);
}

static void shows_facts_and_ignorance_at_once(void **state)
{
	struct settle s = {0};

	(void)state;
	assert_true(settle_level(&s, LEVEL_BAD, 1, 1));
	assert_int_equal(s.shown, LEVEL_BAD);
	assert_true(settle_level(&s, LEVEL_UNKNOWN, 1, 1));
	assert_true(settle_level(&s, LEVEL_OK, 9, 9));
	assert_int_equal(s.shown, LEVEL_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_each_change_once),
		cmocka_unit_test(keeps_the_words_of_a_level_that_lasts),
		cmocka_unit_test(says_why_when_a_probe_tells_nothing),
		cmocka_unit_test(holds_no_queue_for_a_worker_that_does_not_read),
		cmocka_unit_test(shows_a_level_when_it_lasts),
		cmocka_unit_test(shows_facts_and_ignorance_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
