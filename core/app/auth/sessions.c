/*
 * Owns: the table of sessions, the list of revoked ids, and one timer that runs only while some
 * session has sockets: it ends those whose session became too old.
 *
 * A session_ref is slot number and generation, so a ref whose session was evicted or revoked finds
 * nothing. When the table is full the session seen longest ago without sockets goes; it comes back
 * with its next request.
 *
 * A slot remembers the cookie that was found good last: its seal is not computed again for each of
 * a page's requests. A revoked session has no slot.
 */
#include "core/app/auth/sessions.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/limits.h"
#include "core/base/clock.h"
#include "core/base/crypto.h"
#include "core/base/hex.h"

#define SWEEP_MS 30000

struct session {
	bool in_use;
	uint32_t generation;
	struct cookie_session cookie;
	uint8_t key[SESSION_KEY_BYTES];
	char address[ADDRESS_TEXT_BYTES], user_agent[SESSION_AGENT_BYTES];
	struct list ties; /* session_tie.link */
	unsigned n_ties;
	struct cookie_session good;	   /* what good_text says */
	char good_text[COOKIE_TEXT_BYTES]; /* "": none yet */
};

struct revoked {
	uint8_t key[SESSION_KEY_BYTES];
	uint64_t until_s; /* its cookie is too old by then */
};

struct sessions {
	const struct cookie_keys *keys;
	struct session table[LIMIT_SESSIONS];
	struct revoked revoked[LIMIT_REVOKED];
	size_t n_revoked;
	unsigned n_ties;
	uv_timer_t sweep;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

struct sessions *sessions_new(uv_loop_t *loop, const struct cookie_keys *keys)
{
	struct sessions *s = xcalloc(1, sizeof(*s));

	s->keys = keys; /* slots that were never used are not touched: they cost no memory */
	uv_timer_init(loop, &s->sweep);
	s->sweep.data = s;
	return s;
}

static void on_closed_timer(uv_handle_t *handle)
{
	struct sessions *s = handle->data;
	void (*on_closed)(void *arg) = s->on_closed;
	void *arg = s->closed_arg;

	free(s);
	on_closed(arg);
}

void sessions_close(struct sessions *s, void (*on_closed)(void *arg), void *arg)
{
	s->on_closed = on_closed;
	s->closed_arg = arg;
	uv_close((uv_handle_t *)&s->sweep, on_closed_timer);
}

static session_ref ref_of(const struct sessions *s, const struct session *session)
{
	return (uint64_t)session->generation << 32 | (uint64_t)(session - s->table + 1);
}

static struct session *find(struct sessions *s, session_ref ref)
{
	size_t slot = (uint32_t)ref;

	if (slot == 0 || slot > LIMIT_SESSIONS)
		return NULL;
	if (!s->table[slot - 1].in_use || s->table[slot - 1].generation != ref >> 32)
		return NULL;
	return &s->table[slot - 1];
}

static const struct session *find_const(const struct sessions *s, session_ref ref)
{
	size_t slot = (uint32_t)ref;

	if (slot == 0 || slot > LIMIT_SESSIONS)
		return NULL;
	if (!s->table[slot - 1].in_use || s->table[slot - 1].generation != ref >> 32)
		return NULL;
	return &s->table[slot - 1];
}

bool sessions_key_is_revoked(const struct sessions *s, const uint8_t key[SESSION_KEY_BYTES])
{
	for (size_t i = 0; i < s->n_revoked; i++) {
		if (memcmp(s->revoked[i].key, key, SESSION_KEY_BYTES) == 0)
			return true;
	}
	return false;
}

static void remember_revoked(
	struct sessions *s, const uint8_t key[SESSION_KEY_BYTES], uint64_t until_s)
{
	uint64_t now_s = clock_wall_us() / CLOCK_SECOND_US;
	struct revoked *slot = NULL;

