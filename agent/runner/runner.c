/*
 * The loop: one ppoll(2) over signals, control/, the syncer and the pipes of running steps.
 *
 * Happy path: run.created; then turn after turn: take in what happened, move the attempts on, let
 * the scheduler start or skip steps, write state and sync when due, sleep until something happens
 * or the next deadline. When every step is final: run.finished, made durable, the final state.
 *
 * Failure modes: whoever started us dies: we do not notice. SIGTERM: a cancel. The journal's disk
 * is full: output.c waits. The journal breaks: record.c ends everything; the run is `failed`, and
 * if not even that can be written, we exit with the lock free and the agent writes `lost`.
 */
#include "agent/runner/runner.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/run/event.h"
#include "agent/runner/run.h"
#include "agent/runner/setup.h"
#include "core/base/clock.h"
#include "core/base/log.h"

#define MAX_POLLED (3 + 2 * RUN_MAX_ATTEMPTS)

/* ---- orders ---- */

static const char *const cause_names[] = {
	[STOP_CANCEL] = "cancelled",
	[STOP_HOST] = "the host is shutting down",
};

/* A cancel or the run's timeout: what runs is ended, of what has not started runs what is meant for
 * this (graph.h). Cleaning up is left alone, and a run that is only cleaning up goes on. A cancel
 * after the timeout stops what the timeout let go on. */
static void stop_run(struct run *run, enum stop_cause cause)
{
	bool cancel = cause != STOP_RUN_TIMEOUT;

	if (run->orders.cancelled || (run->orders.stop && !cancel) ||
		graph_is_cleaning_up(run->plan, &run->state))
		return;
	if (!run->orders.stop)
		run->stop_cause = cause;
	run->orders.stop = true;
	run->orders.cancelled = cancel;
	for (size_t i = 0; i < RUN_MAX_ATTEMPTS; i++) {
		struct attempt *attempt = &run->attempts[i];

		if (attempt->state != ATTEMPT_NONE &&
			run->plan->steps[attempt->step].phase != PLAN_FINALLY)
			attempt_stop(run, attempt, cause);
	}
}

/* The second cancel: nothing is waited for any more, `finally` included. */
static void kill_run(struct run *run, enum stop_cause cause)
{
	if (run->stop_cause == STOP_NONE)
		run->stop_cause = cause;
	run->orders.stop = run->orders.cancelled = run->orders.kill = run->killed = true;
	for (size_t i = 0; i < RUN_MAX_ATTEMPTS; i++) {
		if (run->attempts[i].state != ATTEMPT_NONE)
			attempt_kill(run, &run->attempts[i], cause);
	}
}

static void on_cancel(
	struct run *run, enum stop_cause cause, const char *actor, const char *reason, bool kill)
{
	struct buf json;

	run->state.cancel_requested = true;
	run->state_dirty = true;
	buf_init(&json, RECORD_MAX_PAYLOAD);
	event_cancel_requested(&json, actor, reason[0] != '\0' ? reason : cause_names[cause], kill);
	run_event(run, RECORD_STEP_RUN, &json);
	if (kill)
		kill_run(run, cause);
	else
		stop_run(run, cause);
}

static void take_orders(struct run *run, bool closed)
{
	if (control_take(&run->control, CONTROL_CANCEL, closed))
		on_cancel(run, STOP_CANCEL, run->control.actor, run->control.reason, false);
	if (control_take(&run->control, CONTROL_KILL, closed))
		on_cancel(run, STOP_CANCEL, run->control.actor, run->control.reason, true);
	idle_take_answers(run, closed);
}

static void on_run_timeout(struct run *run)
{
	struct buf json;

	run->timeout_at = RUN_NEVER;
	if (run->orders.stop || graph_is_cleaning_up(run->plan, &run->state))
		return;
	buf_init(&json, RECORD_MAX_PAYLOAD);
	event_run_timed_out(&json, run->plan->timeout_us);
	run_event(run, RECORD_STEP_RUN, &json);
	stop_run(run, STOP_RUN_TIMEOUT);
}

/* ---- signals and children ---- */

