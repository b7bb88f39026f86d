#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/monitor/active.h"
#include "agent/run/lock.h"
#include "agent/run/rundir.h"

#define RUN "0193e9a0-0000-7000-8000-000000000001"

/* A state folder with one run in it, whose lock we hold as a runner would. */
struct bed {
	char path[64];
	int state_fd, runs_fd, run_fd, lock_fd;
	struct active active;
};

static int bed_make(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));
	struct err err = {0};

	snprintf(bed->path, sizeof(bed->path), "/tmp/ops-active-XXXXXX");
	assert_non_null(mkdtemp(bed->path));
	bed->state_fd = open(bed->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(bed->state_fd, "runs", 0700), 0);
	bed->runs_fd = openat(bed->state_fd, "runs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(bed->runs_fd, RUN, 0700), 0);
	bed->run_fd = openat(bed->runs_fd, RUN, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bed->lock_fd = lock_take(bed->run_fd);
	assert_true(bed->lock_fd >= 0);
	active_init(&bed->active, bed->runs_fd, ledger_open(bed->state_fd, (gid_t)-1, &err));
	assert_non_null(bed->active.ledger);
	assert_true(bed->active.inotify_fd >= 0);
	(void)active_scan(&bed->active);
	*state = bed;
	return 0;
}

static int bed_unmake(void **state)
{
	struct bed *bed = *state;
	struct ledger *ledger = bed->active.ledger;
	char command[128];

	active_fini(&bed->active);
	ledger_close(ledger);
	if (bed->lock_fd >= 0)
		close(bed->lock_fd);
	close(bed->run_fd);
	close(bed->runs_fd);
	close(bed->state_fd);
	snprintf(command, sizeof(command), "rm -r %s", bed->path);
	assert_int_equal(system(command), 0);
	free(bed);
	return 0;
}

static void waits_for_the_lock_of_a_run_that_it_adopts(void **state)
{
	struct bed *bed = *state;
	const struct active_run *run = &bed->active.runs[0];

	assert_int_equal(bed->active.n, 1);
	assert_int_equal(run->pid, 0);
	assert_true(run->watch >= 0);
	assert_false(run->retry); /* nobody looks by time */
	assert_true(active_retry(&bed->active, 1) == 0);
}

static void looks_at_a_run_when_its_lock_is_closed(void **state)
{
	struct bed *bed = *state;
	struct pollfd pfd = {.fd = bed->active.inotify_fd, .events = POLLIN};

	close(bed->lock_fd);
	bed->lock_fd = -1;
	assert_int_equal(poll(&pfd, 1, 10000), 1);
	active_polled(&bed->active);
	/* settled; or, with nothing to end in this folder, to be tried again */
	assert_true(bed->active.n == 0 || bed->active.runs[0].retry);
	assert_true(bed->active.n == 0 || bed->active.runs[0].watch == -1);
}

static void watches_anew_when_another_closes_the_lock(void **state)
{
	struct bed *bed = *state;
	struct active_run *run = &bed->active.runs[0];
	struct pollfd pfd = {.fd = bed->active.inotify_fd, .events = POLLIN};
	int other = openat(bed->run_fd, RUNDIR_LOCK, O_RDWR | O_CLOEXEC);

	assert_true(other >= 0);
	close(other);
	assert_int_equal(poll(&pfd, 1, 10000), 1);
	active_polled(&bed->active);
	assert_int_equal(bed->active.n, 1);
	assert_true(run->retry && run->retry_us != 0);
	assert_true(active_retry(&bed->active, run->retry_us) == 0);
	assert_true(run->watch >= 0);
	assert_false(run->retry);
}

static void looks_at_all_when_the_kernel_has_lost_events(void **state)
{
	struct bed *bed = *state;
	struct active_run *run = &bed->active.runs[0];
	const struct inotify_event event = {.wd = -1, .mask = IN_Q_OVERFLOW};
	int fds[2], own = bed->active.inotify_fd;

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], &event, sizeof(event)), sizeof(event));
	close(fds[1]);
	bed->active.inotify_fd = fds[0]; /* in the kernel's place */
	active_polled(&bed->active);
	close(fds[0]);
	bed->active.inotify_fd = own;
	assert_true(run->retry);
	assert_true(run->retry_us == 0);
	/* its runner lives: it is watched again */
	assert_true(active_retry(&bed->active, 1) == 0);
	assert_true(run->watch >= 0);
	assert_false(run->retry);
}

int main(void)
{
#define ON_BED(test) cmocka_unit_test_setup_teardown(test, bed_make, bed_unmake)
	const struct CMUnitTest tests[] = {
		ON_BED(waits_for_the_lock_of_a_run_that_it_adopts),
		ON_BED(looks_at_a_run_when_its_lock_is_closed),
		ON_BED(watches_anew_when_another_closes_the_lock),
		ON_BED(looks_at_all_when_the_kernel_has_lost_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
