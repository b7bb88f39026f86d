/*
 * Sessions as people see them: the table in memory says what this daemon has seen since its start,
 * ops.sessions what was seen before and by other dashboards. A session is named by the beginning of
 * the SHA-256 of its id, so that the list gives nobody a cookie.
 *
 * A revocation holds at once and without the database (sessions.h, STATE_DIR); the database carries
 * it to other dashboards, which hear of it through the channel or when they connect.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/auth/access.h"
#include "core/app/http.h"
#include "core/app/limits.h"
#include "core/app/server.h"
#include "core/base/clock.h"
#include "core/base/hex.h"
#include "core/base/log.h"

#define US(seconds) ((uint64_t)(seconds)*CLOCK_SECOND_US)

#define SEEN_SQL                                                                                   \
	"INSERT INTO ops.sessions (id, user_name, created_us, seen_us, expires_us, address,"       \
	" user_agent) VALUES ($1, $2, $3, $4, $5, $6, $7)"                                         \
	" ON CONFLICT (id) DO UPDATE SET seen_us = greatest(sessions.seen_us, EXCLUDED.seen_us),"  \
	" address = EXCLUDED.address, user_agent = EXCLUDED.user_agent"
#define OLD_SQL "DELETE FROM ops.sessions WHERE expires_us < $1"
#define LIST_SQL                                                                                   \
	"SELECT id, created_us, seen_us, expires_us, address, user_agent FROM ops.sessions"        \
	" WHERE revoked_us IS NULL AND expires_us > $1 AND seen_us > $2"                           \
	" ORDER BY seen_us DESC LIMIT $3"
#define REVOKE_SQL                                                                                 \
	"UPDATE ops.sessions SET revoked_us = $2 WHERE id = $1 AND revoked_us IS NULL"             \
	" RETURNING expires_us"
/* Of one that this daemon knows: its row may still be on its way. */
#define REVOKE_KNOWN_SQL                                                                           \
	"INSERT INTO ops.sessions (id, user_name, created_us, seen_us, expires_us, address,"       \
	" user_agent, revoked_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"                         \
	" ON CONFLICT (id) DO UPDATE SET"                                                          \
	" revoked_us = coalesce(sessions.revoked_us, EXCLUDED.revoked_us)"
#define NOTIFY_SQL "SELECT pg_catalog.pg_notify('" CHANNEL_NAME "', '" ACCESS_SESSIONS_NOTIFY "')"
#define REVOKED_SQL                                                                                \
	"SELECT id, expires_us FROM ops.sessions WHERE revoked_us IS NOT NULL"                     \
	" AND expires_us > $1 ORDER BY expires_us DESC LIMIT $2"

void access_session_seen(struct server *server, session_ref ref)
{
	struct session_info info;

	if (!sessions_info(server->sessions, ref, &info))
		return;
	const struct pg_param params[] = {
		pg_bytes(info.key, SESSION_KEY_BYTES),
		pg_text(server->cfg->auth_user),
		pg_u64(US(info.created_s)),
		pg_u64(US(info.seen_s)),
		pg_u64(US(info.created_s + LIMIT_SESSION_AGE_S)),
		pg_text(info.address),
		pg_text(info.user_agent),
	};
	const struct pg_param old = pg_u64(clock_wall_us());
	struct pg_batch *batch = pg_batch_one(SEEN_SQL, params, ARRAY_LEN(params));

	pg_batch_add(batch, OLD_SQL, &old, 1);
	/* Without it a restart forgets where this session is from; nothing depends on it. */
	pool_run(server->pool, batch, POOL_IDEMPOTENT | POOL_BACKGROUND, 0, NULL, NULL);
}

static struct pg_batch *revoke_batch(const uint8_t key[SESSION_KEY_BYTES])
{
	const struct pg_param params[] = {
		pg_bytes(key, SESSION_KEY_BYTES), pg_u64(clock_wall_us())};
	struct pg_batch *batch = pg_batch_one(REVOKE_SQL, params, ARRAY_LEN(params));

	pg_batch_add(batch, NOTIFY_SQL, NULL, 0);
	return batch;
}

