/*
 * Signing in, out, and once more.
 *
 * Happy path of a login: body -> delay looked up, the attempt charged -> the password goes to the
 * pool (password.h) -> it comes back: user, password and code are judged together -> session and
 * device cookies, the charge taken back.
 *
 * Failures are all told alike (401 login_failed), whichever of the three was wrong, and take the
 * same time: the hash is computed for unknown users too. Waiting: 429 with Retry-After. The pool
 * full: 429, nothing charged. A peer that leaves meanwhile is answered into the void (request.h).
 */
#include "core/app/auth/signin.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/auth/access.h"
#include "core/app/auth/totp.h"
#include "core/app/gate.h"
#include "core/app/http.h"
#include "core/app/limits.h"
#include "core/app/server.h"
#include "core/base/clock.h"
#include "core/base/crypto.h"
#include "core/base/log.h"

#define MAX_CODE 16

struct attempt {
	struct request *req;
	struct server *server;
	session_ref reauth; /* the session that asks again; 0: a login */
	uint8_t addr[ADDRESS_BYTES];
	bool known_device;
	bool user_matches;
	char code[MAX_CODE];
};

static uint64_t now_s(void)
{
	return clock_wall_us() / CLOCK_SECOND_US;
}

static bool device_is_known(struct request *req)
{
	const char *text;

	return request_cookie(req, COOKIE_DEVICE, &text) == 0 &&
	       cookie_open_device(&server_of(req)->keys, text, now_s()) == 0;
}

bool signin_on_stored_event(struct server *server, const char *json, size_t len)
{
	json_t *doc = json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL);
	const char *event = NULL;
	json_int_t step = 0;
	bool keep = true;

	if (json_unpack(doc, "{s:s,s:I}", "event", &event, "step", &step) == 0 &&
		strcmp(event, "totp.used") == 0) {
		server->totp_last_step = MAX(server->totp_last_step, (uint64_t)step);
		keep = (uint64_t)step + 4 > now_s() / TOTP_STEP_S;
	}
	json_decref(doc);
	return keep;
}

/* Whether the code is right; a right one is used up, on disk before anybody is let in twice. */
static bool code_is_right(struct attempt *attempt)
{
	struct server *server = attempt->server;
	uint8_t key[TOTP_MAX_KEY_BYTES];
	char json[64];
	uint64_t step;
	int key_len, rc, n;

	if (server->cfg->auth_totp_secret == NULL)
		return true;
	key_len = totp_parse_key(server->cfg->auth_totp_secret, key);
	if (key_len < 0)
		return false;
	rc = totp_check(
		key, (size_t)key_len, attempt->code, now_s(), server->totp_last_step, &step);
	mem_wipe(key, sizeof(key));
	if (rc < 0)
		return false;
	server->totp_last_step = step;
	n = snprintf(json, sizeof(json), "{\"event\":\"totp.used\",\"step\":%llu}",
		(unsigned long long)step);
	if (store_append(server->store, json, (size_t)n, NULL, NULL) < 0)
		log_error(LOG_EV("store.append_failed"), LOG_STR("what", "totp.used"));
	return true;
}

static void put_session(struct request *req, unsigned status, const struct cookie_session *session)
{
	const struct server *server = server_of(req);
	uint64_t idle_s = session->seen_s + LIMIT_SESSION_IDLE_S;
	uint64_t over_s = session->created_s + LIMIT_SESSION_AGE_S;
	struct json json;
	struct buf buf;

	buf_init(&buf, HTTP_MAX_DOCUMENT);
	json_init(&json, &buf);
	json_open_object(&json);
	json_kv_str(&json, "user", server->cfg->auth_user);
	json_kv_uint(&json, "created_us", session->created_s * CLOCK_SECOND_US);
	json_kv_uint(&json, "expires_us", MIN(idle_s, over_s) * CLOCK_SECOND_US);
	json_kv_uint(
		&json, "reauth_until_us", (session->reauth_s + LIMIT_REAUTH_S) * CLOCK_SECOND_US);
	json_kv_bool(&json, "totp", server->cfg->auth_totp_secret != NULL);
	json_kv_str(&json, "version", OPS_VERSION);
	json_kv_str(&json, "boot_id", server->boot_id);
	json_close_object(&json);
	response_json(req, status, &buf);
	buf_fini(&buf);
}

