/* The account that a command runs as: looked up before the fork, since getpwnam(3) may allocate,
 * lock and read files. */
#ifndef OPS_AGENT_RUNNER_ACCOUNT_H
#define OPS_AGENT_RUNNER_ACCOUNT_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/base/err.h"

#define ACCOUNT_MAX_GROUPS 256

struct account {
	char *name, *home;
	uid_t uid;
	gid_t gid;
	gid_t groups[ACCOUNT_MAX_GROUPS];
	int n_groups;
	bool must_switch; /* false: this process is that user already, and is not root */
};

/* Looks it up. 0; or -ENOENT (no such account), -EPERM (it is another user and we are not root), or
 * what the lookup failed with. account_fini() is for success only. */
MUSTCHECK int account_lookup(const char *name, struct account *ret_account, struct err *err);
void account_fini(struct account *account);

/* Makes this process that user, for good. In the child: no allocation. 0 or a negative errno. */
MUSTCHECK int account_become(const struct account *account);

#endif
