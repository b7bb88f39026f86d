#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/base/utf8.h"

static size_t sequence(const char *s)
{
	return utf8_sequence((const uint8_t *)s, strlen(s));
}

static void knows_the_length_of_every_form(void **state)
{
	(void)state;
	assert_int_equal(sequence("a"), 1);
	assert_int_equal(sequence("\x7f"), 1);
	assert_int_equal(sequence("\xc2\x80"), 2);
	assert_int_equal(sequence("\xdf\xbf"), 2);
	assert_int_equal(sequence("\xe0\xa0\x80"), 3);
	assert_int_equal(sequence("\xed\x9f\xbf"), 3);
	assert_int_equal(sequence("\xef\xbf\xbf"), 3);
	assert_int_equal(sequence("\xf0\x90\x80\x80"), 4);
	assert_int_equal(sequence("\xf4\x8f\xbf\xbf"), 4);
	assert_int_equal(utf8_sequence((const uint8_t *)"\0", 1), 1);
}

static void refuses_what_rfc_3629_refuses(void **state)
{
	static const char *const bad[] = {
		"\x80",
		"\xbf", /* continuation without a start */
		"\xc0\x80",
		"\xc1\xbf", /* overlong, two bytes */
		"\xe0\x80\x80",
		"\xe0\x9f\xbf", /* overlong, three */
		"\xf0\x80\x80\x80",
		"\xf0\x8f\xbf\xbf", /* overlong, four */
		"\xed\xa0\x80",
		"\xed\xbf\xbf", /* surrogates */
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80", /* above U+10FFFF */
		"\xfe",
		"\xff", /* never */
		"\xc2",
		"\xe2\x82",
		"\xf0\x9f\x98", /* cut short */
		"\xc2\x41",
		"\xe2\x82\x41",
		"\xf0\x9f\x41\x80",
		"\xf0\x9f\x98\x41",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (sequence(bad[i]) != 0 || utf8_is_valid(bad[i], strlen(bad[i])))
			fail_msg("number %zu is accepted", i);
	}
	assert_int_equal(utf8_sequence(NULL, 0), 0);
}

/* Every code point, encoded by the definition. */
static void accepts_every_code_point_and_no_surrogate(void **state)
{
	(void)state;
	for (uint32_t c = 0; c <= 0x10ffff; c++) {
		uint8_t bytes[4];
		size_t n;

		if (c < 0x80) {
			n = 1;
			bytes[0] = (uint8_t)c;
		} else if (c < 0x800) {
			n = 2;
			bytes[0] = (uint8_t)(0xc0 | c >> 6);
		} else if (c < 0x10000) {
			n = 3;
			bytes[0] = (uint8_t)(0xe0 | c >> 12);
		} else {
			n = 4;
			bytes[0] = (uint8_t)(0xf0 | c >> 18);
		}
		for (size_t i = 1; i < n; i++)
			bytes[i] = (uint8_t)(0x80 | (c >> (6 * (n - 1 - i)) & 0x3f));
		if (utf8_sequence(bytes, n) != (c >= 0xd800 && c <= 0xdfff ? 0 : n))
			fail_msg("U+%04X", c);
	}
}

static void judges_whole_texts(void **state)
{
	(void)state;
	assert_true(utf8_is_valid("", 0));
	assert_true(utf8_is_valid("a\0Z\xc3\xbcrich \xe2\x9c\x93", 13));
	assert_false(utf8_is_valid("abc\xff", 4));
	assert_false(utf8_is_valid("\xe2\x9c\x93", 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_the_length_of_every_form),
		cmocka_unit_test(refuses_what_rfc_3629_refuses),
		cmocka_unit_test(accepts_every_code_point_and_no_surrogate),
		cmocka_unit_test(judges_whole_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
