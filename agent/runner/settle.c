/* How an attempt ended, and whether another one follows: status, outputs, and the events about it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/run/event.h"
#include "agent/runner/run.h"
#include "agent/runner/spawn.h"
#include "core/base/clock.h"
#include "core/base/file.h"

struct ending {
	enum step_status status;
	enum run_reason reason;
	int exit_code, signal;
	char message[RUN_MAX_MESSAGE];
};

static struct event_step step_of(const struct run *run, uint16_t step)
{
	return (struct event_step){
		.step_id = run->plan->steps[step].id, .attempt = run->state.steps[step].attempt};
}

/* Whether what is asked of the run as a whole leaves this step another attempt. */
static bool may_go_on(const struct run *run, const struct plan_step *step)
{
	if (run->orders.kill)
		return false;
	switch (step->phase) {
	case PLAN_MAIN:
		return !run->orders.stop;
	case PLAN_ON_FAILURE:
		return !run->orders.cancelled;
	case PLAN_FINALLY:
		break;
	}
	return true;
}

static bool is_retried(const struct run *run, uint16_t step, const struct ending *ending)
{
	const struct plan_step *s = &run->plan->steps[step];
	const struct plan_retry *retry = &s->retry;

	if (ending->status != STEP_FAILED && ending->status != STEP_TIMED_OUT)
		return false;
	if (run->state.steps[step].attempt > retry->limit || !may_go_on(run, s))
		return false;
	for (size_t i = 0; i < retry->n_exit_codes; i++) {
		if (ending->reason == REASON_EXIT && retry->exit_codes[i] == ending->exit_code)
			return true;
	}
	return retry->n_exit_codes == 0;
}

static uint64_t retry_delay(const struct plan_retry *retry, uint16_t attempt)
{
	uint64_t delay = MIN(retry->delay_us, RUN_RETRY_MAX_US);

	for (uint16_t i = 1; i < attempt && delay < RUN_RETRY_MAX_US && retry->backoff > 1; i++)
		delay *= retry->backoff;
	return MIN(delay, RUN_RETRY_MAX_US);
}

static void plan_retry(struct run *run, uint16_t step, const struct ending *ending)
{
	struct step_state *state = &run->state.steps[step];
	struct event_step ev = step_of(run, step);
	uint64_t delay = retry_delay(&run->plan->steps[step].retry, state->attempt);
	struct buf json;

	buf_init(&json, RECORD_MAX_PAYLOAD);
	event_step_retrying(&json, &ev, delay, ending->reason);
	run_event(run, step, &json);
	state->status = STEP_RETRYING;
	state->finished_us = 0;
	run->step_wake_at[step] = run->now + delay;
}

static void settle(struct run *run, uint16_t step, const struct ending *ending)
{
	struct step_state *state = &run->state.steps[step];
	char *message = mask_text(run->secrets.mask, ending->message);
	struct event_step_finished ev = {
		.step = step_of(run, step),
		.status = ending->status,
		.reason = ending->reason,
		.exit_code = ending->exit_code,
		.signal = ending->signal,
		.message = message[0] != '\0' ? message : NULL,
		.outputs = &run->outputs,
		.step_index = step,
	};
	struct buf json;

	buf_init(&json, RECORD_MAX_PAYLOAD);
	event_step_finished(&json, &ev);
	run_event(run, step, &json);
	free(message);
	state->status = (uint8_t)ending->status;
	state->reason = (uint8_t)ending->reason;
	state->exit_code = (int16_t)ending->exit_code;
	state->signal = (uint16_t)ending->signal;
	state->finished_us = clock_wall_us();
	state->pid = 0;
	run->step_wake_at[step] = RUN_NEVER;
	run->state_dirty = true;
	run->sync_due = true;
	if (is_retried(run, step, ending))
		plan_retry(run, step, ending);
}

void run_settle_unstarted(struct run *run, uint16_t step, const char *message)
{
	struct ending ending = {.status = STEP_FAILED,
		.reason = REASON_SPAWN_FAILED,
		.exit_code = SPAWN_EXIT_FAILED};

	snprintf(ending.message, sizeof(ending.message), "%s", message);
	settle(run, step, &ending);
}

void run_settle_step(struct run *run, uint16_t step, enum step_status status,
	enum run_reason reason, int exit_code, const char *message)
{
	struct ending ending = {.status = status, .reason = reason, .exit_code = exit_code};

	if (message != NULL)
		snprintf(ending.message, sizeof(ending.message), "%s", message);
	settle(run, step, &ending);
}

static bool is_success(const struct plan_step *step, int exit_code)
{
	for (size_t i = 0; i < step->n_success_codes; i++) {
		if (step->success_codes[i] == exit_code)
			return true;
	}
	return step->n_success_codes == 0 && exit_code == 0;
}

/* What the leader's end means when nobody asked for it. */
static void judge_exit(const struct run *run, const struct attempt *attempt, struct ending *ending)
{
	if (WIFSIGNALED(attempt->wait_status)) {
		ending->status = STEP_FAILED;
		ending->reason = REASON_SIGNAL;
		ending->signal = WTERMSIG(attempt->wait_status);
		return;
	}
	ending->exit_code = WEXITSTATUS(attempt->wait_status);
	ending->reason = REASON_EXIT;
	ending->status = is_success(&run->plan->steps[attempt->step], ending->exit_code)
				 ? STEP_SUCCEEDED
				 : STEP_FAILED;
}

