#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/run/event.h"
#include "agent/worker/events.h"
#include "agent/worker/tail.h"
#include "core/base/mem.h"
#include "proto/record.h"

struct journal_bytes {
	uint8_t data[8192];
	size_t n;
	size_t ends[16]; /* behind each record */
	size_t records;
};

static void add(struct journal_bytes *j, uint8_t kind, uint16_t step, const void *payload, size_t n)
{
	struct record rec = {.length = (uint32_t)n, .kind = kind, .step = step, .payload = payload};

	record_encode_header(&rec, j->data + j->n);
	memcpy(j->data + j->n + RECORD_HEADER_BYTES, payload, n);
	j->n += RECORD_HEADER_BYTES + n;
	j->ends[j->records++] = j->n;
}

static struct journal_bytes some_journal(void)
{
	struct journal_bytes j = {0};
	struct event_run_finished finished = {.status = RUN_SUCCEEDED, .reason = REASON_EXIT};
	struct buf json;

	add(&j, RECORD_EVENT, RECORD_STEP_RUN, "{\"event\":\"run.created\"}", 23);
	add(&j, RECORD_STDOUT, 0, "one\n", 4);
	add(&j, RECORD_STDERR, 0, "two\n", 4);
	buf_init(&json, RECORD_MAX_PAYLOAD);
	event_run_finished(&json, &finished);
	add(&j, RECORD_EVENT, RECORD_STEP_RUN, json.data, json.len);
	buf_fini(&json);
	return j;
}

static void sends_whole_records_only_wherever_the_bytes_end(void **state)
{
	struct journal_bytes j = some_journal();

	(void)state;
	for (size_t n = 0; n <= j.n; n++) {
		struct tail_cut cut;
		size_t want = 0;

		for (size_t i = 0; i < j.records && j.ends[i] <= n; i++)
			want = j.ends[i];
		assert_int_equal(tail_cut(j.data, n, 1 << 20, &cut), 0);
		assert_int_equal(cut.bytes, want);
		assert_int_equal(cut.finished, n == j.n);
	}
}

static void overshoots_credit_by_one_record_at_most(void **state)
{
	struct journal_bytes j = some_journal();

	(void)state;
	for (int64_t credit = -1; credit <= (int64_t)j.n; credit++) {
		struct tail_cut cut;
		size_t want = 0;

		/* the record that uses up the credit is still sent */
		for (size_t i = 0; i < j.records && (int64_t)want < credit; i++)
			want = j.ends[i];
		assert_int_equal(tail_cut(j.data, j.n, credit, &cut), 0);
		assert_int_equal(cut.bytes, want);
	}
}

static void stops_at_run_finished(void **state)
{
	struct journal_bytes j = some_journal();
	struct tail_cut cut;
	size_t end = j.n;

	(void)state;
	add(&j, RECORD_STDOUT, 0, "what is this\n", 13);
	assert_int_equal(tail_cut(j.data, j.n, 1 << 20, &cut), 0);
	assert_int_equal(cut.bytes, end);
	assert_true(cut.finished);
}

static void output_that_looks_like_the_end_is_not_the_end(void **state)
{
	struct journal_bytes j = some_journal(), k = {0};
	struct tail_cut cut;

	(void)state;
	add(&k, RECORD_STDOUT, RECORD_STEP_RUN, j.data + j.ends[2] + RECORD_HEADER_BYTES,
		j.n - j.ends[2] - RECORD_HEADER_BYTES);
	assert_int_equal(tail_cut(k.data, k.n, 1 << 20, &cut), 0);
	assert_int_equal(cut.bytes, k.n);
	assert_false(cut.finished);
}

static void refuses_bytes_that_are_no_record(void **state)
{
	struct journal_bytes j = some_journal();
	struct tail_cut cut;

	(void)state;
	j.data[j.ends[0] + 22] = 9; /* the second record's kind */
	assert_int_equal(tail_cut(j.data, j.n, 1 << 20, &cut), -EBADMSG);
}

static void an_event_of_the_ledger_gets_position_and_time(void **state)
{
	struct record rec = {
		.time_us = 7, .payload = (const uint8_t *)"{\"event\":\"x\"}", .length = 13};
	struct buf json;

	(void)state;
	buf_init(&json, 256);
	assert_int_equal(events_compose(&rec, 99, &json), 0);
	assert_int_equal(json.len, 39);
	assert_memory_equal(json.data, "{\"position\":99,\"time_us\":7,\"event\":\"x\"}", 39);
	buf_fini(&json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sends_whole_records_only_wherever_the_bytes_end),
		cmocka_unit_test(overshoots_credit_by_one_record_at_most),
		cmocka_unit_test(stops_at_run_finished),
		cmocka_unit_test(output_that_looks_like_the_end_is_not_the_end),
		cmocka_unit_test(refuses_bytes_that_are_no_record),
		cmocka_unit_test(an_event_of_the_ledger_gets_position_and_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
