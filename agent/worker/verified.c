#include "agent/worker/verified.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/probes/note.h"
#include "agent/run/meta.h"
#include "core/base/log.h"

/* The probes' socket may be full; then they are told when they are new, or with the next success,
 * or look when it is time. */
static void tell(struct worker *worker, enum note_kind kind, const char *name, uint64_t time_us)
{
	struct note note = {.kind = kind, .time_us = time_us, .id = wire_str_of(name)};
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

/* What a run that has ended was of. NULL: it goes on, or is gone. */
static struct plan *read_ended(struct worker *worker, const struct run *run, uint64_t *ret_end_us)
{
	struct run_state state;
	struct err err = {0};
	struct plan *meta;
	int fd = run->final ? runset_open_dir(&worker->runs, run) : -1;

	if (fd < 0)
		return NULL;
	meta = meta_read(fd, &err);
	if (meta != NULL && state_read(fd, &state) != 0) {
		meta_free(meta);
		meta = NULL;
	}
	close(fd);
	if (meta != NULL)
		*ret_end_us = state.finished_us;
	return meta;
}

/* The entry of what has succeeded, if it is newer than what is known; else NULL. */
static struct verified *take(struct worker *worker, const char *name, uint64_t end_us)
{
	struct verified *found = find(worker, name);

	if (found == NULL || end_us <= found->time_us)
		return NULL;
	found->time_us = end_us;
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
		const struct run *run = set->runs[set->n - 1 - i];
		struct plan *meta = NULL;
		uint64_t end_us;

		if (run->status == RUN_SUCCEEDED)
			meta = read_ended(worker, run, &end_us);
		if (meta != NULL && take(worker, meta->name, end_us) != NULL)
			left--;
		meta_free(meta);
	}
}

static void look_at(struct worker *worker, const struct run *run)
{
	const struct status_config *config = worker->catalog->status;
	struct plan *meta;
	uint64_t end_us;

	if (config == NULL || (meta = read_ended(worker, run, &end_us)) == NULL)
		return;
	if (run->status == RUN_SUCCEEDED && take(worker, meta->name, end_us) != NULL)
		tell(worker, NOTE_VERIFIED, meta->name, end_us);
	if (status_config_has_action(config, meta->name))
		tell(worker, NOTE_ENDED, meta->name, end_us);
	meta_free(meta);
}

void verified_look(struct worker *worker)
{
	struct run *run;

	while ((run = runset_next_change(&worker->runs, worker->verified_change)) != NULL) {
		worker->verified_change = run->change;
		look_at(worker, run);
	}
}

void verified_tell(struct worker *worker)
{
	for (size_t i = 0; i < worker->n_verified; i++) {
		if (worker->verified[i].time_us != 0)
			tell(worker, NOTE_VERIFIED, worker->verified[i].name,
				worker->verified[i].time_us);
	}
}
