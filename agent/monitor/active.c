#include "agent/monitor/active.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
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
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/hex.h"
#include "core/base/log.h"

#define LOCK_EVENTS 64 /* read at once */
#define LOCK_LOOKS 20
#define LOCK_LOOK_US 500

void active_init(struct active *active, int runs_fd, struct ledger *ledger)
{
	*active = (struct active){.runs_fd = runs_fd,
		.inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK),
		.ledger = ledger};
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

/* Once: it is tried again and again. */
static void tell_unsettled(struct active *active, struct active_run *run, const char *why)
{
	char id[UUID_TEXT_BYTES];
	struct err err = {0};
	struct json *json;

	run->told = true;
	uuid_format(&run->id, id);
	log_error(LOG_EV("run.settle_failed"), LOG_STR("run", id), LOG_INT("number", run->number),
		LOG_STR("error", why));
	json = ledger_begin(active->ledger, "run.not_settled");
	json_kv_str(json, "run", id);
	json_kv_uint(json, "number", run->number);
	json_kv_str(json, "error", why);
	if (ledger_commit(active->ledger, &err) != 0)
		log_error(LOG_EV("ledger.failed"), LOG_STR("error", err.msg));
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
	if (rc != 0 && rc != -EAGAIN && !run->told)
		tell_unsettled(active, run, err.code != 0 ? err.msg : strerror(-rc));
	if (dir_fd >= 0)
		close(dir_fd);
	free(state);
	return rc;
}

/* ---- watching ---- */

static void unwatch(struct active *active, struct active_run *run)
{
	if (run->watch >= 0)
		(void)inotify_rm_watch(active->inotify_fd, run->watch);
	run->watch = -1;
}

/* Has the kernel tell when whoever has the lock open closes it. Gives up nothing: where that cannot
 * be, the run is looked at again and again. */
static void watch(struct active *active, struct active_run *run)
{
	int dir_fd = active->inotify_fd >= 0 ? active_open(active, &run->id) : -1;
	char path[64];

	run->retry = true;
	if (dir_fd < 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d/" RUNDIR_LOCK, dir_fd);
	run->watch = inotify_add_watch(active->inotify_fd, path, IN_CLOSE_WRITE);
	/* it may have been closed before we looked */
	run->retry = run->watch < 0 || lock_test(dir_fd) != 1;
	close(dir_fd);
	if (run->retry)
		unwatch(active, run);
}

/* ---- settling ---- */

/* When settle() gave this and the run is to be looked at again. */
static void look_later(struct active_run *run, int rc)
{
	unsigned max_ms = ACTIVE_SETTLE_MAX_MS;

	if (rc == -EAGAIN)
		max_ms = ACTIVE_RETRY_MS; /* its runner lives */
	else if (rc == -EBADMSG)
		max_ms = ACTIVE_DAMAGED_MAX_MS;
	run->wait_ms = MIN(MAX(2 * run->wait_ms, (unsigned)ACTIVE_RETRY_MS), max_ms);
	run->retry_us = clock_mono_us() + run->wait_ms * UINT64_C(1000);
}

static void forget(struct active *active, struct active_run *run)
{
	unwatch(active, run);
	free(run->claims);
	*run = active->runs[--active->n];
}

/* The runner is gone, as far as anybody can tell. */
static void ended(struct active *active, struct active_run *run)
{
	int rc;

	/* settling opens the lock and closes it */
	unwatch(active, run);
	rc = settle(active, run);
	if (rc == 0) {
		forget(active, run);
		return;
	}
	run->pid = 0;
	run->retry = true;
	look_later(run, rc);
}

/* The kernel tells of the last close a moment before the lock goes with it. */
static void wait_free(const struct active *active, const struct active_run *run)
{
	int dir_fd = active_open(active, &run->id);

	for (int i = 0; dir_fd >= 0 && i < LOCK_LOOKS && lock_test(dir_fd) == 1; i++)
		usleep(LOCK_LOOK_US);
	if (dir_fd >= 0)
		close(dir_fd);
}

static void lock_closed(struct active *active, int descriptor)
{
	for (size_t i = 0; i < active->n; i++) {
		struct active_run *run = &active->runs[i];

		if (run->watch != descriptor)
			continue;
		wait_free(active, run);
		ended(active, run);
		break;
	}
}

/* Events were lost, and nobody knows whose: all are looked at. */
static void look_at_watched(struct active *active)
{
	for (size_t i = 0; i < active->n; i++) {
		struct active_run *run = &active->runs[i];

		if (run->watch < 0)
			continue;
		unwatch(active, run);
		run->retry = true;
		run->retry_us = 0;
	}
}

void active_polled(struct active *active)
{
	char bytes[LOCK_EVENTS * sizeof(struct inotify_event)];
	ssize_t n = read(active->inotify_fd, bytes, sizeof(bytes));

	/* events of files have no name behind them */
	for (ssize_t at = 0; at < n; at += (ssize_t)sizeof(struct inotify_event)) {
		struct inotify_event event;

		memcpy(&event, bytes + at, sizeof(event));
		if ((event.mask & IN_CLOSE_WRITE) != 0)
			lock_closed(active, event.wd);
		if ((event.mask & IN_Q_OVERFLOW) != 0)
			look_at_watched(active);
	}
}

/* ---- adopting ---- */

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
	struct active_run run = {.id = *id, .watch = -1};
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
	run.claims = admit_read(dir_fd, &run.held);
	close(dir_fd);
	if (active_is_full(active)) {
		log_error(LOG_EV("run.too_many"), LOG_INT("number", run.number));
		free(run.claims);
		return;
	}
	/* its runner lives, or it could not be settled now */
	watch(active, &run);
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
		.watch = -1,
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
	if (pid == 0)
		watch(active, run);
	run->retry_us = 0; /* at once */
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
	if (active->ledger == NULL)
		return; /* it never came to active_init() */
	while (active->n != 0)
		forget(active, &active->runs[0]);
	if (active->inotify_fd >= 0)
		close(active->inotify_fd);
	active->inotify_fd = -1;
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

uint64_t active_retry(struct active *active, uint64_t now_us)
{
	uint64_t next = 0;

	for (size_t i = active->n; i-- > 0;) {
		struct active_run *run = &active->runs[i];
		int rc;

		if (run->retry && now_us >= run->retry_us) {
			rc = settle(active, run);
			if (rc == 0) {
				forget(active, run);
				continue;
			}
			look_later(run, rc);
			if (rc == -EAGAIN)
				watch(active, run);
		}
		if (run->retry && (next == 0 || run->retry_us < next))
			next = run->retry_us;
	}
	return next;
}
