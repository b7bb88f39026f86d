#include "agent/runner/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_PASSWD_BYTES 65536

static int fill(const struct passwd *pw, struct account *account, struct err *err)
{
	*account = (struct account){.uid = pw->pw_uid, .gid = pw->pw_gid};
	account->must_switch = geteuid() == 0;
	if (!account->must_switch && pw->pw_uid != geteuid())
		return err_set(err, -EPERM,
			"user '%s' is another than the agent's own, which is not root",
			pw->pw_name);
	account->n_groups = ACCOUNT_MAX_GROUPS;
	if (account->must_switch &&
		getgrouplist(pw->pw_name, pw->pw_gid, account->groups, &account->n_groups) < 0)
		return err_set(err, -E2BIG, "user '%s' is in more than %d groups", pw->pw_name,
			ACCOUNT_MAX_GROUPS);
	account->name = xstrdup(pw->pw_name);
	account->home = xstrdup(pw->pw_dir != NULL && pw->pw_dir[0] == '/' ? pw->pw_dir : "/");
	return 0;
}

int account_lookup(const char *name, struct account *ret_account, struct err *err)
{
	char *scratch = xcalloc(1, MAX_PASSWD_BYTES);
	struct passwd pw, *found = NULL;
	int rc = getpwnam_r(name, &pw, scratch, MAX_PASSWD_BYTES, &found);

	if (rc != 0)
		rc = err_set_errno(err, -rc, "cannot look up user '%s'", name);
	else if (found == NULL)
		rc = err_set(err, -ENOENT, "there is no user '%s'", name);
	else
		rc = fill(found, ret_account, err);
	free(scratch);
	return rc;
}

void account_fini(struct account *account)
{
	free(account->name);
	free(account->home);
	account->name = account->home = NULL;
}

/* The system calls themselves: those of the C library also change all other threads, and in a
 * process that was made without its knowledge (spawn.c) it believes that there are some. */
#ifdef SYS_setresuid32 /* where the plain ones are of 16 bits */
#define CALL_SETGROUPS SYS_setgroups32
#define CALL_SETRESGID SYS_setresgid32
#define CALL_SETRESUID SYS_setresuid32
#else
#define CALL_SETGROUPS SYS_setgroups
#define CALL_SETRESGID SYS_setresgid
#define CALL_SETRESUID SYS_setresuid
#endif

int account_become(const struct account *account)
{
	uid_t real, effective, saved;

	if (!account->must_switch)
		return 0;
	if (syscall(CALL_SETGROUPS, (size_t)account->n_groups, account->groups) != 0 ||
		syscall(CALL_SETRESGID, account->gid, account->gid, account->gid) != 0 ||
		syscall(CALL_SETRESUID, account->uid, account->uid, account->uid) != 0)
		return -errno;
	if (getresuid(&real, &effective, &saved) != 0 || real != account->uid ||
		effective != account->uid || saved != account->uid)
		return -EPERM;
	return 0;
}
