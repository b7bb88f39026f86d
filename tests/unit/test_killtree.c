/* Forks real processes. Each test starts with a sub-reaper that owns all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/run/killtree.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/uuid.h"

/* Of this process alone: the same test may run elsewhere on the machine. */
static char run_id[UUID_TEXT_BYTES];

/* execve(2) closes descriptors a moment before /proc has the new environment. */
static void await_environment(pid_t pid)
{
	char path[64], byte;
	ssize_t n = 0;

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	while (n == 0) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		n = read(fd, &byte, 1);
		close(fd);
	}
}

/* A process that ignores SIGTERM and, before it tells it is there, does what prepare does. With
 * env, it executes sleep with exactly that environment, since /proc shows what execve set. */
static pid_t start(void (*prepare)(void), char *const env[])
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		static char name[] = "sleep", time[] = "1000";
		char *const argv[] = {name, time, NULL};

		close(ready[0]);
		signal(SIGTERM, SIG_IGN);
		if (prepare != NULL)
			prepare();
		if (env != NULL) {
			/* The pipe closes by itself when sleep has begun. */
			prctl(PR_SET_NAME, "waiting");
			(void)dup2(ready[1], 100);
			close(ready[1]);
			(void)fcntl(100, F_SETFD, FD_CLOEXEC);
			execve("/bin/sleep", argv, env);
			_exit(1);
		}
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	(void)!read(ready[0], &byte, 1);
	close(ready[0]);
	if (env != NULL)
		await_environment(pid);
	return pid;
}

