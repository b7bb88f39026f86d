/* Time-based one-time codes (RFC 6238: HMAC-SHA-1, 30 seconds, 6 digits). */
#ifndef OPS_CORE_APP_AUTH_TOTP_H
#define OPS_CORE_APP_AUTH_TOTP_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/mem.h"

#define TOTP_MIN_KEY_BYTES 10
#define TOTP_MAX_KEY_BYTES 64
#define TOTP_STEP_S 30
#define TOTP_DIGITS 6

/* Base32 (RFC 4648), either case, spaces and trailing = ignored. Returns the key's length or
 * -EINVAL. */
MUSTCHECK int totp_parse_key(const char *base32, uint8_t ret_key[TOTP_MAX_KEY_BYTES]);

/* The code of one time step. */
void totp_code(const uint8_t *key, size_t key_len, uint64_t step, char ret_code[TOTP_DIGITS + 1]);

/*
 * Checks a code typed at unix time now_s: the current step, one before and one after count, but no
 * step at or before last_step (a code is good once). Returns 0 and the step it belongs to, or
 * -EACCES.
 */
MUSTCHECK int totp_check(const uint8_t *key, size_t key_len, const char *code, uint64_t now_s,
	uint64_t last_step, uint64_t *ret_step);

#endif
