#include "core/app/status/dbitems.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct db_items items;

static const struct db_facts well = {.version = "15.9",
	.started_us = 1,
	.size_bytes = 1000,
	.connections = 5,
	.connections_max = 100,
	.active = 1,
	.slowest_ms = -1,
	.idle_transaction_ms = -1,
	.replicas = 0,
	.lag_ms = -1,
	.dead_rows = 10,
	.live_rows = 90,
	.autovacuum_us = -1,
	.checksum_failures = -1,
	.xid_age = 1000};

static int begin(void **state)
{
	(void)state;
	memset(&items, 0, sizeof(items));
	return 0;
}

/* The level (and message) of an item after a look. */
static void look(const struct db_facts *facts, uint64_t now, const char *id, const char *level,
	const char *message)
{
	json_t *list = db_items_take(&items, facts, now), *item;
	size_t i;
	bool found = false;

	json_array_foreach(list, i, item)
	{
		if (strcmp(json_string_value(json_object_get(item, "id")), id) != 0)
			continue;
		found = true;
		assert_string_equal(json_string_value(json_object_get(item, "level")), level);
		if (message != NULL)
			assert_string_equal(
				json_string_value(json_object_get(item, "message")), message);
		else
			assert_true(json_is_null(json_object_get(item, "message")));
	}
	assert_true(found);
	json_decref(list);
}

static void tells_what_is_known_and_leaves_out_what_is_not(void **state)
{
	json_t *list = db_items_take(&items, &well, 7), *server = json_array_get(list, 0),
	       *values = json_object_get(server, "values");

	(void)state;
	assert_int_equal(json_array_size(list), 3); /* no replication */
	assert_string_equal(json_string_value(json_object_get(server, "level")), "ok");
	assert_int_equal(json_integer_value(json_object_get(server, "since_us")), 7);
	assert_int_equal(json_integer_value(json_object_get(values, "connections_pct")), 5);
	assert_string_equal(json_string_value(json_object_get(values, "version")), "15.9");
	values = json_object_get(json_array_get(list, 1), "values");
	assert_null(json_object_get(values, "slowest_ms"));
	values = json_object_get(json_array_get(list, 2), "values");
	assert_int_equal(json_integer_value(json_object_get(values, "dead_pct")), 10);
	assert_null(json_object_get(values, "checksum_failures"));
	json_decref(list);
}

static void a_value_that_jumps_is_worse_after_two_looks_and_better_after_three(void **state)
{
	struct db_facts full = well;

	(void)state;
	full.connections = 96;
	look(&well, 1, "server", "ok", NULL);
	look(&full, 2, "server", "ok", NULL);
	look(&well, 3, "server", "ok", NULL);
	look(&full, 4, "server", "ok", NULL);
	look(&full, 5, "server", "bad", "96 of 100 connections are in use");
	look(&well, 6, "server", "bad", "96 of 100 connections are in use");
	look(&well, 7, "server", "bad", "96 of 100 connections are in use");
	look(&full, 8, "server", "bad", "96 of 100 connections are in use");
	look(&well, 9, "server", "bad", "96 of 100 connections are in use");
	look(&well, 10, "server", "bad", "96 of 100 connections are in use");
	look(&well, 11, "server", "ok", NULL);
	assert_int_equal(items.settled[DB_SERVER].since_us, 11);
}

static void what_is_wrong_at_the_first_look_is_told_at_once(void **state)
{
	struct db_facts slow = well;

	(void)state;
	slow.slowest_ms = 400000;
	look(&slow, 1, "statements", "warn", "a statement has been running for 6 min");
}

static void a_broken_page_is_told_at_once(void **state)
{
	struct db_facts broken = well;

	(void)state;
	broken.checksum_failures = 2;
	look(&well, 1, "maintenance", "ok", NULL);
	look(&broken, 2, "maintenance", "bad",
		"2 pages did not match their checksum: restore from a backup");
}

static void few_dead_rows_are_no_trouble(void **state)
{
	struct db_facts dead = well;

	(void)state;
	dead.dead_rows = 900;
	dead.live_rows = 100;
	look(&dead, 1, "maintenance", "ok", NULL);
	dead.dead_rows = 90000;
	dead.live_rows = 10000;
	look(&dead, 2, "maintenance", "ok", NULL);
	look(&dead, 3, "maintenance", "bad", "90 % of the rows are dead: is autovacuum running?");
}

static void replication_is_an_item_where_there_is_some(void **state)
{
	struct db_facts replica = well;

	(void)state;
	replica.replicas = 1;
	replica.lag_ms = 45000;
	look(&replica, 1, "replication", "warn", "a replica is behind by 45 s");
}

static void away_is_unknown_at_once_and_says_why_and_back_is_shown_at_once(void **state)
{
	json_t *list, *item;
	size_t i;

	(void)state;
	look(&well, 1, "server", "ok", NULL);
	list = db_items_away(&items, "connection refused", 2);
	json_array_foreach(list, i, item)
	{
		assert_string_equal(json_string_value(json_object_get(item, "level")), "unknown");
		assert_string_equal(
			json_string_value(json_object_get(item, "message")), "connection refused");
		assert_int_equal(json_object_size(json_object_get(item, "values")), 0);
	}
	assert_int_equal(i, 3);
	json_decref(list);
	look(&well, 3, "server", "ok", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(tells_what_is_known_and_leaves_out_what_is_not, begin),
		cmocka_unit_test_setup(
			a_value_that_jumps_is_worse_after_two_looks_and_better_after_three, begin),
		cmocka_unit_test_setup(what_is_wrong_at_the_first_look_is_told_at_once, begin),
		cmocka_unit_test_setup(a_broken_page_is_told_at_once, begin),
		cmocka_unit_test_setup(few_dead_rows_are_no_trouble, begin),
		cmocka_unit_test_setup(replication_is_an_item_where_there_is_some, begin),
		cmocka_unit_test_setup(
			away_is_unknown_at_once_and_says_why_and_back_is_shown_at_once, begin),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