	if (sessions_key_is_revoked(s, key))
		return;
	for (size_t i = 0; i < s->n_revoked && slot == NULL; i++) {
		if (s->revoked[i].until_s < now_s)
			slot = &s->revoked[i];
	}
	if (slot == NULL && s->n_revoked < LIMIT_REVOKED)
		slot = &s->revoked[s->n_revoked++];
	if (slot == NULL) {
		/* A full list of live ids: the one that is over soonest makes room. */
		slot = &s->revoked[0];
		for (size_t i = 1; i < s->n_revoked; i++) {
			if (s->revoked[i].until_s < slot->until_s)
				slot = &s->revoked[i];
		}
	}
	memcpy(slot->key, key, SESSION_KEY_BYTES);
	slot->until_s = until_s;
}

bool sessions_on_stored_event(struct sessions *s, const char *json, size_t len)
{
	json_t *doc = json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL);
	const char *event = NULL, *hex = NULL;
	uint8_t id[COOKIE_ID_BYTES], key[SESSION_KEY_BYTES];
	json_int_t until_s = 0;
	bool keep = true;

	if (json_unpack(doc, "{s:s}", "event", &event) == 0 &&
		strcmp(event, "session.revoked") == 0) {
		keep = json_unpack(doc, "{s:I}", "until_s", &until_s) == 0 && until_s >= 0 &&
		       (uint64_t)until_s > clock_wall_us() / CLOCK_SECOND_US;
		/* Events of earlier versions name the id itself. */
		if (keep && json_unpack(doc, "{s:s}", "id", &hex) == 0) {
			keep = hex_decode(hex, strlen(hex), id, sizeof(id)) == 0;
			crypto_sha256(id, sizeof(id), key);
		} else {
			keep = keep && json_unpack(doc, "{s:s}", "key", &hex) == 0 &&
			       hex_decode(hex, strlen(hex), key, sizeof(key)) == 0;
		}
		if (keep)
			remember_revoked(s, key, (uint64_t)until_s);
	}
	json_decref(doc);
	return keep;
}

static struct session *slot_take(struct sessions *s)
{
	struct session *oldest = NULL;

	for (size_t i = 0; i < LIMIT_SESSIONS; i++) {
		struct session *session = &s->table[i];

		if (!session->in_use) {
			oldest = session;
			break;
		}
		if (session->n_ties == 0 &&
			(oldest == NULL || session->cookie.seen_s < oldest->cookie.seen_s))
			oldest = session;
	}
	if (oldest == NULL)
		return NULL;
	oldest->in_use = true;
	oldest->generation++;
	oldest->address[0] = oldest->user_agent[0] = oldest->good_text[0] = '\0';
	list_init(&oldest->ties);
	return oldest;
}

session_ref sessions_create(struct sessions *s, uint64_t now_s)
{
	struct session *session = slot_take(s);

	if (session == NULL)
		return 0;
	crypto_random(session->cookie.id, sizeof(session->cookie.id));
	crypto_sha256(session->cookie.id, sizeof(session->cookie.id), session->key);
	session->cookie.created_s = now_s;
	session->cookie.seen_s = now_s;
	session->cookie.reauth_s = now_s;
	return ref_of(s, session);
}

/* The session whose cookie this is, as it was found good before; NULL: it has to be opened. */
static struct session *find_good(struct sessions *s, const char *text)
{
	char given[COOKIE_TEXT_BYTES] = {0};
	size_t n = strlen(text);
	uint64_t head, other;

	if (n < sizeof(head) + 2 || n >= sizeof(given))
		return NULL;
	memcpy(given, text, n);
	memcpy(&head, given + 2, sizeof(head)); /* of the id: behind the version */
	for (size_t i = 0; i < LIMIT_SESSIONS; i++) {
		struct session *session = &s->table[i];

		if (!session->in_use)
			continue;
		memcpy(&other, session->good_text + 2, sizeof(other));
		if (head == other && crypto_equal(given, session->good_text, n + 1))
			return session;
	}
	return NULL;
}

