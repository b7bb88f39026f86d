/*
 * One execution of one step, from fork to the last byte of its pipes. The attempt owns the pipes,
 * the leader's pid until it is reaped, and the $OPS_OUTPUT file.
 *
 * Happy path: RUNNING, the leader exits and leaves nobody → DRAINING (what the pipes hold is read)
 * → DONE → attempt_finish().
 *
 *	RUNNING    --exit, somebody is left--> LINGERING --RUN_LINGER_US--> ENDING (SIGTERM)
 *	RUNNING    --attempt_stop()--> ENDING
 *	ENDING     --kill_after--> KILLING --rounds of killtree_kill()--> DRAINING
 *	LINGERING, ENDING --nobody is left--> DRAINING
 *	any        --attempt_kill()--> KILLING
 *
 * A process that survives RUN_KILL_MAX_US of killing (it hangs in the kernel) is reported as left,
 * and the step ends without it. A stranger that was handed the pipe cannot hold the step either:
 * draining reads no more than the pipes held when it began.
 *
 * With a cgroup (run/cgroup.h) who is left is what is in it, and killing is one write. Without, who
 * is left is known without looking at /proc when nobody is: the runner is a subreaper, so then
 * it has no children. While it is the only attempt everything below the runner is the attempt's.
 * Beside others (or what an earlier step was allowed to leave) it is what descends from its leader,
 * is in the leader's session, or carries its OPS_STEP; somebody who has shaken off all three is
 * ended with the last attempt.
 */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/run/event.h"
#include "agent/runner/resolve.h"
#include "agent/runner/run.h"
#include "agent/runner/spawn.h"
#include "core/base/clock.h"

/* ---- start ---- */

static struct attempt *free_slot(struct run *run)
{
	for (size_t i = 0; i < RUN_MAX_ATTEMPTS; i++) {
		if (run->attempts[i].state == ATTEMPT_NONE)
			return &run->attempts[i];
	}
	return NULL;
}

static void note_started(struct run *run, uint16_t step, const struct resolved *resolved)
{
	struct step_state *state = &run->state.steps[step];
	const struct plan_step *s = &run->plan->steps[step];
	struct event_step ev = {.step_id = s->id, .attempt = ++state->attempt};
	struct buf json;
	char **shown;

	state->status = STEP_RUNNING;
	if (state->offset == UINT64_MAX) {
		state->started_us = clock_wall_us();
		state->offset = run->journal.totals.size;
	}
	state->finished_us = 0;
	state->reason = REASON_NONE;
	state->exit_code = -1;
	state->signal = 0;
	run->state_dirty = true;
	shown = resolved->argv != NULL ? xcalloc(resolved->n_argv, sizeof(*shown)) : NULL;
	for (size_t i = 0; i < resolved->n_argv; i++)
		shown[i] = mask_text(run->secrets.mask, resolved->argv[i]);
	buf_init(&json, RECORD_MAX_PAYLOAD);
	event_step_started(&json, &ev, s, (const char *const *)shown, resolved->n_argv);
	run_event(run, step, &json);
	for (size_t i = 0; i < resolved->n_argv; i++)
		free(shown[i]);
	free(shown);
}

/* The attempt's own cgroup, where there can be one. What to write to for being in it, or -1. */
static int enter_cgroup(struct run *run, struct attempt *attempt)
{
	char name[CGROUP_NAME_BYTES];
	int fd;

	/* What it leaves is to live on, and would keep the cgroup for ever. */
	if (run->plan->steps[attempt->step].leave_children) {
		attempt->cgroup.unmet = run->plan->steps[attempt->step].limits;
		return -1;
	}
	snprintf(name, sizeof(name), "step-%u.%u", attempt->step, attempt->number);
	if (cgroup_add(&run->cgroups, name, &run->plan->steps[attempt->step].limits,
		    &attempt->cgroup) != 0)
		return -1;
	fd = cgroup_open_procs(&attempt->cgroup);
	if (fd >= 0)
		return fd;
	cgroup_remove(&run->cgroups, &attempt->cgroup);
	attempt->cgroup.unmet = run->plan->steps[attempt->step].limits;
	return -1;
}

static int launch(struct run *run, struct attempt *attempt, const struct resolved *resolved,
	const struct account *account, struct err *err)
{
	const struct plan_step *s = &run->plan->steps[attempt->step];
	struct spawn_opts opts = {
		.executable = s->executable,
		.argv = resolved->argv,
		.envp = resolved->envp,
		.cwd = s->cwd,
		.stdin_text = resolved->stdin_text,
		.account = account,
		.trusted_uid = geteuid(),
		.new_privileges = s->new_privileges,
	};
	struct spawned spawned;
	int rc;

	opts.procs_fd = enter_cgroup(run, attempt);
	opts.cgroup_fd = attempt->cgroup.fd;
	opts.limits = attempt->cgroup.unmet;
	rc = spawn_start(&opts, &spawned, err);
	if (opts.procs_fd >= 0)
		close(opts.procs_fd);
	if (rc != 0)
		return rc;
	attempt->report_fd = spawned.report_fd;
	if (stream_init(&attempt->streams[0], spawned.out_fd, RECORD_STDOUT, run->secrets.mask) !=
			0 ||
		stream_init(&attempt->streams[1], spawned.err_fd, RECORD_STDERR,
			run->secrets.mask) != 0)
		abort();
	attempt->pid = spawned.pid;
	attempt->state = ATTEMPT_RUNNING;
	attempt->timeout_at = s->timeout_us != 0 ? run->now + s->timeout_us : RUN_NEVER;
	run->state.steps[attempt->step].pid = spawned.pid;
	run->has_children = true;
	return 0;
}

