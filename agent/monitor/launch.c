#include "agent/monitor/launch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/monitor/title.h"
#include "agent/run/lock.h"
#include "agent/run/meta.h"
#include "agent/run/rundir.h"
#include "agent/run/state.h"
#include "core/base/file.h"
#include "core/base/log.h"

#define MAX_DEPTH 4 /* of folders in a RUN_DIR: run/RUN/STEP/output */
#define NEW_NAME_BYTES (sizeof(LAUNCH_NEW_PREFIX) + UUID_TEXT_BYTES)

static void new_name(const struct uuid *id, char out[NEW_NAME_BYTES])
{
	char text[UUID_TEXT_BYTES];

	uuid_format(id, text);
	snprintf(out, NEW_NAME_BYTES, LAUNCH_NEW_PREFIX "%s", text);
}

/* ---- the folder ---- */

/* Returns the descriptor, to be synced. */
static int write_meta(int dir_fd, const struct plan *plan)
{
	struct buf bytes;
	int fd, rc;

	buf_init(&bytes, META_MAX_BYTES);
	rc = meta_encode(plan, &bytes);
	fd = rc == 0 ? rundir_create(dir_fd, RUNDIR_META, O_WRONLY | O_EXCL) : rc;
	if (fd >= 0) {
		rc = file_write_all(fd, bytes.data, bytes.len);
		if (rc != 0) {
			close(fd);
			fd = rc;
		}
	}
	buf_fini(&bytes);
	return fd;
}

static int write_state(int dir_fd, const struct plan *plan)
{
	struct run_state *state = xcalloc(1, sizeof(*state));
	int fd = state_open(dir_fd);
	int rc = fd;

	state_init(state, plan);
	if (fd >= 0) {
		rc = state_write(fd, state);
		close(fd);
	}
	free(state);
	return rc;
}