static void reap(struct run *run)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < RUN_MAX_ATTEMPTS; i++) {
			struct attempt *attempt = &run->attempts[i];

			if (attempt->state != ATTEMPT_NONE && !attempt->exited &&
				attempt->pid == pid)
				attempt_on_exit(attempt, status);
		}
	}
	run->has_children = pid == 0;
}

static void on_signals(struct run *run)
{
	struct signalfd_siginfo info;

	while (read(run->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo != SIGTERM && info.ssi_signo != SIGINT)
			continue;
		/* A second one is as impatient as a second cancel. */
		on_cancel(run, STOP_HOST, "host", "", run->sigterms++ > 0);
	}
	reap(run);
}

/* ---- steps ---- */

static bool has_free_slot(const struct run *run)
{
	for (size_t i = 0; i < RUN_MAX_ATTEMPTS; i++) {
		if (run->attempts[i].state == ATTEMPT_NONE)
			return true;
	}
	return false;
}

/* One decision of the graph; false when there is nothing to do before something happens. */
static bool take_turn(struct run *run, bool *ret_ended)
{
	struct graph_view view = {.plan = run->plan,
		.state = &run->state,
		.outputs = &run->outputs,
		.orders = run->orders};
	struct graph_decision next = graph_next(&view);

	*ret_ended = next.action == GRAPH_END;
	/* Whoever stopped the run has answered every approval. */
	if (next.action == GRAPH_START && run->orders.stop &&
		run->plan->steps[next.step].approve.prompt != NULL)
		next.action = GRAPH_SKIP;
	if (next.action == GRAPH_SKIP)
		run_settle_step(run, next.step, STEP_SKIPPED, REASON_NONE, -1, NULL);
	else if (next.action != GRAPH_START)
		return false;
	else if (run->plan->steps[next.step].approve.prompt != NULL)
		idle_start_approval(run, next.step);
	else if (has_free_slot(run))
		attempt_start(run, next.step);
	else
		return false;
	return true;
}

static void schedule(struct run *run, bool *ret_ended)
{
	uint16_t due;

	idle_step(run);
	while (has_free_slot(run) && (due = idle_due_retry(run)) != PLAN_NO_STEP)
		attempt_start(run, due);
	while (take_turn(run, ret_ended))
		;
	idle_update_run(run);
}

static void move_on(struct run *run, bool *ret_ended)
{
	if (run->paused_at == 0 && run->now >= run->timeout_at)
		on_run_timeout(run);
	for (size_t i = 0; i < RUN_MAX_ATTEMPTS; i++)
		attempt_step(run, &run->attempts[i]);
	schedule(run, ret_ended);
	if (journal_is_stuck(&run->journal))
		output_wait_for_room(run);
	if (run->state.disk_full && run->now >= run->disk_retry_at && run->broken == 0)
		output_retry(run);
}

/* ---- the loop ---- */

static uint64_t next_wake(const struct run *run)
{
	uint64_t at = run->paused_at == 0 ? run->timeout_at : RUN_NEVER;
	uint64_t other = run_record_wake_at(run);

	at = MIN(at, other);
	other = output_wake_at(run);
	at = MIN(at, other);
	other = idle_wake_at(run, has_free_slot(run));
	at = MIN(at, other);
	if (run->control.inotify_fd < 0)
		at = MIN(at, run->now + CONTROL_POLL_US);
	for (size_t i = 0; i < RUN_MAX_ATTEMPTS; i++) {
		other = attempt_wake_at(&run->attempts[i]);
		at = MIN(at, other);
	}
	return at;
}

static void sleep_until(const struct run *run, struct pollfd *fds, nfds_t n)
{
	uint64_t at = next_wake(run);
	uint64_t now = at == RUN_NEVER ? 0 : clock_mono_us();
	uint64_t wait = at > now ? at - now : 0;
	struct timespec ts = {.tv_sec = (time_t)(wait / CLOCK_SECOND_US),
		.tv_nsec = (long)(wait % CLOCK_SECOND_US) * 1000};

	if (ppoll(fds, n, at == RUN_NEVER ? NULL : &ts, NULL) < 0)
		assert(errno == EINTR || errno == ENOMEM);
}

