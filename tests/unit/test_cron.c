#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "agent/config/cron.h"
#include "agent/config/zone.h"
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
		{"@reboot", "is none of @hourly @daily @weekly @monthly @yearly, nor five fields"},
		{"@daily ", "is none of @hourly @daily @weekly @monthly @yearly, nor five fields"},
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

static void macros_are_what_they_stand_for(void **state)
{
	static const char *const pairs[][2] = {
		{"@hourly", "0 * * * *"},
		{"@daily", "0 0 * * *"},
		{"@midnight", "0 0 * * *"},
		{"@weekly", "0 0 * * sun"},
		{"@monthly", "0 0 1 * *"},
		{"@yearly", "0 0 1 jan *"},
		{"@annually", "0 0 1 1 *"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		struct cron a = {0}, b = {0};

		assert_int_equal(cron_parse(pairs[i][0], &a, NULL), 0);
		assert_int_equal(cron_parse(pairs[i][1], &b, NULL), 0);
		assert_memory_equal(&a, &b, sizeof(a));
	}
}

/* ---- when it is time ---- */

static int offset_of(const void *zone, int64_t t)
{
	return zone_offset(zone, t);
}

/* The times after `from`, as the local clock in the zone shows them, with its offset. */
static void fires(const char *line, const char *zone, int64_t from, const char *const *want)
{
	struct cron cron;

	assert_int_equal(cron_parse(line, &cron, NULL), 0);
	for (; *want != NULL; want++) {
		char text[64];
		time_t local;
		int offset;
		struct tm tm;

		assert_int_equal(cron_next(&cron, offset_of, zone, from, &from), 0);
		offset = zone_offset(zone, from);
		local = (time_t)(from + offset);
		assert_non_null(gmtime_r(&local, &tm));
		snprintf(text, sizeof(text), "%04d-%02d-%02d %02d:%02d %+d", tm.tm_year + 1900,
			tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, offset / 3600);
		assert_string_equal(text, *want);
	}
}

#define FIRES(line, zone, from, ...)                                                               \
	fires(line, zone, from, (const char *const[]){__VA_ARGS__, NULL})

static void clocks_put_forward_and_back(void **state)
{
	const int64_t march = 1774656000;   /* 2026-03-28 00:00 UTC */
	const int64_t october = 1792800000; /* 2026-10-24 00:00 UTC */

	(void)state;
	/* 02:30 is missing on the 29th, and comes once all the same */
	FIRES("30 2 * * *", "Europe/Amsterdam", march, "2026-03-28 02:30 +1", "2026-03-29 03:00 +2",
		"2026-03-30 02:30 +2");
	/* all that is missing comes once, together with what is due then */
	FIRES("*/20 2,3 29 3 *", "Europe/Amsterdam", march, "2026-03-29 03:00 +2",
		"2026-03-29 03:20 +2", "2026-03-29 03:40 +2", "2027-03-29 02:00 +2");
	/* 02:30 is there twice on the 25th, and comes once */
	FIRES("30 2 * * *", "Europe/Amsterdam", october, "2026-10-24 02:30 +2",
		"2026-10-25 02:30 +2", "2026-10-26 02:30 +1");
	/* an hourly line does not stop for an hour */
	FIRES("0 * * * *", "Europe/Amsterdam", october + 86400 - 3600, "2026-10-25 02:00 +2",
		"2026-10-25 02:00 +1", "2026-10-25 03:00 +1");
	FIRES("0 12 29 2 *", "UTC", march, "2028-02-29 12:00 +0", "2032-02-29 12:00 +0");
}

static void what_never_comes_is_said(void **state)
{
	struct cron cron;
	int64_t next;

	(void)state;
	assert_int_equal(cron_parse("0 0 31 2 *", &cron, NULL), 0);
	assert_int_equal(cron_next(&cron, offset_of, "UTC", 0, &next), -ENOENT);
}

/* ---- against the obvious way, over years of minutes ---- */

#define YEARS_MINUTES (3 * 366 * 1440)

struct minute {
	int64_t local; /* unix seconds as if local time were UTC */
	uint8_t min, hour, day, month, weekday;
};

struct years {
	int64_t from;
	int offsets[YEARS_MINUTES];
	struct minute minutes[YEARS_MINUTES];
};

static int table_offset(const void *zone, int64_t t)
{
	const struct years *years = zone;
	int64_t i = (t - years->from) / 60;

	return years->offsets[i < 0 ? 0 : MIN(i, YEARS_MINUTES - 1)];
}

static struct minute minute_at(int64_t local)
{
	time_t t = (time_t)local;
	struct tm tm;

	gmtime_r(&t, &tm);
	return (struct minute){local, (uint8_t)tm.tm_min, (uint8_t)tm.tm_hour, (uint8_t)tm.tm_mday,
		(uint8_t)(tm.tm_mon + 1), (uint8_t)tm.tm_wday};
}

static void fill_years(struct years *years, const char *zone, int64_t from)
{
	years->from = from;
	for (int i = 0; i < YEARS_MINUTES; i++) {
		int64_t t = from + (int64_t)i * 60;

		years->offsets[i] = zone_offset(zone, t);
		years->minutes[i] = minute_at((t + years->offsets[i]) / 60 * 60);
	}
}

static bool slow_matches(const struct cron *cron, const struct minute *m)
{
	bool day = (cron->days >> m->day & 1) != 0,
	     weekday = (cron->weekdays >> m->weekday & 1) != 0;

	if (!cron->any_day && !cron->any_weekday)
		day = weekday = day || weekday;
	return (cron->minutes >> m->min & 1) && (cron->hours >> m->hour & 1) &&
	       (cron->months >> m->month & 1) && day && weekday;
}

/* Walks every minute and remembers how far the local clock has come. */
static void compare(const struct cron *cron, const struct years *years)
{
	bool every_hour = cron->hours == 0xffffff;
	int64_t furthest = years->minutes[2879].local;
	int64_t next = years->from + INT64_C(2879) * 60;

	assert_true(cron_next(cron, table_offset, years, next, &next) != 0 || next > 0);
	for (int i = 2880; i < YEARS_MINUTES - 2880; i++) {
		const struct minute *m = &years->minutes[i];
		bool fire = slow_matches(cron, m) && (every_hour || m->local > furthest);

		for (int64_t lost = years->minutes[i - 1].local + 60; lost < m->local; lost += 60) {
			struct minute missing = minute_at(lost);

			fire = fire || slow_matches(cron, &missing);
		}
		furthest = MAX(furthest, m->local);
		if (!fire) {
			assert_true(next != years->from + (int64_t)i * 60);
			continue;
		}
		assert_int_equal(next, years->from + (int64_t)i * 60);
		if (cron_next(cron, table_offset, years, next, &next) != 0)
			next = INT64_MAX;
	}
}

static uint64_t random_bits(unsigned *seed, unsigned from, unsigned to)
{
	unsigned kind = (unsigned)rand_r(seed) % 4;
	uint64_t bits = 0;

	for (unsigned v = from; v <= to; v++) {
		if (kind == 0 || (kind == 1 && (unsigned)rand_r(seed) % 7 == 0))
			bits |= UINT64_C(1) << v;
	}
	bits |= UINT64_C(1) << (from + (unsigned)rand_r(seed) % (to - from + 1));
	return bits;
}

static struct cron random_cron(unsigned *seed)
{
	return (struct cron){
		.minutes = random_bits(seed, 0, 59),
		/* mostly where clocks are changed */
		.hours = (uint32_t)(rand_r(seed) % 3 != 0 ? random_bits(seed, 0, 4)
							  : random_bits(seed, 0, 23)),
		.days = (uint32_t)random_bits(seed, 1, 31),
		.months = (uint16_t)random_bits(seed, 1, 12),
		.weekdays = (uint8_t)random_bits(seed, 0, 6),
		.any_day = rand_r(seed) % 2 != 0,
		.any_weekday = rand_r(seed) % 2 != 0,
	};
}

static void agrees_with_a_walk_over_years_of_minutes(void **state)
{
	static const struct {
		const char *zone;
		int64_t from;
	} zones[] = {
		{"Europe/Amsterdam", 1767225600}, {"America/St_Johns", 1767225600}, /* half hours */
		{"Australia/Lord_Howe", 1767225600}, /* moved by half an hour */
		{"Africa/Casablanca", 1672531200},   /* back and forth for Ramadan */
		{"Pacific/Apia", 1293840000},	     /* lost a day */
		{"America/Sao_Paulo", 1483228800},   /* midnight is missing */
	};
	struct years *years = xcalloc(1, sizeof(*years));
	unsigned seed = 20260101;

	(void)state;
	for (size_t z = 0; z < ARRAY_LEN(zones); z++) {
		fill_years(years, zones[z].zone, zones[z].from);
		for (int i = 0; i < 12; i++) {
			struct cron cron = random_cron(&seed);

			if (cron.any_day)
				cron.days = 0xfffffffe;
			if (cron.any_weekday)
				cron.weekdays = 0x7f;
			compare(&cron, years);
		}
	}
	free(years);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_become_bits),
		cmocka_unit_test(wrong_fields_are_named),
		cmocka_unit_test(macros_are_what_they_stand_for),
		cmocka_unit_test(clocks_put_forward_and_back),
		cmocka_unit_test(what_never_comes_is_said),
		cmocka_unit_test(agrees_with_a_walk_over_years_of_minutes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
