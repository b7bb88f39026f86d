#include "core/app/auth/access.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/app/auth/totp.h"
#include "core/app/http.h"
#include "core/app/server.h"
#include "core/base/clock.h"
#include "core/base/log.h"

static const char database_away[] = "This is kept in the database, which cannot be reached now.";

/* ---- tokens ---- */

void access_tokens_list(struct request *req)
{
	struct json json;
	struct buf body;

	buf_init(&body, HTTP_MAX_DOCUMENT);
	json_init(&json, &body);
	json_open_object(&json);
	json_key(&json, "tokens");
	tokens_write(server_of(req)->tokens, &json);
	json_close_object(&json);
	response_json(req, 200, &body);
	buf_fini(&body);
}

/* A name goes into actors, logs and the journal. */
static bool name_is_good(const char *name)
{
	static const char good[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t n = name != NULL ? strlen(name) : 0;

	return n > 0 && n <= TOKEN_NAME_BYTES && strspn(name, good) == n;
}

static bool scope_is_good(const char *scope)
{
	if (scope == NULL)
		return false;
	if (strcmp(scope, "read") == 0 || strcmp(scope, "run") == 0 || strcmp(scope, "admin") == 0)
		return true;
	if (strncmp(scope, "run:", 4) != 0 || scope[4] == '\0')
		return false;
	for (const char *at = scope + 4; *at != '\0'; at++) {
		if (*at <= ' ' || *at > '~' || *at == ',')
			return false;
	}
	return true;
}

/* The scopes joined by spaces; false when one is none, or they are too many. */
static bool join_scopes(const json_t *scopes, char out[TOKEN_SCOPES_BYTES])
{
	size_t i, n = 0;
	json_t *one;

	if (!json_is_array(scopes) || json_array_size(scopes) == 0)
		return false;
	json_array_foreach(scopes, i, one)
	{
		const char *scope = json_string_value(one);
		if (!scope_is_good(scope) || n + strlen(scope) + 2 > TOKEN_SCOPES_BYTES)
			return false;
		n += (size_t)snprintf(
			out + n, TOKEN_SCOPES_BYTES - n, "%s%s", n > 0 ? " " : "", scope);
	}
	return true;
}

/* Nobody hands on more than they have: a token's run:ID is for a person to give. */
static bool may_give(struct request *req, const char *scopes)
{
	const struct caller *caller = caller_of(req);
	uint64_t now_s = clock_wall_us() / CLOCK_SECOND_US;

	if (caller->token != 0 && strstr(scopes, "run:") != NULL) {
		response_problem(req, 403, "scope_missing",
			"A token cannot make one with a scope run:ID: sign in for that.");
		return false;
	}
	if (caller->token == 0 &&
		!sessions_is_reauthed(server_of(req)->sessions, caller->session, now_s)) {
		response_problem(req, 403, "reauth_required",
			"A token outlives the session: give the password again first.");
		return false;
	}
	return true;
}

static void on_token_made(int err, const struct uuid *id, const char *text, void *arg)
{
	struct request *req = arg;
	struct json json;
	struct buf body;

	if (err == -EEXIST) {
		response_problem(req, 409, "name_in_use", "There is a token of this name.");
	} else if (err == -ENOSPC) {
		response_problem(req, 409, "too_many_tokens", "There are too many tokens.");
	} else if (err < 0) {
		response_problem(req, 503, "database_unavailable", database_away);
	} else {
		buf_init(&body, 4096);
		json_init(&json, &body);
		json_open_object(&json);
		json_key(&json, "token");
		if (!tokens_write_one(server_of(req)->tokens, id, &json))
			json_nil(&json);
		json_kv_str(&json, "secret", text);
		json_close_object(&json);
		response_header(req, "Cache-Control", "no-store");
		response_json(req, 201, &body);
		buf_fini(&body);
	}
}

void access_tokens_create(struct request *req)
{
	static const char *const names[] = {"name", "scopes", "expires_us", NULL};
	json_t *body = http_body(req, names, false), *expires;
	struct token_new token = {0};
	char scopes[TOKEN_SCOPES_BYTES];

	if (body == NULL)
		return;
	token.created_by = caller_actor(req);
	token.name = json_string_value(json_object_get(body, "name"));
	token.scopes = scopes;
	expires = json_object_get(body, "expires_us");
	if (json_is_integer(expires) && json_integer_value(expires) > 0)
		token.expires_us = (uint64_t)json_integer_value(expires);
	caller_note(req, "token.create", token.name, NULL);
	if (!name_is_good(token.name))
		response_problem(req, 422, "invalid_input",
			"name must be 1 to 64 letters, digits, dots, dashes or underscores.");
	else if (!join_scopes(json_object_get(body, "scopes"), scopes))
		response_problem(req, 422, "invalid_input",
			"scopes must be a list of read, run, run:ID, admin.");
	else if (expires != NULL && !json_is_null(expires) && token.expires_us <= clock_wall_us())
		response_problem(req, 422, "invalid_input",
			"expires_us must be a time to come, in microseconds, or null.");
	else if (may_give(req, scopes))
		tokens_create(server_of(req)->tokens, &token, on_token_made, req);
	json_decref(body);
}

static void on_token_revoked(int err, void *arg)
{
	struct request *req = arg;

	if (err == 0)
		response_empty(req, 204);
	else if (err == -ENOENT)
		response_problem(req, 404, "not_found", "There is no such token.");
	else
		response_problem(req, 503, "database_unavailable", database_away);
}

void access_tokens_revoke(struct request *req)
{
	const char *text = request_param(req, "token");
	struct uuid id;

	caller_note(req, "token.revoke", text, NULL);
	if (uuid_parse(text, strlen(text), &id) < 0)
		response_problem(req, 404, "not_found", "There is no such token.");
	else
		tokens_revoke(server_of(req)->tokens, &id, on_token_revoked, req);
}

/* ---- TOTP ---- */

void access_totp_verify(struct request *req)
{
	static const char *const names[] = {"secret", "code", NULL};
	json_t *body = http_body(req, names, false), *doc;
	uint8_t key[TOTP_MAX_KEY_BYTES];
	bool ok = true, right = false;
	const char *secret, *code;
	char *line;
	uint64_t step;
	int key_len = -EINVAL;

	if (body == NULL)
		return;
	secret = http_string(body, "secret", &ok);
	code = http_string(body, "code", &ok);
	if (ok && secret != NULL && code != NULL && strlen(secret) <= 128)
		key_len = totp_parse_key(secret, key);
	if (key_len < 0) {
		response_problem(req, 422, "invalid_input",
			"secret must be base32 of 10 to 64 bytes, code the six digits.");
		json_decref(body);
		return;
	}
	right = totp_check(key, (size_t)key_len, code, clock_wall_us() / CLOCK_SECOND_US, 0,
			&step) == 0;
	mem_wipe(key, sizeof(key));
	line = xasprintf("AUTH_TOTP_SECRET=%s", secret);
	doc = json_pack("{s:b,s:s}", "ok", right, "line", line);
	response_header(req, "Cache-Control", "no-store");
	http_json(req, 200, doc);
	json_decref(doc);
	mem_wipe(line, strlen(line));
	free(line);
	json_decref(body);
}