void access_session_revoked(struct server *server, const struct session_info *info)
{
	const struct pg_param params[] = {
		pg_bytes(info->key, SESSION_KEY_BYTES),
		pg_text(server->cfg->auth_user),
		pg_u64(US(info->created_s)),
		pg_u64(US(info->seen_s)),
		pg_u64(US(info->created_s + LIMIT_SESSION_AGE_S)),
		pg_text(info->address),
		pg_text(info->user_agent),
		pg_u64(clock_wall_us()),
	};
	struct pg_batch *batch = pg_batch_one(REVOKE_KNOWN_SQL, params, ARRAY_LEN(params));

	pg_batch_add(batch, NOTIFY_SQL, NULL, 0);
	pool_run(server->pool, batch, POOL_IDEMPOTENT, 0, NULL, NULL);
}

/* What the database knows to be revoked. */
static void on_revoked_list(const struct pg_reply *reply, void *arg)
{
	struct server *server = arg;

	for (size_t i = 0; reply->err == 0 && i < pg_rows(reply->results[0]); i++) {
		struct pg_bytes_view key = pg_get_bytes(reply->results[0], i, 0);
		uint64_t until_s =
			(uint64_t)pg_get_i64(reply->results[0], i, 1) / CLOCK_SECOND_US + 1;
		int rc;

		if (key.len != SESSION_KEY_BYTES ||
			sessions_key_is_revoked(server->sessions, key.data))
			continue;
		rc = sessions_revoke_key(
			server->sessions, server->store, key.data, until_s, NULL, NULL);
		if (rc < 0)
			log_error(LOG_EV("store.append_failed"), LOG_STR("what", "session.revoked"),
				LOG_STR("reason", strerror(-rc)));
	}
}

void access_sessions_load(struct server *server)
{
	const struct pg_param params[] = {pg_u64(clock_wall_us()), pg_i64(LIMIT_REVOKED / 2)};

	pool_run(server->pool, pg_batch_one(REVOKED_SQL, params, ARRAY_LEN(params)),
		POOL_IDEMPOTENT, 0, on_revoked_list, server);
}

/* ---- the list ---- */

static void put_session(struct json *json, const struct session_info *info, bool current)
{
	char id[2 * SESSION_KEY_BYTES + 1];

	hex_encode(info->key, SESSION_KEY_BYTES, id);
	json_open_object(json);
	json_kv_str(json, "id", id);
	json_kv_bool(json, "current", current);
	json_kv_uint(json, "created_us", US(info->created_s));
	json_kv_uint(json, "seen_us", US(info->seen_s));
	json_kv_uint(json, "expires_us",
		US(MIN(info->seen_s + LIMIT_SESSION_IDLE_S,
			info->created_s + LIMIT_SESSION_AGE_S)));
	json_kv_str(json, "address", info->address);
	json_kv_str(json, "user_agent", info->user_agent);
	json_close_object(json);
}

struct listing {
	struct json json;
	const uint8_t *current; /* the key of the session that asks, or NULL */
};

static void on_each(const struct session_info *info, void *arg)
{
	struct listing *listing = arg;

	put_session(&listing->json, info,
		listing->current != NULL &&
			memcmp(listing->current, info->key, SESSION_KEY_BYTES) == 0);
}

static void copy_text(char *out, size_t cap, struct pg_bytes_view text)
{
	snprintf(out, cap, "%.*s", (int)text.len, (const char *)text.data);
}

/* Those that only the database knows. */
static void put_stored(struct server *server, const struct pg_result *rows, struct json *json)
{
	for (size_t i = 0; i < pg_rows(rows); i++) {
		struct pg_bytes_view key = pg_get_bytes(rows, i, 0);
		struct session_info info = {
			.created_s = (uint64_t)pg_get_i64(rows, i, 1) / CLOCK_SECOND_US,
			.seen_s = (uint64_t)pg_get_i64(rows, i, 2) / CLOCK_SECOND_US,
		};

		if (key.len != SESSION_KEY_BYTES ||
			sessions_key_is_revoked(server->sessions, key.data) ||
			sessions_find_key(server->sessions, key.data) != 0)
			continue;
		memcpy(info.key, key.data, SESSION_KEY_BYTES);
		copy_text(info.address, sizeof(info.address), pg_get_text(rows, i, 4));
		copy_text(info.user_agent, sizeof(info.user_agent), pg_get_text(rows, i, 5));
		put_session(json, &info, false);
	}
}