int sessions_open(struct sessions *s, const char *text, uint64_t now_s, session_ref *ret_ref)
{
	struct cookie_session cookie;
	uint8_t key[SESSION_KEY_BYTES];
	struct session *session = find_good(s, text);
	int rc;

	*ret_ref = 0;
	if (session != NULL) {
		rc = cookie_check_time(&session->good, now_s);
		*ret_ref = rc == 0 ? ref_of(s, session) : 0;
		return rc;
	}
	rc = cookie_open_session(s->keys, text, now_s, &cookie);
	if (rc < 0)
		return rc;
	crypto_sha256(cookie.id, sizeof(cookie.id), key);
	if (sessions_key_is_revoked(s, key))
		return -EACCES;
	for (size_t i = 0; i < LIMIT_SESSIONS && session == NULL; i++) {
		struct session *other = &s->table[i];

		if (other->in_use && memcmp(other->cookie.id, cookie.id, COOKIE_ID_BYTES) == 0)
			session = other;
	}
	if (session == NULL) {
		session = slot_take(s);
		if (session == NULL)
			return -ENOBUFS;
		session->cookie = cookie;
		memcpy(session->key, key, sizeof(key));
	}
	/* The same session's newest cookie counts: answers may cross on the way to the browser. */
	session->cookie.seen_s = MAX(session->cookie.seen_s, cookie.seen_s);
	session->cookie.reauth_s = MAX(session->cookie.reauth_s, cookie.reauth_s);
	session->good = cookie;
	memset(session->good_text, 0, sizeof(session->good_text));
	memcpy(session->good_text, text, strnlen(text, sizeof(session->good_text) - 1));
	*ret_ref = ref_of(s, session);
	return 0;
}

bool sessions_get(const struct sessions *s, session_ref ref, struct cookie_session *ret_session)
{
	const struct session *session = find_const(s, ref);

	if (session == NULL)
		return false;
	*ret_session = session->cookie;
	return true;
}

bool sessions_needs_cookie(struct sessions *s, session_ref ref, uint64_t now_s)
{
	struct session *session = find(s, ref);

	if (session == NULL || now_s < session->cookie.seen_s + LIMIT_SESSION_REFRESH_S)
		return false;
	session->cookie.seen_s = now_s;
	return true;
}

void sessions_describe(
	struct sessions *s, session_ref ref, const char *address, const char *user_agent)
{
	struct session *session = find(s, ref);
	size_t n = 0;

	if (session == NULL)
		return;
	snprintf(session->address, sizeof(session->address), "%s", address);
	/* Printable ASCII, so that it can go into any document. */
	for (; *user_agent != '\0' && n + 1 < SESSION_AGENT_BYTES; user_agent++)
		session->user_agent[n++] =
			*user_agent >= ' ' && *user_agent <= '~' ? *user_agent : '?';
	session->user_agent[n] = '\0';
}

static void info_of(const struct session *session, struct session_info *info)
{
	memcpy(info->key, session->key, sizeof(info->key));
	info->created_s = session->cookie.created_s;
	info->seen_s = session->cookie.seen_s;
	memcpy(info->address, session->address, sizeof(info->address));
	memcpy(info->user_agent, session->user_agent, sizeof(info->user_agent));
}

bool sessions_info(const struct sessions *s, session_ref ref, struct session_info *ret_info)
{
	const struct session *session = find_const(s, ref);

	if (session != NULL)
		info_of(session, ret_info);
	return session != NULL;
}

session_ref sessions_find_key(const struct sessions *s, const uint8_t key[SESSION_KEY_BYTES])
{
	for (size_t i = 0; i < LIMIT_SESSIONS; i++) {
		if (s->table[i].in_use && memcmp(s->table[i].key, key, SESSION_KEY_BYTES) == 0)
			return ref_of(s, &s->table[i]);
	}
	return 0;
}

void sessions_each(const struct sessions *s, uint64_t now_s,
	void (*fn)(const struct session_info *info, void *arg), void *arg)
{
	for (size_t i = 0; i < LIMIT_SESSIONS; i++) {
		const struct session *session = &s->table[i];
		struct session_info info;

		if (!session->in_use || now_s > session->cookie.created_s + LIMIT_SESSION_AGE_S ||
			now_s > session->cookie.seen_s + LIMIT_SESSION_IDLE_S)
			continue;
		info_of(session, &info);
		fn(&info, arg);
	}
}

