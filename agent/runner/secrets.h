/*
 * The secrets of a run: values of secret inputs, and what the root-only files of `secrets:` hold.
 * All of them are masked in all output, whichever step has them.
 */
#ifndef OPS_AGENT_RUNNER_SECRETS_H
#define OPS_AGENT_RUNNER_SECRETS_H

#include <stddef.h>
#include <sys/types.h>

#include "agent/run/plan.h"
#include "agent/runner/mask.h"
#include "core/base/err.h"

struct secrets {
	char **items;
	size_t n;
	struct mask *mask; /* of all of them; NULL: there are none */
};

/* Zeroed memory holds none. */
void secrets_fini(struct secrets *secrets);
/* Adds one, unless it is there. 0; -EINVAL (too short or too long), -ENOSPC (too many, or too large
 * together), with a text that does not hold it. */
MUSTCHECK int secrets_add(struct secrets *secrets, const char *value, struct err *err);
/* Reads and adds what a file holds, without the white space at its end. The file has to be beyond
 * everybody's reach but root's or trusted_uid's, and not even readable for others (-EPERM).
 * *ret_value is to be wiped and freed by the caller. */
MUSTCHECK int secrets_add_file(struct secrets *secrets, const char *path, uid_t trusted_uid,
	char **ret_value, struct err *err);
/* Adds all that the plan knows of, before anything starts: a step may tell what another one keeps
 * secret. What cannot be had now is left to the step that needs it, which says why. */
void secrets_add_plan(struct secrets *secrets, const struct plan *plan, uid_t trusted_uid);

#endif
