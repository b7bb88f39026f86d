#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "agent/config/cron.h"
#include "core/base/mem.h"

static void fields_become_bits(void **state)
{
	struct cron cron;

	(void)state;
	assert_int_equal(cron_parse("15 3 * * *", &cron, NULL), 0);
	assert_true(cron.minutes == UINT64_C(1) << 15);
	assert_int_equal(cron.hours, 1 << 3);
	assert_true(cron.days == 0xfffffffe);
	assert_int_equal(cron.months, 0x1ffe);
	assert_int_equal(cron.weekdays, 0x7f);
	assert_true(cron.any_day && cron.any_weekday);
	assert_int_equal(cron_parse(" */15,59  0-6/3 1,15 Jan-mar 7 ", &cron, NULL), 0);
	assert_true(cron.minutes == (UINT64_C(1) | UINT64_C(1) << 15 | UINT64_C(1) << 30 |
					    UINT64_C(1) << 45 | UINT64_C(1) << 59));
	assert_int_equal(cron.hours, 0x49);
	assert_int_equal(cron.days, 1 << 1 | 1 << 15);
	assert_int_equal(cron.months, 0xe);
	assert_int_equal(cron.weekdays, 1); /* 7 is Sunday too */
	assert_false(cron.any_day || cron.any_weekday);
	assert_int_equal(cron_parse("0 0 * * mon-fri", &cron, NULL), 0);
	assert_int_equal(cron.weekdays, 0x3e);
}

static void wrong_fields_are_named(void **state)
{
	static const char *const cases[][2] = {
		{"", "has 0 fields, not five: minute hour day month weekday"},
		{"1 2 3 4", "has 4 fields, not five: minute hour day month weekday"},
		{"* * * * * *", "has more than five fields"},
		{"60 * * * *", "its minute is none (0-59)"},
		{"* 24 * * *", "its hour is none (0-23)"},
		{"* * 0 * *", "its day of month is none (1-31)"},
		{"* * * 13 *", "its month is none (1-12)"},
		{"* * * * 8", "its day of week is none (0-7)"},
		{"5-1 * * * *", "its minute is none (0-59)"},
		{"5/2 * * * *", "its minute is none (0-59)"},
		{"*/0 * * * *", "its minute is none (0-59)"},
		{"1, * * * *", "its minute is none (0-59)"},
		{"mon * * * *", "its minute is none (0-59)"},
		{"99999999999 * * * *", "its minute is none (0-59)"},
		{"@daily", "its minute is none (0-59)"},
		{"**  * * * *", "its minute is none (0-59)"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct cron cron;
		struct err err;

		assert_int_equal(cron_parse(cases[i][0], &cron, &err), -EINVAL);
		assert_string_equal(err.msg, cases[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_become_bits),
		cmocka_unit_test(wrong_fields_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
