/*
 * Steps that wait: an approval for a person, a failed step for its next attempt. They own nothing
 * but a place in run->step_wake_at, so a run that only waits costs a sleeping process.
 *
 *	PENDING  --idle_start_approval()--> WAITING --answer, or expired--> SUCCEEDED | FAILED
 *	RUNNING  --settle(), retries left--> RETRYING --idle_due_retry()--> RUNNING
 *	WAITING, RETRYING --stop, kill--> CANCELLED | TIMED_OUT | FAILED
 *
 * The first answer counts, silence being one of them: before an approval expires, its place in
 * control/ is taken, so that whoever answers later is told so.
 */
#include <errno.h>
#include <string.h>

#include "agent/run/event.h"
#include "agent/runner/run.h"
#include "core/base/clock.h"
#include "core/base/log.h"

static enum step_status status_of(const struct run *run, size_t step)
{
	return (enum step_status)run->state.steps[step].status;
}

/* ---- approvals ---- */

void idle_start_approval(struct run *run, uint16_t step)
{
	const struct plan_step *s = &run->plan->steps[step];
	struct step_state *state = &run->state.steps[step];
	struct buf json;

	state->status = STEP_WAITING;
	state->attempt = 1;
	state->started_us = clock_wall_us();
	state->offset = run->journal.totals.size;
	run->state_dirty = true;
	run->sync_due = true;
	run->step_wake_at[step] =
		s->approve.timeout_us != 0 ? run->now + s->approve.timeout_us : RUN_NEVER;
	buf_init(&json, RECORD_MAX_PAYLOAD);
	event_step_waiting(&json, s->id, &s->approve);
	run_event(run, step, &json);
}

static void answer(struct run *run, uint16_t step, bool approve, const char *message)
{
	run_settle_step(run, step, approve ? STEP_SUCCEEDED : STEP_FAILED,
		approve ? REASON_NONE : REASON_REJECTED, -1, message);
}

/* Takes the answer if there is one. */
static bool take_answer(struct run *run, uint16_t step, bool closed)
{
	struct buf json;
	bool approve;

	if (!control_read_answer(&run->control, step, closed, &approve))
		return false;
	buf_init(&json, RECORD_MAX_PAYLOAD);
	event_step_approved(
		&json, run->plan->steps[step].id, approve, run->control.actor, run->control.reason);
	run_event(run, step, &json);
	answer(run, step, approve, NULL);
	return true;
}

void idle_take_answers(struct run *run, bool closed)
{
	for (uint16_t i = 0; i < run->plan->n_steps; i++) {
		if (status_of(run, i) == STEP_WAITING)
			(void)take_answer(run, i, closed);
	}
}

static void expire(struct run *run, uint16_t step)
{
	const struct plan_step *s = &run->plan->steps[step];
	struct event_step ev = {.step_id = s->id, .attempt = run->state.steps[step].attempt};
	struct buf json;
	int rc = control_close_answer(&run->control, step, s->approve.on_timeout);

	if (rc == -EEXIST && take_answer(run, step, true))
		return;
	if (rc != 0 && rc != -EEXIST)
		log_warn(LOG_EV("runner.answer_not_closed"), LOG_STR("run", run->id),
			LOG_STR("error", strerror(-rc)));
	buf_init(&json, RECORD_MAX_PAYLOAD);
	event_step_timed_out(&json, &ev, s->approve.timeout_us);
	run_event(run, step, &json);
	answer(run, step, s->approve.on_timeout,
		s->approve.on_timeout ? "nobody answered in time, which means yes here"
				      : "nobody answered in time");
}

/* ---- stops ---- */

/* Whether what is asked of the run as a whole ends this step's waiting. */
static bool is_stopped(const struct run *run, uint16_t step)
{
	switch (run->plan->steps[step].phase) {
	case PLAN_MAIN:
		return run->orders.stop || run->orders.kill;
	case PLAN_ON_FAILURE:
		return run->orders.cancelled || run->orders.kill;
	case PLAN_FINALLY:
		break;
	}
	return run->orders.kill;
}

static void end_stopped(struct run *run, uint16_t step)
{
	if (run->broken != 0)
		run_settle_step(run, step, STEP_FAILED, REASON_NONE, -1,
			"ended because the journal cannot be written");
	else if (run->stop_cause == STOP_RUN_TIMEOUT && !run->orders.cancelled)
		run_settle_step(run, step, STEP_TIMED_OUT, REASON_TIMEOUT, -1, NULL);
	else
		run_settle_step(run, step, STEP_CANCELLED,
			run->stop_cause == STOP_HOST ? REASON_HOST_RESTARTED : REASON_CANCELLED, -1,
			NULL);
}

void idle_step(struct run *run)
{
	for (uint16_t i = 0; i < run->plan->n_steps; i++) {
		enum step_status status = status_of(run, i);

		if (status != STEP_WAITING && status != STEP_RETRYING)
			continue;
		if (is_stopped(run, i))
			end_stopped(run, i);
		else if (status == STEP_WAITING && run->now >= run->step_wake_at[i])
			expire(run, i);
	}
}

/* ---- retries and time ---- */

uint16_t idle_due_retry(const struct run *run)
{
	for (uint16_t i = 0; i < run->plan->n_steps; i++) {
		if (status_of(run, i) == STEP_RETRYING && run->now >= run->step_wake_at[i])
			return i;
	}
	return PLAN_NO_STEP;
}

void idle_update_run(struct run *run)
{
	bool waits = false, works = false;

	for (uint16_t i = 0; i < run->plan->n_steps; i++) {
		waits |= status_of(run, i) == STEP_WAITING;
		works |= status_of(run, i) == STEP_RUNNING || status_of(run, i) == STEP_RETRYING;
	}
	waits = waits && !works;
	if (waits == (run->state.status == RUN_WAITING))
		return;
	run->state.status = waits ? RUN_WAITING : RUN_RUNNING;
	run->state_dirty = true;
	if (waits)
		run->paused_at = run->now;
	else if (run->timeout_at != RUN_NEVER)
		run->timeout_at += run->now - run->paused_at;
	if (!waits)
		run->paused_at = 0;
}

uint64_t idle_wake_at(const struct run *run, bool free_slot)
{
	uint64_t at = RUN_NEVER;

	for (uint16_t i = 0; i < run->plan->n_steps; i++) {
		enum step_status status = status_of(run, i);

		if (status == STEP_WAITING || (status == STEP_RETRYING && free_slot))
			at = MIN(at, run->step_wake_at[i]);
	}
	return at;
}
