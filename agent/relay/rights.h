/* Giving up rights, for the processes of the agent that only look: for good, and before they hear a
 * word of anybody. */
#ifndef OPS_AGENT_RELAY_RIGHTS_H
#define OPS_AGENT_RELAY_RIGHTS_H

#include "core/base/err.h"

/* Sets no_new_privs and, started by root, becomes the account that the environment variable names,
 * else fallback; where worker and commands share one account (development), that one. group: one
 * more supplementary group, when there is one of this name; NULL: none. 0, or a negative errno with
 * a text. */
MUSTCHECK int rights_drop(
	const char *variable, const char *fallback, const char *group, struct err *err);

#endif
