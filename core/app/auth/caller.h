/*
 * Who sent a request: a session, a token, or nobody; made by the gate and kept with the request
 * until it is over. What a handler notes here is what the audit says of the request.
 */
#ifndef OPS_CORE_APP_AUTH_CALLER_H
#define OPS_CORE_APP_AUTH_CALLER_H

#include <stdbool.h>

#include "core/app/auth/sessions.h"
#include "core/app/auth/tokens.h"
#include "core/app/config/address.h"
#include "core/app/limits.h"
#include "core/base/list.h"
#include "core/web/request.h"

#define CALLER_ACTOR_BYTES (LIMIT_USER_BYTES + 8) /* user:NAME, token:NAME, hook:NAME */
#define CALLER_OBJECT_BYTES 160

struct host;
struct server;

struct caller {
	struct list link;    /* server.callers */
	session_ref session; /* 0: none */
	token_ref token;     /* 0: none */
	char address[ADDRESS_TEXT_BYTES];
	char actor[CALLER_ACTOR_BYTES]; /* "": nobody */
	char event[40];			/* "": what the route's name says */
	char object[CALLER_OBJECT_BYTES];
	char run[UUID_TEXT_BYTES];
	char host[LIMIT_HOST_BYTES]; /* whose agent is asked; "": the primary one */
	char ref[UUID_TEXT_BYTES];   /* the run of the path's {id}, when it was looked up */
};

/* Made by the gate; freed by whoever hears that the request is over. */
struct caller *caller_new(struct request *req, session_ref session, token_ref token);
void caller_free(struct caller *caller);

/* NULL before the gate has let it pass. */
static inline struct caller *caller_of(const struct request *req)
{
	return request_identity(req);
}

/* "user:admin", "token:NAME", or "" for nobody. */
const char *caller_actor(const struct request *req);
/* The sender has just shown to be the user. */
void caller_set_user(struct request *req);
/* The sender has shown to know the secret of a hook. */
void caller_set_hook(struct request *req, const char *name);
/* For the audit: what was done to what. NULL leaves what was said before. */
void caller_note(struct request *req, const char *event, const char *object, const char *run);

/* The host that it goes to, for the audit and for host_of(). */
void caller_set_host(struct request *req, const struct host *host);
/* It goes to all of them, which the audit calls "*". */
void caller_set_all_hosts(struct request *req);
/* The host noted last, the primary one before; NULL: it is gone meanwhile, or the daemon closes. */
struct host *host_of(const struct request *req);
/* What to ask host_of() and the database for: the run of the path's {id}. */
const char *caller_run(const struct request *req);

/* Whether the sender may start this; false: answered with 403. Sessions need to have given the
 * password lately for what is dangerous, tokens a scope of their own for it. */
MUSTCHECK bool caller_may_start(struct request *req, const char *id, bool dangerous);

/* Lets tie end with the session or token. -ENOENT, -ENOBUFS. */
MUSTCHECK int caller_tie(struct request *req, struct session_tie *tie);
void caller_untie(
	struct server *server, session_ref session, token_ref token, struct session_tie *tie);

#endif
