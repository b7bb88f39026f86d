#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "proto/wire.h"

static void grows_up_to_its_maximum(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 1000);
	assert_null(buf.data);
	for (int i = 0; i < 1000; i++)
		buf_append_byte(&buf, (uint8_t)i);
	assert_int_equal(buf_err(&buf), 0);
	assert_int_equal(buf.len, 1000);
	assert_int_equal(buf.data[999], 999 & 255);
	buf_append_byte(&buf, 1);
	assert_int_equal(buf_err(&buf), -EMSGSIZE);
	assert_int_equal(buf.len, 1000);
	buf_fini(&buf);
}

static void the_first_failure_sticks_until_reset(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 4);
	buf_append_str(&buf, "abc");
	buf_append_str(&buf, "too long");
	buf_append_str(&buf, "d"); /* would fit */
	assert_int_equal(buf.len, 3);
	assert_int_equal(buf_err(&buf), -EMSGSIZE);
	assert_null(buf_reserve(&buf, 1));
	buf_reset(&buf);
	buf_append_str(&buf, "abcd");
	assert_int_equal(buf_err(&buf), 0);
	assert_memory_equal(buf.data, "abcd", 4);
	buf_fini(&buf);
}

static void prints_texts_short_and_long(void **state)
{
	char *text;
	struct buf buf;

	(void)state;
	buf_init(&buf, 4096);
	buf_printf(&buf, "%s=%d ", "a", 7);
	buf_printf(&buf, "%600s|", "x");
	assert_int_equal(buf.len, 4 + 601);
	text = buf_take_str(&buf);
	assert_non_null(text);
	assert_int_equal(strlen(text), 605);
	assert_memory_equal(text, "a=7 ", 4);
	assert_int_equal(text[603], 'x');
	assert_int_equal(buf.len, 0);
	assert_null(buf.data);
	free(text);
}

static void a_full_buffer_still_gives_its_text(void **state)
{
	struct buf buf;
	char *text;

	(void)state;
	buf_init(&buf, 3);
	buf_append_str(&buf, "abc");
	text = buf_take_str(&buf);
	assert_string_equal(text, "abc");
	free(text);
	assert_int_equal(buf.max, 3);
	buf_append_str(&buf, "abcd");
	assert_int_equal(buf_err(&buf), -EMSGSIZE);
	assert_null(buf_take_str(&buf));
	assert_int_equal(buf.max, 3);
}

static void drops_bytes_at_the_front(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 100);
	buf_consume(&buf, 0);
	buf_append_str(&buf, "onetwo");
	buf_consume(&buf, 3);
	assert_int_equal(buf.len, 3);
	assert_memory_equal(buf.data, "two", 3);
	buf_consume(&buf, 3);
	assert_int_equal(buf.len, 0);
	buf_fini(&buf);
	buf_fini(&buf);
	buf_fini(NULL);
}

static void reserved_room_counts_when_it_is_used(void **state)
{
	struct buf buf;
	uint8_t *at;

	(void)state;
	buf_init(&buf, 100000);
	buf_append_str(&buf, "x");
	at = buf_reserve(&buf, 50000);
	assert_non_null(at);
	memset(at, 'y', 50000);
	assert_int_equal(buf.len, 1);
	buf.len += 50000;
	assert_int_equal(buf.data[0], 'x');
	assert_int_equal(buf.data[50000], 'y');
	assert_null(buf_reserve(&buf, SIZE_MAX));
	assert_int_equal(buf_err(&buf), -EMSGSIZE);
	buf_fini(&buf);
}

static void writes_numbers_in_decimal(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 1000);
	buf_append_uint(&buf, 0);
	buf_append_byte(&buf, ' ');
	buf_append_uint(&buf, UINT64_MAX);
	buf_append_byte(&buf, ' ');
	buf_append_int(&buf, -7);
	buf_append_byte(&buf, ' ');
	buf_append_int(&buf, INT64_MAX);
	buf_append_byte(&buf, ' ');
	buf_append_int(&buf, INT64_MIN);
	buf_append_byte(&buf, 0);
	assert_string_equal((char *)buf.data,
		"0 18446744073709551615 -7 9223372036854775807 -9223372036854775808");
	buf_fini(&buf);
}

static void little_endian_numbers_and_counted_texts_are_what_the_wire_reads(void **state)
{
	struct wire_reader r;
	struct buf buf;

	(void)state;
	buf_init(&buf, 1000);
	buf_append_le(&buf, 0x1234, 2);
	buf_append_le(&buf, UINT64_C(0xfedcba9876543210), 8);
	buf_append_le(&buf, 0x1ff, 1); /* the rest is not asked for */
	buf_append_counted(&buf, "abc");
	buf_append_counted(&buf, "");
	buf_append_counted(&buf, NULL);
	assert_int_equal(buf_err(&buf), 0);
	wire_reader_init(&r, buf.data, buf.len);
	assert_int_equal(wire_get_u16(&r), 0x1234);
	assert_true(wire_get_u64(&r) == UINT64_C(0xfedcba9876543210));
	assert_int_equal(wire_get_u8(&r), 0xff);
	assert_true(wire_str_eq(wire_get_str(&r), "abc"));
	assert_true(wire_str_eq(wire_get_str(&r), ""));
	assert_true(wire_str_eq(wire_get_str(&r), ""));
	assert_int_equal(wire_reader_finish(&r), 0);
	buf_fini(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_up_to_its_maximum),
		cmocka_unit_test(the_first_failure_sticks_until_reset),
		cmocka_unit_test(prints_texts_short_and_long),
		cmocka_unit_test(a_full_buffer_still_gives_its_text),
		cmocka_unit_test(drops_bytes_at_the_front),
		cmocka_unit_test(reserved_room_counts_when_it_is_used),
		cmocka_unit_test(writes_numbers_in_decimal),
		cmocka_unit_test(little_endian_numbers_and_counted_texts_are_what_the_wire_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
