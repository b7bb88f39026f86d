/* Starting a run from a request: POST /runs and POST /runs/{id}/rerun. */
#ifndef OPS_CORE_APP_RUNS_START_H
#define OPS_CORE_APP_RUNS_START_H

#include <jansson.h>

#include "core/agentlink/link.h"

struct request;

void start_run(struct request *req);
void start_rerun(struct request *req);

/* A flow that somebody outside starts, who was let in already. */
struct start_order {
	const char *flow, *actor, *key; /* actor is the trigger too; key: of idempotency */
	const char *host;		/* NULL: the only one that has it */
	const json_t *inputs;
};
/* Sends it to the agent: on_reply (with the request as its argument) owes the answer then. Or
 * answers what is wrong. */
void start_from_outside(
	struct request *req, const struct start_order *order, link_reply_fn on_reply);

#endif