/* Everything before the fork; account and resolved are set on success. */
static int prepare(struct run *run, struct attempt *attempt, struct account *account,
	struct resolved *resolved, struct err *err)
{
	const struct plan_step *s = &run->plan->steps[attempt->step];
	const char *user = run->plan->default_user_override != NULL
				   ? run->plan->default_user_override
				   : s->user;
	struct resolve_source source = {
		.plan = run->plan,
		.state = &run->state,
		.outputs = &run->outputs,
		.account = account,
		.secrets = &run->secrets,
		.trusted_uid = geteuid(),
		.attempt = (uint16_t)(run->state.steps[attempt->step].attempt + 1),
	};
	int rc = account_lookup(user, account, err);

	if (rc != 0)
		return rc;
	rc = opsout_open(&attempt->opsout, run->scratch_base, run->id, s->id, account, err);
	source.output_path = attempt->opsout.path;
	if (rc == 0)
		rc = resolve_step(&source, attempt->step, resolved, err);
	if (rc != 0)
		account_fini(account);
	return rc;
}

void attempt_start(struct run *run, uint16_t step)
{
	struct attempt *attempt = free_slot(run);
	struct resolved resolved = {0};
	struct account account;
	struct err err = {0};
	int rc;

	assert(attempt != NULL);
	*attempt = (struct attempt){
		.step = step, .report_fd = -1, .timeout_at = RUN_NEVER, .cgroup = {.fd = -1}};
	opsout_init(&attempt->opsout);
	rc = prepare(run, attempt, &account, &resolved, &err);
	note_started(run, step, &resolved);
	attempt->number = run->state.steps[step].attempt;
	if (rc == 0) {
		rc = launch(run, attempt, &resolved, &account, &err);
		resolved_fini(&resolved);
		account_fini(&account);
	}
	if (rc == 0)
		return;
	opsout_close(&attempt->opsout);
	cgroup_remove(&run->cgroups, &attempt->cgroup);
	attempt->state = ATTEMPT_NONE;
	run_settle_unstarted(run, step, err.msg);
}

/* ---- end ---- */

static void set_state(struct attempt *attempt, enum attempt_state state, uint64_t wake_at)
{
	assert(attempt->state != ATTEMPT_NONE && state > attempt->state);
	attempt->state = state;
	attempt->wake_at = wake_at;
}

/* Whether all that is below the runner belongs to this attempt. */
static bool is_alone(const struct run *run, const struct attempt *attempt)
{
	for (size_t i = 0; i < RUN_MAX_ATTEMPTS; i++) {
		if (&run->attempts[i] != attempt && run->attempts[i].state != ATTEMPT_NONE)
			return false;
	}
	return !run->has_left_some;
}

static struct killtree_target target_of(const struct run *run, const struct attempt *attempt)
{
	struct killtree_target target = {.run_id = run->id};

	if (is_alone(run, attempt)) {
		target.root = getpid();
		return target;
	}
	target.step_id = run->plan->steps[attempt->step].id;
	target.sessions = &attempt->pid;
	target.n_sessions = 1;
	/* Once the leader is reaped, its pid may become a stranger's session. */
	target.sessions_before_us = attempt->exited ? attempt->exited_at : UINT64_MAX;
	return target;
}

static bool somebody_left(struct run *run, struct attempt *attempt)
{
	struct killtree_target target;

	if (!run->has_children)
		return false;
	if (is_alone(run, attempt)) {
		attempt->look_at = 0; /* an exit of the last one wakes us */
		return true;
	}
	/* Others keep the loop turning; a look at all processes is not for every turn. */
	if (run->now < attempt->look_at)
		return true;
	attempt->look_at = run->now + RUN_LOOK_EVERY_US;
	if (attempt->cgroup.fd >= 0)
		return cgroup_is_populated(&attempt->cgroup) != 0;
	target = target_of(run, attempt);
	return killtree_count(&target) != 0;
}

static void start_ending(struct run *run, struct attempt *attempt)
{
	struct killtree_target target = target_of(run, attempt);

	set_state(
		attempt, ATTEMPT_ENDING, run->now + run->plan->steps[attempt->step].kill_after_us);
	(void)killtree_signal(&target, SIGTERM, attempt->exited ? &attempt->term_report : NULL);
}

static void start_killing(struct run *run, struct attempt *attempt)
{
	set_state(attempt, ATTEMPT_KILLING, run->now);
	attempt->give_up_at = run->now + RUN_KILL_MAX_US;
}

