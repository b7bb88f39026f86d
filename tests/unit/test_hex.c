#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "core/base/hex.h"

static void writes_lower_case_with_a_nul(void **state)
{
	char text[9] = "xxxxxxxx";

	(void)state;
	hex_encode((const uint8_t *)"\x00\x9f\xff", 3, text);
	assert_string_equal(text, "009fff");
	assert_int_equal(text[7], 'x');
	hex_encode(NULL, 0, text);
	assert_string_equal(text, "");
}

static void reads_either_case(void **state)
{
	uint8_t out[4];

	(void)state;
	assert_int_equal(hex_decode("00aFFa7b", 8, out, 4), 0);
	assert_memory_equal(out, "\x00\xaf\xfa\x7b", 4);
	assert_int_equal(hex_decode("", 0, out, 0), 0);
}

static void refuses_other_lengths_and_characters_untouched(void **state)
{
	static const char *const bad[] = {"0g", "g0", " 0", "0\n", "-1", "0x", "\xb2\xb2"};
	uint8_t out[2] = {7, 7};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(hex_decode(bad[i], 2, out, 1), -EINVAL);
	assert_int_equal(hex_decode("000", 3, out, 1), -EINVAL);
	assert_int_equal(hex_decode("0", 1, out, 1), -EINVAL);
	assert_int_equal(hex_decode("00", 2, out, 2), -EINVAL);
	assert_int_equal(hex_decode("00zz", 4, out, 2), -EINVAL);
	assert_int_equal(out[0], 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_lower_case_with_a_nul),
		cmocka_unit_test(reads_either_case),
		cmocka_unit_test(refuses_other_lengths_and_characters_untouched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
