#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "agent/monitor/launch.h"
#include "agent/run/lock.h"
#include "agent/run/rundir.h"
#include "run_fixture.h"

/* A runner that only waits to be killed. */
static int stay(const char *run_dir, int lock_fd)
{
	(void)run_dir;
	(void)lock_fd;
	return pause();
}

/* A runner that tells by its exit code what it was given. */
static int look(const char *run_dir, int lock_fd)
{
	struct stat st, own;
	int dir_fd = open(run_dir, O_RDONLY | O_DIRECTORY);

	if (fstatat(dir_fd, RUNDIR_LOCK, &st, 0) != 0 || fstat(lock_fd, &own) != 0 ||
		st.st_ino != own.st_ino)
		return 2;
	close(dir_fd);
	if (fcntl(lock_fd + 1, F_GETFD) >= 0)
		return 3; /* something of the monitor's is open */
	if (getenv("OPS_AGENT_SECRET_PATH") != NULL || getenv("PATH") == NULL)
		return 4;
	if (getenv("OPS_CGROUP") == NULL || strcmp(getenv("OPS_CGROUP"), "off") != 0)
		return 6;
	return getsid(0) == getpid() ? 7 : 5;
}

static struct launch launch_in(const struct fixture *fix)
{
	return (struct launch){
		.runs_fd = fix->dir_fd, .runs_path = fix->path, .gid = (gid_t)-1, .runner = stay};
}

static int open_run(const struct fixture *fix, const struct plan *plan)
{
	char text[UUID_TEXT_BYTES];

	uuid_format(&plan->id, text);
	return openat(fix->dir_fd, text, O_RDONLY | O_DIRECTORY);
}

static void discard(const struct launch *launch, struct launch_run *run, struct plan *plan)
{
	launch_close(run);
	launch_discard(launch, &plan->id);
	assert_false(launch_exists(launch, &plan->id));
	plan_free(plan);
}

static void the_lock_is_held_without_a_gap(void **state)
{
	struct launch launch = launch_in(*state);
	struct plan *plan = fixture_plan(1);
	struct launch_run run;
	struct err err;
	int dir_fd, status;
	pid_t pid;

	assert_int_equal(launch_prepare(&launch, plan, &run, &err), 0);
	dir_fd = open_run(*state, plan);
	assert_int_equal(lock_test(dir_fd), 1);
	assert_int_equal(launch_sync(&launch, &run, 1), 0);
	pid = launch_runner(&launch, &run, &err);
	assert_true(pid > 0);
	launch_close(&run);
	/* the runner may not have run for a moment yet, and the maker has let go of it */
	assert_int_equal(lock_test(dir_fd), 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(lock_test(dir_fd), 0);
	close(dir_fd);
	discard(&launch, &run, plan);
}

/* As systemd hands it on. */
static void the_lock_is_taken_over_with_a_descriptor(void **state)
{
	struct launch launch = launch_in(*state);
	struct plan *plan = fixture_plan(1);
	struct launch_run run;
	struct err err;
	int dir_fd, fd, another;

	assert_int_equal(launch_prepare(&launch, plan, &run, &err), 0);
	dir_fd = open_run(*state, plan);
	assert_int_equal(lock_inherit(dir_fd, run.meta_fd), -ENOENT);
	/* the same file, but who opened it anew does not hold the lock */
	another = openat(dir_fd, RUNDIR_LOCK, O_RDWR);
	assert_int_equal(lock_inherit(dir_fd, another), -EAGAIN);
	close(another);
	fd = lock_inherit(dir_fd, run.lock_fd);
	assert_true(fd > STDERR_FILENO);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	launch_close(&run);
	assert_int_equal(lock_test(dir_fd), 1);
	close(fd);
	assert_int_equal(lock_test(dir_fd), 0);
	close(dir_fd);
	discard(&launch, &run, plan);
}

static void a_runner_gets_its_lock_and_nothing_else(void **state)
{
	struct launch launch = launch_in(*state);
	struct plan *plans[2] = {fixture_plan(1), fixture_plan(2)};
	struct launch_run runs[2];
	struct err err;
	int status;
	pid_t pid;

	launch.runner = look;
	setenv("OPS_AGENT_SECRET_PATH", "/nowhere", 1);
	setenv("OPS_CGROUP", "off", 1);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(launch_prepare(&launch, plans[i], &runs[i], &err), 0);
	assert_int_equal(launch_sync(&launch, runs, 2), 0);
	for (size_t i = 0; i < 2; i++) {
		pid = launch_runner(&launch, &runs[i], &err);
		assert_true(pid > 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 7);
	}
	for (size_t i = 0; i < 2; i++)
		discard(&launch, &runs[i], plans[i]);
}

/* What a power cut before launch_sync() may leave is removed at the next start; a run with a record
 * or with a good meta never is. */
static void cleaning_removes_what_was_never_promised(void **state)
{
	struct launch launch = launch_in(*state);
	struct plan *plans[3] = {fixture_plan(1), fixture_plan(1), fixture_plan(1)};
	struct launch_run runs[3];
	struct err err;
	int dir_fd, fd;

	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(launch_prepare(&launch, plans[i], &runs[i], &err), 0);
		launch_close(&runs[i]);
	}
	for (size_t i = 0; i < 2; i++) {
		dir_fd = open_run(*state, plans[i]);
		fd = openat(dir_fd, RUNDIR_META, O_WRONLY | O_TRUNC);
		close(fd);
		fd = openat(dir_fd, RUNDIR_JOURNAL, O_WRONLY);
		if (i == 1)
			assert_int_equal(write(fd, "x", 1), 1);
		close(fd);
		close(dir_fd);
	}
	launch_clean(&launch);
	assert_false(launch_exists(&launch, &plans[0]->id));
	assert_true(launch_exists(&launch, &plans[1]->id));
	assert_true(launch_exists(&launch, &plans[2]->id));
	for (size_t i = 1; i < 3; i++)
		launch_discard(&launch, &plans[i]->id);
	for (size_t i = 0; i < 3; i++)
		plan_free(plans[i]);
}

static void put(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static void discarding_leaves_nothing(void **state)
{
	struct launch launch = launch_in(*state);
	struct plan *plan = fixture_plan(1);
	struct launch_run run;
	struct err err;

	assert_int_equal(launch_prepare(&launch, plan, &run, &err), 0);
	put(run.dir_fd, RUNDIR_CLAIMS);
	put(run.dir_fd, RUNDIR_CONTROL_HOLD);
	assert_int_equal(mkdirat(run.dir_fd, RUNDIR_SCRATCH, 0700), 0);
	put(run.dir_fd, RUNDIR_SCRATCH "/x");
	discard(&launch, &run, plan);
	/* not even under another name */
	assert_int_equal(rmdir(((struct fixture *)*state)->path), 0);
	assert_int_equal(mkdir(((struct fixture *)*state)->path, 0700), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			the_lock_is_held_without_a_gap, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			the_lock_is_taken_over_with_a_descriptor, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			a_runner_gets_its_lock_and_nothing_else, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			discarding_leaves_nothing, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			cleaning_removes_what_was_never_promised, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests_name("launch", tests, NULL, NULL);
}