static void on_stored_list(const struct pg_reply *reply, void *arg)
{
	struct request *req = arg;
	struct server *server = server_of(req);
	struct listing listing = {0};
	struct session_info own;
	struct buf body;

	if (sessions_info(server->sessions, session_of(req), &own))
		listing.current = own.key;
	buf_init(&body, HTTP_MAX_DOCUMENT);
	json_init(&listing.json, &body);
	json_open_object(&listing.json);
	json_key(&listing.json, "sessions");
	json_open_array(&listing.json);
	sessions_each(server->sessions, clock_wall_us() / CLOCK_SECOND_US, on_each, &listing);
	if (reply->err == 0)
		put_stored(server, reply->results[0], &listing.json);
	json_close_array(&listing.json);
	json_close_object(&listing.json);
	response_json(req, 200, &body);
	buf_fini(&body);
}

void access_sessions_list(struct request *req)
{
	uint64_t now_us = clock_wall_us();
	const struct pg_param params[] = {
		pg_u64(now_us), pg_u64(now_us - US(LIMIT_SESSION_IDLE_S)), pg_i64(LIMIT_SESSIONS)};

	/* With the database away: those that this daemon has seen. */
	pool_run(server_of(req)->pool, pg_batch_one(LIST_SQL, params, ARRAY_LEN(params)),
		POOL_IDEMPOTENT, 2000, on_stored_list, req);
}

/* ---- revoking ---- */

/* It is on the disk, or could not be written (it holds until a restart then). */
static void on_kept(int err, void *arg)
{
	struct request *req = arg;

	if (err < 0)
		response_problem(req, 500, "not_stored",
			"The session is ended, but a restart of the dashboard would forget that: "
			"its state directory cannot be written.");
	else
		response_empty(req, 204);
}

static void revoke_here(struct request *req, const uint8_t key[SESSION_KEY_BYTES], uint64_t until_s)
{
	struct server *server = server_of(req);
	int rc = sessions_revoke_key(server->sessions, server->store, key, until_s, on_kept, req);

	if (rc < 0)
		on_kept(rc, req);
}

/* One that only the database may know. */
static void on_stored_revoked(const struct pg_reply *reply, void *arg)
{
	struct request *req = arg;
	uint8_t key[SESSION_KEY_BYTES];
	const char *text = request_param(req, "session");

	if (reply->err != 0) {
		response_problem(req, 503, "database_unavailable",
			"This daemon has not seen such a session, and the database cannot be "
			"asked.");
	} else if (pg_rows(reply->results[0]) == 0 ||
		   hex_decode(text, strlen(text), key, sizeof(key)) != 0) {
		response_problem(req, 404, "not_found", "There is no such session.");
	} else {
		revoke_here(req, key,
			(uint64_t)pg_get_i64(reply->results[0], 0, 0) / CLOCK_SECOND_US + 1);
	}
}

void access_sessions_revoke(struct request *req)
{
	struct server *server = server_of(req);
	const char *text = request_param(req, "session");
	uint8_t key[SESSION_KEY_BYTES];
	struct session_info info;

	caller_note(req, "session.revoke", text, NULL);
	if (hex_decode(text, strlen(text), key, sizeof(key)) != 0) {
		response_problem(req, 404, "not_found", "There is no such session.");
	} else if (sessions_info(
			   server->sessions, sessions_find_key(server->sessions, key), &info)) {
		access_session_revoked(server, &info);
		revoke_here(req, key, info.created_s + LIMIT_SESSION_AGE_S + 1);
	} else {
		pool_run(server->pool, revoke_batch(key), 0, 0, on_stored_revoked, req);
	}
}
