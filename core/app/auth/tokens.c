/*
 * Owns: the table of tokens, one timer (expiry and "last used"), and the calls to the pool that are
 * out.
 *
 * Happy path: the pool is ready → LOAD → the table. A change here or (by notification) elsewhere →
 * LOAD again; tokens that are gone then take their sockets with them.
 *
 * Failure modes: the database is away: the table stays as it was; tokens cannot be made or revoked,
 * which the caller is told. Closing: calls that are out are forgotten by the pool's own end.
 *
 * Over 500 lines: the table and its way to PostgreSQL and back change together.
 */
#include "core/app/auth/tokens.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/limits.h"
#include "core/base/clock.h"
#include "core/base/crypto.h"
#include "core/base/hex.h"

#define PREFIX "opsd_"
#define SECRET_BYTES 32
#define SWEEP_MS 5000

struct token {
	bool in_use, fresh; /* made while a LOAD was out, which may have been read before */
	uint32_t generation;
	struct uuid id;
	uint8_t hash[CRYPTO_SHA256_BYTES];
	char name[TOKEN_NAME_BYTES + 1], scopes[TOKEN_SCOPES_BYTES];
	uint64_t created_us, expires_us, used_us, stored_us; /* 0: never */
	char address[48];				     /* of its last use */
	struct list ties;				     /* session_tie.link */
	unsigned n_ties;
};

struct tokens {
	struct pool *pool;
	struct pool_watch pool_watch;
	struct channel_watch channel_watch;
	struct token table[TOKEN_MAX];
	bool loaded, again;
	struct pool_call *load;
	enum pool_state seen;
	uv_timer_t sweep;
	unsigned n_making; /* calls to the pool that come back here, also when it is closed */
	bool closed;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

/* ---- scopes ---- */

static bool has_scope(const char *scopes, const char *scope, size_t len)
{
	for (const char *at = scopes; *at != '\0';) {
		size_t n = strcspn(at, " ");
		if (n == len && memcmp(at, scope, len) == 0)
			return true;
		at += n;
		at += strspn(at, " ");
	}
	return false;
}

static bool has(const char *scopes, const char *scope)
{
	return has_scope(scopes, scope, strlen(scope));
}

bool tokens_scopes_allow(const char *scopes, enum token_right right)
{
	bool admin = has(scopes, "admin"), run = admin || has(scopes, "run");

	switch (right) {
	case TOKEN_READ:
		return run || has(scopes, "read");
	case TOKEN_START:
		return run || strncmp(scopes, "run:", 4) == 0 || strstr(scopes, " run:") != NULL;
	case TOKEN_RUN:
		return run;
	case TOKEN_ADMIN:
		return admin;
	}
	return false;
}

bool tokens_scopes_allow_start(const char *scopes, const char *id, bool dangerous)
{
	char scope[TOKEN_SCOPES_BYTES];
	int n = snprintf(scope, sizeof(scope), "run:%s", id);

	if (n > 0 && (size_t)n < sizeof(scope) && has_scope(scopes, scope, (size_t)n))
		return true;
	return !dangerous && tokens_scopes_allow(scopes, TOKEN_RUN);
}

/* ---- the table ---- */

static struct token *find(const struct tokens *t, token_ref ref)
{
	size_t slot = (uint32_t)ref;

