#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "core/web/deadline.h"

#define SHORT 0
#define LONG 1
#define NEVER 2

static uv_loop_t loop;
static struct deadlines deadlines;
static struct deadline entries[4];
static char order[16];
static size_t n_due;

static void on_due(struct deadline *d)
{
	assert_false(deadline_is_set(d));
	order[n_due++] = (char)('0' + (d - entries));
}

static void on_closed(struct deadlines *ds)
{
	(void)ds;
}

static int set_up(void **state)
{
	(void)state;
	uv_loop_init(&loop);
	deadlines_init(&deadlines, &loop, on_due);
	deadlines_set_length(&deadlines, SHORT, 1);
	deadlines_set_length(&deadlines, LONG, 20);
	deadlines_set_length(&deadlines, NEVER, 0);
	for (size_t i = 0; i < ARRAY_LEN(entries); i++)
		deadline_init(&entries[i]);
	memset(order, 0, sizeof(order));
	n_due = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	deadlines_close(&deadlines, on_closed);
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

static void comes_due_in_order_and_then_sleeps(void **state)
{
	(void)state;
	deadline_set(&deadlines, &entries[0], LONG);
	deadline_set(&deadlines, &entries[1], SHORT);
	deadline_set(&deadlines, &entries[2], SHORT);
	/* Ends by itself: without entries no timer keeps the loop alive. */
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_string_equal(order, "120");
}

static void forgets_what_is_cleared_or_never_due(void **state)
{
	(void)state;
	deadline_set(&deadlines, &entries[0], SHORT);
	deadline_set(&deadlines, &entries[1], SHORT);
	deadline_set(&deadlines, &entries[2], NEVER);
	deadline_clear(&entries[0]);
	deadline_clear(&entries[0]);
	assert_false(deadline_is_set(&entries[2]));
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_string_equal(order, "1");
}

static void moves_an_entry_to_another_kind(void **state)
{
	(void)state;
	deadline_set(&deadlines, &entries[0], SHORT);
	deadline_set(&deadlines, &entries[1], LONG);
	deadline_set(&deadlines, &entries[0], LONG);
	assert_ptr_equal(deadlines_first(&deadlines, LONG), &entries[1]);
	assert_null(deadlines_first(&deadlines, SHORT));
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_string_equal(order, "10");
}

static void knows_how_long_ago_it_was_set(void **state)
{
	(void)state;
	deadline_set(&deadlines, &entries[0], LONG);
	assert_int_equal(deadline_age_ms(&deadlines, &entries[0]), 0);
	uv_sleep(5);
	uv_update_time(&loop);
	assert_true(deadline_age_ms(&deadlines, &entries[0]) >= 5);
	uv_run(&loop, UV_RUN_DEFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			comes_due_in_order_and_then_sleeps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			forgets_what_is_cleared_or_never_due, set_up, tear_down),
		cmocka_unit_test_setup_teardown(moves_an_entry_to_another_kind, set_up, tear_down),
		cmocka_unit_test_setup_teardown(knows_how_long_ago_it_was_set, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
