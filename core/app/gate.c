#include "core/app/gate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/auth/access.h"
#include "core/app/http.h"
#include "core/app/limits.h"
#include "core/app/server.h"
#include "core/base/clock.h"

#define MAX_REDIRECT 2048

static bool is_exempt(const char *path)
{
	return strcmp(path, "/healthz") == 0 || strcmp(path, "/readyz") == 0 ||
	       strcmp(path, "/metrics") == 0;
}

static bool host_is_ours(const struct config *cfg, const char *host)
{
	size_t n = strlen(cfg->public_host);

	if (strcasecmp(host, cfg->public_host) == 0)
		return true;
	/* Only browsers leave the default port out. */
	return strncasecmp(host, cfg->public_host, n) == 0 &&
	       strcmp(host + n, cfg->https ? ":443" : ":80") == 0;
}

/* Behind a proxy the log is to name who asked. */
static void note_client(struct request *req)
{
	uint8_t addr[ADDRESS_BYTES];
	char text[ADDRESS_TEXT_BYTES];

	if (request_header(req, "X-Forwarded-For") == NULL)
		return;
	gate_client_address(req, addr);
	address_format(addr, text);
	request_set_client(req, text);
}

enum web_verdict gate_admit(struct request *req)
{
	const struct config *cfg = server_of(req)->cfg;
	const char *path = request_path(req), *accept = request_header(req, "Accept");
	char location[MAX_REDIRECT];
	int n;

	note_client(req);
	if (is_exempt(path) || host_is_ours(cfg, request_host(req)))
		return WEB_ALLOW;
	n = snprintf(location, sizeof(location), "%s%s", cfg->public_origin, request_target(req));
	if (request_is_safe(req) && strncmp(path, "/api/", 5) != 0 && accept != NULL &&
		strstr(accept, "text/html") != NULL && request_target(req)[0] == '/' &&
		(size_t)n < sizeof(location)) {
		response_header(req, "Location", location);
		response_empty(req, 308);
		return WEB_ANSWERED;
	}
	response_problem(req, 421, "wrong_host",
		"This is not the host that PUBLIC_ORIGIN names; the dashboard answers to that "
		"only.");
	return WEB_ANSWERED;
}

/* A page of another origin can send requests with our cookie, but it cannot choose the Origin. */
static bool origin_is_ours(struct request *req)
{
	const char *origin = request_header(req, "Origin");

	return origin != NULL && strcmp(origin, server_of(req)->cfg->public_origin) == 0;
}

void gate_set_cookie(struct request *req, const char *name, const char *value, uint64_t max_age_s)
{
	char text[COOKIE_TEXT_BYTES + 128];

	snprintf(text, sizeof(text), "%s=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%llu%s",
		name, value, (unsigned long long)max_age_s,
		server_of(req)->cfg->https ? "; Secure" : "");
	response_header(req, "Set-Cookie", text);
	mem_wipe(text, sizeof(text));
}

void gate_renew_cookie(struct request *req, const struct cookie_session *session)
{
	char text[COOKIE_TEXT_BYTES];
	uint64_t over_s = session->created_s + LIMIT_SESSION_AGE_S;
	uint64_t now_s = clock_wall_us() / CLOCK_SECOND_US;

	cookie_seal_session(&server_of(req)->keys, session, text);
	gate_set_cookie(req, COOKIE_SESSION, text, over_s > now_s ? over_s - now_s : 0);
	mem_wipe(text, sizeof(text));
}

void gate_describe(struct request *req, session_ref ref)
{
	const char *agent = request_header(req, "User-Agent");
	char address[ADDRESS_TEXT_BYTES];
	uint8_t addr[ADDRESS_BYTES];

	gate_client_address(req, addr);
	address_format(addr, address);
	sessions_describe(server_of(req)->sessions, ref, address, agent != NULL ? agent : "");
}

