#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/db/internal.h"

static void copies_values_and_keeps_references(void **state)
{
	(void)state;
	char text[] = "text";
	const uint8_t bytes[] = {1, 2, 3};
	struct uuid id = {{9}};
	struct pg_batch *batch = pg_batch_new();
	const struct pg_param params[] = {pg_text(text), pg_bytes_ref(bytes, 3), pg_i64(-2),
		pg_uuid(&id), pg_bool(true), pg_i32(7), pg_null(), pg_text(NULL),
		pg_bytes(NULL, 0)};

	pg_batch_add(batch, "SELECT 1", params, ARRAY_LEN(params));
	memset(text, 'x', 4);
	assert_int_equal(batch->err, 0);
	const struct batch_value *values = batch->statements[0].params;
	assert_memory_equal(batch_value_data(batch, &values[0]), "text", 4);
	assert_ptr_equal(batch_value_data(batch, &values[1]), bytes);
	assert_memory_equal(
		batch_value_data(batch, &values[2]), "\xff\xff\xff\xff\xff\xff\xff\xfe", 8);
	assert_memory_equal(batch_value_data(batch, &values[3]), id.bytes, 16);
	assert_memory_equal(batch_value_data(batch, &values[4]), "\x01", 1);
	assert_memory_equal(batch_value_data(batch, &values[5]), "\0\0\0\x07", 4);
	assert_null(batch_value_data(batch, &values[6]));
	assert_null(batch_value_data(batch, &values[7]));
	/* The empty value is no NULL. */
	assert_non_null(batch_value_data(batch, &values[8]));
	assert_int_equal(values[8].len, 0);
	pg_batch_free(batch);
}

static void numbers_above_the_largest_bigint_become_it(void **state)
{
	(void)state;
	struct pg_param param = pg_u64(UINT64_MAX);
	assert_memory_equal(param.num, "\x7f\xff\xff\xff\xff\xff\xff\xff", 8);
}

static void too_many_statements_make_it_unusable(void **state)
{
	(void)state;
	struct pg_batch *batch = pg_batch_new();
	for (size_t i = 0; i < PG_MAX_STATEMENTS; i++)
		pg_batch_add(batch, "SELECT 1", NULL, 0);
	assert_int_equal(batch->err, 0);
	pg_batch_add(batch, "SELECT 1", NULL, 0);
	assert_int_equal(batch->err, -E2BIG);
	pg_batch_free(batch);
}

static void too_many_bytes_make_it_unusable(void **state)
{
	(void)state;
	static uint8_t big[PG_MAX_BATCH_BYTES / 2 + 1];
	const struct pg_param params[] = {
		pg_bytes_ref(big, sizeof(big)), pg_bytes(big, sizeof(big))};
	struct pg_batch *batch = pg_batch_one("SELECT $1", params, 1);
	assert_int_equal(batch->err, 0);
	pg_batch_add(batch, "SELECT $1", &params[1], 1);
	assert_int_equal(batch->err, -E2BIG);
	pg_batch_free(batch);
}

static void frees_what_it_adopted_with_its_last_owner(void **state)
{
	(void)state;
	struct pg_batch *batch = pg_batch_new();
	pg_batch_adopt(batch, xcalloc(1, 100));
	pg_batch_free(pg_batch_ref(batch));
	assert_non_null(batch->block);
	pg_batch_free(batch);
	pg_batch_free(NULL);
}

static void tells_temporary_errors_from_lasting_ones(void **state)
{
	static const struct {
		int err;
		const char *sqlstate;
		bool temporary;
	} cases[] = {
		{-ECONNRESET, "", true},
		{-ETIMEDOUT, "", true},
		{-ENOTCONN, "", true},
		{-ECANCELED, "", false},
		{-E2BIG, "", false},
		{-EREMOTEIO, "40001", true},  /* serialization failure */
		{-EREMOTEIO, "40P01", true},  /* deadlock */
		{-EREMOTEIO, "53100", true},  /* disk full */
		{-EREMOTEIO, "57P01", true},  /* shutdown */
		{-EREMOTEIO, "57014", true},  /* statement timeout */
		{-EREMOTEIO, "25006", true},  /* read-only */
		{-EREMOTEIO, "23505", false}, /* unique violation */
		{-EREMOTEIO, "42P01", false}, /* no such table */
		{-EREMOTEIO, "22P02", false}, /* bad value */
		{0, "", false},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct pg_reply reply = {.err = cases[i].err};
		memcpy(reply.sqlstate, cases[i].sqlstate, strlen(cases[i].sqlstate));
		assert_int_equal(pg_reply_is_temporary(&reply), cases[i].temporary);
		assert_int_equal(
			pg_reply_is_read_only(&reply), strcmp(cases[i].sqlstate, "25006") == 0);
	}
}

static void messages_are_one_line(void **state)
{
	(void)state;
	struct pg_reply reply;
	reply_set(&reply, -ECONNRESET, "it broke \nhint: do not");
	assert_string_equal(reply.message, "it broke");
	reply_set(&reply, -ENOTCONN, NULL);
	assert_string_equal(reply.message, "there is no connection to PostgreSQL");
	reply_set(&reply, 0, NULL);
	assert_string_equal(reply.message, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_values_and_keeps_references),
		cmocka_unit_test(numbers_above_the_largest_bigint_become_it),
		cmocka_unit_test(too_many_statements_make_it_unusable),
		cmocka_unit_test(too_many_bytes_make_it_unusable),
		cmocka_unit_test(frees_what_it_adopted_with_its_last_owner),
		cmocka_unit_test(tells_temporary_errors_from_lasting_ones),
		cmocka_unit_test(messages_are_one_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
