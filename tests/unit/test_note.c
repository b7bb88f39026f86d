#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "agent/probes/note.h"

static uint8_t bytes[NOTE_MAX_BYTES];

static int encode(void)
{
	struct note note = {
		.kind = NOTE_PUT,
		.level = LEVEL_BAD,
		.interval_ms = 77,
		.time_us = UINT64_C(1795474800000000),
		.section = wire_str_of("host"),
		.id = wire_str_of("disk:/"),
		.json = wire_str_of("{}"),
	};

	return note_encode(&note, bytes, sizeof(bytes));
}

static void returns_what_was_written(void **state)
{
	struct note note;
	int n = encode();

	(void)state;
	assert_int_equal(note_decode(bytes, (size_t)n, &note), 0);
	assert_int_equal(note.kind, NOTE_PUT);
	assert_int_equal(note.level, LEVEL_BAD);
	assert_int_equal(note.interval_ms, 77);
	assert_true(note.time_us == UINT64_C(1795474800000000));
	assert_true(wire_str_eq(note.section, "host"));
	assert_true(wire_str_eq(note.id, "disk:/"));
	assert_true(wire_str_eq(note.json, "{}"));
}

static void refuses_every_other_length(void **state)
{
	struct note note;
	int n = encode();

	(void)state;
	for (int i = 0; i < n; i++)
		assert_int_equal(note_decode(bytes, (size_t)i, &note), -EBADMSG);
	bytes[n] = 0;
	assert_int_equal(note_decode(bytes, (size_t)n + 1, &note), -EBADMSG);
}

static void refuses_kinds_and_levels_that_are_none(void **state)
{
	struct note note;
	int n = encode();

	(void)state;
	bytes[0] = 0;
	assert_int_equal(note_decode(bytes, (size_t)n, &note), -EBADMSG);
	bytes[0] = NOTE_AGAIN + 1; /* tailnote.h has these */
	assert_int_equal(note_decode(bytes, (size_t)n, &note), -EBADMSG);
	bytes[0] = NOTE_ENDED + 1;
	assert_int_equal(note_decode(bytes, (size_t)n, &note), -EBADMSG);
	bytes[0] = NOTE_PUT;
	bytes[1] = LEVEL_UNKNOWN + 1;
	assert_int_equal(note_decode(bytes, (size_t)n, &note), -EBADMSG);
}

static void refuses_texts_that_are_too_long(void **state)
{
	static char text[NOTE_MAX_JSON + 2];
	struct note note = {.kind = NOTE_PUT};

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	note.json = wire_str_of(text);
	assert_int_equal(note_encode(&note, bytes, sizeof(bytes)), -EMSGSIZE);
	note.json.len = NOTE_MAX_JSON;
	assert_true(note_encode(&note, bytes, sizeof(bytes)) > 0);
	note.id = (struct wire_str){text, NOTE_MAX_ID + 1};
	assert_int_equal(note_encode(&note, bytes, sizeof(bytes)), -EMSGSIZE);
}

static void orders_levels_by_what_needs_a_person(void **state)
{
	(void)state;
	assert_int_equal(level_worse(LEVEL_OK, LEVEL_UNKNOWN), LEVEL_UNKNOWN);
	assert_int_equal(level_worse(LEVEL_UNKNOWN, LEVEL_WARN), LEVEL_WARN);
	assert_int_equal(level_worse(LEVEL_BAD, LEVEL_UNKNOWN), LEVEL_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(returns_what_was_written),
		cmocka_unit_test(refuses_every_other_length),
		cmocka_unit_test(refuses_kinds_and_levels_that_are_none),
		cmocka_unit_test(refuses_texts_that_are_too_long),
		cmocka_unit_test(orders_levels_by_what_needs_a_person),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
