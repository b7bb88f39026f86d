#include "agent/monitor/launch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/run/meta.h"
#include "agent/run/rundir.h"
#include "agent/run/state.h"
#include "core/base/file.h"
#include "core/base/log.h"

#define NEW_NAME_BYTES (sizeof(LAUNCH_NEW_PREFIX) + UUID_TEXT_BYTES)

static void new_name(const struct uuid *id, char out[NEW_NAME_BYTES])
{
	char text[UUID_TEXT_BYTES];

	uuid_format(id, text);
	snprintf(out, NEW_NAME_BYTES, LAUNCH_NEW_PREFIX "%s", text);
}

/* ---- the folder ---- */

static int write_meta(int dir_fd, const struct plan *plan)
{
	struct buf bytes;
	int fd, rc;

	buf_init(&bytes, META_MAX_BYTES);
	rc = meta_encode(plan, &bytes);
	fd = rc == 0 ? rundir_create(dir_fd, RUNDIR_META, O_WRONLY | O_EXCL) : rc;
	if (fd >= 0) {
		rc = file_write_all(fd, bytes.data, bytes.len);
		if (rc == 0 && fsync(fd) != 0)
			rc = -errno;
		close(fd);
	}
	buf_fini(&bytes);
	return fd < 0 ? fd : rc;
}

static int write_state(int dir_fd, const struct plan *plan)
{
	struct run_state *state = xcalloc(1, sizeof(*state));
	int fd = state_open(dir_fd);
	int rc = fd;

	state->status = RUN_QUEUED;
	state->exit_code = -1;
	state->n_steps = (uint16_t)plan->n_steps;
	state_boot_id(state->boot_id);
	for (size_t i = 0; i < plan->n_steps; i++) {
		state->steps[i].exit_code = -1;
		state->steps[i].offset = UINT64_MAX;
	}
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

static int fill(int dir_fd, const struct plan *plan, gid_t gid)
{
	int rc = write_meta(dir_fd, plan);

	if (rc == 0)
		rc = write_state(dir_fd, plan);
	if (rc == 0)
		rc = make_empty(dir_fd, RUNDIR_JOURNAL);
	if (rc == 0)
		rc = make_empty(dir_fd, RUNDIR_LOCK);
	if (rc == 0)
		rc = make_dir(dir_fd, RUNDIR_CONTROL, gid);
	if (rc == 0 && fsync(dir_fd) != 0)
		rc = -errno;
	return rc;
}

int launch_prepare(const struct launch *launch, const struct plan *plan, struct err *err)
{
	char name[NEW_NAME_BYTES];
	int dir_fd = -1;
	int rc;

	new_name(&plan->id, name);
	rc = make_dir(launch->runs_fd, name, launch->gid);
	if (rc == 0) {
		dir_fd = openat(
			launch->runs_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		rc = dir_fd >= 0 ? fill(dir_fd, plan, launch->gid) : -errno;
	}
	if (dir_fd >= 0)
		close(dir_fd);
	if (rc == 0)
		return 0;
	launch_discard(launch, &plan->id);
	return err_set_errno(err, rc, "cannot make the run's folder");
}

int launch_commit(const struct launch *launch, const struct uuid *id, struct err *err)
{
	char name[NEW_NAME_BYTES], text[UUID_TEXT_BYTES];

	new_name(id, name);
	uuid_format(id, text);
	if (renameat(launch->runs_fd, name, launch->runs_fd, text) != 0 ||
		fsync(launch->runs_fd) != 0)
		return err_set_errno(err, -errno, "cannot put the run's folder in place");
	return 0;
}

static void discard_name(const struct launch *launch, const char *name)
{
	static const char *const files[] = {
		RUNDIR_META, RUNDIR_STATE, RUNDIR_JOURNAL, RUNDIR_INDEX, RUNDIR_LOCK};
	int dir_fd = openat(launch->runs_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (dir_fd < 0)
		return;
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		(void)unlinkat(dir_fd, files[i], 0);
	(void)unlinkat(dir_fd, RUNDIR_CONTROL, AT_REMOVEDIR);
	close(dir_fd);
	if (unlinkat(launch->runs_fd, name, AT_REMOVEDIR) != 0)
		log_warn(LOG_EV("run.discard_failed"), LOG_STR("folder", name),
			LOG_STR("error", strerror(errno)));
}

void launch_discard(const struct launch *launch, const struct uuid *id)
{
	char name[NEW_NAME_BYTES];

	new_name(id, name);
	discard_name(launch, name);
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
		if (strncmp(entry->d_name, LAUNCH_NEW_PREFIX, strlen(LAUNCH_NEW_PREFIX)) == 0)
			discard_name(launch, entry->d_name);
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

static int spawn(const char *run_dir, char *const *env, int plan_fd, pid_t *ret_pid)
{
	char program[] = "ops-agent", verb[] = "runner";
	char *dir = xstrdup(run_dir);
	char *const argv[] = {program, verb, dir, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(
		&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, plan_fd, STDIN_FILENO);
	if (!stderr_outlives_us())
		posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
	rc = posix_spawn(ret_pid, "/proc/self/exe", &actions, &attr, argv, env);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	free(dir);
	return -rc;
}

pid_t launch_runner(const struct launch *launch, const struct plan *plan, struct err *err)
{
	static const char *const passed[] = {"OPS_RUNS_DIR", "LOG_LEVEL", "LOG_FORMAT"};
	char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	char *env[ARRAY_LEN(passed) + 3] = {path};
	char text[UUID_TEXT_BYTES];
	size_t n = 1;
	pid_t pid = 0;
	char *run_dir;
	int rc, fd = plan_memfd(plan, err);

	if (fd < 0)
		return fd;
	env[n++] = xasprintf("OPS_AGENT_TRUSTED_UID=%u", launch->trusted_uid);
	for (size_t i = 0; i < ARRAY_LEN(passed); i++) {
		const char *value = getenv(passed[i]);

		if (value != NULL)
			env[n++] = xasprintf("%s=%s", passed[i], value);
	}
	uuid_format(&plan->id, text);
	run_dir = xasprintf("%s/%s", launch->runs_path, text);
	rc = spawn(run_dir, env, fd, &pid);
	close(fd);
	free(run_dir);
	while (n > 1)
		free(env[--n]);
	return rc == 0 ? pid : err_set_errno(err, rc, "cannot start the runner");
}
