#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/net/sendq.h"

static void put(struct sendq *q, const char *text)
{
	uint8_t *at = sendq_reserve(q, strlen(text));

	assert_non_null(at);
	memcpy(at, text, strlen(text));
}

static void push(struct sendq *q, const char *text)
{
	assert_int_equal(sendq_push(q, (uint8_t *)strdup(text), strlen(text)), 0);
}

/* All that is queued, as one text. */
static void assert_holds(const struct sendq *q, const char *expected)
{
	uv_buf_t bufs[16];
	char text[256];
	size_t bytes, at = 0;
	unsigned n = sendq_gather(q, bufs, 16, SIZE_MAX, &bytes);

	assert_int_equal(bytes, strlen(expected));
	assert_int_equal(q->bytes, bytes);
	for (unsigned i = 0; i < n; i++) {
		memcpy(text + at, bufs[i].base, bufs[i].len);
		at += bufs[i].len;
	}
	assert_memory_equal(text, expected, bytes);
}

static void small_pieces_share_a_block(void **state)
{
	struct sendq q;
	uv_buf_t bufs[4];
	size_t bytes;

	(void)state;
	sendq_init(&q);
	put(&q, "one ");
	put(&q, "two");
	assert_int_equal(sendq_gather(&q, bufs, 4, SIZE_MAX, &bytes), 1);
	assert_holds(&q, "one two");
	sendq_fini(&q);
}

static void keeps_the_order_of_pieces_and_blocks(void **state)
{
	struct sendq q;

	(void)state;
	sendq_init(&q);
	put(&q, "a");
	push(&q, "bcd");
	put(&q, "e");
	put(&q, "f");
	push(&q, "g");
	assert_holds(&q, "abcdefg");
	sendq_consume(&q, 2);
	assert_holds(&q, "cdefg");
	sendq_consume(&q, 3);
	assert_holds(&q, "fg");
	put(&q, "h");
	assert_holds(&q, "fgh");
	sendq_consume(&q, 3);
	assert_holds(&q, "");
	assert_true(list_empty(&q.blocks));
	sendq_fini(&q);
}

static void memory_stays_in_place_while_more_is_queued(void **state)
{
	struct sendq q;
	uv_buf_t bufs[1];
	size_t bytes;

	(void)state;
	sendq_init(&q);
	put(&q, "stay");
	assert_int_equal(sendq_gather(&q, bufs, 1, SIZE_MAX, &bytes), 1);
	for (int i = 0; i < 10000; i++)
		put(&q, "more");
	assert_memory_equal(bufs[0].base, "stay", 4);
	sendq_fini(&q);
}

static void gathers_no_more_than_asked_for(void **state)
{
	struct sendq q;
	uv_buf_t bufs[8];
	size_t bytes;

	(void)state;
	sendq_init(&q);
	push(&q, "aaaa");
	push(&q, "bbbb");
	push(&q, "cccc");
	assert_int_equal(sendq_gather(&q, bufs, 2, SIZE_MAX, &bytes), 2);
	assert_int_equal(bytes, 8);
	assert_int_equal(sendq_gather(&q, bufs, 8, 5, &bytes), 2);
	assert_int_equal(bytes, 8);
	sendq_fini(&q);
	assert_int_equal(q.bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_pieces_share_a_block),
		cmocka_unit_test(keeps_the_order_of_pieces_and_blocks),
		cmocka_unit_test(memory_stays_in_place_while_more_is_queued),
		cmocka_unit_test(gathers_no_more_than_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
