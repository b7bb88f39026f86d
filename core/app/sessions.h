/*
 * Sessions: what the signed cookies cannot say by themselves. Which ids were revoked (kept in the
 * store), which sockets belong to a session, when it was last seen. The table is a cache: a valid
 * cookie whose session is not in it, because the daemon was restarted, is taken in again.
 */
#ifndef OPS_CORE_APP_SESSIONS_H
#define OPS_CORE_APP_SESSIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/app/cookie.h"
#include "core/app/store.h"
#include "core/base/list.h"

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
void sessions_set_reauth(struct sessions *sessions, session_ref ref, uint64_t now_s);
bool sessions_is_reauthed(const struct sessions *sessions, session_ref ref, uint64_t now_s);

/* Revokes at once: ties are told, the id is refused from now on. on_stored (may be NULL) comes when
 * that is on the disk. Returns what store_append() does. */
MUSTCHECK int sessions_revoke(struct sessions *sessions, struct store *store, session_ref ref,
	void (*on_stored)(int err, void *arg), void *arg);

/* Ends them all: the cookie keys have changed, so no cookie is good any more. Ties are told. */
void sessions_end_all(struct sessions *sessions);

/* -ENOENT: gone; -ENOBUFS: LIMIT_SOCKETS_PER_SESSION. */
MUSTCHECK int sessions_tie(struct sessions *sessions, session_ref ref, struct session_tie *tie);
void sessions_untie(struct sessions *sessions, session_ref ref, struct session_tie *tie);

#endif
