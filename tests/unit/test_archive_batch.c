#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/app/archive/archive_batch.h"
#include "core/base/mem.h"

struct maker {
	uint8_t bytes[RECORD_MAX_BYTES];
	uint32_t line;
	uint64_t time_us;
};

/* A record with a payload of n bytes, the first of which is a newline. */
static size_t make(struct maker *m, size_t n)
{
	struct record rec = {.time_us = ++m->time_us,
		.length = (uint32_t)n,
		.line = m->line,
		.kind = RECORD_STDOUT,
		.payload = m->bytes + RECORD_HEADER_BYTES};
	memset(m->bytes + RECORD_HEADER_BYTES, 'x', n);
	if (n > 0)
		m->bytes[RECORD_HEADER_BYTES] = '\n';
	record_encode_header(&rec, m->bytes);
	m->line += n > 0;
	return RECORD_HEADER_BYTES + n;
}

static void small_records_share_a_row(void **state)
{
	struct archive_batch batch;
	struct maker *m = xcalloc(1, sizeof(*m));
	(void)state;
	archive_batch_init(&batch, 1000);
	for (int i = 0; i < 100; i++)
		assert_int_equal(archive_batch_add(&batch, m->bytes, make(m, 100)), 0);
	assert_int_equal(batch.n_rows, 1);
	assert_int_equal(batch.rows[0].len, 12400);
	assert_int_equal(batch.rows[0].first_line, 0);
	assert_int_equal(batch.rows[0].time_us, 1);
	assert_int_equal(archive_batch_end(&batch), 13400);
	archive_batch_fini(&batch);
	free(m);
}

static void rows_are_cut_between_records(void **state)
{
	struct archive_batch batch;
	struct maker *m = xcalloc(1, sizeof(*m));
	size_t at = 0;
	(void)state;
	archive_batch_init(&batch, 0);
	for (int i = 0; i < 12; i++)
		assert_int_equal(
			archive_batch_add(&batch, m->bytes, make(m, RECORD_MAX_PAYLOAD)), 0);
	assert_int_equal(batch.n_rows, 4);
	for (size_t i = 0; i < batch.n_rows; i++) {
		assert_int_equal(batch.rows[i].at, at);
		assert_int_equal(batch.rows[i].len, 3 * RECORD_MAX_BYTES);
		assert_true(batch.rows[i].len <= ARCHIVE_ROW_BYTES);
		assert_int_equal(batch.rows[i].first_line, 3 * i);
		assert_int_equal(batch.rows[i].time_us, 3 * i + 1);
		at += batch.rows[i].len;
	}
	archive_batch_fini(&batch);
	free(m);
}

static void takes_all_that_credit_allows_and_not_more(void **state)
{
	struct archive_batch batch;
	struct maker *m = xcalloc(1, sizeof(*m));
	(void)state;
	archive_batch_init(&batch, 0);
	/* The agent sends while the balance is above 0. */
	while (batch.block.len < ARCHIVE_WINDOW_BYTES)
		assert_int_equal(archive_batch_add(&batch, m->bytes, make(m, 65000)), 0);
	while (archive_batch_add(&batch, m->bytes, make(m, 65000)) == 0)
		;
	assert_true(batch.block.len <= ARCHIVE_BATCH_BYTES);
	assert_int_equal(archive_batch_add(&batch, m->bytes, make(m, 65000)), -EMSGSIZE);
	archive_batch_fini(&batch);
	free(m);
}

static void a_commit_takes_the_records_and_goes_on_behind_them(void **state)
{
	struct archive_batch batch;
	struct projection projection;
	struct maker *m = xcalloc(1, sizeof(*m));
	struct uuid run = {{1}};
	(void)state;
	projection_init(&projection);
	archive_batch_init(&batch, 500);
	assert_int_equal(archive_batch_add(&batch, m->bytes, make(m, 10)), 0);
	struct pg_batch *sql = archive_sql_commit(&run, &batch, &projection, NULL);
	assert_int_equal(batch.offset, 534);
	assert_int_equal(batch.block.len, 0);
	assert_int_equal(batch.n_rows, 0);
	pg_batch_free(sql);
	archive_batch_fini(&batch);
	projection_fini(&projection);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_records_share_a_row),
		cmocka_unit_test(rows_are_cut_between_records),
		cmocka_unit_test(takes_all_that_credit_allows_and_not_more),
		cmocka_unit_test(a_commit_takes_the_records_and_goes_on_behind_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
