/*
 * From a request to a plan: the one place where inputs of a client meet the whitelist. The worker
 * uses it to validate and for dry runs, the monitor, with its own catalogue, for the real thing.
 */
#ifndef OPS_AGENT_CONFIG_PLANNER_H
#define OPS_AGENT_CONFIG_PLANNER_H

#include <stddef.h>
#include <stdint.h>

#include "agent/config/catalog.h"
#include "agent/run/plan.h"
#include "core/base/err.h"
#include "core/base/json.h"
#include "core/base/uuid.h"
#include "proto/msg.h"

struct planner_request {
	uint8_t kind; /* enum msg_kind */
	struct wire_str id;
	const struct msg_pair *inputs;
	size_t n_inputs;
	/* Copied into the plan as they are; all may be zero or NULL for a validation or dry run. */
	struct uuid run_id;
	uint64_t number;
	const char *host;
	struct wire_str actor, trigger;
	uint64_t created_us;
};

struct planner_problem {
	char name[64]; /* of the input, cut when longer */
	char message[256];
};

/* For the invalid_input response: what is wrong with which input. */
struct planner_problems {
	size_t n;
	struct planner_problem items[MSG_MAX_PROBLEMS];
};

/* Builds the plan (to be freed with plan_free()). Returns
 *	0		*ret_plan is set
 *	-ENOENT		no such command or flow; err says so, with the nearest name
 *	-EINVAL		problems lists the inputs; err has a summary
 *	-EMSGSIZE	the plan would not fit PLAN_MAX_BYTES
 * On failure *ret_plan is untouched. problems is always initialised. */
MUSTCHECK int planner_build(const struct catalog *catalog, const struct planner_request *request,
	struct plan **ret_plan, struct planner_problems *problems, struct err *err);

/* Writes a dry run's answer, {"plan":[{"step","argv","user","cwd","timeout_us"}]}. What is not
 * known before the run stands as its reference, "${steps.x.outputs.y}"; secrets as "***". */
void planner_write_json(const struct plan *plan, struct json *json);

#endif
