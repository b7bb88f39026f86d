#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "core/yaml/scalar.h"

#define DAY UINT64_C(86400000000)

struct number_case {
	const char *text;
	int rc;
	int64_t value;
};

static void reads_whole_numbers_and_nothing_else(void **state)
{
	static const struct number_case cases[] = {
		{"0", 0, 0},
		{"7", 0, 7},
		{"-12", 0, -12},
		{"9223372036854775807", 0, INT64_MAX},
		{"9223372036854775808", -ERANGE, 0},
		{"-9223372036854775808", -ERANGE, 0},
		{"99999999999999999999999", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"-", -EINVAL, 0},
		{"-0", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{"010", -EINVAL, 0},
		{"00", -EINVAL, 0},
		{"0x10", -EINVAL, 0},
		{"1e3", -EINVAL, 0},
		{"1_000", -EINVAL, 0},
		{"5s", -EINVAL, 0},
		{" 5", -EINVAL, 0},
		{"5 ", -EINVAL, 0},
		{"1.0", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t value = 0;

		assert_int_equal(
			scalar_int(cases[i].text, strlen(cases[i].text), &value), cases[i].rc);
		assert_true(value == cases[i].value);
	}
}

static void reads_true_and_false_only(void **state)
{
	static const char *const bad[] = {
		"yes", "no", "on", "True", "TRUE", "1", "0", "", "maybe", "true ", "y"};
	bool value = false;

	(void)state;
	assert_int_equal(scalar_bool("true", 4, &value), 0);
	assert_true(value);
	assert_int_equal(scalar_bool("false", 5, &value), 0);
	assert_false(value);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(scalar_bool(bad[i], strlen(bad[i]), &value), -EINVAL);
}

static void reads_durations_with_units(void **state)
{
	static const struct number_case cases[] = {
		{"0", 0, 0},
		{"500ms", 0, 500000},
		{"30s", 0, 30000000},
		{"5m", 0, 300000000},
		{"1h30m", 0, 5400000000},
		{"7d", 0, 7 * (int64_t)DAY},
		{"1d2h3m4s5ms", 0, (int64_t)DAY + 7384005000},
		{"3660d", 0, 3660 * (int64_t)DAY},
		{"3661d", -ERANGE, 0},
		{"3660d1ms", -ERANGE, 0},
		{"99999999999999999999s", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"5", -EINVAL, 0},
		{"5 m", -EINVAL, 0},
		{"5M", -EINVAL, 0},
		{"m", -EINVAL, 0},
		{"05m", -EINVAL, 0},
		{"-5m", -EINVAL, 0},
		{"1.5h", -EINVAL, 0},
		{"30m1h", -EINVAL, 0},
		{"1m1m", -EINVAL, 0},
		{"5min", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t us = 0;

		assert_int_equal(
			scalar_duration(cases[i].text, strlen(cases[i].text), &us), cases[i].rc);
		assert_true((int64_t)us == cases[i].value);
	}
}

static void writes_durations_it_reads_back(void **state)
{
	static const uint64_t cases[] = {
		0, 1000, 999000, 60000000, 90000000, DAY, 3660 * DAY, DAY + 1000, 3599999000};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[SCALAR_DURATION_TEXT_BYTES];
		uint64_t us = 1;

		scalar_duration_format(cases[i], text);
		assert_int_equal(scalar_duration(text, strlen(text), &us), 0);
		assert_true(us == cases[i]);
	}
}

static void reads_sizes_in_binary_units(void **state)
{
	static const struct number_case cases[] = {
		{"0", 0, 0},
		{"512B", 0, 512},
		{"64KiB", 0, 65536},
		{"256MiB", 0, 256 << 20},
		{"2GiB", 0, INT64_C(2) << 30},
		{"1TiB", 0, INT64_C(1) << 40},
		{"99999999TiB", -ERANGE, 0},
		{"512", -EINVAL, 0},
		{"1MB", -EINVAL, 0},
		{"1mib", -EINVAL, 0},
		{"1 MiB", -EINVAL, 0},
		{"MiB", -EINVAL, 0},
		{"01MiB", -EINVAL, 0},
		{"", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t bytes = 0;

		assert_int_equal(
			scalar_size(cases[i].text, strlen(cases[i].text), &bytes), cases[i].rc);
		assert_true((int64_t)bytes == cases[i].value);
	}
}

static void reads_shares(void **state)
{
	uint32_t percent = 0;

	(void)state;
	assert_int_equal(scalar_percent("200%", 4, &percent), 0);
	assert_int_equal(percent, 200);
	assert_int_equal(scalar_percent("0%", 2, &percent), -ERANGE);
	assert_int_equal(scalar_percent("200", 3, &percent), -EINVAL);
	assert_int_equal(scalar_percent("%", 1, &percent), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_whole_numbers_and_nothing_else),
		cmocka_unit_test(reads_true_and_false_only),
		cmocka_unit_test(reads_durations_with_units),
		cmocka_unit_test(writes_durations_it_reads_back),
		cmocka_unit_test(reads_sizes_in_binary_units),
		cmocka_unit_test(reads_shares),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
