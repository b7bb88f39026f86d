#include "core/app/status/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/clock.h"

#define DAY (UINT64_C(86400) * CLOCK_SECOND_US)
#define NOW (UINT64_C(20000) * DAY)

static void samples_numbers_that_move(void **state)
{
	json_t *doc = json_loads(
		"{\"sections\":{\"host\":[{\"id\":\"cpu\",\"level\":\"warn\",\"values\":{"
		"\"used_pct\":12.5,\"cores\":4,\"name\":\"x\",\"up\":true,\"booted_us\":5,\"n\":"
		"null}},"
		"{\"id\":\"gone\",\"level\":\"unknown\",\"values\":{\"v\":1}},"
		"{\"id\":\"text\",\"level\":\"ok\",\"values\":{\"v\":\"1\"}},{\"level\":\"ok\"}],"
		"\"docker\":[{\"id\":\"web\",\"level\":\"ok\",\"values\":{\"memory_bytes\":7,"
		"\"big\":1e300}}]}}",
		0, NULL);
	size_t left_out;
	char *text = sample_text(doc, &left_out);

	(void)state;
	assert_string_equal(
		text, "{\"host/cpu\":{\"used_pct\":12.5},\"docker/web\":{\"memory_bytes\":7}}");
	assert_int_equal(left_out, 0);
	free(text);
	json_decref(doc);
	assert_null(sample_text(NULL, &left_out));
}

static void samples_a_bounded_number_of_values(void **state)
{
	json_t *items = json_array(), *doc, *back;
	size_t left_out, n = 0;
	const char *key;
	json_t *value;
	char *text;

	(void)state;
	for (int i = 0; i < SAMPLE_MAX_SERIES; i++)
		json_array_append_new(
			items, json_pack("{s:o,s:s,s:{s:i,s:i}}", "id", json_sprintf("%d", i),
				       "level", "ok", "values", "a", 1, "b", 2));
	doc = json_pack("{s:{s:o}}", "sections", "units", items);
	text = sample_text(doc, &left_out);
	assert_int_equal(left_out, SAMPLE_MAX_SERIES);
	back = json_loads(text, 0, NULL);
	json_object_foreach(back, key, value)
	{
		n += json_object_size(value);
	}
	assert_int_equal(n, SAMPLE_MAX_SERIES);
	free(text);
	json_decref(back);
	json_decref(doc);
}

static void check_steps(uint64_t ago, uint64_t length, uint32_t step_s, uint32_t tier_s)
{
	struct sample_steps steps = sample_steps(NOW - ago, NOW - ago + length, NOW);

	assert_int_equal(steps.step_s, step_s);
	assert_int_equal(steps.tier_s, tier_s);
	assert_true(length / (steps.step_s * CLOCK_SECOND_US) <= SAMPLE_MAX_POINTS);
}

static void picks_the_finest_steps_that_fit_and_are_kept(void **state)
{
	(void)state;
	check_steps(DAY / 24, DAY / 24, 10, 10);
	check_steps(DAY, DAY, 60, 60);
	check_steps(7 * DAY, 7 * DAY, 900, 900);
	check_steps(30 * DAY, 30 * DAY, 3600, 900);
	check_steps(365 * DAY, 365 * DAY, 21600, 900);
	check_steps(731 * DAY, 731 * DAY, 86400, 900);
	/* an hour long ago: what is left of it */
	check_steps(2 * DAY, DAY / 24, 60, 60);
	check_steps(31 * DAY, DAY / 24, 900, 900);
	/* in the future, or of no length */
	assert_int_equal(sample_steps(NOW + 1, NOW, NOW).step_s, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_numbers_that_move),
		cmocka_unit_test(samples_a_bounded_number_of_values),
		cmocka_unit_test(picks_the_finest_steps_that_fit_and_are_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