void sessions_set_reauth(struct sessions *s, session_ref ref, uint64_t now_s)
{
	struct session *session = find(s, ref);

	if (session != NULL)
		session->cookie.reauth_s = session->cookie.seen_s = now_s;
}

bool sessions_is_reauthed(const struct sessions *s, session_ref ref, uint64_t now_s)
{
	const struct session *session = find_const(s, ref);

	return session != NULL && session->cookie.reauth_s <= now_s &&
	       now_s - session->cookie.reauth_s <= LIMIT_REAUTH_S;
}

/* Frees the slot, then tells whoever was tied to it. */
static void session_end(struct sessions *s, struct session *session)
{
	struct list ties;

	list_move_all(&session->ties, &ties);
	s->n_ties -= session->n_ties;
	session->n_ties = 0;
	session->in_use = false;
	mem_wipe(session->good_text, sizeof(session->good_text));
	while (!list_empty(&ties)) {
		struct session_tie *tie = container_of(ties.next, struct session_tie, link);

		list_remove(&tie->link);
		tie->on_over(tie);
	}
}

int sessions_revoke(struct sessions *s, struct store *store, session_ref ref,
	void (*on_stored)(int err, void *arg), void *arg)
{
	const struct session *session = find_const(s, ref);
	uint8_t key[SESSION_KEY_BYTES];

	if (session == NULL)
		return -ENOENT;
	memcpy(key, session->key, sizeof(key));
	return sessions_revoke_key(
		s, store, key, session->cookie.created_s + LIMIT_SESSION_AGE_S + 1, on_stored, arg);
}

int sessions_revoke_key(struct sessions *s, struct store *store,
	const uint8_t key[SESSION_KEY_BYTES], uint64_t until_s,
	void (*on_stored)(int err, void *arg), void *arg)
{
	struct session *session = find(s, sessions_find_key(s, key));
	char hex[2 * SESSION_KEY_BYTES + 1], json[192];
	int n;

	hex_encode(key, SESSION_KEY_BYTES, hex);
	remember_revoked(s, key, until_s);
	if (session != NULL)
		session_end(s, session);
	n = snprintf(json, sizeof(json),
		"{\"event\":\"session.revoked\",\"key\":\"%s\",\"until_s\":%llu}", hex,
		(unsigned long long)until_s);
	return store_append(store, json, (size_t)n, on_stored, arg);
}

void sessions_end_all(struct sessions *s)
{
	for (size_t i = 0; i < LIMIT_SESSIONS; i++) {
		if (s->table[i].in_use)
			session_end(s, &s->table[i]);
	}
}

/* Some session has sockets: those of sessions that have become too old must go. */
static void on_sweep(uv_timer_t *timer)
{
	struct sessions *s = timer->data;
	uint64_t now_s = clock_wall_us() / CLOCK_SECOND_US;

	for (size_t i = 0; i < LIMIT_SESSIONS; i++) {
		struct session *session = &s->table[i];

		if (session->in_use && session->n_ties > 0 &&
			now_s > session->cookie.created_s + LIMIT_SESSION_AGE_S)
			session_end(s, session);
	}
	if (s->n_ties == 0)
		uv_timer_stop(timer);
}

int sessions_tie(struct sessions *s, session_ref ref, struct session_tie *tie)
{
	struct session *session = find(s, ref);

	if (session == NULL)
		return -ENOENT;
	if (session->n_ties == LIMIT_SOCKETS_PER_SESSION)
		return -ENOBUFS;
	list_append(&session->ties, &tie->link);
	session->n_ties++;
	if (s->n_ties++ == 0)
		uv_timer_start(&s->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
	return 0;
}

void sessions_untie(struct sessions *s, session_ref ref, struct session_tie *tie)
{
	struct session *session = find(s, ref);

	if (session == NULL || list_empty(&tie->link))
		return; /* it ended first, and took the tie off */
	list_remove(&tie->link);
	assert(session->n_ties > 0);
	session->n_ties--;
	s->n_ties--;
}
