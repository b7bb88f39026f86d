/*
 * The end of a run whose runner died. Holding the lock, it can be interrupted anywhere and done
 * again: the tail is cut first, each event is appended whole or cut off the next time, and the
 * state becomes final last. Steps that were running are known from the state; a step.finished that
 * a first try wrote already is written again, which is harmless: the last one counts, and all say
 * `lost`.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/run/event.h"
#include "agent/run/journal.h"
#include "agent/run/lock.h"
#include "agent/run/meta.h"
#include "agent/run/rundir.h"
#include "core/base/clock.h"
#include "core/base/file.h"

struct lost {
	int dir_fd, journal_fd;
	enum run_reason reason;
	struct plan *meta;
	struct run_state state;
	struct journal_totals totals;
	struct crypto_sha256 digest;
};

/* The digest and totals of everything up to the cut, to go on from there. */
static int rewind_to(struct lost *lost, const struct journal_walk *walk)
{
	uint8_t head[RECORD_HEADER_BYTES];
	uint64_t at = 0;

	crypto_sha256_init(&lost->digest);
	while (at < walk->totals.size) {
		struct record rec;

		if (pread(lost->journal_fd, head, sizeof(head), (off_t)at) !=
				(ssize_t)sizeof(head) ||
			record_decode_header(head, sizeof(head), &rec) != 0)
			return -EIO;
		crypto_sha256_update(&lost->digest, head, sizeof(head));
		at += RECORD_HEADER_BYTES + rec.length;
	}
	lost->totals = walk->totals;
	return 0;
}

/* Writes one event with one write(2). */
static int append(struct lost *lost, uint16_t step, const struct buf *json)
{
	uint64_t now = clock_wall_us();
	uint8_t *bytes;
	struct record rec = {.length = (uint32_t)json->len,
		.step = step,
		.kind = RECORD_EVENT,
		.line = (uint32_t)lost->totals.lines,
		.time_us = MAX(now, lost->totals.time_us)};
	int rc = buf_err(json);

	if (rc != 0)
		return rc;
	bytes = xcalloc(1, RECORD_HEADER_BYTES + json->len);
	memcpy(bytes + RECORD_HEADER_BYTES, json->data, json->len);
	rec.payload = bytes + RECORD_HEADER_BYTES;
	record_encode_header(&rec, bytes);
	rc = file_write_all(lost->journal_fd, bytes, RECORD_HEADER_BYTES + json->len);
	if (rc == 0) {
		crypto_sha256_update(&lost->digest, bytes, RECORD_HEADER_BYTES);
		lost->totals.size += RECORD_HEADER_BYTES + json->len;
		lost->totals.records++;
		lost->totals.time_us = rec.time_us;
	}
	free(bytes);
	return rc;
}

static int append_created(struct lost *lost)
{
	struct buf json;
	int rc;

	buf_init(&json, RECORD_MAX_PAYLOAD);
	event_run_created(&json, lost->meta);
	rc = append(lost, RECORD_STEP_RUN, &json);
	buf_fini(&json);
	return rc;
}

static int append_step(struct lost *lost, uint16_t index)
{
	struct step_state *step = &lost->state.steps[index];
	struct event_step_finished ev = {
		.step = {.step_id = lost->meta->steps[index].id, .attempt = step->attempt},
		.step_index = index,
		.status = STEP_LOST,
		.reason = lost->reason,
		.exit_code = -1,
	};
	struct buf json;
	int rc;

	buf_init(&json, RECORD_MAX_PAYLOAD);
	event_step_finished(&json, &ev);
	rc = append(lost, index, &json);
	buf_fini(&json);
	step->status = STEP_LOST;
	step->reason = (uint8_t)lost->reason;
	step->finished_us = lost->totals.time_us;
	step->pid = 0;
	return rc;
}

static int append_finished(struct lost *lost, uint64_t cut_bytes)
{
	struct event_run_finished ev = {
		.status = RUN_LOST,
		.reason = lost->reason,
		.exit_code = -1,
		.bytes = lost->totals.bytes,
		.lines = lost->totals.lines,
		.records = lost->totals.records,
		.truncated = lost->state.truncated,
		.cut_bytes = cut_bytes,
		.message =
			lost->reason == REASON_HOST_RESTARTED
				? "the host restarted while this was running"
				: "the process that ran this died; what it had started was ended",
	};
	struct crypto_sha256 digest = lost->digest;
	struct buf json;
	int rc;

	crypto_sha256_final(&digest, ev.digest);
	buf_init(&json, RECORD_MAX_PAYLOAD);
	event_run_finished(&json, &ev);
	rc = append(lost, RECORD_STEP_RUN, &json);
	buf_fini(&json);
	lost->state.status = RUN_LOST;
	lost->state.reason = (uint8_t)lost->reason;
	lost->state.exit_code = -1;
	lost->state.signal = 0;
	memcpy(lost->state.digest, ev.digest, sizeof(ev.digest));
	return rc;
}

