/*
 * The signed cookies. Nothing about a session is kept where PostgreSQL or a restart could lose it:
 * the cookie holds what there is to know, and a MAC. Pure: no clock, no state.
 *
 * Text: hex(version, id, three times) "." hex(HMAC-SHA-256). The keys come from AUTH_SECRET and
 * from what a new password changes, so a new password ends every session.
 */
#ifndef OPS_CORE_APP_AUTH_COOKIE_H
#define OPS_CORE_APP_AUTH_COOKIE_H

#include <stdint.h>

#include "core/app/config/config.h"
#include "core/base/mem.h"

#define COOKIE_ID_BYTES 16
#define COOKIE_KEY_BYTES 32
#define COOKIE_TEXT_BYTES 160 /* of either cookie, NUL included */

#define COOKIE_SESSION "ops_session"
#define COOKIE_DEVICE "ops_device"

struct cookie_keys {
	uint8_t session[COOKIE_KEY_BYTES];
	uint8_t device[COOKIE_KEY_BYTES];
};

struct cookie_session {
	uint8_t id[COOKIE_ID_BYTES];
	uint64_t created_s; /* signed in, unix time */
	uint64_t seen_s;    /* last time the cookie was renewed */
	uint64_t reauth_s;  /* the password was given */
};

/* HKDF(AUTH_SECRET, salt = AUTH_PASSWORD_HASH || AUTH_TOTP_SECRET), one key a purpose and user. */
void cookie_derive_keys(const struct config *cfg, struct cookie_keys *ret_keys);

void cookie_seal_session(const struct cookie_keys *keys, const struct cookie_session *session,
	char ret_text[COOKIE_TEXT_BYTES]);
/* 0, -EACCES (not ours, tampered with), -ETIME (too old or idle for too long at now_s). */
MUSTCHECK int cookie_open_session(const struct cookie_keys *keys, const char *text, uint64_t now_s,
	struct cookie_session *ret_session);
/* 0 or -ETIME: what one that was opened before is at now_s. */
MUSTCHECK int cookie_check_time(const struct cookie_session *session, uint64_t now_s);

/* The device cookie says: somebody signed in from this browser before. */
void cookie_seal_device(
	const struct cookie_keys *keys, uint64_t now_s, char ret_text[COOKIE_TEXT_BYTES]);
/* 0, -EACCES or -ETIME. */
MUSTCHECK int cookie_open_device(const struct cookie_keys *keys, const char *text, uint64_t now_s);

#endif