static void succeed(struct attempt *attempt)
{
	struct server *server = attempt->server;
	struct request *req = attempt->req;
	struct cookie_session session;
	char device[COOKIE_TEXT_BYTES], address[ADDRESS_TEXT_BYTES];
	session_ref ref = attempt->reauth;

	throttle_absolve(server->throttle, attempt->addr, attempt->known_device);
	if (ref == 0)
		ref = sessions_create(server->sessions, now_s());
	else
		sessions_set_reauth(server->sessions, ref, now_s());
	if (!sessions_get(server->sessions, ref, &session)) {
		response_problem(req, 503, "too_many_sessions", "Too many sessions are in use.");
		return;
	}
	address_format(attempt->addr, address);
	log_info(LOG_EV(attempt->reauth != 0 ? "session.reauthenticated" : "login.succeeded"),
		LOG_STR("user", server->cfg->auth_user), LOG_STR("address", address),
		LOG_STR("request_id", request_id(req)));
	caller_set_user(req);
	gate_renew_cookie(req, &session);
	gate_describe(req, ref);
	access_session_seen(server, ref);
	if (attempt->reauth == 0) {
		cookie_seal_device(&server->keys, now_s(), device);
		gate_set_cookie(req, COOKIE_DEVICE, device, LIMIT_DEVICE_AGE_S);
	}
	put_session(req, 200, &session);
}

/* No judgement: it does not count as a try. */
static void refuse_unchecked(struct attempt *attempt)
{
	throttle_refund(attempt->server->throttle, attempt->addr, attempt->known_device);
	log_error(LOG_EV("login.unchecked"), LOG_STR("reason", "no memory to hash a password"),
		LOG_STR("request_id", request_id(attempt->req)));
	response_header(attempt->req, "Retry-After", "1");
	response_problem(attempt->req, 503, "out_of_memory",
		"There was no memory to check the password: try again.");
}

/* The password has been compared, or could not be. */
static void on_checked(enum password_result result, void *arg)
{
	struct attempt *attempt = arg;
	struct request *req = attempt->req;
	char address[ADDRESS_TEXT_BYTES];

	if (result == PASSWORD_UNCHECKED) {
		refuse_unchecked(attempt);
	} else if (result == PASSWORD_RIGHT && attempt->user_matches && code_is_right(attempt)) {
		succeed(attempt);
	} else {
		address_format(attempt->addr, address);
		log_warn(LOG_EV("login.failed"), LOG_STR("address", address),
			LOG_STR("request_id", request_id(req)));
		response_problem(req, 401, "login_failed",
			attempt->server->cfg->auth_totp_secret != NULL
				? "User, password or code is wrong."
				: "User or password is wrong.");
	}
	mem_wipe(attempt, sizeof(*attempt));
	free(attempt);
}

static void refuse_busy(struct request *req, unsigned wait_s)
{
	char detail[96], seconds[16];

	snprintf(seconds, sizeof(seconds), "%u", wait_s);
	snprintf(detail, sizeof(detail), "Too many attempts: try again in %u s.", wait_s);
	response_header(req, "Retry-After", seconds);
	response_problem(req, 429, "too_many_attempts", detail);
}