static int make_empty(int dir_fd, const char *name)
{
	int fd = rundir_create(dir_fd, name, O_WRONLY);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static int make_dir(int parent_fd, const char *name, gid_t gid)
{
	if (mkdirat(parent_fd, name, RUNDIR_DIR_MODE) != 0)
		return -errno;
	if (fchmodat(parent_fd, name, RUNDIR_DIR_MODE, 0) != 0)
		return -errno;
	if (gid != (gid_t)-1 && fchownat(parent_fd, name, (uid_t)-1, gid, AT_SYMLINK_NOFOLLOW) != 0)
		return -errno;
	return 0;
}

/* Removes what is in the folder; RUN_DIRs are not deep. Takes over dir_fd. */
static void empty_folder(int dir_fd, unsigned depth)
{
	DIR *dir = fdopendir(dir_fd);
	const struct dirent *entry;

	if (dir == NULL) {
		close(dir_fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL) {
		int fd;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
			unlinkat(dir_fd, entry->d_name, 0) == 0 || depth == MAX_DEPTH)
			continue;
		fd = openat(dir_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd >= 0)
			empty_folder(fd, depth + 1);
		(void)unlinkat(dir_fd, entry->d_name, AT_REMOVEDIR);
	}
	closedir(dir);
}

static void discard_name(const struct launch *launch, const char *name)
{
	int dir_fd = openat(launch->runs_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (dir_fd < 0)
		return;
	empty_folder(dir_fd, 0);
	if (unlinkat(launch->runs_fd, name, AT_REMOVEDIR) != 0)
		log_warn(LOG_EV("run.discard_failed"), LOG_STR("folder", name),
			LOG_STR("error", strerror(errno)));
}

static int fill(struct launch_run *run, gid_t gid)
{
	int rc;

	run->meta_fd = write_meta(run->dir_fd, run->plan);
	rc = MIN(run->meta_fd, 0);
	if (rc == 0)
		rc = write_state(run->dir_fd, run->plan);
	if (rc == 0)
		rc = make_empty(run->dir_fd, RUNDIR_JOURNAL);
	if (rc == 0) {
		run->lock_fd = lock_take(run->dir_fd);
		rc = MIN(run->lock_fd, 0);
	}
	if (rc == 0)
		rc = make_dir(run->dir_fd, RUNDIR_CONTROL, gid);
	return rc;
}

int launch_prepare(const struct launch *launch, const struct plan *plan, struct launch_run *ret_run,
	struct err *err)
{
	struct launch_run run = {.plan = plan, .dir_fd = -1, .meta_fd = -1, .lock_fd = -1};
	char name[NEW_NAME_BYTES], text[UUID_TEXT_BYTES];
	int rc;

	new_name(&plan->id, name);
	uuid_format(&plan->id, text);
	rc = make_dir(launch->runs_fd, name, launch->gid);
	if (rc == 0) {
		run.dir_fd = openat(
			launch->runs_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		rc = run.dir_fd >= 0 ? fill(&run, launch->gid) : -errno;
	}
	if (rc == 0 && renameat(launch->runs_fd, name, launch->runs_fd, text) != 0)
		rc = -errno;
	if (rc == 0) {
		*ret_run = run;
		return 0;
	}
	launch_close(&run);
	discard_name(launch, name);
	return err_set_errno(err, rc, "cannot make the run's folder");
}

/* Everything was written before the first of these, so that a journaling file system commits it
 * all at once and finds nothing left to do for the rest. */
int launch_sync(const struct launch *launch, const struct launch_run *runs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (fsync(runs[i].meta_fd) != 0 || fsync(runs[i].dir_fd) != 0)
			return -errno;
	}
	return n == 0 || fsync(launch->runs_fd) == 0 ? 0 : -errno;
}

void launch_close(struct launch_run *run)
{
	int *fds[] = {&run->dir_fd, &run->meta_fd, &run->lock_fd};

	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

void launch_discard(const struct launch *launch, const struct uuid *id)
{
	char name[NEW_NAME_BYTES], text[UUID_TEXT_BYTES];

	new_name(id, name);
	uuid_format(id, text);
	/* under its own name it must not be seen half removed */
	if (renameat(launch->runs_fd, text, launch->runs_fd, name) == 0)
		discard_name(launch, name);
	else
		log_warn(LOG_EV("run.discard_failed"), LOG_STR("run", text),
			LOG_STR("error", strerror(errno)));
}

/* Whether a power cut came before launch_sync(): no meta that can be read, and no record. */
static bool never_was(const struct launch *launch, const char *name)
{
	int dir_fd = openat(launch->runs_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct err err = {0};
	struct plan *meta;
	struct stat st;
	bool empty;

	if (dir_fd < 0)
		return false;
	empty = fstatat(dir_fd, RUNDIR_JOURNAL, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_size == 0
									       : errno == ENOENT;
	meta = empty ? meta_read(dir_fd, &err) : NULL;
	close(dir_fd);
	if (!empty || meta != NULL) {
		meta_free(meta);
		return false;
	}
	return err.code == -EBADMSG || err.code == -ENOENT;
}

void launch_clean(const struct launch *launch)
{
	int fd = openat(launch->runs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL) {
		struct uuid id;

		if (strncmp(entry->d_name, LAUNCH_NEW_PREFIX, strlen(LAUNCH_NEW_PREFIX)) == 0)
			discard_name(launch, entry->d_name);
		else if (uuid_parse(entry->d_name, strlen(entry->d_name), &id) == 0 &&
			 never_was(launch, entry->d_name))
			launch_discard(launch, &id);
	}
	closedir(dir);
}

bool launch_exists(const struct launch *launch, const struct uuid *id)
{
	char text[UUID_TEXT_BYTES];

	uuid_format(id, text);
	return faccessat(launch->runs_fd, text, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- the runner ---- */

/* The plan where only the runner can read it, and nobody can change it any more. */
static int plan_memfd(const struct plan *plan, struct err *err)
{
	struct buf bytes;
	int fd = -1;
	int rc;

	buf_init(&bytes, PLAN_MAX_BYTES);
	rc = plan_encode(plan, &bytes);
	if (rc == 0) {
		fd = memfd_create("ops-plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		rc = fd >= 0 ? file_write_all(fd, bytes.data, bytes.len) : -errno;
	}
	if (rc == 0 &&
		(lseek(fd, 0, SEEK_SET) != 0 ||
			fcntl(fd, F_ADD_SEALS,
				F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0))
		rc = -errno;
	mem_wipe(bytes.data, bytes.len);
	buf_fini(&bytes);
	if (rc == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return err_set_errno(err, rc, "cannot hand over the plan");
}

/* A pipe would end the runner by SIGPIPE, or block it, once whoever reads it is gone. */
static bool stderr_outlives_us(void)
{
	struct stat st;

	return fstat(STDERR_FILENO, &st) == 0 &&
	       (S_ISREG(st.st_mode) || S_ISCHR(st.st_mode) || S_ISSOCK(st.st_mode));
}

#define ENV_MAX 8

/* What of the agent's environment a runner has a use for; n strings, NULL behind them. */
static size_t make_env(const struct launch *launch, char *env[ENV_MAX])
{
	static const char *const passed[] = {
		"OPS_RUNS_DIR", "OPS_CGROUP", "LOG_LEVEL", "LOG_FORMAT"};
	size_t n = 0;

	env[n++] = xstrdup("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	env[n++] = xasprintf("OPS_AGENT_TRUSTED_UID=%u", launch->trusted_uid);
	for (size_t i = 0; i < ARRAY_LEN(passed); i++) {
		if (getenv(passed[i]) != NULL)
			env[n++] = xasprintf("%s=%s", passed[i], getenv(passed[i]));
	}
	env[n] = NULL;
	return n;
}

static void keep_environment(const struct launch *launch)
{
	char *env[ENV_MAX];
	size_t n = make_env(launch, env);

	clearenv();
	for (size_t i = 0; i < n; i++)
		putenv(env[i]);
}

/* In the forked process: becomes the runner, as if it had been executed. What of the monitor is
 * still in memory stays reachable, and signals stay blocked until the runner takes them over. */
static void become_runner(
	const struct launch *launch, const char *run_dir, int plan_fd, int lock_fd)
{
	const int first = STDERR_FILENO + 1;
	int null_fd = -1;

	/* at once: other runs' locks and the state folder's are not ours to hold */
	if (dup2(plan_fd, STDIN_FILENO) < 0 ||
		(lock_fd != first && dup3(lock_fd, first, O_CLOEXEC) < 0))
		_exit(1);
	close_range(first + 1, ~0u, 0);
	setsid();
	signal(SIGPIPE, SIG_DFL);
	prctl(PR_SET_NAME, "ops-runner");
	title_set("runner", run_dir);
	if (!stderr_outlives_us())
		null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if ((null_fd >= 0 && dup2(null_fd, STDERR_FILENO) < 0) ||
		dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		_exit(1);
	if (null_fd >= 0)
		close(null_fd);
	keep_environment(launch);
	exit(launch->runner(run_dir, first));
}

void launch_warm_up(void)
{
	gid_t group;
	int n = 1;

	/* what it finds does not matter, nor whether there is room for it */
	(void)getgrouplist("root", 0, &group, &n);
}

/* This very program, for systemd to execute. An upgrade may have put another one in its place,
 * which need not understand our plans: then ours is reached as long as we are there. */
static int own_program(char *path, size_t size)
{
	const char *self = "/proc/self/exe";
	struct stat own, there;
	ssize_t n = readlink(self, path, size - 1);

	if (n < 0)
		return -errno;
	path[n] = '\0';
	if (stat(self, &own) != 0)
		return -errno;
	if (stat(path, &there) != 0 || there.st_dev != own.st_dev || there.st_ino != own.st_ino)
		snprintf(path, size, "/proc/%d/exe", getpid());
	return 0;
}

static int start_unit(const struct launch *launch, const struct launch_run *run,
	const char *run_dir, int plan_fd, struct err *err)
{
	char program[PATH_MAX], *env[ENV_MAX];
	int rc = own_program(program, sizeof(program));
	size_t n;

	if (rc != 0)
		return err_set_errno(err, rc, "cannot find our own program");
	n = make_env(launch, env);
	rc = units_start(launch->units, run->plan,
		&(struct unit_start){.program = program,
			.run_dir = run_dir,
			.env = env,
			.plan_fd = plan_fd,
			.lock_fd = run->lock_fd},
		err);
	while (n > 0)
		free(env[--n]);
	return rc;
}

static pid_t fork_runner(const struct launch *launch, const struct launch_run *run,
	const char *run_dir, int plan_fd, struct err *err)
{
	pid_t pid = fork();

	if (pid == 0)
		become_runner(launch, run_dir, plan_fd, run->lock_fd);
	return pid >= 0 ? pid : err_set_errno(err, -errno, "cannot start the runner");
}

pid_t launch_runner(const struct launch *launch, const struct launch_run *run, struct err *err)
{
	int fd = plan_memfd(run->plan, err);
	char text[UUID_TEXT_BYTES];
	char *run_dir;
	pid_t pid;

	if (fd < 0)
		return fd;
	uuid_format(&run->plan->id, text);
	run_dir = xasprintf("%s/%s", launch->runs_path, text);
	pid = launch->units != NULL ? start_unit(launch, run, run_dir, fd, err)
				    : fork_runner(launch, run, run_dir, fd, err);
	close(fd);
	free(run_dir);
	return pid;
}

int launch_ready(const struct launch *launch, struct err *err)
{
	return launch->units == NULL ? 0 : units_ready(launch->units, err);
}

/* Why `auto` does not mean systemd; NULL: it does. */
static const char *why_fork(struct units *units, struct err *err)
{
	struct stat st;

	if (geteuid() != 0)
		return "not started by root";
	/* as sd_booted(3) */
	if (lstat("/run/systemd/system", &st) != 0 || !S_ISDIR(st.st_mode))
		return "this host is not managed by systemd";
	return units_ready(units, err) != 0 ? err->msg : NULL;
}

void launch_choose(struct launch *launch, enum settings_launch choice)
{
	struct units *units = units_new();
	const char *why = NULL;
	struct err err = {0};

	if (choice == SETTINGS_LAUNCH_AUTO)
		why = why_fork(units, &err);
	else if (choice == SETTINGS_LAUNCH_FORK)
		why = "OPS_LAUNCH=fork";
	else if (units_ready(units, &err) != 0)
		log_warn(LOG_EV("launch.systemd_away"), LOG_STR("error", err.msg));
	if (why == NULL) {
		log_info(LOG_EV("launch.units"), LOG_STR("slice", UNITS_SLICE));
		launch->units = units;
		return;
	}
	log_info(LOG_EV("launch.forks"), LOG_STR("because", why));
	units_free(units);
}
