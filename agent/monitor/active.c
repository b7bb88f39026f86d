#include "agent/monitor/active.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/monitor/admit.h"
#include "agent/monitor/seal.h"
#include "agent/run/cgroup.h"
#include "agent/run/journal.h"
#include "agent/run/killtree.h"
#include "agent/run/lock.h"
#include "agent/run/meta.h"
#include "agent/run/rundir.h"
#include "agent/run/state.h"
#include "core/base/file.h"
#include "core/base/hex.h"
#include "core/base/log.h"

void active_init(struct active *active, int runs_fd, struct ledger *ledger)
{
	*active = (struct active){.runs_fd = runs_fd, .ledger = ledger};
	state_boot_id(active->boot_id);
}

/* ---- settling ---- */

static int note_finished(struct active *active, const struct active_run *run,
	const struct run_state *state, struct err *err)
{
	char id[UUID_TEXT_BYTES], digest[2 * sizeof(state->digest) + 1];
	struct json *json = ledger_begin(active->ledger, "run.finished");

	uuid_format(&run->id, id);
	hex_encode(state->digest, sizeof(state->digest), digest);
	json_kv_str(json, "run", id);
	json_kv_uint(json, "number", run->number);
	json_kv_str(json, "status", run_status_name((enum run_status)state->status));
	json_kv_str(json, "reason", run_reason_name((enum run_reason)state->reason));
	json_kv_uint(json, "size", state->size);
	json_kv_str(json, "digest", digest);
	return ledger_commit(active->ledger, err);
}

/* Where the run has cgroups all that is in them ends at once; what is left is found otherwise. */
static void kill_cgroup(int dir_fd, const char *id)
{
	struct err err = {0};
	struct buf path;
	int rc;

	buf_init(&path, CGROUP_PATH_BYTES);
	rc = file_read(dir_fd, RUNDIR_CGROUP, &path, &err);
	buf_append_byte(&path, '\0');
	if (rc == 0 && buf_err(&path) == 0) {
		rc = cgroup_kill_run((const char *)path.data, id);
		if (rc != 0 && rc != -ENOENT)
			log_warn(LOG_EV("run.cgroup_left"), LOG_STR("run", id),
				LOG_STR("error", strerror(-rc)));
	}
	buf_fini(&path);
}

/* Ends the run of a runner that is gone without having done so. */
static int end_lost(struct active *active, const struct active_run *run, int dir_fd,
	struct run_state *state, bool has_state, struct err *err)
{
	bool same_boot =
		has_state && memcmp(state->boot_id, active->boot_id, sizeof(active->boot_id)) == 0;
	struct killtree_report report = {0};
	char id[UUID_TEXT_BYTES];
	int rc;

	uuid_format(&run->id, id);
	kill_cgroup(dir_fd, id);
	rc = killtree_by_run(id, has_state ? state : NULL, ACTIVE_KILL_US, &report);
	/* once: what cannot be written now, the disk being full, is tried again and again */
	if (!run->told)
		log_warn(LOG_EV("run.lost"), LOG_STR("run", id), LOG_INT("number", run->number),
			LOG_INT("killed", report.count), LOG_INT("left", report.left));
	if (rc != 0 && !run->told)
		log_error(LOG_EV("run.leftovers"), LOG_STR("run", id),
			LOG_STR("error", strerror(-rc)));
	rundir_remove_outputs(id);
	rc = journal_append_lost(dir_fd,
		has_state && !same_boot ? REASON_HOST_RESTARTED : REASON_RUNNER_DIED, state, err);
	return rc == -EALREADY ? state_read(dir_fd, state) : rc;
}

static int mark_settled(int dir_fd, struct err *err)
{
	int fd = rundir_create(dir_fd, ACTIVE_SETTLED, O_WRONLY);

	if (fd < 0)
		return err_set_errno(err, fd, "cannot mark the run as settled");
	close(fd);
	return 0;
}