/* The session of the request's cookie, 0 when it has none that counts. */
static session_ref find_session(struct request *req)
{
	struct server *server = server_of(req);
	uint64_t now_s = clock_wall_us() / CLOCK_SECOND_US;
	struct cookie_session session;
	struct session_info info;
	const char *text;
	session_ref ref;

	if (request_cookie(req, COOKIE_SESSION, &text) < 0 ||
		sessions_open(server->sessions, text, now_s, &ref) < 0)
		return 0;
	if (sessions_info(server->sessions, ref, &info) && info.address[0] == '\0')
		gate_describe(req, ref); /* one from before the start of the daemon */
	if (sessions_needs_cookie(server->sessions, ref, now_s) &&
		sessions_get(server->sessions, ref, &session)) {
		gate_describe(req, ref);
		access_session_seen(server, ref);
		gate_renew_cookie(req, &session);
	}
	return ref;
}

static bool token_may(const struct server *server, token_ref ref, unsigned role)
{
	switch (role) {
	case ROLE_PUBLIC:
		return true;
	case ROLE_READ:
		return tokens_may(server->tokens, ref, TOKEN_READ);
	case ROLE_START:
		return tokens_may(server->tokens, ref, TOKEN_START);
	case ROLE_RUN:
		return tokens_may(server->tokens, ref, TOKEN_RUN);
	case ROLE_ADMIN:
		return tokens_may(server->tokens, ref, TOKEN_ADMIN);
	default:
		return false; /* ROLE_SESSION: for people */
	}
}

/* A request with a token is judged by that alone: a cookie beside it does not count, and no Origin
 * is needed, since no page of another origin can add the header. */
static enum web_verdict authorize_token(
	struct request *req, const struct route *route, const char *authorization)
{
	struct server *server = server_of(req);
	const char *text = authorization + strcspn(authorization, " ");
	uint64_t now_us = clock_wall_us();
	token_ref ref = 0;
	int rc = -EACCES;

	if (strncasecmp(authorization, "Bearer ", 7) == 0)
		rc = tokens_find(server->tokens, text + strspn(text, " "), now_us, &ref);
	if (rc == -EAGAIN) {
		response_problem(req, 503, "tokens_unavailable",
			"Tokens cannot be checked: the database has not been reached yet.");
		return WEB_ANSWERED;
	}
	if (rc < 0) {
		response_header(req, "WWW-Authenticate", "Bearer error=\"invalid_token\"");
		response_problem(req, 401, "unauthenticated",
			rc == -ETIME ? "The token's time is over."
				     : "The token is not known, or was revoked.");
		return WEB_ANSWERED;
	}
	struct caller *caller = caller_new(req, 0, ref);
	request_set_identity(req, caller);
	tokens_touch(server->tokens, ref, caller->address, now_us);
	if (!token_may(server, ref, route->access)) {
		response_problem(req, 403, "scope_missing", "The token has no scope for this.");
		return WEB_ANSWERED;
	}
	return WEB_ALLOW;
}

enum web_verdict gate_authorize(struct request *req, const struct route *route)
{
	bool must_be_ours = !request_is_safe(req) || (route->flags & ROUTE_WEBSOCKET) != 0;
	const char *authorization = request_header(req, "Authorization");
	session_ref ref;

	if (route->access == ROLE_HOOK) {
		request_set_identity(req, caller_new(req, 0, 0));
		return WEB_ALLOW;
	}
	if (authorization != NULL && route->access != ROLE_PUBLIC)
		return authorize_token(req, route, authorization);

	if (must_be_ours && !origin_is_ours(req)) {
		response_problem(req, 403, "origin_refused",
			"The Origin header must be there and equal PUBLIC_ORIGIN.");
		return WEB_ANSWERED;
	}
	ref = find_session(req);
	if (route->access != ROLE_PUBLIC && ref == 0) {
		response_problem(req, 401, "unauthenticated", "Sign in first.");
		return WEB_ANSWERED;
	}
	request_set_identity(req, caller_new(req, ref, 0));
	return WEB_ALLOW;
}

void gate_client_address(const struct request *req, uint8_t ret_addr[ADDRESS_BYTES])
{
	const char *last = NULL, *next;

	/* Only what the proxy itself wrote counts: the last header's last hop. */
	for (size_t i = 0; (next = request_header_nth(req, "X-Forwarded-For", i)) != NULL; i++)
		last = next;
	config_client_address(server_of(req)->cfg, request_remote(req), last, ret_addr);
}