	if (slot == 0 || slot > TOKEN_MAX || !t->table[slot - 1].in_use ||
		t->table[slot - 1].generation != ref >> 32)
		return NULL;
	return (struct token *)(uintptr_t)&t->table[slot - 1];
}

static bool is_over(const struct token *token, uint64_t now_us)
{
	return token->expires_us != 0 && token->expires_us <= now_us;
}

int tokens_find(struct tokens *t, const char *text, uint64_t now_us, token_ref *ret_ref)
{
	uint8_t hash[CRYPTO_SHA256_BYTES];
	struct token *found = NULL;

	crypto_sha256(text, strlen(text), hash);
	for (size_t i = 0; i < TOKEN_MAX; i++) {
		if (t->table[i].in_use && crypto_equal(t->table[i].hash, hash, sizeof(hash)))
			found = &t->table[i];
	}
	if (found == NULL)
		return t->loaded || strncmp(text, PREFIX, sizeof(PREFIX) - 1) != 0 ? -EACCES
										   : -EAGAIN;
	if (is_over(found, now_us))
		return -ETIME;
	*ret_ref = (uint64_t)found->generation << 32 | (uint64_t)(found - t->table + 1);
	return 0;
}

void tokens_touch(struct tokens *t, token_ref ref, const char *address, uint64_t now_us)
{
	struct token *token = find(t, ref);

	if (token == NULL)
		return;
	token->used_us = now_us;
	snprintf(token->address, sizeof(token->address), "%s", address);
}

const char *tokens_name(const struct tokens *t, token_ref ref)
{
	const struct token *token = find(t, ref);
	return token != NULL ? token->name : NULL;
}

bool tokens_may(const struct tokens *t, token_ref ref, enum token_right right)
{
	const struct token *token = find(t, ref);
	return token != NULL && tokens_scopes_allow(token->scopes, right);
}

bool tokens_may_start(const struct tokens *t, token_ref ref, const char *id, bool dangerous)
{
	const struct token *token = find(t, ref);
	return token != NULL && tokens_scopes_allow_start(token->scopes, id, dangerous);
}

static void token_end_ties(struct token *token)
{
	struct list ties;

	list_move_all(&token->ties, &ties);
	token->n_ties = 0;
	while (!list_empty(&ties)) {
		struct session_tie *tie = container_of(ties.next, struct session_tie, link);
		list_remove(&tie->link);
		tie->on_over(tie);
	}
}

static void token_drop(struct token *token)
{
	token->in_use = false;
	token->generation++;
	token_end_ties(token);
}

int tokens_tie(struct tokens *t, token_ref ref, struct session_tie *tie)
{
	struct token *token = find(t, ref);

	if (token == NULL)
		return -ENOENT;
	if (token->n_ties == LIMIT_SOCKETS_PER_SESSION)
		return -ENOBUFS;
	list_append(&token->ties, &tie->link);
	token->n_ties++;
	return 0;
}

void tokens_untie(struct tokens *t, token_ref ref, struct session_tie *tie)
{
	struct token *token = find(t, ref);

	if (list_empty(&tie->link))
		return; /* it ended first, and took the tie off */
	list_remove(&tie->link);
	if (token != NULL)
		token->n_ties--;
}

/* ---- LOAD ---- */

#define LOAD_SQL                                                                                   \
	"SELECT id, name, hash, array_to_string(scopes, ' '), created_us, coalesce(expires_us, "   \
	"0),"                                                                                      \
	" coalesce(last_used_us, 0), last_used_address FROM ops.api_tokens"                        \
	" WHERE revoked_us IS NULL ORDER BY created_us LIMIT $1"

static void tokens_load(struct tokens *t);

static void copy_text(char *out, size_t cap, struct pg_bytes_view text)
{
	snprintf(out, cap, "%.*s", (int)text.len, (const char *)text.data);
}

static struct token *slot_for(struct tokens *t, const struct uuid *id)
{
	struct token *free_slot = NULL;

