#include "core/app/auth/caller.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/gate.h"
#include "core/app/http.h"
#include "core/app/server.h"
#include "core/base/clock.h"

/* Without a proxy the peer's own address, which is text already. */
static void note_address(struct request *req, struct caller *caller)
{
	const char *remote = request_remote(req);
	size_t n = strlen(remote);
	uint8_t address[ADDRESS_BYTES];

	if (request_header(req, "X-Forwarded-For") == NULL && n < sizeof(caller->address) &&
		strpbrk(remote, ".:") != NULL) {
		memcpy(caller->address, remote, n + 1);
		return;
	}
	gate_client_address(req, address);
	address_format(address, caller->address);
}

static void note_actor(struct caller *caller, const char *kind, const char *name)
{
	size_t kind_len = strlen(kind), n = MIN(strlen(name), CALLER_ACTOR_BYTES - 1 - kind_len);

	memcpy(caller->actor, kind, kind_len);
	memcpy(caller->actor + kind_len, name, n);
	caller->actor[kind_len + n] = '\0';
}

struct caller *caller_new(struct request *req, session_ref session, token_ref token)
{
	struct server *server = server_of(req);
	struct caller *caller = xcalloc(1, sizeof(*caller));

	caller->session = session;
	caller->token = token;
	note_address(req, caller);
	if (token != 0)
		note_actor(caller, "token:", tokens_name(server->tokens, token));
	else if (session != 0)
		note_actor(caller, "user:", server->cfg->auth_user);
	list_append(&server->callers, &caller->link);
	return caller;
}

void caller_free(struct caller *caller)
{
	if (caller == NULL)
		return;
	list_remove(&caller->link);
	free(caller);
}

const char *caller_actor(const struct request *req)
{
	const struct caller *caller = caller_of(req);
	return caller != NULL ? caller->actor : "";
}

void caller_set_user(struct request *req)
{
	struct caller *caller = caller_of(req);

	if (caller != NULL)
		note_actor(caller, "user:", server_of(req)->cfg->auth_user);
}

void caller_set_hook(struct request *req, const char *name)
{
	struct caller *caller = caller_of(req);

	if (caller != NULL)
		note_actor(caller, "hook:", name);
}

void caller_note(struct request *req, const char *event, const char *object, const char *run)
{
	struct caller *caller = caller_of(req);

	if (caller == NULL)
		return;
	if (event != NULL)
		snprintf(caller->event, sizeof(caller->event), "%s", event);
	if (object != NULL)
		snprintf(caller->object, sizeof(caller->object), "%s", object);
	if (run != NULL)
		snprintf(caller->run, sizeof(caller->run), "%s", run);
}

void caller_set_host(struct request *req, const struct host *host)
{
	struct caller *caller = caller_of(req);

	if (caller != NULL)
		snprintf(caller->host, sizeof(caller->host), "%s", host_name(host));
}

void caller_set_all_hosts(struct request *req)
{
	struct caller *caller = caller_of(req);

	if (caller != NULL && hosts_count(server_of(req)->hosts) > 1)
		snprintf(caller->host, sizeof(caller->host), "*");
}

struct host *host_of(const struct request *req)
{
	const struct caller *caller = caller_of(req);

	return hosts_find(server_of(req)->hosts, caller != NULL ? caller->host : "");
}

const char *caller_run(const struct request *req)
{
	const struct caller *caller = caller_of(req);

	return caller != NULL && caller->ref[0] != '\0' ? caller->ref : request_param(req, "id");
}

bool caller_may_start(struct request *req, const char *id, bool dangerous)
{
	struct server *server = server_of(req);
	const struct caller *caller = caller_of(req);
	uint64_t now_s = clock_wall_us() / CLOCK_SECOND_US;

	if (caller->token != 0) {
		if (tokens_may_start(server->tokens, caller->token, id, dangerous))
			return true;
		response_problem(req, 403, "scope_missing",
			dangerous
				? "This is dangerous: the token needs the scope run:ID of its own."
				: "The token has no scope for this.");
		return false;
	}
	if (!dangerous || sessions_is_reauthed(server->sessions, caller->session, now_s))
		return true;
	response_problem(
		req, 403, "reauth_required", "This is dangerous: give the password again first.");
	return false;
}

int caller_tie(struct request *req, struct session_tie *tie)
{
	struct server *server = server_of(req);
	const struct caller *caller = caller_of(req);

	return caller->token != 0 ? tokens_tie(server->tokens, caller->token, tie)
				  : sessions_tie(server->sessions, caller->session, tie);
}

void caller_untie(
	struct server *server, session_ref session, token_ref token, struct session_tie *tie)
{
	if (token != 0)
		tokens_untie(server->tokens, token, tie);
	else
		sessions_untie(server->sessions, session, tie);
}
