#include "agent/relay/rights.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define MAX_GROUPS 64

static const char *account_name(const char *variable, const char *fallback)
{
	const char *own = getenv(variable), *worker = getenv("OPS_AGENT_USER");
	const char *run = getenv("OPS_AGENT_RUN_USER");

	if (own != NULL && own[0] != '\0')
		return own;
	return worker != NULL && run != NULL && strcmp(worker, run) == 0 && worker[0] != '\0'
		       ? worker
		       : fallback;
}

static int set_groups(const struct passwd *pw, const char *group)
{
	gid_t groups[MAX_GROUPS + 1];
	int n = MAX_GROUPS;
	const struct group *extra = group != NULL ? getgrnam(group) : NULL;

	if (getgrouplist(pw->pw_name, pw->pw_gid, groups, &n) < 0)
		return -E2BIG;
	if (extra != NULL && extra->gr_gid != 0)
		groups[n++] = extra->gr_gid;
	return setgroups((size_t)n, groups) == 0 ? 0 : -errno;
}

int rights_drop(const char *variable, const char *fallback, const char *group, struct err *err)
{
	const char *name = account_name(variable, fallback);
	const struct passwd *pw;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return err_set_errno(err, -errno, "cannot set no_new_privs");
	if (geteuid() != 0 || strcmp(name, "root") == 0)
		return 0;
	pw = getpwnam(name);
	if (pw == NULL || pw->pw_uid == 0)
		return err_set(err, -ENOENT,
			"there is no account '%s': create it, or name another one in %s", name,
			variable);
	if (set_groups(pw, group) != 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) != 0 ||
		setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) != 0 || setuid(0) == 0)
		return err_set_errno(err, -EPERM, "cannot become %s", name);
	return 0;
}