static void judge(const struct run *run, const struct attempt *attempt, struct ending *ending)
{
	struct err failure;

	*ending = (struct ending){.exit_code = -1};
	if (attempt->exited)
		judge_exit(run, attempt, ending);
	if (ending->status == STEP_FAILED && cgroup_had_oom(&attempt->cgroup))
		ending->reason = REASON_OOM;
	if (attempt->exited && spawn_failure(attempt->report_fd, &failure)) {
		ending->status = STEP_FAILED;
		ending->reason = REASON_SPAWN_FAILED;
		snprintf(ending->message, sizeof(ending->message), "%s", failure.msg);
		return;
	}
	switch (attempt->cause) {
	case STOP_NONE:
		break;
	case STOP_CANCEL:
	case STOP_HOST:
		ending->status = STEP_CANCELLED;
		ending->reason =
			attempt->cause == STOP_HOST ? REASON_HOST_RESTARTED : REASON_CANCELLED;
		break;
	case STOP_STEP_TIMEOUT:
	case STOP_RUN_TIMEOUT:
		ending->status = STEP_TIMED_OUT;
		ending->reason = REASON_TIMEOUT;
		break;
	case STOP_BROKEN:
		ending->status = STEP_FAILED;
		ending->reason = REASON_NONE;
		snprintf(ending->message, sizeof(ending->message),
			"ended because the journal cannot be written: %s", strerror(-run->broken));
		break;
	}
}

/* Appends the outputs from number `first` on to RUN_DIR/outputs. */
static int store_outputs(const struct run *run, size_t first)
{
	struct buf buf;
	int rc;

	buf_init(&buf, PLAN_MAX_OUTPUTS * (OUTPUTS_MAX_VALUE_BYTES + 128));
	rc = outputs_encode(&run->outputs, first, &buf);
	if (rc == 0 && buf.len != 0)
		rc = file_write_all(run->outputs_fd, buf.data, buf.len);
	buf_fini(&buf);
	return rc;
}

/* Takes what the command set; what is wrong with it becomes the step's message, never its status.
 */
static void take_outputs(struct run *run, const struct attempt *attempt, struct ending *ending)
{
	const struct plan_step *step = &run->plan->steps[attempt->step];
	size_t first = run->outputs.n;
	struct err err = {0};
	struct buf buf;
	int rc;

	buf_init(&buf, OUTPUTS_MAX_FILE_BYTES + 1);
	rc = opsout_read(&attempt->opsout, OUTPUTS_MAX_FILE_BYTES, &buf);
	/* Before it is parsed, since what is wrong with it is quoted. */
	if (rc == 0)
		mask_buf(run->secrets.mask, &buf);
	if (rc != 0)
		err_set_errno(&err, rc, "cannot read $OPS_OUTPUT");
	else
		rc = outputs_parse(step, attempt->step, attempt->number, buf.data, buf.len,
			&run->outputs, &err);
	buf_fini(&buf);
	if (rc != 0 && ending->message[0] == '\0')
		snprintf(ending->message, sizeof(ending->message), "%s", err.msg);
	rc = store_outputs(run, first);
	if (rc != 0 && ending->message[0] == '\0') {
		err_set_errno(&err, rc, "cannot store the outputs");
		snprintf(ending->message, sizeof(ending->message), "%s", err.msg);
	}
}

static size_t add_names(const char **names, size_t n, const struct killtree_report *report)
{
	for (size_t i = 0; i < report->n_names && n < EVENT_MAX_NAMES; i++) {
		size_t k = 0;

		while (k < n && strcmp(names[k], report->names[i]) != 0)
			k++;
		if (k == n)
			names[n++] = report->names[i];
	}
	return n;
}

static void tell_killed(struct run *run, const struct attempt *attempt)
{
	const struct killtree_report *term = &attempt->term_report, *end = &attempt->kill_report;
	const char *names[EVENT_MAX_NAMES];
	char *masked[EVENT_MAX_NAMES];
	struct event_killed ev = {
		.step = step_of(run, attempt->step),
		/* Who did not heed SIGTERM is in both. */
		.count = MAX(term->count, end->count),
		.left = end->left,
		.names = names,
	};
	struct buf json;

	if (ev.count == 0 && ev.left == 0)
		return;
	ev.n_names = add_names(names, 0, term);
	ev.n_names = add_names(names, ev.n_names, end);
	for (size_t i = 0; i < ev.n_names; i++)
		names[i] = masked[i] = mask_text(run->secrets.mask, names[i]);
	buf_init(&json, RECORD_MAX_PAYLOAD);
	event_children_killed(&json, &ev);
	run_event(run, attempt->step, &json);
	for (size_t i = 0; i < ev.n_names; i++)
		free(masked[i]);
}

static void tell_truncated(
	struct run *run, const struct attempt *attempt, uint64_t bytes, const char *reason)
{
	struct event_step step = step_of(run, attempt->step);
	struct buf json;

	if (bytes == 0)
		return;
	buf_init(&json, RECORD_MAX_PAYLOAD);
	event_output_truncated(&json, &step, bytes, reason);
	run_event(run, attempt->step, &json);
}

void attempt_finish(struct run *run, struct attempt *attempt)
{
	struct ending ending;

	judge(run, attempt, &ending);
	take_outputs(run, attempt, &ending);
	tell_killed(run, attempt);
	tell_truncated(run, attempt, attempt->dropped, "max_output");
	tell_truncated(run, attempt, attempt->dropped_full,
		run->broken != 0 ? "journal_failed" : "disk_full");
	run->has_left_some |= run->plan->steps[attempt->step].leave_children && run->has_children;
	settle(run, attempt->step, &ending);
	for (size_t i = 0; i < 2; i++)
		stream_fini(&attempt->streams[i]);
	close(attempt->report_fd);
	opsout_close(&attempt->opsout);
	cgroup_remove(&run->cgroups, &attempt->cgroup);
	attempt->state = ATTEMPT_NONE;
}
