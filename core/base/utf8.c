#include "core/base/utf8.h"

size_t utf8_sequence(const uint8_t *data, size_t n)
{
	uint8_t min = 0x80, max = 0xbf; /* bounds of the second byte */
	size_t len;

	if (n == 0)
		return 0;
	if (data[0] < 0x80)
		return 1;
	if (data[0] >= 0xc2 && data[0] <= 0xdf) {
		len = 2;
	} else if (data[0] >= 0xe0 && data[0] <= 0xef) {
		len = 3;
		if (data[0] == 0xe0)
			min = 0xa0;
		if (data[0] == 0xed)
			max = 0x9f;
	} else if (data[0] >= 0xf0 && data[0] <= 0xf4) {
		len = 4;
		if (data[0] == 0xf0)
			min = 0x90;
		if (data[0] == 0xf4)
			max = 0x8f;
	} else {
		return 0;
	}
	if (n < len || data[1] < min || data[1] > max)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if ((data[i] & 0xc0) != 0x80)
			return 0;
	}
	return len;
}

bool utf8_is_valid(const void *data, size_t n)
{
	const uint8_t *p = data;

	for (size_t at = 0; at < n;) {
		size_t len = utf8_sequence(p + at, n - at);

		if (len == 0)
			return false;
		at += len;
	}
	return true;
}
