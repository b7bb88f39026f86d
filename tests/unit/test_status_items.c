#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/worker/status.h"

static bool put(struct status_items *items, const char *section, const char *id, enum level level,
	const char *json)
{
	struct note note = {
		.kind = json != NULL ? NOTE_PUT : NOTE_DEL,
		.level = (uint8_t)level,
		.section = wire_str_of(section),
		.id = wire_str_of(id),
		.json = wire_str_of(json),
	};

	return status_items_take(items, &note, 42);
}

static char *document(const struct status_items *items)
{
	struct json json;
	struct buf buf;

	buf_init(&buf, 1 << 20);
	json_init(&json, &buf);
	status_items_write(items, "h", &json);
	return buf_take_str(&buf);
}

static void composes_sections_of_what_was_told(void **state)
{
	struct status_items *items = status_items_new();
	struct note reset = {.kind = NOTE_RESET, .interval_ms = 7}, beat = {.kind = NOTE_BEAT};
	char *text;

	(void)state;
	(void)status_items_take(items, &reset, 41);
	text = document(items);
	assert_string_equal(text, "{\"host\":\"h\",\"time_us\":41,\"level\":\"unknown\","
				  "\"interval_ms\":7,\"sections\":{}}");
	free(text);
	assert_true(put(items, "host", "a", LEVEL_OK, "{\"n\":1}"));
	assert_true(put(items, "urls", "u", LEVEL_WARN, "{\"n\":2}"));
	assert_true(put(items, "host", "b", LEVEL_UNKNOWN, "{\"n\":3}"));
	assert_true(put(items, "host", "a", LEVEL_OK, "{\"n\":4}"));
	text = document(items);
	assert_string_equal(text,
		"{\"host\":\"h\",\"time_us\":42,\"level\":\"warn\",\"interval_ms\":7,\"sections\":{"
		"\"host\":[{\"n\":4},{\"n\":3}],\"urls\":[{\"n\":2}]}}");
	free(text);
	assert_true(put(items, "urls", "u", LEVEL_OK, NULL));
	assert_false(put(items, "urls", "u", LEVEL_OK, NULL));
	/* new probes: what they do not tell of is gone, once they have told all */
	(void)status_items_take(items, &reset, 43);
	assert_true(put(items, "host", "b", LEVEL_OK, "{\"n\":5}"));
	text = document(items);
	assert_non_null(strstr(text, "[{\"n\":4},{\"n\":5}]"));
	free(text);
	assert_true(status_items_take(items, &beat, 44));
	text = document(items);
	assert_non_null(strstr(text, "\"sections\":{\"host\":[{\"n\":5}]}"));
	free(text);
	status_items_free(items);
}

static void bounds_what_it_keeps(void **state)
{
	struct status_items *items = status_items_new();
	static char large[NOTE_MAX_JSON + 1];
	unsigned kept = 0;
	char *text;

	(void)state;
	memset(large, ' ', NOTE_MAX_JSON);
	large[0] = '{';
	large[NOTE_MAX_JSON - 1] = '}';
	for (int i = 0; i < 100; i++) {
		char id[16];

		snprintf(id, sizeof(id), "%d", i);
		kept += put(items, "s", id, LEVEL_OK, large);
	}
	assert_int_equal(kept, STATUS_MAX_BYTES / NOTE_MAX_JSON);
	/* one that is there may still change */
	assert_true(put(items, "s", "0", LEVEL_BAD, large));
	text = document(items);
	assert_non_null(text);
	free(text);
	status_items_free(items);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(composes_sections_of_what_was_told),
		cmocka_unit_test(bounds_what_it_keeps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
