#include "agent/monitor/care.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/monitor/seal.h"
#include "agent/monitor/state.h"
#include "agent/run/rundir.h"
#include "core/base/clock.h"
#include "core/base/log.h"

/* A journal that may go. */
struct old {
	struct uuid id;
	uint64_t released_us; /* unix time */
	uint64_t bytes;
	bool sealed;
};

struct look {
	struct old *olds;
	size_t n, cap;
	uint64_t total, unreleased;
};

static int number(
	const char *name, uint64_t fallback, uint64_t max, uint64_t *ret_value, struct err *err)
{
	const char *text = getenv(name);
	char *end = NULL;

	*ret_value = fallback;
	if (text == NULL || text[0] == '\0')
		return 0;
	errno = 0;
	*ret_value = strtoull(text, &end, 10);
	if (errno == 0 && *end == '\0' && text[0] >= '0' && text[0] <= '9' && *ret_value <= max)
		return 0;
	return err_set(err, -EINVAL, "%s must be a whole number", name);
}

int care_init(struct care *care, struct err *err)
{
	uint64_t days;
	int rc = number("OPS_AGENT_KEEP_DAYS", CARE_KEEP_DAYS, 36500, &days, err);

	if (rc == 0)
		rc = number(
			"OPS_AGENT_MAX_BYTES", CARE_MAX_BYTES, UINT64_MAX, &care->max_bytes, err);
	care->keep_us = days * CARE_DAY_US;
	return rc;
}

bool care_is_over_budget(const struct care *care)
{
	return care->unreleased_bytes > care->max_bytes;
}

static void add_old(struct look *look, const struct old *old)
{
	if (look->n == look->cap) {
		size_t cap = look->cap == 0 ? 256 : 2 * look->cap;
		struct old *olds = xcalloc(cap, sizeof(olds[0]));

		if (look->n != 0)
			memcpy(olds, look->olds, look->n * sizeof(olds[0]));
		free(look->olds);
		look->olds = olds;
		look->cap = cap;
	}
	look->olds[look->n++] = *old;
}

static void look_at(struct look *look, int runs_fd, const char *name, const struct uuid *id)
{
	int dir_fd = openat(runs_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct stat journal, released;
	struct old old = {.id = *id};

	if (dir_fd < 0)
		return;
	if (fstatat(dir_fd, RUNDIR_JOURNAL, &journal, AT_SYMLINK_NOFOLLOW) == 0) {
		old.bytes = (uint64_t)journal.st_size;
		look->total += old.bytes;
		if (fstatat(dir_fd, RUNDIR_RELEASED, &released, AT_SYMLINK_NOFOLLOW) != 0)
			look->unreleased += old.bytes;
		else if (faccessat(dir_fd, ACTIVE_SETTLED, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
			old.released_us = (uint64_t)released.st_mtim.tv_sec * 1000000 +
					  (uint64_t)released.st_mtim.tv_nsec / 1000;
			old.sealed = faccessat(dir_fd, SEAL_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
			add_old(look, &old);
		}
	}
	close(dir_fd);
}

static int by_age(const void *a, const void *b)
{
	const struct old *x = a, *y = b;

	return (x->released_us > y->released_us) - (x->released_us < y->released_us);
}

static int look_at_all(int runs_fd, struct look *look)
{
	int fd = openat(runs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	struct uuid id;

	if (dir == NULL) {
		int rc = -errno;

		if (fd >= 0)
			close(fd);
		return rc;
	}
	while ((entry = readdir(dir)) != NULL) {
		if (uuid_parse(entry->d_name, strlen(entry->d_name), &id) == 0)
			look_at(look, runs_fd, entry->d_name, &id);
	}
	closedir(dir);
	if (look->n != 0)
		qsort(look->olds, look->n, sizeof(look->olds[0]), by_age);
	return 0;
}

/* The ledger knows first: what it says is gone may still be there, but never the other way round.
 */
static bool prune(struct monitor *m, const struct old *old)
{
	struct json *json = ledger_begin(m->ledger, "run.pruned");
	struct err err = {0};

	requests_kv_run(json, &old->id);
	json_kv_uint(json, "bytes", old->bytes);
	if (requests_commit(m, &err) != 0)
		return false;
	launch_discard(&m->launch, &old->id);
	return true;
}

static void look(struct monitor *m)
{
	struct care *care = &m->care;
	struct look look = {0};
	uint64_t now = clock_wall_us();
	int rc = look_at_all(m->launch.runs_fd, &look);

	care->awaits_seals = false;
	if (rc != 0)
		log_error(LOG_EV("care.failed"), LOG_STR("error", strerror(-rc)));
	for (size_t i = 0; rc == 0 && i < look.n; i++) {
		const struct old *old = &look.olds[i];
		bool expired = now > old->released_us && now - old->released_us > care->keep_us;

		if (!expired && look.total <= care->max_bytes)
			break;
		if (!old->sealed) {
			care->awaits_seals = true; /* nothing younger goes before it */
			break;
		}
		if (!prune(m, old))
			break;
		look.total -= old->bytes;
	}
	if (rc == 0)
		care->unreleased_bytes = look.unreleased;
	free(look.olds);
}

uint64_t care_step(struct monitor *m, uint64_t now_us)
{
	struct care *care = &m->care;
	uint64_t due = care->looked_us + (care->wanted ? CARE_PAUSE_US : CARE_DAY_US);

	if (care->looked_us != 0 && now_us < due)
		return due;
	care->looked_us = now_us;
	care->wanted = false;
	look(m);
	return now_us + CARE_DAY_US;
}
