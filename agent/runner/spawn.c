#include "agent/runner/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/config/trust.h"
#include "core/base/file.h"

#define REPORT_FD 3

struct ends {
	int in, out, err, report; /* the child's */
};

/* ---- the child ---- */

static _Noreturn void die(int code, const char *what, const char *detail)
{
	struct err report = {0};
	ssize_t ignored;

	if (detail != NULL)
		err_set(&report, code, "%s: %s", what, detail);
	else
		err_set_errno(&report, code, "%s", what);
	ignored = write(REPORT_FD, &report, sizeof(report));
	(void)ignored;
	_exit(code == -ENOENT ? SPAWN_EXIT_NOT_FOUND : SPAWN_EXIT_FAILED);
}

static void reset_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void take_descriptors(const struct ends *ends)
{
	if (dup2(ends->in, STDIN_FILENO) < 0 || dup2(ends->out, STDOUT_FILENO) < 0 ||
		dup2(ends->err, STDERR_FILENO) < 0)
		_exit(SPAWN_EXIT_FAILED);
	if (ends->report != REPORT_FD && dup3(ends->report, REPORT_FD, O_CLOEXEC) < 0)
		_exit(SPAWN_EXIT_FAILED);
	if (syscall(SYS_close_range, REPORT_FD + 1, ~0u, CLOSE_RANGE_UNSHARE) != 0 &&
		syscall(SYS_close_range, REPORT_FD + 1, ~0u, CLOSE_RANGE_CLOEXEC) != 0) {
		/* Everything of ours is close-on-exec as well. */
	}
}

/* Of cgroups what can be had without them: memory counts for each process, pids for all of the
 * user's, and a share of the processors cannot be had. */
static void set_limits(const struct spawn_opts *opts)
{
	const struct rlimit memory = {opts->limits.memory, opts->limits.memory};
	const struct rlimit pids = {opts->limits.pids, opts->limits.pids};

	if (opts->limits.memory != 0 && setrlimit(RLIMIT_AS, &memory) != 0)
		die(-errno, "cannot limit the memory", NULL);
	if (opts->limits.pids != 0 && setrlimit(RLIMIT_NPROC, &pids) != 0)
		die(-errno, "cannot limit the processes", NULL);
}

static void check_program(const struct spawn_opts *opts)
{
	char *resolved = NULL;
	struct err err = {0};
	int rc = trust_check_program(opts->executable, opts->trusted_uid, &resolved, &err);

	if (rc != 0)
		die(rc, opts->executable, err.msg);
	if (strcmp(resolved, opts->executable) != 0)
		die(-EPERM, opts->executable, "has become a symbolic link since it was loaded");
}

/* While root, and before the descriptor goes. */
static int enter_cgroup(const struct spawn_opts *opts)
{
	return opts->procs_fd < 0 || write(opts->procs_fd, "0", 1) == 1 ? 0 : -errno;
}

/* entered: 0, or why it is not where its limits hold. */
static _Noreturn void child_main(
	const struct spawn_opts *opts, const struct ends *ends, pid_t parent, int entered)
{
	const struct rlimit no_core = {0};
	int rc;

	setsid();
	reset_signals();
	take_descriptors(ends);
	umask(022);
	if (entered != 0)
		die(entered, "cannot enter the cgroup", NULL);
	if (setrlimit(RLIMIT_CORE, &no_core) != 0)
		die(-errno, "cannot forbid core files", NULL);
	check_program(opts);
	set_limits(opts);
	rc = account_become(opts->account);
	if (rc != 0)
		die(rc, "cannot become the user", NULL);
	if (!opts->new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		die(-errno, "cannot give up new privileges", NULL);
	/* Here, since a change of user clears it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
		die(-errno, "cannot tie the command to the runner", NULL);
	if (getppid() != parent)
		_exit(SPAWN_EXIT_FAILED);
	if (chdir(opts->cwd) != 0)
		die(-errno, opts->cwd, NULL);
	execve(opts->executable, opts->argv, opts->envp);
	die(-errno, opts->executable, NULL);
}

/* ---- the parent ---- */

/* The write end belongs to the command's user, so that it may open /dev/stdout anew. */
static int make_pipe(const struct account *account, int *ret_read, int *ret_write)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) != 0)
		return -errno;
	/* A smaller pipe works as well, only slower. */
	(void)fcntl(fds[1], F_SETPIPE_SZ, (int)SPAWN_PIPE_BYTES);
	if (fcntl(fds[0], F_SETFL, O_NONBLOCK) != 0 ||
		(account->must_switch && fchown(fds[1], account->uid, account->gid) != 0)) {
		int rc = -errno;

		close(fds[0]);
		close(fds[1]);
		return rc;
	}
	*ret_read = fds[0];
	*ret_write = fds[1];
	return 0;
}

