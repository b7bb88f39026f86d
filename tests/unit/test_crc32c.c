#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "proto/crc32c.h"

/* RFC 3720, appendix B.4, and the usual check value. */
static void agrees_with_the_standard(void **state)
{
	uint8_t bytes[32];

	(void)state;
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(crc32c(0, bytes, sizeof(bytes)), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(crc32c(0, bytes, sizeof(bytes)), 0x62a8ab43);
	for (uint8_t i = 0; i < 32; i++)
		bytes[i] = i;
	assert_int_equal(crc32c(0, bytes, sizeof(bytes)), 0x46dd794e);
	for (uint8_t i = 0; i < 32; i++)
		bytes[i] = (uint8_t)(31 - i);
	assert_int_equal(crc32c(0, bytes, sizeof(bytes)), 0x113fdb5c);
}

static void of_nothing_is_the_value_given(void **state)
{
	(void)state;
	assert_int_equal(crc32c(0, NULL, 0), 0);
	assert_int_equal(crc32c(0x12345678, NULL, 0), 0x12345678);
	assert_int_equal(crc32c_portable(0x12345678, NULL, 0), 0x12345678);
}

/* One bit at a time, as the polynomial is defined. */
static uint32_t bitwise(uint32_t crc, const uint8_t *data, size_t n)
{
	crc = ~crc;
	for (size_t i = 0; i < n; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
	}
	return ~crc;
}

/* Sizes around every block that the fast paths work in, at every alignment. */
static void every_way_to_compute_it_agrees(void **state)
{
	static const size_t sizes[] = {1, 7, 8, 9, 63, 64, 255, 256, 767, 768, 769, 1536, 2048,
		6143, 6144, 6145, 6144 + 767, 6144 + 768 + 9, 2 * 6144, 65536, 65556};
	size_t max = 65556 + 8;
	uint8_t *bytes = malloc(max);

	(void)state;
	for (size_t i = 0; i < max; i++)
		bytes[i] = (uint8_t)((i * 2654435761u) >> 11);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (size_t align = 0; align < 8; align += 3) {
			uint32_t expected = bitwise(7, bytes + align, sizes[i]);

			assert_int_equal(crc32c(7, bytes + align, sizes[i]), expected);
			assert_int_equal(crc32c_portable(7, bytes + align, sizes[i]), expected);
		}
	}
	free(bytes);
}

static void may_be_computed_in_pieces(void **state)
{
	static const char text[] = "the record is the one unit that travels unchanged";
	uint32_t whole = crc32c(0, text, sizeof(text));

	(void)state;
	for (size_t cut = 0; cut <= sizeof(text); cut++) {
		assert_int_equal(
			crc32c(crc32c(0, text, cut), text + cut, sizeof(text) - cut), whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_standard),
		cmocka_unit_test(of_nothing_is_the_value_given),
		cmocka_unit_test(every_way_to_compute_it_agrees),
		cmocka_unit_test(may_be_computed_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