/* The run ended by itself, only its state does not say so yet. */
static int adopt_finished(struct lost *lost, const struct journal_walk *walk)
{
	uint8_t *bytes = xcalloc(1, RECORD_MAX_BYTES);
	struct event_run_finished ev;
	struct record rec;
	ssize_t n = pread(lost->journal_fd, bytes, RECORD_MAX_BYTES, (off_t)walk->finished_offset);
	int rc = -EBADMSG;

	if (n > 0 && record_decode(bytes, (size_t)n, &rec) > 0)
		rc = event_read_run_finished(&rec, &ev);
	if (rc == 0) {
		lost->state.status = (uint8_t)ev.status;
		lost->state.reason = (uint8_t)ev.reason;
		lost->state.exit_code = (int16_t)ev.exit_code;
		lost->state.signal = (uint16_t)ev.signal;
		lost->state.truncated = ev.truncated;
		memcpy(lost->state.digest, ev.digest, sizeof(ev.digest));
		lost->totals = walk->totals;
	}
	free(bytes);
	return rc;
}

/* Steps that never started, or of which no end is known. */
static void settle_steps(struct lost *lost)
{
	for (size_t i = 0; i < lost->state.n_steps; i++) {
		struct step_state *step = &lost->state.steps[i];

		step->pid = 0;
		if (!step_status_is_final((enum step_status)step->status))
			step->status = step->status == STEP_PENDING ? STEP_SKIPPED : STEP_LOST;
	}
}

static int write_end(struct lost *lost, struct err *err)
{
	struct journal_walk walk;
	uint64_t cut;
	int rc = journal_walk(lost->journal_fd, lost->state.durable_offset, &walk);

	if (rc != 0)
		return err_set_errno(err, rc, "cannot read %s", RUNDIR_JOURNAL);
	cut = walk.file_size - walk.totals.size;
	if (cut != 0 && ftruncate(lost->journal_fd, (off_t)walk.totals.size) != 0)
		return err_set_errno(err, -errno, "cannot cut the tail of %s", RUNDIR_JOURNAL);
	if (walk.finished)
		rc = adopt_finished(lost, &walk);
	else
		rc = rewind_to(lost, &walk);
	if (rc == 0 && !walk.finished && lost->totals.records == 0)
		rc = append_created(lost);
	for (uint16_t i = 0; rc == 0 && !walk.finished && i < lost->state.n_steps; i++) {
		enum step_status status = (enum step_status)lost->state.steps[i].status;

		if (status == STEP_RUNNING || status == STEP_WAITING || status == STEP_RETRYING)
			rc = append_step(lost, i);
	}
	if (rc == 0 && !walk.finished)
		rc = append_finished(lost, cut);
	/* Before anybody is told. The size that it has frees what was allocated behind it. */
	if (rc == 0 && (ftruncate(lost->journal_fd, (off_t)lost->totals.size) != 0 ||
			       fdatasync(lost->journal_fd) != 0))
		rc = -errno;
	if (rc != 0)
		return err_set_errno(err, rc, "cannot write the end of %s", RUNDIR_JOURNAL);
	settle_steps(lost);
	return 0;
}

static int write_state(struct lost *lost, struct err *err)
{
	struct run_state *state = &lost->state;
	int fd = state_open(lost->dir_fd);
	int rc = fd < 0 ? fd : 0;

	state->finished_us = lost->totals.time_us;
	state->bytes = lost->totals.bytes;
	state->lines = lost->totals.lines;
	state->records = lost->totals.records;
	state->size = state->durable_offset = lost->totals.size;
	state->disk_full = false;
	if (rc == 0)
		rc = state_write(fd, state);
	if (rc == 0 && fdatasync(fd) != 0)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	return rc == 0 ? 0 : err_set_errno(err, rc, "cannot write %s", RUNDIR_STATE);
}

static int load(struct lost *lost, struct err *err)
{
	int rc = state_read(lost->dir_fd, &lost->state);

	if (rc == 0 && run_status_is_final((enum run_status)lost->state.status))
		return err_set(err, -EALREADY, "the run is finished");
	lost->meta = meta_read(lost->dir_fd, err);
	if (lost->meta == NULL)
		return err != NULL && err->code != 0 ? err->code : -EBADMSG;
	/* Without a readable state nothing is known of the steps: all pending. */
	if (rc != 0 || lost->state.n_steps != lost->meta->n_steps)
		state_init(&lost->state, lost->meta);
	lost->journal_fd = rundir_create(lost->dir_fd, RUNDIR_JOURNAL, O_RDWR | O_APPEND);
	if (lost->journal_fd < 0)
		return err_set_errno(err, lost->journal_fd, "cannot open %s", RUNDIR_JOURNAL);
	return 0;
}

int journal_append_lost(
	int run_dir_fd, enum run_reason reason, struct run_state *ret_state, struct err *err)
{
	struct lost lost = {.dir_fd = run_dir_fd, .journal_fd = -1, .reason = reason};
	struct err own = {0};
	int lock_fd = lock_take(run_dir_fd);
	int rc;

	assert(reason == REASON_RUNNER_DIED || reason == REASON_HOST_RESTARTED);
	if (lock_fd < 0)
		return lock_fd == -EAGAIN
			       ? err_set(err, -EAGAIN, "the runner is alive")
			       : err_set_errno(err, lock_fd, "cannot lock %s", RUNDIR_LOCK);
	rc = load(&lost, &own);
	if (rc == 0)
		rc = write_end(&lost, &own);
	if (rc == 0)
		rc = write_state(&lost, &own);
	if ((rc == 0 || rc == -EALREADY) && ret_state != NULL)
		*ret_state = lost.state;
	if (rc != 0)
		err_set(err, rc, "%s", own.msg);
	if (lost.journal_fd >= 0)
		close(lost.journal_fd);
	meta_free(lost.meta);
	close(lock_fd);
	return rc;
}
