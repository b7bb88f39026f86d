#include "agent/worker/verified.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/probes/note.h"
#include "agent/run/meta.h"
#include "core/base/log.h"

/* The probes' socket may be full; then they are told when they are new, or with the next success.
 */
static void tell(struct worker *worker, const char *name, uint64_t time_us)
{
	struct note note = {.kind = NOTE_VERIFIED, .time_us = time_us, .id = wire_str_of(name)};
	uint8_t bytes[NOTE_MAX_ID + 64];
	int n = note_encode(&note, bytes, sizeof(bytes));

	if (n > 0 &&
		send(worker->opts->probes_fd, bytes, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug(LOG_EV("verified.not_told"), LOG_STR("name", name));
}

static struct verified *find(struct worker *worker, const char *name)
{
	for (size_t i = 0; i < worker->n_verified; i++) {
		if (strcmp(worker->verified[i].name, name) == 0)
			return &worker->verified[i];
	}
	return NULL;
}

/* The entry of what has succeeded with this run, if it is newer than what is known; else NULL. */
static struct verified *take(struct worker *worker, const struct run *run)
{
	struct verified *found = NULL;
	struct run_state state;
	struct err err = {0};
	struct plan *meta;
	int fd;

	if (!run->final || run->status != RUN_SUCCEEDED)
		return NULL;
	fd = runset_open_dir(&worker->runs, run);
	if (fd < 0)
		return NULL;
	meta = meta_read(fd, &err);
	if (meta != NULL && state_read(fd, &state) == 0)
		found = find(worker, meta->name);
	if (found != NULL && state.finished_us > found->time_us)
		found->time_us = state.finished_us;
	else
		found = NULL;
	meta_free(meta);
	close(fd);
	return found;
}

static void name_all(struct worker *worker)
{
	const struct status_config *config = worker->catalog->status;

	for (size_t i = 0; i < worker->n_verified; i++)
		free(worker->verified[i].name);
	worker->n_verified = 0;
	for (size_t i = 0; config != NULL && i < config->n_backups; i++) {
		const char *name = config->backups[i].verified_by;

		if (name != NULL && find(worker, name) == NULL)
			worker->verified[worker->n_verified++] =
				(struct verified){.name = xstrdup(name)};
	}
}

void verified_scan(struct worker *worker)
{
	const struct runset *set = &worker->runs;
	size_t left;

	name_all(worker);
	left = worker->n_verified;
	for (size_t i = 0; left != 0 && i < MIN(set->n, (size_t)VERIFIED_MAX_SCAN); i++) {
		if (take(worker, set->runs[set->n - 1 - i]) != NULL)
			left--;
	}
}

void verified_look(struct worker *worker)
{
	struct run *run;

	while ((run = runset_next_change(&worker->runs, worker->verified_change)) != NULL) {
		struct verified *found;

		worker->verified_change = run->change;
		found = worker->n_verified != 0 ? take(worker, run) : NULL;
		if (found != NULL)
			tell(worker, found->name, found->time_us);
	}
}

void verified_tell(struct worker *worker)
{
	for (size_t i = 0; i < worker->n_verified; i++) {
		if (worker->verified[i].time_us != 0)
			tell(worker, worker->verified[i].name, worker->verified[i].time_us);
	}
}