	for (size_t i = 0; i < TOKEN_MAX; i++) {
		struct token *token = &t->table[i];
		if (token->in_use && memcmp(&token->id, id, sizeof(*id)) == 0)
			return token;
		if (!token->in_use && free_slot == NULL)
			free_slot = token;
	}
	return free_slot;
}

static void take_row(struct tokens *t, const struct pg_result *rows, size_t i)
{
	struct uuid id = pg_get_uuid(rows, i, 0);
	struct pg_bytes_view hash = pg_get_bytes(rows, i, 2), scopes = pg_get_text(rows, i, 3);
	struct token *token = slot_for(t, &id);

	/* What does not fit cannot have come from here; half of its scopes would be a guess. */
	if (token == NULL || hash.len != sizeof(token->hash) || scopes.len >= sizeof(token->scopes))
		return;
	if (!token->in_use) {
		token->in_use = true;
		token->generation++;
		token->id = id;
		list_init(&token->ties); /* slots never used are not touched: they cost no memory */
		token->used_us = token->stored_us = (uint64_t)pg_get_i64(rows, i, 6);
		copy_text(token->address, sizeof(token->address), pg_get_text(rows, i, 7));
	}
	memcpy(token->hash, hash.data, sizeof(token->hash));
	copy_text(token->name, sizeof(token->name), pg_get_text(rows, i, 1));
	copy_text(token->scopes, sizeof(token->scopes), scopes);
	token->created_us = (uint64_t)pg_get_i64(rows, i, 4);
	token->expires_us = (uint64_t)pg_get_i64(rows, i, 5);
	token->used_us = MAX(token->used_us, (uint64_t)pg_get_i64(rows, i, 6));
}

static bool is_among(const struct token *token, const struct pg_result *rows)
{
	for (size_t i = 0; i < pg_rows(rows); i++) {
		struct uuid id = pg_get_uuid(rows, i, 0);
		if (memcmp(&id, &token->id, sizeof(id)) == 0)
			return true;
	}
	return false;
}

static void on_loaded(const struct pg_reply *reply, void *arg)
{
	struct tokens *t = arg;

	t->load = NULL;
	if (reply->err == 0) {
		t->loaded = true;
		for (size_t i = 0; i < TOKEN_MAX; i++) {
			if (t->table[i].in_use && !t->table[i].fresh &&
				!is_among(&t->table[i], reply->results[0]))
				token_drop(&t->table[i]);
		}
		for (size_t i = 0; i < pg_rows(reply->results[0]); i++)
			take_row(t, reply->results[0], i);
	}
	/* The next one begins after they were made. Slots never used are not touched. */
	for (size_t i = 0; i < TOKEN_MAX; i++) {
		if (t->table[i].fresh)
			t->table[i].fresh = false;
	}
	if (t->again)
		tokens_load(t);
}

static void tokens_load(struct tokens *t)
{
	const struct pg_param max = pg_i64(TOKEN_MAX);

	t->again = t->load != NULL;
	if (!t->again)
		t->load = pool_run(
			t->pool, pg_batch_one(LOAD_SQL, &max, 1), POOL_IDEMPOTENT, 0, on_loaded, t);
}

static void on_pool_state(struct pool_watch *watch, const struct pool_info *info)
{
	struct tokens *t = container_of(watch, struct tokens, pool_watch);
	bool came = info->state == POOL_READY && t->seen != POOL_READY;

	t->seen = info->state;
	if (came)
		tokens_load(t);
}

static void on_notify(struct channel_watch *watch, const char *text)
{
	if (strcmp(text, TOKEN_NOTIFY) == 0)
		tokens_load(container_of(watch, struct tokens, channel_watch));
}

static void on_channel_up(struct channel_watch *watch)
{
	tokens_load(container_of(watch, struct tokens, channel_watch));
}

/* ---- time ---- */

#define TOUCH_SQL                                                                                  \
	"UPDATE ops.api_tokens SET last_used_us = greatest(last_used_us, $2),"                     \
	" last_used_address = $3 WHERE id = $1"

/* Tokens whose time is over lose their sockets; uses are noted in the database. */
static void on_sweep(uv_timer_t *timer)
{
	struct tokens *t = timer->data;
	uint64_t now_us = clock_wall_us();

	for (size_t i = 0; i < TOKEN_MAX; i++) {
		struct token *token = &t->table[i];
		if (token->in_use && is_over(token, now_us))
			token_end_ties(token);
		if (!token->in_use || t->seen != POOL_READY ||
			token->used_us < token->stored_us + TOKEN_TOUCH_S * CLOCK_SECOND_US)
			continue;
		const struct pg_param params[] = {
			pg_uuid(&token->id), pg_u64(token->used_us), pg_text(token->address)};
		token->stored_us = token->used_us;
		pool_run(t->pool, pg_batch_one(TOUCH_SQL, params, ARRAY_LEN(params)),
			POOL_IDEMPOTENT | POOL_BACKGROUND, 0, NULL, NULL);
	}
}

/* ---- making and revoking ---- */

#define NOTIFY_SQL "SELECT pg_catalog.pg_notify('" CHANNEL_NAME "', '" TOKEN_NOTIFY "')"
#define CREATE_SQL                                                                                 \
	"INSERT INTO ops.api_tokens (id, name, hash, prefix, scopes, created_by, created_us,"      \
	" expires_us) SELECT $1, $2, $3, $4, string_to_array($5, ' '), $6, $7, nullif($8, 0)"      \
	" WHERE (SELECT count(*) FROM ops.api_tokens WHERE revoked_us IS NULL) < $9"
#define REVOKE_SQL "UPDATE ops.api_tokens SET revoked_us = $2 WHERE id = $1 AND revoked_us IS NULL"

struct making {
	struct tokens *tokens;
	struct uuid id;
	char text[TOKEN_TEXT_BYTES];
	struct token entry; /* what the table will say */
	token_made_fn made;
	void (*revoked)(int err, void *arg);
	void *arg;
};

static void making_free(struct making *m)
{
	struct tokens *t = m->tokens;

	mem_wipe(m, sizeof(*m));
	free(m);
	if (--t->n_making == 0 && t->closed)
		free(t);
}

static void on_created(const struct pg_reply *reply, void *arg)
{
	struct making *m = arg;
	int err = reply->err;

	if (err == -EREMOTEIO && strcmp(reply->sqlstate, "23505") == 0)
		err = -EEXIST;
	if (err == 0 && pg_affected(reply->results[0]) == 0)
		err = -ENOSPC;
	if (err == 0) {
		/* Good at once: the answer may be used before the table is read again. */
		struct token *token = slot_for(m->tokens, &m->id);
		if (token != NULL && !token->in_use) {
			m->entry.generation = token->generation + 1;
			*token = m->entry;
			list_init(&token->ties);
			token->fresh = m->tokens->load != NULL;
			m->tokens->again |= token->fresh;
		}
	}
	m->made(err, &m->id, m->text, m->arg);
	making_free(m);
}

void tokens_create(struct tokens *t, const struct token_new *token, token_made_fn cb, void *arg)
{
	struct making *m = xcalloc(1, sizeof(*m));
	uint8_t secret[SECRET_BYTES];
	char prefix[sizeof(PREFIX) + 4];

	m->tokens = t;
	t->n_making++;
	m->made = cb;
	m->arg = arg;
	uuid_v7(&m->id);
	crypto_random(secret, sizeof(secret));
	memcpy(m->text, PREFIX, sizeof(PREFIX));
	hex_encode(secret, sizeof(secret), m->text + sizeof(PREFIX) - 1);
	mem_wipe(secret, sizeof(secret));
	snprintf(prefix, sizeof(prefix), "%.9s", m->text);
	m->entry = (struct token){.in_use = true,
		.id = m->id,
		.created_us = clock_wall_us(),
		.expires_us = token->expires_us};
	crypto_sha256(m->text, strlen(m->text), m->entry.hash);
	snprintf(m->entry.name, sizeof(m->entry.name), "%s", token->name);
	snprintf(m->entry.scopes, sizeof(m->entry.scopes), "%s", token->scopes);
	const struct pg_param params[] = {
		pg_uuid(&m->id),
		pg_text(token->name),
		pg_bytes(m->entry.hash, sizeof(m->entry.hash)),
		pg_text(prefix),
		pg_text(token->scopes),
		pg_text(token->created_by),
		pg_u64(m->entry.created_us),
		pg_u64(token->expires_us),
		pg_i64(TOKEN_MAX),
	};
	struct pg_batch *batch = pg_batch_one(CREATE_SQL, params, ARRAY_LEN(params));
	pg_batch_add(batch, NOTIFY_SQL, NULL, 0);
	pool_run(t->pool, batch, 0, 0, on_created, m);
}

static void on_revoked(const struct pg_reply *reply, void *arg)
{
	struct making *m = arg;
	int err = reply->err == 0 && pg_affected(reply->results[0]) == 0 ? -ENOENT : reply->err;
	struct token *token = err == 0 ? slot_for(m->tokens, &m->id) : NULL;

	if (token != NULL && token->in_use)
		token_drop(token);
	/* A LOAD that is out may have been read before this, and would bring it back. */
	if (err == 0 && m->tokens->load != NULL)
		m->tokens->again = true;
	m->revoked(err, m->arg);
	making_free(m);
}

void tokens_revoke(
	struct tokens *t, const struct uuid *id, void (*cb)(int err, void *arg), void *arg)
{
	struct making *m = xcalloc(1, sizeof(*m));
	const struct pg_param params[] = {pg_uuid(id), pg_u64(clock_wall_us())};
	struct pg_batch *batch = pg_batch_one(REVOKE_SQL, params, ARRAY_LEN(params));

