#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/worker/live.h"
#include "proto/record.h"

struct pipe_bytes {
	uint8_t data[8192];
	size_t n;
};

static size_t add(struct pipe_bytes *to, enum record_kind kind, uint16_t step, const char *text)
{
	struct record rec = {.time_us = 1,
		.length = (uint32_t)strlen(text),
		.step = step,
		.kind = (uint8_t)kind,
		.payload = (const uint8_t *)text};

	record_encode_header(&rec, to->data + to->n);
	memcpy(to->data + to->n + RECORD_HEADER_BYTES, text, rec.length);
	to->n += RECORD_HEADER_BYTES + rec.length;
	return to->n;
}

static void cuts_behind_the_last_whole_record(void **state)
{
	struct pipe_bytes bytes = {0};
	size_t one = add(&bytes, RECORD_STDOUT, 0, "one\n"), two;
	struct live_cut cut;

	(void)state;
	two = add(&bytes, RECORD_STDERR, 0, "two\n");
	for (size_t n = 0; n <= bytes.n; n++) {
		assert_int_equal(live_cut(bytes.data, n, 1000, &cut), 0);
		assert_int_equal(cut.bytes, n < one ? 0 : n < two ? one : two);
		assert_false(cut.ended);
	}
}

static void overshoots_credit_by_one_record_at_most(void **state)
{
	struct pipe_bytes bytes = {0};
	size_t one = add(&bytes, RECORD_STDOUT, 0, "one\n");
	struct live_cut cut;

	(void)state;
	add(&bytes, RECORD_STDOUT, 0, "two\n");
	assert_int_equal(live_cut(bytes.data, bytes.n, 1, &cut), 0);
	assert_int_equal(cut.bytes, one);
	assert_int_equal(live_cut(bytes.data, bytes.n, (int64_t)one, &cut), 0);
	assert_int_equal(cut.bytes, one);
	assert_int_equal(live_cut(bytes.data, bytes.n, (int64_t)one + 1, &cut), 0);
	assert_int_equal(cut.bytes, bytes.n);
	assert_int_equal(live_cut(bytes.data, bytes.n, 0, &cut), 0);
	assert_int_equal(cut.bytes, 0);
}

static void ends_only_with_the_event_of_the_tail_itself(void **state)
{
	static const char ended[] = "{\"event\":\"tail.ended\",\"message\":\"gone\"}";
	struct pipe_bytes bytes = {0};
	struct live_cut cut;
	size_t end;

	(void)state;
	add(&bytes, RECORD_STDOUT, 0, ended);
	add(&bytes, RECORD_EVENT, 0, ended);
	add(&bytes, RECORD_EVENT, RECORD_STEP_RUN, "{\"event\":\"tail.other\"}");
	assert_int_equal(live_cut(bytes.data, bytes.n, 100000, &cut), 0);
	assert_false(cut.ended);
	end = add(&bytes, RECORD_EVENT, RECORD_STEP_RUN, ended);
	add(&bytes, RECORD_STDOUT, 0, "behind the end");
	assert_int_equal(live_cut(bytes.data, bytes.n, 100000, &cut), 0);
	assert_true(cut.ended);
	assert_int_equal(cut.bytes, end);
}

static void refuses_any_damaged_byte(void **state)
{
	struct pipe_bytes bytes = {0};
	struct live_cut cut;

	(void)state;
	add(&bytes, RECORD_STDOUT, 0, "one\n");
	for (size_t i = 0; i < bytes.n; i++) {
		int rc;

		bytes.data[i] ^= 0x04;
		rc = live_cut(bytes.data, bytes.n, 1000, &cut);
		/* a length that grew waits for more */
		assert_true(rc == -EBADMSG || (i < 3 && rc == 0 && cut.bytes == 0));
		bytes.data[i] ^= 0x04;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cuts_behind_the_last_whole_record),
		cmocka_unit_test(overshoots_credit_by_one_record_at_most),
		cmocka_unit_test(ends_only_with_the_event_of_the_tail_itself),
		cmocka_unit_test(refuses_any_damaged_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
