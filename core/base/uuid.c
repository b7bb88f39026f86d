#include "core/base/uuid.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/crypto.h"

void uuid_v7(struct uuid *ret_uuid)
{
	/* RFC 9562 6.2, method 1: a 12-bit counter in rand_a orders ids of one millisecond. */
	static uint64_t last_ms;
	static uint16_t counter;
	uint64_t ms = clock_wall_us() / 1000;
	struct uuid u;

	crypto_random(u.bytes, sizeof(u.bytes));
	if (ms > last_ms) {
		last_ms = ms;
		counter = (uint16_t)((u.bytes[6] << 8 | u.bytes[7]) & 0x7ff);
	} else if (++counter > 0xfff) {
		last_ms++;
		counter = 0;
	}
	for (int i = 0; i < 6; i++)
		u.bytes[i] = (uint8_t)(last_ms >> (40 - 8 * i));
	u.bytes[6] = (uint8_t)(0x70 | counter >> 8);
	u.bytes[7] = (uint8_t)counter;
	u.bytes[8] = (uint8_t)(0x80 | (u.bytes[8] & 0x3f));
	*ret_uuid = u;
}

void uuid_format(const struct uuid *uuid, char text[UUID_TEXT_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	char *to = text;

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*to++ = '-';
		*to++ = digits[uuid->bytes[i] >> 4];
		*to++ = digits[uuid->bytes[i] & 15];
	}
	*to = '\0';
}

int uuid_parse(const char *text, size_t len, struct uuid *ret_uuid)
{
	struct uuid u = {0};
	size_t nibble = 0;

	if (len != UUID_TEXT_BYTES - 1)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		int v;

		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i] != '-')
				return -EINVAL;
			continue;
		}
		if (text[i] >= '0' && text[i] <= '9')
			v = text[i] - '0';
		else if (text[i] >= 'a' && text[i] <= 'f')
			v = text[i] - 'a' + 10;
		else
			return -EINVAL;
		u.bytes[nibble / 2] = (uint8_t)(u.bytes[nibble / 2] << 4 | v);
		nibble++;
	}
	*ret_uuid = u;
	return 0;
}

uint64_t uuid_time_ms(const struct uuid *uuid)
{
	uint64_t ms = 0;

	for (int i = 0; i < 6; i++)
		ms = ms << 8 | uuid->bytes[i];
	return ms;
}