static void turn(struct run *run)
{
	struct pollfd fds[MAX_POLLED] = {
		{.fd = run->signal_fd, .events = POLLIN},
		{.fd = run->control.inotify_fd, .events = POLLIN}, /* -1 is skipped */
		{.fd = run->syncer.wake_fd, .events = POLLIN},
	};
	struct pollfd *streams = &fds[3];

	for (size_t i = 0; i < 2 * RUN_MAX_ATTEMPTS; i++) {
		const struct attempt *attempt = &run->attempts[i / 2];
		const struct stream *stream = &attempt->streams[i % 2];
		bool wanted = attempt->state != ATTEMPT_NONE && stream_wants(run, stream);

		streams[i] = (struct pollfd){.fd = wanted ? stream->fd : -1, .events = POLLIN};
	}
	sleep_until(run, fds, ARRAY_LEN(fds));
	run->now = clock_mono_us();
	output_tick(run);
	if (fds[2].revents != 0)
		run_on_synced(run);
	for (size_t i = 0; i < 2 * RUN_MAX_ATTEMPTS; i++) {
		struct attempt *attempt = &run->attempts[i / 2];

		if (streams[i].revents != 0 && attempt->state != ATTEMPT_NONE)
			stream_read(run, attempt, &attempt->streams[i % 2]);
	}
	/* Behind the pipes: what was written before the exit goes in before it is seen. */
	if (fds[0].revents != 0)
		on_signals(run);
	if (fds[1].revents != 0)
		control_ack(&run->control);
	if (fds[1].revents != 0 || run->control.inotify_fd < 0)
		take_orders(run, fds[1].revents != 0);
}

/* ---- the end ---- */

static struct graph_result result_of(const struct run *run)
{
	struct graph_result result = graph_result(run->plan, &run->state);

	if (run->broken != 0)
		return (struct graph_result){.status = RUN_FAILED, .exit_code = -1};
	if (run->skipped)
		return (struct graph_result){
			.status = RUN_SKIPPED, .reason = run->skip_reason, .exit_code = -1};
	switch (run->stop_cause) {
	case STOP_RUN_TIMEOUT:
		result.status = RUN_TIMED_OUT;
		result.reason = REASON_TIMEOUT;
		break;
	case STOP_CANCEL:
	case STOP_HOST:
		/* A cancel that came when only `finally` was left changes nothing but that. */
		if (run->orders.stop && result.status != RUN_FAILED) {
			result.status = RUN_CANCELLED;
			result.reason = run->stop_cause == STOP_HOST ? REASON_HOST_RESTARTED
								     : REASON_CANCELLED;
		}
		break;
	case STOP_NONE:
	case STOP_STEP_TIMEOUT:
	case STOP_BROKEN:
		break;
	}
	if (result.status != RUN_SUCCEEDED && result.reason == REASON_EXIT && result.exit_code == 0)
		result.exit_code = -1;
	return result;
}

static int write_finished(struct run *run, const struct graph_result *result)
{
	const struct journal_totals *totals = &run->journal.totals;
	struct event_run_finished ev = {
		.status = result->status,
		.reason = result->reason,
		.exit_code = result->exit_code,
		.signal = result->signal,
		.bytes = totals->bytes,
		.lines = totals->lines,
		.records = totals->records,
		.truncated = run->state.truncated,
	};
	char message[RUN_MAX_MESSAGE];
	struct buf json;
	int rc;

	if (run->broken != 0) {
		snprintf(message, sizeof(message), "the journal cannot be written: %s",
			strerror(-run->broken));
		ev.message = message;
		/* The record that broke it may be there in part. */
		if (ftruncate(run->journal.fd, (off_t)(totals->size - run->journal.pending.len)) !=
			0)
			return -errno;
	}
	journal_digest(&run->journal, ev.digest);
	memcpy(run->state.digest, ev.digest, sizeof(ev.digest));
	buf_init(&json, RECORD_MAX_PAYLOAD);
	event_run_finished(&json, &ev);
	rc = buf_err(&json);
	if (rc == 0)
		rc = journal_append_event(&run->journal, RECORD_STEP_RUN, &json);
	buf_fini(&json);
	return rc;
}

