/*
 * API tokens: `opsd_` and 64 hex digits, of which only the SHA-256 is kept, in ops.api_tokens. The
 * tokens that are neither revoked nor over are held in memory, so that each request is judged at
 * once and tokens go on working while PostgreSQL is away. Another dashboard's change is heard of
 * through the channel.
 *
 * Scopes: `read`; `run` (starts and cancels anything, and reads); `run:ID` (starts that command or
 * flow); `admin` (all of these, and access itself). What is `danger: high` needs its own `run:ID`,
 * whatever else a token has.
 */
#ifndef OPS_CORE_APP_AUTH_TOKENS_H
#define OPS_CORE_APP_AUTH_TOKENS_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/app/auth/sessions.h"
#include "core/base/json.h"
#include "core/base/uuid.h"
#include "core/db/channel.h"
#include "core/db/pool.h"

#define TOKEN_MAX 256 /* not revoked */
#define TOKEN_NAME_BYTES 64
#define TOKEN_SCOPES_BYTES 512 /* of one token, joined by spaces */
#define TOKEN_TEXT_BYTES 70    /* opsd_, 64 digits, NUL */
#define TOKEN_TOUCH_S 60       /* how stale "last used" may be in the database */
#define TOKEN_NOTIFY "tokens"

struct tokens;
typedef uint64_t token_ref; /* slot and generation; 0: none. Harmless when the token has gone */

struct tokens *tokens_open(uv_loop_t *loop, struct pool *pool, struct channel *channel);
/* Before channel and pool. */
void tokens_close(struct tokens *tokens, void (*on_closed)(void *arg), void *arg);

/* The token of this text. 0; -EACCES: none, or revoked; -ETIME: its time is over; -EAGAIN: they
 * could not be read from the database yet. */
MUSTCHECK int tokens_find(
	struct tokens *tokens, const char *text, uint64_t now_us, token_ref *ret_ref);
/* Notes that it was used. */
void tokens_touch(struct tokens *tokens, token_ref ref, const char *address, uint64_t now_us);
/* NULL when it has gone. */
const char *tokens_name(const struct tokens *tokens, token_ref ref);

enum token_right {
	TOKEN_READ,
	TOKEN_START, /* something: which, is asked with the id */
	TOKEN_RUN,
	TOKEN_ADMIN,
};
bool tokens_may(const struct tokens *tokens, token_ref ref, enum token_right right);
/* Whether it may start this id. */
bool tokens_may_start(const struct tokens *tokens, token_ref ref, const char *id, bool dangerous);
/* The pure part: scopes joined by spaces. */
bool tokens_scopes_allow(const char *scopes, enum token_right right);
bool tokens_scopes_allow_start(const char *scopes, const char *id, bool dangerous);

/* As sessions_tie(): on_over comes when the token is revoked or over. */
MUSTCHECK int tokens_tie(struct tokens *tokens, token_ref ref, struct session_tie *tie);
void tokens_untie(struct tokens *tokens, token_ref ref, struct session_tie *tie);

/* Writes the JSON array of all. */
void tokens_write(const struct tokens *tokens, struct json *json);

struct token_new {
	const char *name, *scopes, *created_by;
	uint64_t expires_us; /* 0: never */
};
/* err 0, -EEXIST (the name is in use), -ENOSPC, or an error of struct pg_reply. The text is shown
 * once and wiped. */
typedef void (*token_made_fn)(int err, const struct uuid *id, const char *text, void *arg);
void tokens_create(
	struct tokens *tokens, const struct token_new *token, token_made_fn cb, void *arg);
/* err 0, -ENOENT, or an error of struct pg_reply. */
void tokens_revoke(
	struct tokens *tokens, const struct uuid *id, void (*cb)(int err, void *arg), void *arg);
/* Writes one. False when it has gone. */
bool tokens_write_one(const struct tokens *tokens, const struct uuid *id, struct json *json);

#endif
