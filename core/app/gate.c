#include "core/app/gate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* The session of the request's cookie, 0 when it has none that counts. */
static session_ref find_session(struct request *req)
{
	struct server *server = server_of(req);
	uint64_t now_s = clock_wall_us() / CLOCK_SECOND_US;
	struct cookie_session session;
	const char *text;
	session_ref ref;

	if (request_cookie(req, COOKIE_SESSION, &text) < 0 ||
		sessions_open(server->sessions, text, now_s, &ref) < 0)
		return 0;
	if (sessions_needs_cookie(server->sessions, ref, now_s) &&
		sessions_get(server->sessions, ref, &session))
		gate_renew_cookie(req, &session);
	return ref;
}

enum web_verdict gate_authorize(struct request *req, const struct route *route)
{
	bool must_be_ours = !request_is_safe(req) || (route->flags & ROUTE_WEBSOCKET) != 0;
	session_ref ref;

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
	request_set_arg(req, (void *)(uintptr_t)ref);
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
