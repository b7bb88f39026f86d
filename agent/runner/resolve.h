/*
 * From a step of the plan to what execve(2) takes. Values that come from earlier steps are known
 * only now, so every input passes its type's check again (config/input.h).
 */
#ifndef OPS_AGENT_RUNNER_RESOLVE_H
#define OPS_AGENT_RUNNER_RESOLVE_H

#include <stddef.h>
#include <stdint.h>

#include "agent/run/outputs.h"
#include "agent/run/plan.h"
#include "agent/run/state.h"
#include "agent/runner/account.h"
#include "agent/runner/secrets.h"
#include "core/base/err.h"

struct resolve_source {
	const struct plan *plan;
	const struct run_state *state; /* statuses of earlier steps */
	const struct outputs *outputs; /* of earlier steps */
	const struct account *account; /* HOME, USER, LOGNAME */
	const char *output_path;       /* OPS_OUTPUT */
	struct secrets *secrets;       /* of the run; those of the step are added */
	uid_t trusted_uid;	       /* who may own the files of secrets, beside root */
	uint16_t attempt;	       /* OPS_ATTEMPT */
};

struct resolved {
	char **argv; /* NULL-terminated, never empty */
	size_t n_argv;
	char **envp; /* NULL-terminated; built, nothing is inherited */
	size_t n_env;
	char *stdin_text; /* NULL: /dev/null */
};

/* 0; or a negative errno with a text for the record: which input of the step is not good and why
 * (never the value of a secret). resolved_fini() is for success only. */
MUSTCHECK int resolve_step(const struct resolve_source *source, uint16_t step,
	struct resolved *ret_resolved, struct err *err);
/* Wipes and frees. */
void resolved_fini(struct resolved *resolved);

#endif