/* Waits, second by second, until what is pending found room on the disk. */
static int flush_all(struct run *run)
{
	while (journal_is_stuck(&run->journal)) {
		struct timespec second = {.tv_sec = 1};
		int rc = journal_flush(&run->journal);

		if (rc != 0 && rc != -ENOSPC && rc != -EDQUOT)
			return rc;
		if (journal_is_stuck(&run->journal))
			nanosleep(&second, NULL);
	}
	return 0;
}

/* The end record, and all of the journal durable. A journal that broke before may still take it. */
static int seal(struct run *run, const struct graph_result *result)
{
	int rc = write_finished(run, result);

	if (rc == 0)
		rc = flush_all(run);
	journal_trim(&run->journal);
	syncer_fini(&run->syncer);
	if (rc == 0)
		rc = journal_sync(run->journal.fd);
	if (rc == 0 && !run->syncer.dir_done && fsync(run->dir_fd) != 0)
		rc = -errno;
	return rc;
}

static int finish(struct run *run)
{
	struct graph_result result = result_of(run);
	int rc = seal(run, &result);

	if (rc != 0) {
		/* The last word is the agent's: it reads what is there and ends the run. */
		log_error(LOG_EV("runner.end_failed"), LOG_STR("run", run->id),
			LOG_STR("error", strerror(-rc)));
		return RUNNER_EXIT_FAILED;
	}
	/* After a failed sync a later one that goes well proves nothing. */
	if (run->broken == 0)
		run->durable = run->journal.totals.size;
	run->state.status = (uint8_t)result.status;
	run->state.reason = (uint8_t)result.reason;
	run->state.exit_code = (int16_t)result.exit_code;
	run->state.signal = (uint16_t)result.signal;
	run->state.finished_us = run->journal.totals.time_us;
	run->state.disk_full = false;
	opsout_remove_run(run->scratch_base, run->id);
	run->now = clock_mono_us();
	run_write_state(run, true);
	return RUNNER_EXIT_OK;
}

/* Other runs must end first: waits for the monitor's word, or for a cancel. */
static void wait_for_turn(struct run *run)
{
	run->state.status = RUN_QUEUED;
	run->state.started_us = 0;
	run->timeout_at = RUN_NEVER;
	run_write_state(run, true);
	take_orders(run, false);
	while (!run->orders.stop && !control_take(&run->control, CONTROL_GO, false)) {
		run_sync(run);
		run_write_state(run, false);
		turn(run);
	}
	/* what has not begun needs no cleaning up */
	if (run->orders.stop)
		run->orders.kill = true;
	run->state.status = RUN_RUNNING;
	run->state.started_us = clock_wall_us();
	if (run->plan->timeout_us != 0)
		run->timeout_at = run->now + run->plan->timeout_us;
}

static void pass_gate(struct run *run)
{
	switch (control_gate(&run->control)) {
	case CONTROL_GATE_OPEN:
		break;
	case CONTROL_GATE_HOLD:
		wait_for_turn(run);
		break;
	case CONTROL_GATE_SKIP:
		run->skipped = true;
		if (run_reason_parse(run->control.reason, strlen(run->control.reason),
			    &run->skip_reason) != 0)
			run->skip_reason = REASON_NONE;
		run->orders.stop = run->orders.kill = true;
		break;
	}
}

static int execute(struct run *run)
{
	struct buf json;
	bool ended = false;

	buf_init(&json, RECORD_MAX_PAYLOAD);
	event_run_created(&json, run->plan);
	run_event(run, RECORD_STEP_RUN, &json);
	pass_gate(run);
	run_write_state(run, true);
	take_orders(run, false);
	for (;;) {
		move_on(run, &ended);
		if (ended)
			break;
		run_sync(run);
		run_write_state(run, false);
		turn(run);
	}
	return finish(run);
}

int runner_main(const char *run_dir, int lock_fd)
{
	static struct run run; /* too large for the stack; one a process */
	struct err err = {0};
	int rc = run_init(&run, run_dir, lock_fd, &err);

	if (rc != 0) {
		log_error(LOG_EV("runner.refused"), LOG_STR("run_dir", run_dir),
			LOG_STR("error", err.msg));
		return rc;
	}
	rc = execute(&run);
	run_fini(&run);
	return rc;
}
