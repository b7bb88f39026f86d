#include "core/app/status/status_levels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/app/status/status_diff.h"

struct heard {
	struct status_listener listener;
	char text[512];
};

static void on_change(struct status_listener *listener, const struct status_change *change)
{
	struct heard *heard = container_of(listener, struct heard, listener);
	size_t n = strlen(heard->text);

	snprintf(heard->text + n, sizeof(heard->text) - n, "%s/%s %s>%s (%s) ", change->section,
		change->id, change->before != NULL ? change->before : "-",
		change->level != NULL ? change->level : "-", change->message);
}

static void take(struct status_levels *levels, const char *text, bool complete, uint64_t now_us)
{
	json_t *sections = json_loads(text, 0, NULL);

	assert_non_null(sections);
	status_levels_take(levels, sections, complete, now_us);
	json_decref(sections);
}

static void begin(struct status_levels *levels, struct heard *heard)
{
	memset(heard, 0, sizeof(*heard));
	heard->listener.on_change = on_change;
	status_levels_init(levels);
	list_append(&levels->listeners, &heard->listener.link);
}

#define ITEM(id, level)                                                                            \
	"{\"id\":\"" id "\",\"title\":\"T\",\"level\":\"" level "\",\"message\":\"m\"}"

static void tells_changes_and_what_is_wrong_at_first(void **state)
{
	struct status_levels levels;
	struct heard heard;

	(void)state;
	begin(&levels, &heard);
	take(&levels, "{\"host\":[" ITEM("cpu", "ok") "," ITEM("disk:/", "bad") "]}", true, 1);
	assert_string_equal(heard.text, "host/disk:/ ->bad (m) ");
	heard.text[0] = '\0';
	take(&levels, "{\"host\":[" ITEM("cpu", "warn") "," ITEM("disk:/", "bad") "]}", true, 2);
	assert_string_equal(heard.text, "host/cpu ok>warn (m) ");
	heard.text[0] = '\0';
	take(&levels, "{\"host\":[" ITEM("cpu", "ok") "," ITEM("disk:/", "bad") "]}", true, 3);
	assert_string_equal(heard.text, "host/cpu warn>ok (m) ");
	status_levels_fini(&levels);
}

static void a_short_absence_changes_nothing_a_long_one_is_told(void **state)
{
	struct status_levels levels;
	struct heard heard;

	(void)state;
	begin(&levels, &heard);
	take(&levels, "{\"units\":[" ITEM("a.service", "bad") "," ITEM("b.service", "ok") "]}",
		true, 1);
	heard.text[0] = '\0';
	take(&levels, "{}", true, 2);
	take(&levels, "{\"units\":[" ITEM("a.service", "bad") "]}", true, STATUS_GONE_US);
	assert_string_equal(heard.text, "");
	take(&levels, "{}", true, STATUS_GONE_US + 1);
	take(&levels, "{}", true, 2 * STATUS_GONE_US);
	assert_string_equal(heard.text, ""); /* the one that was ok says nothing */
	take(&levels, "{}", true, 2 * STATUS_GONE_US + 1);
	assert_string_equal(heard.text, "units/a.service bad>- () ");
	status_levels_fini(&levels);
}

static void what_is_told_in_part_takes_nothing_away(void **state)
{
	struct status_levels levels;
	struct heard heard;

	(void)state;
	begin(&levels, &heard);
	take(&levels, "{\"host\":[" ITEM("cpu", "bad") "]}", true, 1);
	heard.text[0] = '\0';
	take(&levels, "{\"database\":[" ITEM("server", "unknown") "]}", false, 2);
	take(&levels, "{\"database\":[" ITEM("server", "ok") "]}", false, 10 * STATUS_GONE_US);
	assert_string_equal(
		heard.text, "database/server ->unknown (m) database/server unknown>ok (m) ");
	status_levels_fini(&levels);
}

static void remembers_a_bounded_number_of_items(void **state)
{
	struct status_levels levels;
	struct heard heard;
	json_t *items = json_array(), *sections;

	(void)state;
	begin(&levels, &heard);
	for (int i = 0; i < STATUS_MAX_LEVELS + 100; i++)
		json_array_append_new(
			items, json_pack("{s:o,s:s}", "id", json_sprintf("%d", i), "level", "ok"));
	sections = json_pack("{s:o}", "host", items);
	status_levels_take(&levels, sections, true, 1);
	assert_int_equal(json_object_size(levels.known), STATUS_MAX_LEVELS);
	json_decref(sections);
	status_levels_fini(&levels);
}

static void differences_are_whole_items(void **state)
{
	json_t *before = json_loads(
		"{\"a\":[" ITEM("1", "ok") "," ITEM("2", "ok") "],"
							       "\"b\":[" ITEM("3", "ok") "]}",
		0, NULL);
	json_t *now = json_loads(
		"{\"a\":[" ITEM("1", "ok") "," ITEM("2", "warn") "," ITEM("4", "ok") "]}", 0, NULL);
	json_t *changed = status_changed(now, before), *gone = status_gone(now, before);
	json_t *expected =
		json_loads("{\"a\":[" ITEM("2", "warn") "," ITEM("4", "ok") "]}", 0, NULL);

	(void)state;
	assert_true(json_equal(changed, expected));
	assert_int_equal(json_array_size(gone), 1);
	assert_string_equal(json_string_value(json_array_get(gone, 0)), "b/3");
	assert_string_equal(status_worst(now), "warn");
	assert_string_equal(status_worst(NULL), "unknown");
	json_decref(before);
	json_decref(now);
	json_decref(changed);
	json_decref(gone);
	json_decref(expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_changes_and_what_is_wrong_at_first),
		cmocka_unit_test(a_short_absence_changes_nothing_a_long_one_is_told),
		cmocka_unit_test(what_is_told_in_part_takes_nothing_away),
		cmocka_unit_test(remembers_a_bounded_number_of_items),
		cmocka_unit_test(differences_are_whole_items),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
