/*
 * Who may pass: the Host rule for every request, and for every route its role, the Origin rule and
 * the session. Called by the web server's hooks before anything of a request is handled.
 */
#ifndef OPS_CORE_APP_GATE_H
#define OPS_CORE_APP_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/app/auth/cookie.h"
#include "core/app/auth/sessions.h"
#include "core/app/config/address.h"
#include "core/app/config/config.h"
#include "core/web/server.h"

/* What a route row asks for (struct route, access). */
enum role {
	ROLE_PUBLIC = 0,
	ROLE_SESSION, /* a person who signed in; no token */
	/* Any session, or a token with the scope: */
	ROLE_READ,  /* read */
	ROLE_START, /* run, or run: of some id, which the handler asks caller_may_start() for */
	ROLE_RUN,   /* run */
	ROLE_ADMIN, /* admin */
	ROLE_HOOK, /* whoever signed the body: the handler's to check; no Origin, cookie or token */
};

enum web_verdict gate_admit(struct request *req);
enum web_verdict gate_authorize(struct request *req, const struct route *route);

/* The address that counts for delays: the peer's, or what a trusted proxy says it is. */
void gate_client_address(const struct request *req, uint8_t ret_addr[ADDRESS_BYTES]);

/* Notes with the session where it is used from. */
void gate_describe(struct request *req, session_ref ref);

/* Adds Set-Cookie for a session or device cookie; max_age_s 0 deletes it. */
void gate_set_cookie(struct request *req, const char *name, const char *value, uint64_t max_age_s);
/* Sends the session's cookie as the table knows it now. */
void gate_renew_cookie(struct request *req, const struct cookie_session *session);

#endif
