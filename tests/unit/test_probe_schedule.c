#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/probes/schedule.h"

#define S UINT64_C(1000000)

/* A probe that may look every 5 s, and every minute while nobody watches. */
static const struct probe docker = {.watched_us = 5 * S, .idle_us = 60 * S, .started_us = 1000 * S};

static void looks_as_often_as_somebody_wants_to_know(void **state)
{
	(void)state;
	assert_int_equal(schedule_next(&docker, 0, 1000 * S), 1060 * S);
	assert_int_equal(schedule_next(&docker, 1 * S, 1000 * S), 1005 * S);
	assert_int_equal(schedule_next(&docker, 10 * S, 1000 * S), 1010 * S);
	assert_int_equal(schedule_next(&docker, 60 * S, 1000 * S), 1060 * S);
}

static void never_more_seldom_than_with_nobody_watching(void **state)
{
	struct probe probe = docker;

	(void)state;
	probe.idle_us = 20 * S;
	assert_int_equal(schedule_next(&probe, 60 * S, 1000 * S), 1020 * S);
}

static void looks_again_soon_after_a_look_that_told_nothing(void **state)
{
	struct probe probe = docker;

	(void)state;
	probe.missed = 1;
	assert_int_equal(schedule_next(&probe, 0, 1000 * S), 1005 * S);
	assert_int_equal(schedule_next(&probe, 10 * S, 1000 * S), 1005 * S);
}

static void an_event_is_looked_at_soon_while_somebody_watches_closely(void **state)
{
	(void)state;
	assert_int_equal(schedule_early(&docker, 0), 1005 * S);
	assert_int_equal(schedule_early(&docker, S / 2), 1000 * S + S / 4);
	assert_int_equal(schedule_early(&docker, 1 * S), 1000 * S + S / 4);
	assert_int_equal(schedule_early(&docker, 10 * S), 1002 * S + S / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(looks_as_often_as_somebody_wants_to_know),
		cmocka_unit_test(never_more_seldom_than_with_nobody_watching),
		cmocka_unit_test(looks_again_soon_after_a_look_that_told_nothing),
		cmocka_unit_test(an_event_is_looked_at_soon_while_somebody_watches_closely),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