static void start_draining(struct attempt *attempt)
{
	set_state(attempt, ATTEMPT_DRAINING, RUN_NEVER);
	for (size_t i = 0; i < 2; i++)
		stream_start_drain(&attempt->streams[i]);
}

void attempt_stop(struct run *run, struct attempt *attempt, enum stop_cause cause)
{
	/* A leader that has ended already ended by itself. */
	if (attempt->state != ATTEMPT_RUNNING || attempt->exited)
		return;
	attempt->cause = cause;
	start_ending(run, attempt);
}

void attempt_kill(struct run *run, struct attempt *attempt, enum stop_cause cause)
{
	if (attempt->state >= ATTEMPT_KILLING)
		return;
	if (!attempt->exited && attempt->cause == STOP_NONE)
		attempt->cause = cause;
	start_killing(run, attempt);
}

void attempt_on_exit(struct attempt *attempt, int wait_status)
{
	attempt->exited = true;
	attempt->exited_at = clock_mono_us();
	attempt->wait_status = wait_status;
}

static void on_timeout(struct run *run, struct attempt *attempt)
{
	const struct plan_step *s = &run->plan->steps[attempt->step];
	struct event_step ev = {.step_id = s->id, .attempt = attempt->number};
	struct buf json;

	attempt->timeout_at = RUN_NEVER;
	buf_init(&json, RECORD_MAX_PAYLOAD);
	event_step_timed_out(&json, &ev, s->timeout_us);
	run_event(run, attempt->step, &json);
	attempt_stop(run, attempt, STOP_STEP_TIMEOUT);
}

/* With a cgroup all are killed at once, whatever they do; how many are alive then. */
static int kill_cgroup(struct attempt *attempt)
{
	struct killtree_report *report = &attempt->kill_report;

	if (!attempt->was_killed)
		cgroup_report(&attempt->cgroup, report);
	attempt->was_killed = true;
	if (cgroup_kill(&attempt->cgroup) != 0)
		return -ENOENT;
	report->left = cgroup_is_populated(&attempt->cgroup) != 0;
	return (int)report->left;
}

static void kill_round(struct run *run, struct attempt *attempt)
{
	struct killtree_target target = target_of(run, attempt);
	int left = kill_cgroup(attempt);

	/* Root may have left its cgroup: what is below the runner and nobody else's goes, too. */
	if (left < 0 || (left == 0 && attempt->exited && run->has_children && target.root != 0))
		left = killtree_kill(&target, &attempt->kill_report);
	attempt->wake_at = run->now + RUN_SWEEP_EVERY_US;
	/* With nobody left the leader is a zombie at most, and reaped in the next turn. */
	if ((left == 0 && attempt->exited) || run->now >= attempt->give_up_at)
		start_draining(attempt);
}

static void step_running(struct run *run, struct attempt *attempt)
{
	if (!attempt->exited) {
		if (run->now >= attempt->timeout_at)
			on_timeout(run, attempt);
	} else if (run->plan->steps[attempt->step].leave_children || !somebody_left(run, attempt)) {
		start_draining(attempt);
	} else {
		set_state(attempt, ATTEMPT_LINGERING, run->now + RUN_LINGER_US);
	}
}

void attempt_step(struct run *run, struct attempt *attempt)
{
	switch (attempt->state) {
	case ATTEMPT_RUNNING:
		step_running(run, attempt);
		break;
	case ATTEMPT_LINGERING:
		if (!somebody_left(run, attempt))
			start_draining(attempt);
		else if (run->now >= attempt->wake_at)
			start_ending(run, attempt);
		break;
	case ATTEMPT_ENDING:
		if (attempt->exited && !somebody_left(run, attempt))
			start_draining(attempt);
		else if (run->now >= attempt->wake_at)
			start_killing(run, attempt);
		break;
	case ATTEMPT_KILLING:
		if (run->now >= attempt->wake_at)
			kill_round(run, attempt);
		break;
	case ATTEMPT_DRAINING:
	case ATTEMPT_DONE:
	case ATTEMPT_NONE:
		break;
	}
	if (attempt->state != ATTEMPT_DRAINING)
		return;
	if (stream_is_settled(run, attempt, &attempt->streams[0]) &&
		stream_is_settled(run, attempt, &attempt->streams[1])) {
		set_state(attempt, ATTEMPT_DONE, RUN_NEVER);
		attempt_finish(run, attempt);
	}
}

uint64_t attempt_wake_at(const struct attempt *attempt)
{
	switch (attempt->state) {
	case ATTEMPT_RUNNING:
		return attempt->timeout_at;
	case ATTEMPT_LINGERING:
	case ATTEMPT_ENDING:
		return attempt->look_at != 0 ? MIN(attempt->wake_at, attempt->look_at)
					     : attempt->wake_at;
	case ATTEMPT_KILLING:
		return attempt->wake_at;
	case ATTEMPT_NONE:
	case ATTEMPT_DRAINING:
	case ATTEMPT_DONE:
		break;
	}
	return RUN_NEVER;
}
