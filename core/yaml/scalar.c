#include "core/yaml/scalar.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool equals(const char *s, size_t n, const char *text)
{
	return n == strlen(text) && memcmp(s, text, n) == 0;
}

/* Reads digits without a leading zero. Returns how many there are, 0 when there is no number. */
static size_t read_digits(const char *s, size_t n, uint64_t *ret_value, bool *ret_overflow)
{
	uint64_t value = 0;
	size_t at = 0;

	*ret_overflow = false;
	while (at < n && is_digit(s[at])) {
		if (__builtin_mul_overflow(value, 10u, &value) ||
			__builtin_add_overflow(value, (uint64_t)(s[at] - '0'), &value))
			*ret_overflow = true;
		at++;
	}
	if (at > 1 && s[0] == '0')
		return 0;
	*ret_value = value;
	return at;
}

int scalar_int(const char *s, size_t n, int64_t *ret_value)
{
	bool negative = n > 0 && s[0] == '-';
	uint64_t value = 0;
	bool overflow;
	size_t digits = read_digits(s + negative, n - negative, &value, &overflow);

	if (digits == 0 || digits + negative != n || (negative && value == 0 && !overflow))
		return -EINVAL;
	if (overflow || value > (uint64_t)INT64_MAX)
		return -ERANGE;
	*ret_value = negative ? -(int64_t)value : (int64_t)value;
	return 0;
}

int scalar_bool(const char *s, size_t n, bool *ret_value)
{
	bool yes = equals(s, n, "true");

	if (!yes && !equals(s, n, "false"))
		return -EINVAL;
	*ret_value = yes;
	return 0;
}

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit duration_units[] = {
	{"d", UINT64_C(86400000000)},
	{"h", UINT64_C(3600000000)},
	{"m", UINT64_C(60000000)},
	{"s", UINT64_C(1000000)},
	{"ms", UINT64_C(1000)},
};

static const struct unit size_units[] = {
	{"TiB", UINT64_C(1) << 40},
	{"GiB", UINT64_C(1) << 30},
	{"MiB", UINT64_C(1) << 20},
	{"KiB", UINT64_C(1) << 10},
	{"B", 1},
};

int scalar_duration(const char *s, size_t n, uint64_t *ret_us)
{
	uint64_t total = 0;
	size_t next = 0; /* the first unit still allowed */
	size_t at = 0;

	if (equals(s, n, "0")) {
		*ret_us = 0;
		return 0;
	}
	while (at < n) {
		uint64_t value = 0;
		bool overflow;
		size_t digits = read_digits(s + at, n - at, &value, &overflow);
		size_t letters = 0;
		size_t u;

		if (digits == 0)
			return -EINVAL;
		at += digits;
		while (at + letters < n && !is_digit(s[at + letters]))
			letters++;
		for (u = next; u < ARRAY_LEN(duration_units); u++) {
			if (equals(s + at, letters, duration_units[u].name))
				break;
		}
		if (u == ARRAY_LEN(duration_units))
			return -EINVAL;
		if (overflow || value > SCALAR_MAX_DURATION_US / duration_units[u].factor)
			return -ERANGE;
		total += value * duration_units[u].factor;
		next = u + 1;
		at += letters;
	}
	if (n == 0)
		return -EINVAL;
	if (total > SCALAR_MAX_DURATION_US)
		return -ERANGE;
	*ret_us = total;
	return 0;
}

int scalar_size(const char *s, size_t n, uint64_t *ret_bytes)
{
	uint64_t value = 0;
	bool overflow;
	size_t digits = read_digits(s, n, &value, &overflow);

	if (equals(s, n, "0")) {
		*ret_bytes = 0;
		return 0;
	}
	for (size_t u = 0; u < ARRAY_LEN(size_units) && digits != 0; u++) {
		if (!equals(s + digits, n - digits, size_units[u].name))
			continue;
		if (overflow || value > (uint64_t)INT64_MAX / size_units[u].factor)
			return -ERANGE;
		*ret_bytes = value * size_units[u].factor;
		return 0;
	}
	return -EINVAL;
}

int scalar_percent(const char *s, size_t n, uint32_t *ret_percent)
{
	uint64_t value = 0;
	bool overflow;
	size_t digits = read_digits(s, n, &value, &overflow);

	if (digits == 0 || !equals(s + digits, n - digits, "%"))
		return -EINVAL;
	if (overflow || value == 0 || value > 100000)
		return -ERANGE;
	*ret_percent = (uint32_t)value;
	return 0;
}

void scalar_duration_format(uint64_t us, char text[SCALAR_DURATION_TEXT_BYTES])
{
	size_t at = 0;

	for (size_t u = 0; u < ARRAY_LEN(duration_units); u++) {
		uint64_t value = us / duration_units[u].factor;

		us %= duration_units[u].factor;
		if (value != 0)
			at += (size_t)snprintf(text + at, SCALAR_DURATION_TEXT_BYTES - at,
				"%" PRIu64 "%s", value, duration_units[u].name);
	}
	if (at == 0)
		memcpy(text, "0", 2);
}
