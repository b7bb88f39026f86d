#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/monitor/confine.h"
#include "core/base/log.h"

static char own[] = "/tmp/ops-confine-XXXXXX";

/* Each try is made in a process of its own, which is confined to `own`: its exit code is the errno.
 */
static int confined(int (*attempt)(void))
{
	const char *const folders[] = {own, "/nonexistent"};
	struct err err;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
		if (confine_enter(folders, ARRAY_LEN(folders), &err) != 0)
			_exit(200);
		errno = 0;
		_exit(attempt() < 0 ? errno : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

/* ---- files ---- */

static int makes_a_file_elsewhere(void)
{
	return open("/tmp/ops-confine-test", O_WRONLY | O_CREAT, 0600);
}

static int changes_a_file_elsewhere(void)
{
	return open(OPS_SOURCE_ROOT "/meson.build", O_WRONLY);
}

static int removes_a_file_elsewhere(void)
{
	return unlink(OPS_SOURCE_ROOT "/meson.build");
}

static int makes_a_folder_elsewhere(void)
{
	return mkdir("/tmp/ops-confine-test", 0700);
}

static int links_elsewhere(void)
{
	return symlink("/etc/shadow", "/tmp/ops-confine-test");
}

static void writes_no_file_outside(void **state)
{
	(void)state;
	if (!has_landlock())
		skip();
	assert_int_equal(confined(makes_a_file_elsewhere), EACCES);
	assert_int_equal(confined(changes_a_file_elsewhere), EACCES);
	assert_int_equal(confined(removes_a_file_elsewhere), EACCES);
	assert_int_equal(confined(makes_a_folder_elsewhere), EACCES);
	assert_int_equal(confined(links_elsewhere), EACCES);
}

/* All that the monitor does in its folders. */
static int works_inside(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int dir_fd = open(own, O_RDONLY | O_DIRECTORY), fd, sock;

	if (mkdirat(dir_fd, "a", 0750) != 0 || mkdirat(dir_fd, "b", 0750) != 0)
		return -1;
	fd = openat(dir_fd, "a/file", O_WRONLY | O_CREAT | O_EXCL, 0640);
	if (fd < 0 || write(fd, "x", 1) != 1 || ftruncate(fd, 0) != 0 || fchmod(fd, 0600) != 0)
		return -1;
	if (renameat(dir_fd, "a/file", dir_fd, "a/renamed") != 0 ||
		renameat(dir_fd, "a", dir_fd, "c") != 0)
		return -1;
	if (unlinkat(dir_fd, "c/renamed", 0) != 0 || unlinkat(dir_fd, "c", AT_REMOVEDIR) != 0)
		return -1;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/sock", own);
	sock = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(sock, (const struct sockaddr *)&addr, sizeof(addr)) != 0 ||
		unlink(addr.sun_path) != 0)
		return -1;
	return open("/dev/null", O_RDWR) >= 0 && open("/etc/passwd", O_RDONLY) >= 0 ? 0 : -1;
}

static void does_its_work_inside(void **state)
{
	(void)state;
	assert_int_equal(confined(works_inside), 0);
}

/* ---- system calls ---- */

#if !defined(__SANITIZE_ADDRESS__) /* which traces, to look for leaks */
static int traces(void)
{
	return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}
#endif

static int mounts(void)
{
	return mount("none", "/mnt", "tmpfs", 0, NULL);
}

static int unshares(void)
{
	return unshare(CLONE_NEWUSER);
}

/* As fork(2) does, but in namespaces of its own; a child that is made all the same does nothing. */
static int clones_into_namespaces(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	return (int)pid;
}

/* Flags that no filter sees. */
static int clones_by_clone3(void)
{
	static uint64_t args[8] = {CLONE_NEWUSER, 0, 0, 0, SIGCHLD};
	long pid = syscall(SYS_clone3, args, sizeof(args));

	if (pid == 0)
		_exit(0);
	return (int)pid;
}

static int changes_root(void)
{
	return chroot("/");
}

static int sets_the_clock(void)
{
	return (int)syscall(SYS_settimeofday, NULL, NULL);
}

static int reads_another_process(void)
{
	return (int)syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
}

static int sets_up_io_uring(void)
{
	return (int)syscall(SYS_io_uring_setup, 1, NULL);
}

#if defined(__x86_64__)
/* The same call by another ABI's number. */
static int unshares_by_x32(void)
{
	return (int)syscall(0x40000000 + SYS_unshare, CLONE_NEWUSER);
}
#endif

static void the_kernel_refuses_what_it_never_does(void **state)
{
	(void)state;
#if !defined(__SANITIZE_ADDRESS__)
	assert_int_equal(confined(traces), EPERM);
#endif
	assert_int_equal(confined(mounts), EPERM);
	assert_int_equal(confined(unshares), EPERM);
	assert_int_equal(confined(clones_into_namespaces), EPERM);
	assert_int_equal(confined(clones_by_clone3), ENOSYS);
	assert_int_equal(confined(changes_root), EPERM);
	assert_int_equal(confined(sets_the_clock), EPERM);
	assert_int_equal(confined(reads_another_process), EPERM);
	assert_int_equal(confined(sets_up_io_uring), EPERM);
#if defined(__x86_64__)
	assert_int_equal(confined(unshares_by_x32), EPERM);
#endif
}

/* ---- rights ---- */

static int gains_rights(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : -1;
}

/* Of capabilities only the five are left: here, and for whatever is executed. */
static int has_the_five(void)
{
	const uint64_t five = 1u << CAP_CHOWN | 1u << CAP_SETUID | 1u << CAP_SETGID |
			      1u << CAP_SETPCAP | 1u << CAP_KILL;
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	errno = ENOTRECOVERABLE;
	if (syscall(SYS_capget, &header, data) != 0 || data[0].effective != five ||
		data[0].permitted != five || data[1].permitted != 0)
		return -1;
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if ((prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1) != ((five >> cap & 1) != 0))
			return -1;
	}
	return 0;
}

static int becomes_another_account(void)
{
	return setresgid(65534, 65534, 65534) == 0 ? setresuid(65534, 65534, 65534) : -1;
}

/* Root without CAP_DAC_OVERRIDE is one among others. */
static int reads_what_is_anothers(void)
{
	return open(own, O_RDONLY | O_DIRECTORY);
}

static void has_five_capabilities(void **state)
{
	(void)state;
	assert_int_equal(confined(gains_rights), 0);
	if (geteuid() != 0)
		skip(); /* there were none to keep */
	assert_int_equal(confined(has_the_five), 0);
	assert_int_equal(confined(becomes_another_account), 0);
	assert_int_equal(chown(own, 65534, 65534), 0);
	assert_int_equal(confined(reads_what_is_anothers), EACCES);
	assert_int_equal(chown(own, 0, 0), 0);
}

static int make_own(void **state)
{
	(void)state;
	return mkdtemp(own) != NULL ? 0 : -1;
}

static int remove_own(void **state)
{
	char *path = xasprintf("%s/b", own);
	int rc;

	(void)state;
	rc = rmdir(path) | rmdir(own);
	free(path);
	return rc;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(does_its_work_inside),
		cmocka_unit_test(writes_no_file_outside),
		cmocka_unit_test(the_kernel_refuses_what_it_never_does),
		cmocka_unit_test(has_five_capabilities),
	};

	return cmocka_run_group_tests(tests, make_own, remove_own);
}
