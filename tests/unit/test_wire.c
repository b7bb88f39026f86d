#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "proto/wire.h"

static void integers_are_little_endian(void **state)
{
	static const uint8_t expected[] = {0x01, 0x03, 0x02, 0x07, 0x06, 0x05, 0x04, 0x0f, 0x0e,
		0x0d, 0x0c, 0x0b, 0x0a, 0x09, 0x08};
	uint8_t bytes[sizeof(expected)];
	struct wire_writer w;
	struct wire_reader r;

	(void)state;
	wire_writer_init(&w, bytes, sizeof(bytes));
	wire_put_u8(&w, 0x01);
	wire_put_u16(&w, 0x0203);
	wire_put_u32(&w, 0x04050607);
	wire_put_u64(&w, UINT64_C(0x08090a0b0c0d0e0f));
	assert_int_equal(wire_writer_finish(&w), sizeof(bytes));
	assert_memory_equal(bytes, expected, sizeof(bytes));
	wire_reader_init(&r, bytes, sizeof(bytes));
	assert_int_equal(wire_get_u8(&r), 0x01);
	assert_int_equal(wire_get_u16(&r), 0x0203);
	assert_int_equal(wire_get_u32(&r), 0x04050607);
	assert_true(wire_get_u64(&r) == UINT64_C(0x08090a0b0c0d0e0f));
	assert_int_equal(wire_reader_finish(&r), 0);
}

static void texts_have_their_length_before_them(void **state)
{
	uint8_t bytes[32];
	struct wire_writer w;
	struct wire_reader r;
	struct wire_str s;

	(void)state;
	wire_writer_init(&w, bytes, sizeof(bytes));
	wire_put_cstr(&w, "abc");
	wire_put_cstr(&w, NULL);
	wire_put_str(&w, (struct wire_str){.data = "x\0y", .len = 3});
	assert_int_equal(wire_writer_finish(&w), 18);
	assert_memory_equal(bytes, "\3\0\0\0abc\0\0\0\0\3\0\0\0x\0y", 18);
	wire_reader_init(&r, bytes, 18);
	assert_true(wire_str_eq(wire_get_str(&r), "abc"));
	assert_true(wire_str_eq(wire_get_str(&r), ""));
	s = wire_get_str(&r);
	assert_int_equal(s.len, 3);
	assert_false(wire_str_eq(s, "x"));
	assert_int_equal(wire_reader_finish(&r), 0);
}

static void the_first_failure_of_a_reader_sticks(void **state)
{
	static const uint8_t bytes[] = {1, 2, 3, 4};
	struct wire_reader r;

	(void)state;
	wire_reader_init(&r, bytes, sizeof(bytes));
	assert_true(wire_get_u64(&r) == 0);
	assert_int_equal(wire_get_u8(&r), 0); /* although a byte is there */
	assert_int_equal(wire_get_str(&r).len, 0);
	assert_non_null(wire_get_str(&r).data);
	assert_int_equal(wire_reader_finish(&r), -EBADMSG);
}

static void a_text_longer_than_the_rest_is_refused(void **state)
{
	static const uint8_t bytes[] = {0xff, 0xff, 0xff, 0xff, 'a'};
	struct wire_reader r;

	(void)state;
	wire_reader_init(&r, bytes, sizeof(bytes));
	assert_int_equal(wire_get_str(&r).len, 0);
	assert_int_equal(wire_reader_finish(&r), -EBADMSG);
}

static void left_over_bytes_are_refused(void **state)
{
	struct wire_reader r;

	(void)state;
	wire_reader_init(&r, "ab", 2);
	wire_get_u8(&r);
	assert_int_equal(wire_reader_finish(&r), -EBADMSG);
	wire_get_u8(&r);
	assert_int_equal(wire_reader_finish(&r), 0);
}

static void a_writer_never_writes_past_its_room(void **state)
{
	uint8_t bytes[8];
	struct wire_writer w;

	(void)state;
	memset(bytes, 0xaa, sizeof(bytes));
	wire_writer_init(&w, bytes, 5);
	wire_put_u32(&w, 1);
	wire_put_u16(&w, 2);
	wire_put_u8(&w, 3); /* would fit, but comes after the failure */
	assert_int_equal(wire_writer_finish(&w), -EMSGSIZE);
	for (size_t i = 4; i < sizeof(bytes); i++)
		assert_int_equal(bytes[i], 0xaa);
	wire_writer_init(&w, NULL, 0);
	assert_int_equal(wire_writer_finish(&w), 0);
	wire_put_u8(&w, 1);
	assert_int_equal(wire_writer_finish(&w), -EMSGSIZE);
}

static void nothing_at_all_is_read_as_nothing(void **state)
{
	struct wire_reader r;

	(void)state;
	wire_reader_init(&r, NULL, 0);
	assert_int_equal(wire_reader_finish(&r), 0);
	assert_int_equal(wire_get_u16(&r), 0);
	assert_int_equal(wire_reader_finish(&r), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_are_little_endian),
		cmocka_unit_test(texts_have_their_length_before_them),
		cmocka_unit_test(the_first_failure_of_a_reader_sticks),
		cmocka_unit_test(a_text_longer_than_the_rest_is_refused),
		cmocka_unit_test(left_over_bytes_are_refused),
		cmocka_unit_test(a_writer_never_writes_past_its_room),
		cmocka_unit_test(nothing_at_all_is_read_as_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
