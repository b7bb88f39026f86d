#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/app/archive/archive_pace.h"

#define START 100000
#define FLOOD_100MS (UINT64_C(10) << 20)

/* As it is at START + 200, with a flood of 100 MiB/s and a transaction of 10 ms that ended then. */
static struct archive_pace in_a_flood(void)
{
	struct archive_pace pace = {0};

	assert_int_equal(archive_pace_wait_ms(&pace, START, 0, 0), 0);
	assert_int_equal(archive_pace_wait_ms(&pace, START + 100, FLOOD_100MS, 0), 0);
	archive_pace_done(&pace, START + 200, 10);
	return pace;
}

static void nobody_watches_nobody_waits(void **state)
{
	struct archive_pace pace = {0};

	(void)state;
	for (uint64_t now = START; now < START + 2000; now += 10) {
		assert_int_equal(archive_pace_wait_ms(&pace, now, 5000, UINT64_C(1) << 20), 0);
		archive_pace_done(&pace, now, 10);
	}
}

static void a_quiet_run_holds_nothing_up(void **state)
{
	struct archive_pace pace = {0};
	uint64_t watched = 0;

	(void)state;
	for (uint64_t now = START; now < START + 2000; now += 10, watched += 100 << 10) {
		assert_int_equal(archive_pace_wait_ms(&pace, now, watched, UINT64_C(1) << 20), 0);
		archive_pace_done(&pace, now, 10);
	}
}

static void a_flood_comes_first(void **state)
{
	struct archive_pace pace = in_a_flood();

	(void)state;
	assert_int_equal(archive_pace_wait_ms(&pace, START + 200, 2 * FLOOD_100MS, 0), 80);
	assert_int_equal(archive_pace_wait_ms(&pace, START + 279, 3 * FLOOD_100MS, 0), 1);
	assert_int_equal(archive_pace_wait_ms(&pace, START + 280, 3 * FLOOD_100MS, 0), 0);
}

static void pauses_have_bounds(void **state)
{
	struct archive_pace pace = in_a_flood();

	(void)state;
	archive_pace_done(&pace, START + 200, 0);
	assert_int_equal(
		archive_pace_wait_ms(&pace, START + 200, 2 * FLOOD_100MS, 0), ARCHIVE_PACE_MIN_MS);
	archive_pace_done(&pace, START + 200, 60000);
	assert_int_equal(
		archive_pace_wait_ms(&pace, START + 200, 2 * FLOOD_100MS, 0), ARCHIVE_PACE_MAX_MS);
}

static void far_behind_it_hurries(void **state)
{
	struct archive_pace pace = in_a_flood();
	uint64_t watched = 2 * FLOOD_100MS, now = START + 200;

	(void)state;
	archive_pace_done(&pace, now, 50);
	assert_int_equal(archive_pace_wait_ms(&pace, now, watched, ARCHIVE_PACE_HALF_BYTES), 250);
	assert_int_equal(
		archive_pace_wait_ms(&pace, now, watched, ARCHIVE_PACE_HALF_BYTES + 1), 50);
	assert_int_equal(archive_pace_wait_ms(&pace, now, watched, ARCHIVE_PACE_NONE_BYTES), 50);
	assert_int_equal(archive_pace_wait_ms(&pace, now, watched, ARCHIVE_PACE_NONE_BYTES + 1), 0);
}

static void the_flood_ends(void **state)
{
	struct archive_pace pace = in_a_flood();

	(void)state;
	archive_pace_done(&pace, START + 200, 100);
	assert_int_equal(archive_pace_wait_ms(&pace, START + 200, 2 * FLOOD_100MS, 0), 250);
	assert_int_equal(archive_pace_wait_ms(&pace, START + 300, 2 * FLOOD_100MS + 1000, 0), 0);
}

/* What was measured before a long rest is no flood of now, however much came in it. */
static void an_old_look_counts_for_nothing(void **state)
{
	struct archive_pace pace = in_a_flood();

	(void)state;
	archive_pace_done(&pace, START + 60000, 10);
	assert_int_equal(archive_pace_wait_ms(&pace, START + 60000, UINT64_C(1) << 40, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_watches_nobody_waits),
		cmocka_unit_test(a_quiet_run_holds_nothing_up),
		cmocka_unit_test(a_flood_comes_first),
		cmocka_unit_test(pauses_have_bounds),
		cmocka_unit_test(far_behind_it_hurries),
		cmocka_unit_test(the_flood_ends),
		cmocka_unit_test(an_old_look_counts_for_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
