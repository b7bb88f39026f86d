#include "agent/runner/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/run/event.h"
#include "agent/run/lock.h"
#include "agent/run/rundir.h"
#include "agent/runner/runner.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"

#define NEEDED_SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK)

/* The plan on standard input: a memfd nobody can change any more. */
static struct plan *read_plan(struct err *err)
{
	struct plan *plan = NULL;
	struct stat st;
	int seals = fcntl(STDIN_FILENO, F_GET_SEALS);
	uint8_t *bytes;
	ssize_t n;

	if (seals < 0 || (seals & NEEDED_SEALS) != NEEDED_SEALS || fstat(STDIN_FILENO, &st) != 0 ||
		st.st_size <= 0 || st.st_size > PLAN_MAX_BYTES) {
		err_set(err, -EINVAL,
			"standard input is no plan (a sealed memfd of at most 1 MiB)");
		return NULL;
	}
	bytes = xcalloc(1, (size_t)st.st_size);
	n = pread(STDIN_FILENO, bytes, (size_t)st.st_size, 0);
	if (n == st.st_size)
		plan = plan_decode(bytes, (size_t)n, err);
	else
		err_set(err, -EIO, "cannot read the plan");
	mem_wipe(bytes, (size_t)st.st_size);
	free(bytes);
	if (plan != NULL && plan->n_steps == 0) {
		err_set(err, -EINVAL, "the plan has no steps");
		plan_free(plan);
		plan = NULL;
	}
	return plan;
}

/* systemd hands on the lock as standard output (monitor/units.h). -1: that is something else. */
static int inherited_lock(const char *run_dir)
{
	int dir_fd = open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = dir_fd >= 0 ? lock_inherit(dir_fd, STDOUT_FILENO) : -1;

	if (dir_fd >= 0)
		close(dir_fd);
	return MAX(fd, -1);
}

/* Nothing of whoever started us stays open but the lock: no pipe whose end could hurt, no plan. */
static int drop_descriptors(int *lock_fd)
{
	int null_fd = open("/dev/null", O_RDWR);
	int first = STDERR_FILENO + 1;

	if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(null_fd, STDOUT_FILENO) < 0)
		return -errno;
	if (*lock_fd >= 0) {
		if (*lock_fd != first && dup3(*lock_fd, first, O_CLOEXEC) < 0)
			return -errno;
		*lock_fd = first++;
	}
	syscall(SYS_close_range, first, ~0u, 0);
	return 0;
}

/* Own session, adoptive parent of whatever the commands leave, no signal but through signal_fd. */
static int detach(int *ret_signal_fd)
{
	sigset_t set;
	int fd;

	(void)setsid(); /* fails when we lead a session already, which is as good */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
		return -errno;
	/* The plan's secrets are in our memory; commands may run as our own user. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGCHLD, SIG_DFL); /* ignored, exits could not be seen */
	umask(027);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_SETMASK, &set, NULL) != 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	*ret_signal_fd = fd;
	return 0;
}

/* Field 22 of /proc/self/stat. */
static uint64_t own_start_ticks(void)
{
	char text[1024];
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	char *at;

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	at = strrchr(text, ')');
	/* From the space behind the name to the one before field 22. */
	for (int i = 3; at != NULL && i <= 22; i++)
		at = strchr(at + 1, ' ');
	return at != NULL ? strtoull(at, NULL, 10) : 0;
}

static int open_files(struct run *run, struct err *err)
{
	int rc = journal_create(&run->journal, run->dir_fd, err);

	if (rc != 0)
		return rc;
	run->state_fd = state_open(run->dir_fd);
	if (run->state_fd < 0)
		return err_set_errno(err, run->state_fd, "cannot make %s", RUNDIR_STATE);
	run->outputs_fd = rundir_create(run->dir_fd, RUNDIR_OUTPUTS, O_WRONLY | O_APPEND);
	if (run->outputs_fd < 0)
		return err_set_errno(err, run->outputs_fd, "cannot make %s", RUNDIR_OUTPUTS);
	rc = control_open(&run->control, run->dir_fd, run->run_dir, err);
	if (rc != 0)
		return rc;
	rc = detach(&run->signal_fd);
	if (rc != 0)
		return err_set_errno(err, rc, "cannot read signals");
	rc = syncer_init(&run->syncer, run->journal.fd, run->dir_fd);
	return rc == 0 ? 0 : err_set_errno(err, rc, "cannot start the thread that syncs");
}

