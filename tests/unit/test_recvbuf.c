#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/net/recvbuf.h"

static void fill(struct recvbuf *buf, int byte, size_t n)
{
	assert_true(buf->cap - buf->end >= n);
	memset(buf->data + buf->end, byte, n);
	buf->end += n;
}

static void holds_nothing_until_asked_and_after_release(void **state)
{
	struct recvbuf buf = {0};

	(void)state;
	recvbuf_release(&buf);
	assert_null(buf.data);
	assert_int_equal(recvbuf_make_room(&buf, 16), 0);
	assert_non_null(buf.data);
	assert_int_equal(buf.cap, RECVBUF_BYTES);
	recvbuf_release(&buf);
	assert_null(buf.data);
	assert_int_equal(buf.cap, 0);
}

static void leaves_a_message_where_it_is_when_its_rest_fits(void **state)
{
	struct recvbuf buf = {0};

	(void)state;
	assert_int_equal(recvbuf_make_room(&buf, 16), 0);
	fill(&buf, 'a', 100);
	fill(&buf, 'b', 50);
	recvbuf_consume(&buf, 100);
	assert_int_equal(recvbuf_make_room(&buf, 1000), 0);
	assert_int_equal(buf.start, 100);
	assert_int_equal(buf.data[100], 'b');
	recvbuf_release(&buf);
}

static void moves_a_message_to_the_front_when_its_rest_would_not_fit(void **state)
{
	struct recvbuf buf = {0};

	(void)state;
	assert_int_equal(recvbuf_make_room(&buf, 16), 0);
	fill(&buf, 'a', RECVBUF_BYTES - 50);
	fill(&buf, 'b', 50);
	recvbuf_consume(&buf, RECVBUF_BYTES - 50);
	assert_int_equal(recvbuf_make_room(&buf, 1000), 0);
	assert_int_equal(buf.start, 0);
	assert_int_equal(buf.end, 50);
	assert_int_equal(buf.data[0], 'b');
	assert_int_equal(buf.data[49], 'b');
	recvbuf_release(&buf);
}

static void grows_for_a_message_larger_than_itself(void **state)
{
	struct recvbuf buf = {0};

	(void)state;
	assert_int_equal(recvbuf_make_room(&buf, 16), 0);
	fill(&buf, 'a', 1000);
	fill(&buf, 'b', 10);
	recvbuf_consume(&buf, 1000);
	assert_int_equal(recvbuf_make_room(&buf, 4 * RECVBUF_BYTES), 0);
	assert_int_equal(buf.cap, 4 * RECVBUF_BYTES);
	assert_int_equal(buf.end - buf.start, 10);
	assert_int_equal(buf.data[buf.start], 'b');
	recvbuf_release(&buf);
}

static void starts_at_the_front_again_when_all_is_used(void **state)
{
	struct recvbuf buf = {0};

	(void)state;
	assert_int_equal(recvbuf_make_room(&buf, 16), 0);
	fill(&buf, 'a', 300);
	recvbuf_consume(&buf, 100);
	recvbuf_consume(&buf, 200);
	assert_int_equal(buf.start, 0);
	assert_int_equal(buf.end, 0);
	recvbuf_release(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_nothing_until_asked_and_after_release),
		cmocka_unit_test(leaves_a_message_where_it_is_when_its_rest_fits),
		cmocka_unit_test(moves_a_message_to_the_front_when_its_rest_would_not_fit),
		cmocka_unit_test(grows_for_a_message_larger_than_itself),
		cmocka_unit_test(starts_at_the_front_again_when_all_is_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
