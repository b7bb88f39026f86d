/*
 * Owns the entries, the watch on the runs' folder, one watch per active run's state and one per
 * tailed journal.
 *
 * Happy path: the monitor renames a complete RUN_DIR into place; IN_MOVED_TO (or the monitor's
 * answer to a start, whichever comes first) makes the entry and tells the first change. The runner
 * rewrites the state; each notification reads it. A change is told at once when the last one of
 * that run is RUNSET_COALESCE_MS old or the status is final, else when the timer comes. A final
 * run's state is no longer watched.
 *
 * Failure modes: no inotify watch left (-ENOSPC): the run is still listed and read on demand, but
 * its changes are told only when somebody asks for it; logged once per run. Queue overflow: every
 * watch is told and looks again. A folder that disappears takes its entry along, unless somebody
 * still tails it: then the entry stays until the tails have found out.
 */
#include "agent/worker/runset.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/run/meta.h"
#include "agent/run/rundir.h"
#include "agent/worker/document.h"
#include "core/base/clock.h"
#include "core/base/log.h"

static int compare_ids(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

/* The first position whose id is not before the given one. */
static size_t lower_bound(const struct runset *set, const struct uuid *id)
{
	size_t from = 0, to = set->n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (compare_ids(&set->runs[mid]->id, id) < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

static char *path_in(const struct run *run, const char *file)
{
	char id[UUID_TEXT_BYTES];

	uuid_format(&run->id, id);
	return xasprintf("%s/%s/%s", run->set->path, id, file);
}

static void arm_timer(struct runset *set);

static void tell(struct run *run, uint64_t now)
{
	struct runset *set = run->set;

	list_remove(&run->due);
	list_remove(&run->changed);
	run->change = ++set->last_change;
	run->told_us = now;
	list_append(&set->changes, &run->changed);
	set->callbacks->on_change(set->arg);
}

static void changed(struct run *run)
{
	uint64_t now = clock_mono_us();

	if (run->final || now - run->told_us >= RUNSET_COALESCE_MS * UINT64_C(1000)) {
		tell(run, now);
	} else if (list_empty(&run->due)) {
		list_append(&run->set->due, &run->due);
		arm_timer(run->set);
	}
}

/* RUNSET_COALESCE_MS have passed for at least the first that is due. */
static void on_timer(uv_timer_t *timer)
{
	struct runset *set = container_of(timer, struct runset, timer);
	uint64_t now = clock_mono_us();

	while (!list_empty(&set->due)) {
		struct run *run = container_of(set->due.next, struct run, due);

		if (now - run->told_us < RUNSET_COALESCE_MS * UINT64_C(1000))
			break;
		tell(run, now);
	}
	arm_timer(set);
}

static void arm_timer(struct runset *set)
{
	if (list_empty(&set->due) || uv_is_active((uv_handle_t *)&set->timer))
		return;
	uv_timer_start(&set->timer, on_timer, RUNSET_COALESCE_MS, 0);
}

void runset_refresh(struct run *run)
{
	struct run_state state;
	int fd = runset_open_dir(run->set, run);

	if (fd < 0)
		return;
	if (state_read(fd, &state) == 0) {
		run->status = (enum run_status)state.status;
		run->final = run_status_is_final(run->status);
	}
	if (!run->released)
		run->released = faccessat(fd, RUNDIR_RELEASED, F_OK, 0) == 0;
	close(fd);
	if (run->final)
		watch_remove(run->set->watcher, &run->state_watch);
}

/* The runner has rewritten the state. */
static void on_state(struct watch *watch, uint32_t mask, const char *name)
{
	struct run *run = container_of(watch, struct run, state_watch);

	(void)mask;
	(void)name;
	runset_refresh(run);
	changed(run);
	if (run->final && !list_empty(&run->tails))
		run->set->callbacks->on_journal(run);
}

/* The journal has grown. */
static void on_journal(struct watch *watch, uint32_t mask, const char *name)
{
	struct run *run = container_of(watch, struct run, journal_watch);

	(void)mask;
	(void)name;
	run->set->callbacks->on_journal(run);
}

static void watch_state(struct run *run)
{
	char *path = path_in(run, RUNDIR_STATE);
	int rc = watch_add(run->set->watcher, &run->state_watch, path, IN_MODIFY);

	if (rc != 0)
		log_warn(LOG_EV("worker.watch_failed"), LOG_STR("path", path),
			LOG_STR("error", strerror(-rc)));
	free(path);
}

int runset_watch_journal(struct run *run)
{
	char *path = path_in(run, RUNDIR_JOURNAL);
	int rc =
		watch_add(run->set->watcher, &run->journal_watch, path, IN_MODIFY | IN_DELETE_SELF);

	free(path);
	return rc;
}

void runset_unwatch_journal(struct run *run)
{
	watch_remove(run->set->watcher, &run->journal_watch);
}

int runset_open_dir(const struct runset *set, const struct run *run)
{
	char id[UUID_TEXT_BYTES];
	int fd;

	uuid_format(&run->id, id);
	fd = openat(set->fd, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 ? fd : -errno;
}

static void free_run(struct run *run)
{
	watch_remove(run->set->watcher, &run->state_watch);
	watch_remove(run->set->watcher, &run->journal_watch);
	list_remove(&run->changed);
	list_remove(&run->due);
	free(run);
}

static void remove_at(struct runset *set, size_t pos)
{
	free_run(set->runs[pos]);
	memmove(&set->runs[pos], &set->runs[pos + 1], (set->n - pos - 1) * sizeof(set->runs[0]));
	set->n--;
}

/* Makes room by forgetting the oldest run that is final and that nobody tails. */
static bool make_room(struct runset *set)
{
	if (set->n < RUNSET_MAX_RUNS)
		return true;
	for (size_t i = 0; i < set->n; i++) {
		if (set->runs[i]->final && list_empty(&set->runs[i]->tails)) {
			remove_at(set, i);
			return true;
		}
	}
	return false;
}

static void insert_at(struct runset *set, size_t pos, struct run *run)
{
	if (set->n == set->cap) {
		size_t cap = set->cap == 0 ? 64 : 2 * set->cap;
		struct run **runs = xcalloc(cap, sizeof(runs[0]));

		if (set->n != 0)
			memcpy(runs, set->runs, set->n * sizeof(runs[0]));
		free(set->runs);
		set->runs = runs;
		set->cap = cap;
	}
	memmove(&set->runs[pos + 1], &set->runs[pos], (set->n - pos) * sizeof(set->runs[0]));
	set->runs[pos] = run;
	set->n++;
}

static bool read_number(const struct runset *set, struct run *run)
{
	struct err err = {0};
	struct plan *meta;
	int fd = runset_open_dir(set, run);

	if (fd < 0)
		return false;
	meta = meta_read(fd, &err);
	close(fd);
	if (meta == NULL) {
		log_warn(LOG_EV("worker.unreadable_run"), LOG_STR("error", err.msg));
		return false;
	}
	run->number = meta->number;
	meta_free(meta);
	return true;
}

static struct run *add(struct runset *set, const struct uuid *id)
{
	struct run *run;

	if (!make_room(set))
		return NULL;
	run = xcalloc(1, sizeof(*run));
	run->set = set;
	run->id = *id;
	list_init(&run->changed);
	list_init(&run->due);
	list_init(&run->tails);
	watch_init(&run->state_watch, on_state);
	watch_init(&run->journal_watch, on_journal);
	if (!read_number(set, run)) {
		free(run);
		return NULL;
	}
	insert_at(set, lower_bound(set, id), run);
	/* watch first: a change between reading and watching would not be seen */
	watch_state(run);
	runset_refresh(run);
	return run;
}

struct run *runset_get(struct runset *set, const struct uuid *id)
{
	size_t pos = lower_bound(set, id);
	struct run *run;

	if (pos < set->n && compare_ids(&set->runs[pos]->id, id) == 0)
		return set->runs[pos];
	run = add(set, id);
	if (run != NULL)
		changed(run);
	return run;
}

struct run *runset_find(struct runset *set, struct wire_str ref)
{
	struct uuid id;
	uint64_t number = 0;

	if (uuid_parse(ref.data, ref.len, &id) == 0)
		return runset_get(set, &id);
	if (ref.len == 0 || ref.len > 19)
		return NULL;
	for (uint32_t i = 0; i < ref.len; i++) {
		if (ref.data[i] < '0' || ref.data[i] > '9')
			return NULL;
		number = number * 10 + (uint64_t)(ref.data[i] - '0');
	}
	for (size_t i = set->n; i-- > 0;) {
		if (set->runs[i]->number == number)
			return set->runs[i];
	}
	return NULL;
}

size_t runset_before(const struct runset *set, const struct uuid *id)
{
	size_t pos = id != NULL ? lower_bound(set, id) : set->n;

	return pos != 0 ? pos - 1 : set->n;
}

size_t runset_count_active(const struct runset *set)
{
	size_t n = 0;

	for (size_t i = 0; i < set->n; i++)
		n += !set->runs[i]->final;
	return n;
}

int runset_document(struct run *run, struct json *json, struct err *err)
{
	int fd = runset_open_dir(run->set, run);
	int rc;

	if (fd < 0)
		return err_set_errno(err, fd, "cannot open the run's folder");
	rc = document_compose(fd, json, err);
	close(fd);
	return rc;
}

struct run *runset_next_change(const struct runset *set, uint64_t after)
{
	struct run *found = NULL;

	for (struct list *pos = set->changes.prev; pos != &set->changes; pos = pos->prev) {
		struct run *run = container_of(pos, struct run, changed);

		if (run->change <= after)
			break;
		found = run;
	}
	return found;
}

/* Adds what is not known yet; with tell, as changes. */
static void scan(struct runset *set, bool tell_them)
{
	int fd = openat(set->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL) { /* each name once: the set is empty at start */
		struct uuid id;

		if (uuid_parse(entry->d_name, strlen(entry->d_name), &id) != 0)
			continue;
		if (tell_them)
			runset_get(set, &id);
		else
			add(set, &id);
	}
	closedir(dir);
}

/* A folder was put in place or taken away. */
static void on_folder(struct watch *watch, uint32_t mask, const char *name)
{
	struct runset *set = container_of(watch, struct runset, watch);
	struct uuid id;
	size_t pos;

	if (mask & IN_Q_OVERFLOW)
		scan(set, true);
	if (uuid_parse(name, strlen(name), &id) != 0)
		return;
	if (mask & (IN_MOVED_TO | IN_CREATE)) {
		runset_get(set, &id);
		return;
	}
	pos = lower_bound(set, &id);
	if (pos == set->n || compare_ids(&set->runs[pos]->id, &id) != 0)
		return;
	if (list_empty(&set->runs[pos]->tails))
		remove_at(set, pos);
	else
		set->callbacks->on_journal(set->runs[pos]);
}

int runset_open(struct runset *set, uv_loop_t *loop, struct watcher *watcher, const char *state_dir,
	const struct runset_callbacks *callbacks, void *arg)
{
	int rc;

	set->callbacks = callbacks;
	set->arg = arg;
	set->watcher = watcher;
	set->path = xasprintf("%s/runs", state_dir);
	list_init(&set->changes);
	list_init(&set->due);
	watch_init(&set->watch, on_folder);
	uv_timer_init(loop, &set->timer);
	set->fd = open(set->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (set->fd < 0)
		return -errno;
	rc = watch_add(watcher, &set->watch, set->path, IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM);
	if (rc == 0)
		scan(set, false);
	return rc;
}

void runset_close(struct runset *set)
{
	watch_remove(set->watcher, &set->watch);
	while (set->n != 0)
		remove_at(set, set->n - 1);
	free(set->runs);
	free(set->path);
	if (set->fd >= 0)
		close(set->fd);
	uv_close((uv_handle_t *)&set->timer, NULL);
}
