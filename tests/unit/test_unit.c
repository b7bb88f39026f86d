#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/probes/unit.h"

#define MONO_US UINT64_C(1000000)
#define WALL_US UINT64_C(1795474800000000)

struct said {
	enum level level;
	char message[REPORT_MAX_MESSAGE];
	char values[2048];
};

static struct said report(const struct unit *unit)
{
	struct finding *found = xcalloc(1, sizeof(*found));
	struct said said;
	struct report report;
	size_t at = 0;

	report_init(&report);
	unit_report(unit, MONO_US, WALL_US, &report);
	assert_int_equal(report_next(report.bytes.data, report.bytes.len, &at, found), 1);
	said.level = found->level;
	snprintf(said.message, sizeof(said.message), "%s", found->message);
	snprintf(said.values, sizeof(said.values), "%.*s", (int)found->values.len,
		(const char *)found->values.data);
	buf_fini(&found->values);
	free(found);
	report_fini(&report);
	return said;
}

/* In these states: what it says. */
static void expect(const char *name, const char *load, const char *active, const char *sub,
	enum level level, const char *message, struct unit unit)
{
	struct said said;

	snprintf(unit.name, sizeof(unit.name), "%s", name);
	unit_set_text(&unit, "LoadState", load);
	unit_set_text(&unit, "ActiveState", active);
	unit_set_text(&unit, "SubState", sub);
	unit_set_text(&unit, "Result", "exit-code");
	said = report(&unit);
	assert_string_equal(said.message, message);
	assert_int_equal(said.level, level);
}

static void thinks_of_states_what_a_person_would(void **state)
{
	const struct unit simple = {.type = "simple"}, once = {.type = "oneshot"};
	const struct unit triggered = {.type = "simple", .is_triggered = true}, other = {0};

	(void)state;
	expect("a.service", "loaded", "active", "running", LEVEL_OK, "", simple);
	expect("a.service", "loaded", "active", "exited", LEVEL_OK, "", once);
	expect("a.service", "loaded", "reloading", "reload", LEVEL_OK, "", simple);
	expect("a.service", "loaded", "failed", "failed", LEVEL_BAD, "has failed (exit-code)",
		simple);
	expect("a.service", "loaded", "failed", "failed", LEVEL_BAD, "has failed (exit-code)",
		triggered);
	expect("a.service", "loaded", "activating", "start-pre", LEVEL_WARN,
		"is starting (start-pre)", simple);
	expect("a.service", "loaded", "activating", "start", LEVEL_OK, "", once);
	expect("a.service", "loaded", "activating", "auto-restart", LEVEL_WARN,
		"ended, and is about to be restarted", simple);
	expect("a.service", "loaded", "deactivating", "stop-sigterm", LEVEL_WARN,
		"is stopping (stop-sigterm)", simple);
	expect("a.service", "loaded", "inactive", "dead", LEVEL_BAD, "is not running", simple);
	expect("a.service", "loaded", "inactive", "dead", LEVEL_OK, "", triggered);
	expect("a.service", "loaded", "inactive", "dead", LEVEL_OK, "", once);
	expect("a.slice", "loaded", "inactive", "dead", LEVEL_OK, "", other);
	expect("a.timer", "loaded", "inactive", "dead", LEVEL_BAD, "is not running", other);
	expect("a.mount", "loaded", "inactive", "dead", LEVEL_BAD, "is not running", other);
	expect("a.service", "not-found", "inactive", "dead", LEVEL_BAD, "there is no such unit",
		other);
	expect("a.service", "masked", "inactive", "dead", LEVEL_BAD,
		"is masked: it cannot be started", other);
	expect("a.service", "bad-setting", "inactive", "dead", LEVEL_BAD,
		"its unit file is not in order (bad-setting)", other);
}

static void leaves_out_what_is_not_known(void **state)
{
	struct unit unit;
	struct said said;

	(void)state;
	unit_init(&unit, "a.service");
	unit_set_number(&unit, "MemoryCurrent", UNIT_NONE);
	unit_set_number(&unit, "MainPID", 0);
	said = report(&unit);
	assert_string_equal(said.values, "{\"restarts\":0,\"listed\":false}");
	unit_set_number(&unit, "MainPID", 12);
	unit_set_number(&unit, "MemoryCurrent", 4096);
	unit_set_number(&unit, "CPUUsageNSec", 7000);
	unit_set_number(&unit, "SomethingElse", 9);
	unit_set_text(&unit, "SomethingElse", "x");
	said = report(&unit);
	assert_string_equal(said.values, "{\"pid\":12,\"restarts\":0,\"memory_bytes\":4096,"
					 "\"cpu_us\":7,\"listed\":false}");
}

static void tells_when_a_timer_is_next(void **state)
{
	struct unit unit;
	struct said said;

	(void)state;
	unit_init(&unit, "a.timer");
	unit_set_text(&unit, "Unit", "a.service");
	unit_set_number(&unit, "NextElapseUSecMonotonic", MONO_US + 5);
	unit_set_number(&unit, "LastTriggerUSec", 77);
	said = report(&unit);
	assert_non_null(strstr(said.values, "\"next_us\":1795474800000005,\"last_us\":77,"
					    "\"unit\":\"a.service\""));
	/* both kinds: the earlier one */
	unit_set_number(&unit, "NextElapseUSecRealtime", WALL_US + 3);
	said = report(&unit);
	assert_non_null(strstr(said.values, "\"next_us\":1795474800000003,"));
	unit_set_number(&unit, "NextElapseUSecRealtime", UNIT_NONE);
	unit_set_number(&unit, "NextElapseUSecMonotonic", UNIT_NONE - 1);
	said = report(&unit);
	assert_null(strstr(said.values, "next_us"));
}

static void cuts_texts_that_are_too_long(void **state)
{
	char text[4096];
	struct unit unit;
	struct said said;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	unit_init(&unit, text);
	unit_set_text(&unit, "ActiveState", text);
	unit_set_text(&unit, "Description", text);
	said = report(&unit);
	assert_int_equal(said.level, LEVEL_OK);
	assert_int_equal(strlen(unit.active), sizeof(unit.active) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(thinks_of_states_what_a_person_would),
		cmocka_unit_test(leaves_out_what_is_not_known),
		cmocka_unit_test(tells_when_a_timer_is_next),
		cmocka_unit_test(cuts_texts_that_are_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