int active_open(const struct active *active, const struct uuid *id)
{
	char text[UUID_TEXT_BYTES];
	int fd;

	uuid_format(id, text);
	fd = openat(active->runs_fd, text, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 ? fd : -errno;
}

/* 0: it is done with. -EAGAIN: its runner lives. Else it must be tried again. */
static int settle(struct active *active, struct active_run *run)
{
	struct run_state *state = xcalloc(1, sizeof(*state));
	struct err err = {0};
	int dir_fd = active_open(active, &run->id);
	int rc = dir_fd < 0 ? dir_fd : lock_test(dir_fd);

	if (rc == -ENOENT) {
		rc = 0; /* somebody removed it */
		goto done;
	}
	if (rc != 0) {
		rc = rc > 0 ? -EAGAIN : rc;
		goto done;
	}
	rc = state_read(dir_fd, state);
	if (rc != 0 || !run_status_is_final((enum run_status)state->status))
		rc = end_lost(active, run, dir_fd, state, rc == 0, &err);
	if (rc == 0)
		rc = note_finished(active, run, state, &err);
	if (rc == 0)
		rc = mark_settled(dir_fd, &err);
	if (rc == 0 && active->finished != NULL)
		active->finished(active->seen_arg, state);
done:
	if (rc != 0 && rc != -EAGAIN && !run->told) {
		run->told = true;
		log_error(LOG_EV("run.settle_failed"), LOG_INT("number", run->number),
			LOG_STR("error", err.code != 0 ? err.msg : strerror(-rc)));
	}
	if (dir_fd >= 0)
		close(dir_fd);
	free(state);
	return rc;
}

static void forget(struct active *active, struct active_run *run)
{
	if (run->pidfd >= 0)
		close(run->pidfd);
	free(run->claims);
	*run = active->runs[--active->n];
}

/* The runner is gone, as far as anybody can tell. */
static void ended(struct active *active, struct active_run *run)
{
	if (settle(active, run) == 0) {
		forget(active, run);
		return;
	}
	if (run->pidfd >= 0)
		close(run->pidfd);
	run->pidfd = -1;
	run->pid = 0;
	run->retry = true;
}

/* ---- adopting ---- */

/* Field 22 of /proc/PID/stat; 0 when there is no such process. */
static uint64_t start_ticks(pid_t pid)
{
	char path[32], text[1024];
	unsigned long long ticks = 0;
	const char *at;
	size_t n;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = '\0';
	at = strrchr(text, ')'); /* the name before it may hold anything */
	if (at == NULL)
		return 0;
	for (int field = 2; at != NULL && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at != NULL)
		ticks = strtoull(at + 1, NULL, 10);
	return ticks;
}

/* A descriptor that tells when the runner in this state is gone, or -1. */
static int watch_runner(const struct run_state *state)
{
	int pidfd;

	if (state->runner_pid <= 0)
		return -1;
	pidfd = (int)syscall(SYS_pidfd_open, state->runner_pid, 0);
	if (pidfd < 0)
		return -1;
	if (start_ticks(state->runner_pid) == state->runner_start_ticks)
		return pidfd;
	close(pidfd);
	return -1;
}

/* Gives up nothing: without a pidfd the run is looked at again and again. */
static void adopt(struct active_run *run, int dir_fd)
{
	struct run_state *state = xcalloc(1, sizeof(*state));

	if (run->pidfd < 0 && state_read(dir_fd, state) == 0)
		run->pidfd = watch_runner(state);
	run->retry = run->pidfd < 0;
	free(state);
}

static uint64_t number_of(const struct active *active, int dir_fd)
{
	struct err err = {0};
	struct plan *meta = meta_read(dir_fd, &err);
	uint64_t number = meta != NULL ? meta->number : 0;

	if (meta != NULL && active->seen != NULL)
		active->seen(active->seen_arg, meta);
	meta_free(meta);
	return number;
}

static void look_at(struct active *active, const struct uuid *id, uint64_t *highest)
{
	struct active_run run = {.id = *id, .pidfd = -1};
	int dir_fd = active_open(active, id);

	if (dir_fd < 0)
		return;
	run.number = number_of(active, dir_fd);
	*highest = MAX(*highest, run.number);
	if (active->new_ledger)
		(void)unlinkat(dir_fd, SEAL_FILE, 0);
	if (faccessat(dir_fd, ACTIVE_SETTLED, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
		settle(active, &run) == 0) {
		if (faccessat(dir_fd, SEAL_FILE, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
			active->has_unsealed = true;
		close(dir_fd);
		return;
	}
	/* its runner lives, or it could not be settled now */
	adopt(&run, dir_fd);
	run.claims = admit_read(dir_fd, &run.held);
	close(dir_fd);
	if (active_is_full(active)) {
		log_error(LOG_EV("run.too_many"), LOG_INT("number", run.number));
		if (run.pidfd >= 0)
			close(run.pidfd);
		free(run.claims);
		return;
	}
	active->runs[active->n++] = run;
	log_info(LOG_EV("run.adopted"), LOG_INT("number", run.number));
}

uint64_t active_scan(struct active *active)
{
	int fd = openat(active->runs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	uint64_t highest = 0;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while ((entry = readdir(dir)) != NULL) {
		struct uuid id;

		if (uuid_parse(entry->d_name, strlen(entry->d_name), &id) == 0)
			look_at(active, &id, &highest);
	}
	closedir(dir);
	return highest;
}

/* ---- the table ---- */

bool active_is_full(const struct active *active)
{
	return active->n == ACTIVE_MAX;
}

void active_add(
	struct active *active, const struct uuid *id, uint64_t number, char *claims, bool held)
{
	active->runs[active->n++] = (struct active_run){.id = *id,
		.number = number,
		.pidfd = -1,
		.starting = true,
		.held = held,
		.claims = claims};
}

/* A run that is in the table. */
static struct active_run *find(struct active *active, const struct uuid *id)
{
	size_t i = 0;

	while (i < active->n && memcmp(active->runs[i].id.bytes, id->bytes, sizeof(id->bytes)) != 0)
		i++;
	assert(i < active->n);
	return &active->runs[i];
}

void active_started(struct active *active, const struct uuid *id, pid_t pid)
{
	struct active_run *run = find(active, id);

	run->starting = false;
	run->pid = pid;
	run->retry = pid == 0;
}

void active_drop(struct active *active, const struct uuid *id)
{
	forget(active, find(active, id));
}

void active_refresh_claims(struct active *active)
{
	struct run_state *state = xcalloc(1, sizeof(*state));

	for (size_t i = 0; i < active->n; i++) {
		struct active_run *run = &active->runs[i];
		int dir_fd = -1;

		if (run->claims[0] != '\0' && !run->starting)
			dir_fd = active_open(active, &run->id);
		if (dir_fd < 0)
			continue;
		if (state_read(dir_fd, state) == 0 &&
			run_status_is_final((enum run_status)state->status))
			run->claims[0] = '\0';
		close(dir_fd);
	}
	free(state);
}

void active_fini(struct active *active)
{
	while (active->n != 0)
		forget(active, &active->runs[0]);
}

bool active_child_exited(struct active *active, pid_t pid)
{
	for (size_t i = 0; i < active->n; i++) {
		if (active->runs[i].pid == pid) {
			ended(active, &active->runs[i]);
			return true;
		}
	}
	return false;
}

size_t active_poll_fds(const struct active *active, struct pollfd *fds)
{
	size_t n = 0;

	for (size_t i = 0; i < active->n; i++) {
		if (active->runs[i].pidfd >= 0)
			fds[n++] = (struct pollfd){.fd = active->runs[i].pidfd, .events = POLLIN};
	}
	return n;
}

void active_polled(struct active *active, const struct pollfd *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (fds[i].revents == 0)
			continue;
		for (size_t k = 0; k < active->n; k++) {
			if (active->runs[k].pidfd == fds[i].fd) {
				ended(active, &active->runs[k]);
				break;
			}
		}
	}
}

bool active_wants_retry(const struct active *active)
{
	for (size_t i = 0; i < active->n; i++) {
		if (active->runs[i].retry)
			return true;
	}
	return false;
}

void active_retry(struct active *active)
{
	for (size_t i = active->n; i-- > 0;) {
		struct active_run *run = &active->runs[i];
		int dir_fd;

		if (!run->retry)
			continue;
		if (settle(active, run) == 0) {
			forget(active, run);
			continue;
		}
		dir_fd = active_open(active, &run->id);
		if (dir_fd >= 0) {
			adopt(run, dir_fd);
			close(dir_fd);
		}
	}
}