static void reap_all(void)
{
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static void fork_two_more(void)
{
	for (int i = 0; i < 2; i++) {
		if (fork() == 0) {
			setsid();
			for (;;)
				pause();
		}
	}
}

/* Round after round, as long as it takes on this machine. */
static void kill_all(const struct killtree_target *target, struct killtree_report *report)
{
	uint64_t until = clock_mono_us() + 20 * CLOCK_SECOND_US;
	int left;

	do
		left = killtree_kill(target, report);
	while (left > 0 && clock_mono_us() < until);
	assert_int_equal(left, 0);
}

static void finds_descendants_and_ends_them(void **unused)
{
	struct killtree_target target = {.root = getpid(), .sessions_before_us = UINT64_MAX};
	struct killtree_report report = {0};

	(void)unused;
	start(fork_two_more, NULL);
	assert_int_equal(killtree_count(&target), 3);
	kill_all(&target, &report);
	assert_int_equal(report.count, 3);
	assert_int_equal(report.left, 0);
	assert_int_equal(report.n_names, 1);
	reap_all();
	assert_int_equal(killtree_count(&target), 0);
}

static void spares_whom_it_is_told_to_spare(void **unused)
{
	pid_t spared = start(NULL, NULL), victim = start(NULL, NULL);
	struct killtree_target target = {.root = getpid(), .spared = &spared, .n_spared = 1};
	int status;

	(void)unused;
	kill_all(&target, NULL);
	assert_int_equal(waitpid(victim, &status, 0), victim);
	assert_int_equal(WTERMSIG(status), SIGKILL);
	assert_int_equal(waitpid(spared, &status, WNOHANG), 0);
	target.n_spared = 0;
	kill_all(&target, NULL);
	reap_all();
}

static void finds_a_run_by_its_environment(void **unused)
{
	static char step[] = "OPS_STEP=a";
	static char run[64], other[64], longer[72];
	char *const env[] = {run, step, NULL};
	char *const no_env[] = {other, longer, NULL};
	struct killtree_target target = {.run_id = run_id, .step_id = "b"};
	struct killtree_report report = {0};
	pid_t mine, stranger;
	int status;

	(void)unused;
	snprintf(run, sizeof(run), "OPS_RUN_ID=%s", run_id);
	snprintf(longer, sizeof(longer), "X%s", run);
	snprintf(other, sizeof(other), "%s", run);
	other[strlen(other) - 1] ^= 1;
	mine = start(NULL, env);
	stranger = start(NULL, no_env);
	assert_int_equal(killtree_count(&target), 0);
	target.step_id = "a";
	assert_int_equal(killtree_count(&target), 1);
	assert_int_equal(killtree_by_run(run_id, NULL, CLOCK_SECOND_US, &report), 0);
	assert_int_equal(report.count, 1);
	assert_string_equal(report.names[0], "sleep");
	assert_int_equal(waitpid(mine, &status, 0), mine);
	assert_int_equal(waitpid(stranger, &status, WNOHANG), 0);
	kill(stranger, SIGKILL);
	reap_all();
}

static void lead_a_session(void)
{
	setsid();
	fork_two_more();
}

static void finds_what_a_recorded_session_left_but_no_later_one(void **unused)
{
	pid_t leader = start(lead_a_session, NULL);
	struct run_state state = {.n_steps = 1, .steps = {{.pid = leader}}};
	struct killtree_report report = {0};

	(void)unused;
	/* Another boot's pids, or a session begun after the state was written, are not ours. */
	state.written_boot_us = UINT64_C(60000000000);
	assert_int_equal(killtree_by_run(run_id, &state, 0, &report), 0);
	assert_int_equal(report.count, 0);
	state_boot_id(state.boot_id);
	state.written_boot_us = 1;
	assert_int_equal(killtree_by_run(run_id, &state, 0, &report), 0);
	assert_int_equal(report.count, 0);
	state.written_boot_us = clock_mono_us() + CLOCK_SECOND_US;
	assert_int_equal(killtree_by_run(run_id, &state, CLOCK_SECOND_US, &report), 0);
	assert_int_equal(report.count, 3);
	reap_all();
}

static void a_signal_reaches_stopped_ones_too(void **unused)
{
	pid_t pid = fork();
	struct killtree_target target = {.root = getpid()};
	struct killtree_report report = {0};
	int status;

	(void)unused;
	if (pid == 0) {
		for (;;)
			pause();
	}
	kill(pid, SIGSTOP);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_int_equal(killtree_signal(&target, SIGTERM, &report), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WTERMSIG(status), SIGTERM);
	assert_int_equal(report.count, 1);
}

static void bomb(void)
{
	unsigned left = 200;

	while (left > 1) {
		if (fork() == 0) {
			left /= 2;
			setsid();
			continue;
		}
		left -= left / 2;
	}
	for (;;)
		pause();
}

static void outruns_a_bounded_fork_bomb(void **unused)
{
	struct killtree_target target = {.root = getpid()};
	struct killtree_report report = {0};
	uint64_t until = clock_mono_us() + 20 * CLOCK_SECOND_US;
	int left = 1;

	(void)unused;
	if (fork() == 0)
		bomb();
	while (left > 0 && clock_mono_us() < until) {
		left = killtree_kill(&target, &report);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	assert_int_equal(left, 0);
	assert_int_equal(killtree_count(&target), 0);
	reap_all();
}

/* Forks when it is told to go on. */
static void on_continue(int sig)
{
	(void)sig;
	if (fork() == 0) {
		signal(SIGCONT, SIG_DFL);
		for (;;)
			pause();
	}
}

/* A parent, many who keep the killer busy, and last, in a process group of its own, one whom the
 * kernel wakes with SIGHUP and SIGCONT when the parent dies, because that orphans its group. */
static void family_with_a_sleeper(int ready)
{
	setsid();
	for (int i = 0; i < 100; i++) {
		if (fork() == 0) {
			for (;;)
				pause();
		}
	}
	if (fork() == 0) {
		setpgid(0, 0);
		signal(SIGHUP, SIG_IGN);
		signal(SIGCONT, on_continue);
		assert_int_equal(write(ready, "r", 1), 1);
		for (;;)
			pause();
	}
	for (;;)
		pause();
}

static void who_wakes_and_forks_while_others_die_is_found(void **unused)
{
	struct killtree_target target = {.root = getpid()};
	struct killtree_report report = {0};
	int ready[2];
	char byte;

	(void)unused;
	assert_int_equal(pipe(ready), 0);
	if (fork() == 0)
		family_with_a_sleeper(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	kill_all(&target, &report);
	assert_int_equal(killtree_count(&target), 0);
	close(ready[0]);
	close(ready[1]);
	reap_all();
}

static void names_of_any_kind_are_read(void **unused)
{
	pid_t pid = fork();
	struct killtree_target target = {.root = getpid()};
	struct killtree_report report = {0};

	(void)unused;
	if (pid == 0) {
		prctl(PR_SET_NAME, ") R 1 1 (\n");
		for (;;)
			pause();
	}
	/* The name is set a moment after the fork. */
	while (report.n_names == 0 || strcmp(report.names[report.n_names - 1], ") R 1 1 (\n") != 0)
		assert_int_equal(killtree_signal(&target, SIGCONT, &report), 1);
	kill_all(&target, &report);
	reap_all();
}

/* Also after a test that failed half way. */
static int end_all(void **unused)
{
	struct killtree_target target = {.root = getpid()};

	(void)unused;
	while (killtree_kill(&target, NULL) > 0)
		;
	reap_all();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(finds_descendants_and_ends_them, end_all),
		cmocka_unit_test_teardown(spares_whom_it_is_told_to_spare, end_all),
		cmocka_unit_test_teardown(finds_a_run_by_its_environment, end_all),
		cmocka_unit_test_teardown(
			finds_what_a_recorded_session_left_but_no_later_one, end_all),
		cmocka_unit_test_teardown(a_signal_reaches_stopped_ones_too, end_all),
		cmocka_unit_test_teardown(outruns_a_bounded_fork_bomb, end_all),
		cmocka_unit_test_teardown(who_wakes_and_forks_while_others_die_is_found, end_all),
		cmocka_unit_test_teardown(names_of_any_kind_are_read, end_all),
	};
	struct uuid id;

	uuid_v7(&id);
	uuid_format(&id, run_id);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
