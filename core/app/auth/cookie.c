#include "core/app/auth/cookie.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/app/limits.h"
#include "core/base/crypto.h"
#include "core/base/hex.h"
#include "proto/wire.h"

#define VERSION 1
#define BODY_BYTES (1 + COOKIE_ID_BYTES + 3 * 8)
#define TEXT_LEN (2 * BODY_BYTES + 1 + 2 * CRYPTO_SHA256_BYTES)
#define FUTURE_S (24 * 3600) /* a clock that was set back does not end every session */

_Static_assert(TEXT_LEN < COOKIE_TEXT_BYTES, "the cookie's text must fit");

static void derive(const struct config *cfg, const char *purpose, uint8_t out[COOKIE_KEY_BYTES])
{
	const char *totp = cfg->auth_totp_secret != NULL ? cfg->auth_totp_secret : "";
	char salt[2 * LIMIT_CONFIG_VALUE_BYTES + 2], info[LIMIT_USER_BYTES + 64];
	int salt_len, info_len;

	salt_len = snprintf(salt, sizeof(salt), "%s%s", cfg->auth_password_hash, totp);
	info_len = snprintf(info, sizeof(info), "ops-dashboard %s %s", purpose, cfg->auth_user);
	crypto_hkdf_sha256(salt, (size_t)salt_len, cfg->auth_secret, strlen(cfg->auth_secret), info,
		(size_t)info_len, out, COOKIE_KEY_BYTES);
	mem_wipe(salt, sizeof(salt));
}

void cookie_derive_keys(const struct config *cfg, struct cookie_keys *ret_keys)
{
	derive(cfg, "session", ret_keys->session);
	derive(cfg, "device", ret_keys->device);
}

static void seal(const uint8_t key[COOKIE_KEY_BYTES], const struct cookie_session *session,
	char ret_text[COOKIE_TEXT_BYTES])
{
	uint8_t body[BODY_BYTES], mac[CRYPTO_SHA256_BYTES];
	struct wire_writer w;

	wire_writer_init(&w, body, sizeof(body));
	wire_put_u8(&w, VERSION);
	wire_put_bytes(&w, session->id, sizeof(session->id));
	wire_put_u64(&w, session->created_s);
	wire_put_u64(&w, session->seen_s);
	wire_put_u64(&w, session->reauth_s);
	crypto_hmac_sha256(key, COOKIE_KEY_BYTES, body, sizeof(body), mac);
	hex_encode(body, sizeof(body), ret_text);
	ret_text[2 * sizeof(body)] = '.';
	hex_encode(mac, sizeof(mac), ret_text + 2 * sizeof(body) + 1);
}

static int unseal(
	const uint8_t key[COOKIE_KEY_BYTES], const char *text, struct cookie_session *ret_session)
{
	uint8_t body[BODY_BYTES], given[CRYPTO_SHA256_BYTES], mac[CRYPTO_SHA256_BYTES];
	struct wire_reader r;

	if (strlen(text) != TEXT_LEN || text[2 * BODY_BYTES] != '.' ||
		hex_decode(text, 2 * BODY_BYTES, body, BODY_BYTES) < 0 ||
		hex_decode(text + 2 * BODY_BYTES + 1, 2 * sizeof(given), given, sizeof(given)) < 0)
		return -EACCES;
	crypto_hmac_sha256(key, COOKIE_KEY_BYTES, body, sizeof(body), mac);
	if (!crypto_equal(given, mac, sizeof(mac)) || body[0] != VERSION)
		return -EACCES;
	memcpy(ret_session->id, body + 1, COOKIE_ID_BYTES);
	wire_reader_init(&r, body + 1 + COOKIE_ID_BYTES, 3 * 8);
	ret_session->created_s = wire_get_u64(&r);
	ret_session->seen_s = wire_get_u64(&r);
	ret_session->reauth_s = wire_get_u64(&r);
	return 0;
}

/* Whether more than limit_s have passed since then; a moment far ahead is no honest one either. */
static bool is_over(uint64_t then_s, uint64_t now_s, uint64_t limit_s)
{
	return now_s > then_s ? now_s - then_s > limit_s : then_s - now_s > FUTURE_S;
}

void cookie_seal_session(const struct cookie_keys *keys, const struct cookie_session *session,
	char ret_text[COOKIE_TEXT_BYTES])
{
	seal(keys->session, session, ret_text);
}

int cookie_check_time(const struct cookie_session *session, uint64_t now_s)
{
	return is_over(session->created_s, now_s, LIMIT_SESSION_AGE_S) ||
			       is_over(session->seen_s, now_s, LIMIT_SESSION_IDLE_S)
		       ? -ETIME
		       : 0;
}

int cookie_open_session(const struct cookie_keys *keys, const char *text, uint64_t now_s,
	struct cookie_session *ret_session)
{
	struct cookie_session session;

	if (unseal(keys->session, text, &session) < 0)
		return -EACCES;
	if (cookie_check_time(&session, now_s) < 0)
		return -ETIME;
	*ret_session = session;
	return 0;
}

void cookie_seal_device(
	const struct cookie_keys *keys, uint64_t now_s, char ret_text[COOKIE_TEXT_BYTES])
{
	struct cookie_session device = {.created_s = now_s};

	crypto_random(device.id, sizeof(device.id));
	seal(keys->device, &device, ret_text);
}

int cookie_open_device(const struct cookie_keys *keys, const char *text, uint64_t now_s)
{
	struct cookie_session device;

	if (unseal(keys->device, text, &device) < 0)
		return -EACCES;
	return is_over(device.created_s, now_s, LIMIT_DEVICE_AGE_S) ? -ETIME : 0;
}
