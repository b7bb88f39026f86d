/*
 * Sessions: what the signed cookies cannot say by themselves. Which ids were revoked (kept in the
 * store), which sockets belong to a session, when it was last seen. The table is a cache: a valid
 * cookie whose session is not in it, because the daemon was restarted, is taken in again.
 */
#ifndef OPS_CORE_APP_AUTH_SESSIONS_H
#define OPS_CORE_APP_AUTH_SESSIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/app/auth/cookie.h"
#include "core/app/auth/store.h"
#include "core/app/config/address.h"
#include "core/base/list.h"

#define SESSION_KEY_BYTES 32	/* SHA-256 of its id: names it where people and databases see it */
#define SESSION_AGENT_BYTES 160 /* of a User-Agent, as much as is kept */

struct sessions;

/* Names a session in the table; 0 is none. Stays harmless when the session has gone. */
typedef uint64_t session_ref;

/* Something that must end with its session: a WebSocket. Embedded in its owner. */
struct session_tie {
	struct list link; /* session.ties */
	/* The session was revoked or is over. The tie is off already. */
	void (*on_over)(struct session_tie *tie);
};

struct sessions *sessions_new(uv_loop_t *loop, const struct cookie_keys *keys);
void sessions_close(struct sessions *sessions, void (*on_closed)(void *arg), void *arg);

/* For store_open(): learns of revoked ids; says whether the event still matters. */
bool sessions_on_stored_event(struct sessions *sessions, const char *json, size_t len);

/* A new session, signed in now. */
session_ref sessions_create(struct sessions *sessions, uint64_t now_s);
/* The session of a cookie's value. 0, or -EACCES, -ETIME, and then *ret_ref is 0. */
MUSTCHECK int sessions_open(
	struct sessions *sessions, const char *cookie, uint64_t now_s, session_ref *ret_ref);

/* What the session's cookie should hold now; false when it has gone. */
bool sessions_get(
	const struct sessions *sessions, session_ref ref, struct cookie_session *ret_session);
/* Whether the browser's cookie has become stale and should be sent again (renewed by that). */
bool sessions_needs_cookie(struct sessions *sessions, session_ref ref, uint64_t now_s);
/* Where it is from. */
void sessions_describe(
	struct sessions *sessions, session_ref ref, const char *address, const char *user_agent);

struct session_info {
	uint8_t key[SESSION_KEY_BYTES];
	uint64_t created_s, seen_s;
	char address[ADDRESS_TEXT_BYTES], user_agent[SESSION_AGENT_BYTES];
};
/* False when it has gone. */
bool sessions_info(const struct sessions *sessions, session_ref ref, struct session_info *ret_info);
/* The session in the table with this key, or 0. */
session_ref sessions_find_key(
	const struct sessions *sessions, const uint8_t key[SESSION_KEY_BYTES]);
/* All in the table that are neither idle for too long nor too old. */
void sessions_each(const struct sessions *sessions, uint64_t now_s,
	void (*fn)(const struct session_info *info, void *arg), void *arg);

void sessions_set_reauth(struct sessions *sessions, session_ref ref, uint64_t now_s);
bool sessions_is_reauthed(const struct sessions *sessions, session_ref ref, uint64_t now_s);

/* Revokes at once: ties are told, the id is refused from now on. on_stored (may be NULL) comes when
 * that is on the disk. Returns what store_append() does. */
MUSTCHECK int sessions_revoke(struct sessions *sessions, struct store *store, session_ref ref,
	void (*on_stored)(int err, void *arg), void *arg);

/* Ends them all: the cookie keys have changed, so no cookie is good any more. Ties are told. */
void sessions_end_all(struct sessions *sessions);

/* The same by its key, also of one that is not in the table; until_s: its cookie is too old then.
 */
MUSTCHECK int sessions_revoke_key(struct sessions *sessions, struct store *store,
	const uint8_t key[SESSION_KEY_BYTES], uint64_t until_s,
	void (*on_stored)(int err, void *arg), void *arg);
bool sessions_key_is_revoked(const struct sessions *sessions, const uint8_t key[SESSION_KEY_BYTES]);

/* -ENOENT: gone; -ENOBUFS: LIMIT_SOCKETS_PER_SESSION. */
MUSTCHECK int sessions_tie(struct sessions *sessions, session_ref ref, struct session_tie *tie);
void sessions_untie(struct sessions *sessions, session_ref ref, struct session_tie *tie);

#endif