static char *scratch_base(const char *run_dir)
{
	const char *base = rundir_output_base();

	return base != NULL ? xstrdup(base) : xasprintf("%s/" RUNDIR_SCRATCH, run_dir);
}

static void start_state(struct run *run)
{
	struct run_state old;
	uint64_t seq = state_read(run->dir_fd, &old) == 0 ? old.seq : 0;

	state_init(&run->state, run->plan);
	run->state.seq = seq;
	run->state.status = RUN_RUNNING;
	run->state.started_us = clock_wall_us();
	run->state.runner_pid = getpid();
	run->state.runner_start_ticks = own_start_ticks();
}

static int open_run_dir(struct run *run, const char *run_dir, struct err *err)
{
	run->run_dir = run_dir;
	run->dir_fd = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (run->dir_fd < 0) {
		err_set_errno(err, -errno, "cannot open %s", run_dir);
		return RUNNER_EXIT_USAGE;
	}
	if (run->lock_fd < 0)
		run->lock_fd = lock_take(run->dir_fd);
	if (run->lock_fd >= 0)
		return 0;
	err_set_errno(err, run->lock_fd, "cannot lock %s", run_dir);
	return run->lock_fd == -EAGAIN ? RUNNER_EXIT_BUSY : RUNNER_EXIT_FAILED;
}

/* That there is none costs the exactness of cgroups, nothing else. Where it is stands in RUN_DIR
 * for whoever has to clean up after us. */
static void open_cgroups(struct run *run)
{
	int fd, rc = cgroup_tree_open(&run->cgroups, run->id);

	if (rc != 0) {
		log_debug(LOG_EV("runner.no_cgroup"), LOG_STR("error", strerror(-rc)));
		return;
	}
	fd = rundir_create(run->dir_fd, RUNDIR_CGROUP, O_WRONLY | O_TRUNC);
	if (fd < 0 || file_write_all(fd, run->cgroups.path, strlen(run->cgroups.path)) != 0)
		log_warn(LOG_EV("runner.cgroup_not_noted"), LOG_STR("run", run->id));
	if (fd >= 0)
		close(fd);
}

int run_init(struct run *run, const char *run_dir, int lock_fd, struct err *err)
{
	int rc;

	*run = (struct run){.dir_fd = -1,
		.lock_fd = lock_fd,
		.state_fd = -1,
		.outputs_fd = -1,
		.signal_fd = -1,
		.timeout_at = RUN_NEVER,
		.tokens = RUN_TOKENS,
		.syncer = {.wake_fd = -1},
		.cgroups = {.fd = -1},
		.journal = {.fd = -1, .index_fd = -1},
		.control = {.dir_fd = -1, .inotify_fd = -1}};
	run->plan = read_plan(err);
	if (run->plan == NULL)
		return RUNNER_EXIT_USAGE;
	if (run->lock_fd < 0)
		run->lock_fd = inherited_lock(run_dir);
	rc = drop_descriptors(&run->lock_fd);
	if (rc != 0)
		err_set_errno(err, rc, "cannot open /dev/null");
	else
		rc = open_run_dir(run, run_dir, err);
	if (rc == 0) {
		uuid_format(&run->plan->id, run->id);
		rc = open_files(run, err);
	}
	if (rc != 0) {
		run_fini(run);
		return rc > 0 ? rc : RUNNER_EXIT_FAILED;
	}
	for (size_t i = 0; i < PLAN_MAX_STEPS; i++)
		run->step_wake_at[i] = RUN_NEVER;
	run->scratch_base = scratch_base(run_dir);
	run->now = run->tokens_at = run->sync_at = clock_mono_us();
	if (run->plan->timeout_us != 0)
		run->timeout_at = run->now + run->plan->timeout_us;
	open_cgroups(run);
	secrets_add_plan(&run->secrets, run->plan, geteuid());
	start_state(run);
	return 0;
}

void run_fini(struct run *run)
{
	int *fds[] = {
		&run->state_fd, &run->outputs_fd, &run->signal_fd, &run->lock_fd, &run->dir_fd};

	if (run->syncer.wake_fd >= 0)
		syncer_fini(&run->syncer);
	journal_fini(&run->journal);
	control_close(&run->control);
	outputs_fini(&run->outputs);
	cgroup_tree_close(&run->cgroups);
	secrets_fini(&run->secrets);
	plan_free(run->plan);
	free(run->scratch_base);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	/* The secrets are wiped; leak checkers may look now. */
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}
