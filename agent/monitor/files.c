#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/monitor/listen.h"
#include "agent/monitor/rotate.h"
#include "agent/monitor/state.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"

#define NUMBER_TEXT_BYTES 21 /* 20 digits and a newline: always the same size */

static gid_t group_of(const struct monitor *m)
{
	return m->settings.drop_privileges ? m->settings.worker_gid : (gid_t)-1;
}

/* agent-id: made once. */
static int open_id(struct monitor *m, struct err *err)
{
	struct uuid id;
	struct buf text;
	int rc = 0;

	buf_init(&text, 64);
	if (faccessat(m->state_fd, "agent-id", F_OK, 0) == 0) {
		rc = file_read(m->state_fd, "agent-id", &text, err);
		if (rc == 0 &&
			(text.len < UUID_TEXT_BYTES - 1 ||
				uuid_parse((const char *)text.data, UUID_TEXT_BYTES - 1, &id) != 0))
			rc = err_set(err, -EBADMSG, "the file agent-id holds no UUID");
		if (rc == 0)
			uuid_format(&id, m->agent_id);
	} else {
		uuid_v7(&id);
		uuid_format(&id, m->agent_id);
		buf_printf(&text, "%s\n", m->agent_id);
		rc = file_replace(m->state_fd, "agent-id", text.data, text.len, 0640, err);
	}
	buf_fini(&text);
	return rc;
}

/* number: the newest run's. Not synced for every run: after a power cut the runs themselves tell.
 */
static int open_number(struct monitor *m, uint64_t highest, struct err *err)
{
	char text[NUMBER_TEXT_BYTES + 1] = "";
	ssize_t n;

	m->number_fd =
		openat(m->state_fd, "number", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (m->number_fd < 0)
		return err_set_errno(err, -errno, "cannot open the file 'number'");
	n = pread(m->number_fd, text, NUMBER_TEXT_BYTES, 0);
	if (n < 0)
		return err_set_errno(err, -errno, "cannot read the file 'number'");
	m->number = MAX(highest, strtoull(text, NULL, 10));
	return 0;
}

uint64_t files_next_number(struct monitor *m)
{
	char text[NUMBER_TEXT_BYTES + 1];

	m->number++;
	snprintf(text, sizeof(text), "%020" PRIu64 "\n", m->number);
	if (pwrite(m->number_fd, text, NUMBER_TEXT_BYTES, 0) != NUMBER_TEXT_BYTES)
		log_error(LOG_EV("monitor.number_failed"), LOG_STR("error", strerror(errno)));
	return m->number;
}

static int open_runs(struct monitor *m, struct err *err)
{
	int fd = listen_open_dir(m->state_fd, "runs", group_of(m), err);

	if (fd < 0)
		return fd;
	m->runs_path = xasprintf("%s/runs", m->settings.state_dir);
	m->launch = (struct launch){.runs_fd = fd,
		.runs_path = m->runs_path,
		.gid = group_of(m),
		.trusted_uid = m->catalog_opts.trusted_uid,
		.runner = m->programs->runner};
	launch_warm_up();
	launch_clean(&m->launch);
	launch_choose(&m->launch, m->settings.launch);
	return 0;
}

/* A run of the past was found. */
static void on_seen(void *arg, const struct plan *meta)
{
	struct monitor *m = arg;

	rates_note_meta(&m->rates, m->catalog, meta, clock_wall_us());
}

/* A run has ended. */
static void on_finished(void *arg, const struct run_state *state)
{
	struct monitor *m = arg;

	m->care.unreleased_bytes += state->size;
	m->care.wanted = true;
	sealer_want(&m->sealer, clock_mono_us());
}

int files_open(struct monitor *m, struct err *err)
{
	uint64_t highest;
	int rc;

	m->state_fd = listen_open_dir(AT_FDCWD, m->settings.state_dir, group_of(m), err);
	if (m->state_fd < 0)
		return m->state_fd;
	m->lock_fd = listen_lock(m->state_fd, err);
	if (m->lock_fd < 0)
		return m->lock_fd;
	rc = open_id(m, err);
	if (rc == 0)
		rc = open_runs(m, err);
	if (rc != 0)
		return rc;
	m->ledger = ledger_open(m->state_fd, group_of(m), err);
	if (m->ledger == NULL)
		return err->code;
	m->seen_alive_us = ledger_last_us(m->ledger);
	rotate_resume(m);
	rc = switches_read(m->state_fd, &m->switches, err);
	if (rc != 0)
		return rc;
	m->keys = keys_open(m->state_fd, clock_wall_us(), err);
	if (m->keys == NULL)
		return err->code;
	active_init(&m->active, m->launch.runs_fd, m->ledger);
	m->active.seen = on_seen;
	m->active.seen_arg = m;
	m->active.finished = on_finished;
	m->active.new_ledger = ledger_position(m->ledger) == 0;
	highest = active_scan(&m->active);
	if (m->active.has_unsealed)
		sealer_want(&m->sealer, clock_mono_us());
	return open_number(m, highest, err);
}

void files_close(struct monitor *m)
{
	active_fini(&m->active);
	units_free(m->launch.units);
	ledger_close(m->ledger);
	keys_close(m->keys);
	switches_fini(&m->switches);
	free(m->runs_path);
	free(m->config_error);
	catalog_free(m->catalog);
	settings_fini(&m->settings);
}
