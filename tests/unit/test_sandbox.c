#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/worker/sandbox.h"

/* Each try is made in a process of its own, which is in the sandbox: its exit code is the errno. */
static int in_sandbox(int (*attempt)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (sandbox_enter() != 0)
			_exit(200);
		errno = 0;
		_exit(attempt() < 0 ? errno : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int executes(void)
{
	char name[] = "true";
	char *const argv[] = {name, NULL};

	return execv("/bin/true", argv);
}

static int writes_a_file(void)
{
	return open("/tmp/ops-sandbox-test", O_WRONLY | O_CREAT, 0600);
}

static int opens_to_write(void)
{
	return open("/dev/null", O_RDWR);
}

static int removes_a_file(void)
{
	return unlinkat(AT_FDCWD, "/tmp/ops-sandbox-test", 0);
}

static int makes_an_inet_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static int becomes_somebody(void)
{
	return (int)syscall(SYS_setresuid, getuid(), getuid(), getuid());
}

static int changes_root(void)
{
	return chroot("/");
}

static int unshares(void)
{
	return (int)syscall(SYS_unshare, 0x10000000);
}

#if !defined(__SANITIZE_ADDRESS__) /* which forks itself, to look for leaks */
static int forks(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid;
}
#endif

static int reads_a_file(void)
{
	char byte;
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? fd : (int)read(fd, &byte, 1);
}

static int makes_a_unix_socket(void)
{
	int pair[2];

	return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 ? -1
							      : socket(AF_UNIX, SOCK_STREAM, 0);
}

static void *nothing(void *arg)
{
	return arg;
}

static int makes_a_thread(void)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, nothing, NULL);
	return errno != 0 ? -1 : pthread_join(thread, NULL);
}

static void refuses_what_a_worker_never_does(void **state)
{
	int (*const attempts[])(void) = {
		executes,
		writes_a_file,
		opens_to_write,
		removes_a_file,
		makes_an_inet_socket,
		becomes_somebody,
		changes_root,
		unshares,
#if !defined(__SANITIZE_ADDRESS__)
		forks,
#endif
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(attempts); i++)
		assert_int_equal(in_sandbox(attempts[i]), EPERM);
}

static void allows_what_it_needs(void **state)
{
	(void)state;
	assert_int_equal(in_sandbox(reads_a_file), 0);
	assert_int_equal(in_sandbox(makes_a_unix_socket), 0);
	assert_int_equal(in_sandbox(makes_a_thread), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_what_a_worker_never_does),
		cmocka_unit_test(allows_what_it_needs),
	};

	return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