	m->tokens = t;
	t->n_making++;
	m->id = *id;
	m->revoked = cb;
	m->arg = arg;
	pg_batch_add(batch, NOTIFY_SQL, NULL, 0);
	pool_run(t->pool, batch, 0, 0, on_revoked, m);
}

/* ---- documents ---- */

static void put_time(struct json *json, const char *key, uint64_t us)
{
	if (us == 0)
		json_kv_null(json, key);
	else
		json_kv_uint(json, key, us);
}

static void put_token(const struct token *token, struct json *json)
{
	char id[UUID_TEXT_BYTES], scope[TOKEN_SCOPES_BYTES];

	uuid_format(&token->id, id);
	json_open_object(json);
	json_kv_str(json, "id", id);
	json_kv_str(json, "name", token->name);
	json_key(json, "scopes");
	json_open_array(json);
	for (const char *at = token->scopes; *at != '\0';) {
		size_t n = strcspn(at, " ");
		snprintf(scope, sizeof(scope), "%.*s", (int)n, at);
		json_str(json, scope);
		at += n;
		at += strspn(at, " ");
	}
	json_close_array(json);
	json_kv_uint(json, "created_us", token->created_us);
	put_time(json, "expires_us", token->expires_us);
	put_time(json, "last_used_us", token->used_us);
	json_close_object(json);
}

void tokens_write(const struct tokens *t, struct json *json)
{
	json_open_array(json);
	for (size_t i = 0; i < TOKEN_MAX; i++) {
		if (t->table[i].in_use)
			put_token(&t->table[i], json);
	}
	json_close_array(json);
}

bool tokens_write_one(const struct tokens *t, const struct uuid *id, struct json *json)
{
	for (size_t i = 0; i < TOKEN_MAX; i++) {
		if (t->table[i].in_use && memcmp(&t->table[i].id, id, sizeof(*id)) == 0) {
			put_token(&t->table[i], json);
			return true;
		}
	}
	return false;
}

/* ---- birth and death ---- */

struct tokens *tokens_open(uv_loop_t *loop, struct pool *pool, struct channel *channel)
{
	struct tokens *t = xcalloc(1, sizeof(*t));

	t->pool = pool;
	t->seen = POOL_CONNECTING;
	t->pool_watch.on_state = on_pool_state;
	pool_watch_add(pool, &t->pool_watch);
	t->channel_watch.on_notify = on_notify;
	t->channel_watch.on_up = on_channel_up;
	channel_watch_add(channel, &t->channel_watch);
	uv_timer_init(loop, &t->sweep);
	t->sweep.data = t;
	uv_timer_start(&t->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
	return t;
}

static void on_sweep_closed(uv_handle_t *handle)
{
	struct tokens *t = handle->data;
	void (*on_closed)(void *arg) = t->on_closed;
	void *arg = t->closed_arg;

	t->closed = true;
	if (t->n_making == 0)
		free(t);
	on_closed(arg);
}

void tokens_close(struct tokens *t, void (*on_closed)(void *arg), void *arg)
{
	assert(t->on_closed == NULL);
	t->on_closed = on_closed;
	t->closed_arg = arg;
	pool_watch_remove(&t->pool_watch);
	channel_watch_remove(&t->channel_watch);
	pool_call_forget(t->load);
	t->load = NULL;
	uv_close((uv_handle_t *)&t->sweep, on_sweep_closed);
}