/* Judges user, password and code of the body; the answer follows. Takes the body over. */
static void try_signin(struct request *req, json_t *body, session_ref reauth)
{
	struct server *server = server_of(req);
	struct attempt *attempt;
	bool ok = true;
	const char *user = http_string(body, "user", &ok);
	const char *password = http_string(body, "password", &ok);
	const char *code = http_string(body, "code", &ok);
	unsigned wait_s;
	int rc;

	if (!ok || password == NULL || (reauth == 0 && user == NULL) ||
		strlen(password) > LIMIT_PASSWORD_BYTES ||
		(user != NULL && strlen(user) > LIMIT_PASSWORD_BYTES)) {
		response_problem(req, 422, "invalid_input",
			reauth == 0 ? "user and password must be strings of at most 512 bytes."
				    : "password must be a string of at most 512 bytes.");
		json_decref(body);
		return;
	}
	attempt = xcalloc(1, sizeof(*attempt));
	attempt->req = req;
	attempt->server = server;
	attempt->reauth = reauth;
	attempt->known_device = reauth != 0 || device_is_known(req);
	attempt->user_matches =
		reauth != 0 || crypto_secret_equal(user, strlen(user), server->cfg->auth_user,
				       strlen(server->cfg->auth_user));
	if (code != NULL && strlen(code) < sizeof(attempt->code))
		memcpy(attempt->code, code, strlen(code) + 1);
	gate_client_address(req, attempt->addr);
	wait_s = throttle_wait_s(
		server->throttle, attempt->addr, attempt->known_device, clock_mono_us());
	rc = wait_s == 0 ? 0 : -EAGAIN;
	if (rc == 0) {
		throttle_charge(
			server->throttle, attempt->addr, attempt->known_device, clock_mono_us());
		rc = password_check(server->passwords, password, on_checked, attempt);
		if (rc < 0)
			throttle_refund(server->throttle, attempt->addr, attempt->known_device);
	}
	if (rc < 0) {
		free(attempt);
		refuse_busy(req, wait_s != 0 ? wait_s : 1);
	}
	json_decref(body);
}

void signin_login(struct request *req)
{
	static const char *const names[] = {"user", "password", "code", NULL};
	json_t *body = http_body(req, names, false);

	if (body == NULL)
		return;
	caller_note(req, "session.login", NULL, NULL);
	try_signin(req, body, 0);
}

void signin_reauth(struct request *req)
{
	static const char *const names[] = {"password", "code", NULL};
	json_t *body = http_body(req, names, false);

	if (body == NULL)
		return;
	caller_note(req, "session.reauth", NULL, NULL);
	try_signin(req, body, session_of(req));
}

/* The revocation is on the disk, or could not be written (it holds until a restart then). */
static void on_revoked(int err, void *arg)
{
	struct request *req = arg;

	if (err < 0) {
		log_error(LOG_EV("store.append_failed"), LOG_STR("what", "session.revoked"),
			LOG_STR("reason", strerror(-err)));
		response_problem(req, 500, "not_stored",
			"The session is ended, but a restart of the dashboard would forget that: "
			"its state directory cannot be written.");
		return;
	}
	gate_set_cookie(req, COOKIE_SESSION, "", 0);
	response_empty(req, 204);
}

void signin_logout(struct request *req)
{
	struct server *server = server_of(req);
	struct session_info info;
	int rc;

	caller_note(req, "session.logout", NULL, NULL);
	log_info(LOG_EV("session.logout"), LOG_STR("user", server->cfg->auth_user),
		LOG_STR("request_id", request_id(req)));
	if (sessions_info(server->sessions, session_of(req), &info))
		access_session_revoked(server, &info);
	rc = sessions_revoke(server->sessions, server->store, session_of(req), on_revoked, req);
	if (rc < 0)
		on_revoked(rc == -ENOENT ? 0 : rc, req);
}

/* Says who is signed in; public, because it also says what signing in asks for. */
void signin_session(struct request *req)
{
	struct server *server = server_of(req);
	struct cookie_session session;

	if (sessions_get(server->sessions, session_of(req), &session)) {
		put_session(req, 200, &session);
		return;
	}
	response_problem_ex(
		req, &(struct problem){
			     .status = 401,
			     .code = "unauthenticated",
			     .detail = "Sign in first.",
			     .extra = server->cfg->auth_totp_secret != NULL ? "\"totp\":true"
									    : "\"totp\":false",
		     });
}
