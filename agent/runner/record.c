/*
 * Bookkeeping around the journal: events, the state block, and what is durable.
 *
 * The state block is written at once when a status changed, and at most every RUN_STATE_EVERY_US
 * while only sizes grow. The journal is synced at step ends and at most every RUN_SYNC_EVERY_US in
 * between, by the syncer's thread; durable_offset moves when that is through. A failed fdatasync is
 * never tried again: what it was about may be gone, so the run ends as failed.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "agent/run/event.h"
#include "agent/runner/run.h"
#include "core/base/clock.h"
#include "core/base/log.h"

void run_event(struct run *run, uint16_t step, struct buf *json)
{
	int rc = buf_err(json);

	if (rc == 0 && run->broken == 0)
		rc = journal_append_event(&run->journal, step, json);
	buf_fini(json);
	if (rc != 0)
		run_break(run, rc);
}

void run_break(struct run *run, int rc)
{
	if (run->broken != 0)
		return;
	run->broken = rc;
	run->orders.stop = run->orders.cancelled = run->orders.kill = true;
	log_error(LOG_EV("runner.journal_failed"), LOG_STR("run", run->id),
		LOG_STR("error", strerror(-rc)));
	for (size_t i = 0; i < RUN_MAX_ATTEMPTS; i++) {
		if (run->attempts[i].state != ATTEMPT_NONE)
			attempt_kill(run, &run->attempts[i], STOP_BROKEN);
	}
}

void run_sync(struct run *run)
{
	uint64_t size = run->journal.totals.size - run->journal.pending.len;

	if (size <= run->sync_wanted || run->broken != 0 ||
		(!run->sync_due && run->now < run->sync_at + RUN_SYNC_EVERY_US))
		return;
	run->sync_due = false;
	run->sync_at = run->now;
	run->sync_wanted = size;
	syncer_request(&run->syncer, size);
}

void run_on_synced(struct run *run)
{
	int rc = syncer_result(&run->syncer, &run->durable);

	if (rc != 0)
		run_break(run, rc);
	run_write_state(run, false);
}

static bool is_due(const struct run *run)
{
	bool changed = run->state_size != run->journal.totals.size ||
		       run->state.durable_offset != run->durable;

	return run->state_dirty || (changed && run->now >= run->state_at + RUN_STATE_EVERY_US);
}

void run_write_state(struct run *run, bool at_once)
{
	const struct journal_totals *totals = &run->journal.totals;
	int rc;

	if (!at_once && !is_due(run))
		return;
	run->state.bytes = totals->bytes;
	run->state.lines = totals->lines;
	run->state.records = totals->records;
	run->state.size = totals->size - run->journal.pending.len;
	run->state.durable_offset = run->durable;
	run->state_size = totals->size;
	run->state_at = run->now;
	run->state_dirty = false;
	rc = state_write(run->state_fd, &run->state);
	/* Its room was allocated at the start: only a broken disk gets here. */
	if (rc != 0 && rc != -ENOSPC)
		run_break(run, rc);
}

uint64_t run_record_wake_at(const struct run *run)
{
	uint64_t at = RUN_NEVER;

	if (run->state_dirty)
		return run->now;
	if (run->state_size != run->journal.totals.size ||
		run->state.durable_offset != run->durable)
		at = run->state_at + RUN_STATE_EVERY_US;
	if (run->broken == 0 && !journal_is_stuck(&run->journal) &&
		run->sync_wanted != run->journal.totals.size)
		at = MIN(at, run->sync_at + RUN_SYNC_EVERY_US);
	return at;
}