/* In memory only: it may be a secret. */
static int open_stdin(const char *text, const struct account *account)
{
	int fd, rc;

	if (text == NULL) {
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		return fd >= 0 ? fd : -errno;
	}
	fd = memfd_create("stdin", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	rc = file_write_all(fd, text, strlen(text));
	if (rc == 0 &&
		(lseek(fd, 0, SEEK_SET) != 0 ||
			fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) != 0 ||
			(account->must_switch && fchown(fd, account->uid, account->gid) != 0)))
		rc = -errno;
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

static void close_ends(struct ends *ends)
{
	int *all[] = {&ends->in, &ends->out, &ends->err, &ends->report};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (*all[i] >= 0)
			close(*all[i]);
	}
}

static void close_spawned(struct spawned *spawned)
{
	struct ends ends = {-1, spawned->out_fd, spawned->err_fd, spawned->report_fd};

	close_ends(&ends);
}

static int make_ends(const struct spawn_opts *opts, struct ends *ends, struct spawned *spawned)
{
	int report[2], rc;

	ends->in = open_stdin(opts->stdin_text, opts->account);
	if (ends->in < 0)
		return ends->in;
	rc = make_pipe(opts->account, &spawned->out_fd, &ends->out);
	if (rc == 0)
		rc = make_pipe(opts->account, &spawned->err_fd, &ends->err);
	if (rc == 0 && pipe2(report, O_CLOEXEC | O_NONBLOCK) != 0)
		rc = -errno;
	if (rc == 0) {
		spawned->report_fd = report[0];
		ends->report = report[1];
	}
	return rc;
}

/*
 * A fork that begins in the cgroup. Moving a process there afterwards makes it wait for every
 * processor to have passed through the scheduler: 10 ms and more of a machine that has nothing to
 * do. As the C library does not know of this child, what happens there until execve(2) asks nothing
 * of its threads (account.c); locks are no matter, since the only other thread is the syncer, which
 * allocates nothing. -1 where it cannot be had: before Linux 5.7, or forbidden by a filter.
 */
static pid_t fork_into(int cgroup_fd)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (__u64)cgroup_fd};

	return cgroup_fd < 0 ? -1 : (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

int spawn_start(const struct spawn_opts *opts, struct spawned *ret_spawned, struct err *err)
{
	struct spawned spawned = {.out_fd = -1, .err_fd = -1, .report_fd = -1};
	struct ends ends = {-1, -1, -1, -1};
	pid_t parent = getpid();
	int rc = make_ends(opts, &ends, &spawned);

	if (rc == 0) {
		spawned.pid = fork_into(opts->cgroup_fd);
		if (spawned.pid == 0)
			child_main(opts, &ends, parent, 0);
		if (spawned.pid < 0)
			spawned.pid = fork();
		if (spawned.pid == 0)
			child_main(opts, &ends, parent, enter_cgroup(opts));
		if (spawned.pid < 0)
			rc = -errno;
	}
	close_ends(&ends);
	if (rc != 0) {
		close_spawned(&spawned);
		return err_set_errno(err, rc, "cannot start a process");
	}
	*ret_spawned = spawned;
	return 0;
}

bool spawn_failure(int report_fd, struct err *err)
{
	struct err report;
	ssize_t n;

	do
		n = read(report_fd, &report, sizeof(report));
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(report))
		return false;
	report.msg[sizeof(report.msg) - 1] = '\0';
	*err = report;
	return true;
}
