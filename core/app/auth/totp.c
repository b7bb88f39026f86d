#include "core/app/auth/totp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/crypto.h"

static int base32_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a';
	if (c >= '2' && c <= '7')
		return c - '2' + 26;
	return -1;
}

int totp_parse_key(const char *base32, uint8_t ret_key[TOTP_MAX_KEY_BYTES])
{
	uint32_t bits = 0;
	unsigned n_bits = 0;
	size_t len = 0;

	for (; *base32 != '\0' && *base32 != '='; base32++) {
		int digit = base32_digit(*base32);

		if (*base32 == ' ')
			continue;
		if (digit < 0)
			return -EINVAL;
		bits = bits << 5 | (uint32_t)digit;
		n_bits += 5;
		if (n_bits < 8)
			continue;
		if (len == TOTP_MAX_KEY_BYTES)
			return -EINVAL;
		n_bits -= 8;
		ret_key[len++] = (uint8_t)(bits >> n_bits);
	}
	if (base32[strspn(base32, "=")] != '\0' || len < TOTP_MIN_KEY_BYTES)
		return -EINVAL;
	return (int)len;
}

void totp_code(const uint8_t *key, size_t key_len, uint64_t step, char ret_code[TOTP_DIGITS + 1])
{
	uint8_t counter[8], mac[CRYPTO_SHA1_BYTES];
	uint32_t value;
	size_t at;

	for (int i = 7; i >= 0; i--, step >>= 8)
		counter[i] = (uint8_t)step;
	crypto_hmac_sha1(key, key_len, counter, sizeof(counter), mac);
	at = mac[CRYPTO_SHA1_BYTES - 1] & 15;
	value = (uint32_t)(mac[at] & 0x7f) << 24 | (uint32_t)mac[at + 1] << 16 |
		(uint32_t)mac[at + 2] << 8 | mac[at + 3];
	snprintf(ret_code, TOTP_DIGITS + 1, "%06u", value % 1000000);
}

int totp_check(const uint8_t *key, size_t key_len, const char *code, uint64_t now_s,
	uint64_t last_step, uint64_t *ret_step)
{
	uint64_t now = now_s / TOTP_STEP_S, found = 0;
	char expected[TOTP_DIGITS + 1];

	if (strlen(code) != TOTP_DIGITS)
		return -EACCES;
	for (uint64_t step = now > 0 ? now - 1 : 0; step <= now + 1; step++) {
		totp_code(key, key_len, step, expected);
		if (crypto_equal(code, expected, TOTP_DIGITS) && step > last_step)
			found = step;
	}
	mem_wipe(expected, sizeof(expected));
	if (found == 0)
		return -EACCES;
	*ret_step = found;
	return 0;
}
