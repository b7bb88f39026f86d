#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/app/auth/totp.h"

static const uint8_t key[] = "12345678901234567890"; /* of RFC 6238, appendix B */

static void agrees_with_the_rfc(void **state)
{
	static const struct {
		uint64_t time_s;
		const char *code;
	} rows[] = {
		{59, "287082"},
		{1111111109, "081804"},
		{1111111111, "050471"},
		{1234567890, "005924"},
		{2000000000, "279037"},
		{20000000000, "353130"},
	};
	char code[TOTP_DIGITS + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		totp_code(key, 20, rows[i].time_s / TOTP_STEP_S, code);
		assert_string_equal(code, rows[i].code);
	}
}

static void reads_base32_in_either_case_and_with_spaces(void **state)
{
	uint8_t got[TOTP_MAX_KEY_BYTES];

	(void)state;
	assert_int_equal(totp_parse_key("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", got), 20);
	assert_memory_equal(got, key, 20);
	assert_int_equal(totp_parse_key("gezd gnbv gy3t qojq gezd gnbv gy3t qojq", got), 20);
	assert_memory_equal(got, key, 20);
}

static void refuses_what_is_no_key(void **state)
{
	uint8_t got[TOTP_MAX_KEY_BYTES];
	char long_key[256];

	(void)state;
	memset(long_key, 'A', sizeof(long_key));
	long_key[255] = '\0';
	assert_true(totp_parse_key("", got) < 0);
	assert_true(totp_parse_key("GEZDGNBV", got) < 0);
	assert_true(totp_parse_key("GEZDGNBVGY3TQOJQ1", got) < 0);
	assert_true(totp_parse_key("GEZDGNBVGY3TQOJQ=A", got) < 0);
	assert_true(totp_parse_key(long_key, got) < 0);
}

static void accepts_one_step_to_either_side(void **state)
{
	uint64_t step = 0;

	(void)state;
	assert_int_equal(totp_check(key, 20, "287082", 59 + 30, 0, &step), 0);
	assert_int_equal(step, 1);
	assert_int_equal(totp_check(key, 20, "287082", 59 - 30, 0, &step), 0);
	assert_true(totp_check(key, 20, "287082", 59 + 61, 0, &step) < 0);
}

static void takes_a_code_once(void **state)
{
	uint64_t step = 0;

	(void)state;
	assert_int_equal(totp_check(key, 20, "287082", 59, 0, &step), 0);
	assert_true(totp_check(key, 20, "287082", 59, step, &step) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_rfc),
		cmocka_unit_test(reads_base32_in_either_case_and_with_spaces),
		cmocka_unit_test(refuses_what_is_no_key),
		cmocka_unit_test(accepts_one_step_to_either_side),
		cmocka_unit_test(takes_a_code_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
