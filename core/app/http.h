/* What handlers share: JSON bodies, and answers for what the agent or the database says. */
#ifndef OPS_CORE_APP_HTTP_H
#define OPS_CORE_APP_HTTP_H

#include <jansson.h>
#include <stdbool.h>

#include "core/agentlink/link.h"
#include "core/app/auth/caller.h"
#include "core/app/auth/sessions.h"
#include "core/base/mem.h"
#include "core/web/request.h"
#include "core/web/response.h"

#define HTTP_MAX_DOCUMENT (8u << 20) /* of one JSON answer */

struct host;
struct server;

static inline struct server *server_of(const struct request *req)
{
	return request_app(req);
}

/* The session that the authorize hook found; 0: none, or a token. */
static inline session_ref session_of(const struct request *req)
{
	const struct caller *caller = caller_of(req);
	return caller != NULL ? caller->session : 0;
}

/* The body as a JSON object whose members are all among names (ended by NULL). An empty body is an
 * empty object when may_be_empty. NULL: the request was answered with 400 or 422, and is gone: it
 * must not be touched any more. */
MUSTCHECK json_t *http_body(struct request *req, const char *const names[], bool may_be_empty);

/* A string member: NULL when it is absent, null or another type (*ret_ok = false then). */
const char *http_string(const json_t *object, const char *name, bool *ret_ok);

/* The host that the parameter `host` names, the primary one without it; noted for host_of(). NULL:
 * answered, there is no such host. */
MUSTCHECK struct host *http_query_host(struct request *req);
/* Answers that there is no such host, and which there are. */
void http_unknown_host(struct request *req, const char *name);

/* Answers with 422: this input is not acceptable; detail says of what, as a sentence. */
void http_input_problem(
	struct request *req, const char *detail, const char *input, const char *message);
/* Answers for a reply of host_of()'s agent that is not MSG_OK. */
void http_agent_problem(struct request *req, const struct link_reply *reply);
/* Sends a jansson document (not consumed). */
void http_json(struct request *req, unsigned status, const json_t *doc);
/* A query parameter as a number; false: answered with 400. */
MUSTCHECK bool http_query_number(struct request *req, const char *name, uint64_t fallback,
	uint64_t max, uint64_t *ret_value);

#endif
