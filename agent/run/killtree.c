/*
 * One look reads /proc/PID/stat of every process, and the environment of those that are not ours
 * by descent or session already, into a table sorted by pid; then membership spreads from parents
 * to children until nothing changes.
 *
 * An environment is read as it stands in memory: a process may overwrite it, and then is still
 * found by descent or session. One that cleared it, left the session and was adopted by another
 * process than root cannot be told from a stranger; with a subreaper as root there is no such
 * adoption.
 */
#include "agent/run/killtree.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/run/procs.h"
#include "core/base/clock.h"
#include "core/base/mem.h"

#define MAX_ENVIRON_BYTES (256u << 10)
#define STOP_ROUND_US 100000
#define GONE_ROUND_US 50000
#define WAIT_STEP_US 10000
#define REST_STEP_US 1000

/* Whether the environment has name=value. */
static bool has_var(const char *env, size_t n, const char *name, const char *value)
{
	size_t name_len = strlen(name), value_len = strlen(value);

	for (size_t at = 0; at < n;) {
		const char *nul = memchr(env + at, '\0', n - at);
		size_t len = nul != NULL ? (size_t)(nul - env) - at : n - at;

		if (len == name_len + 1 + value_len && memcmp(env + at, name, name_len) == 0 &&
			env[at + name_len] == '=' &&
			memcmp(env + at + name_len + 1, value, value_len) == 0)
			return true;
		at += len + 1;
	}
	return false;
}

static bool carries(const struct killtree_target *target, int proc_fd, pid_t pid, char *scratch)
{
	ssize_t n = proc_read_file(proc_fd, pid, "environ", scratch, MAX_ENVIRON_BYTES);

	return n > 0 && has_var(scratch, (size_t)n, "OPS_RUN_ID", target->run_id) &&
	       (target->step_id == NULL ||
		       has_var(scratch, (size_t)n, "OPS_STEP", target->step_id));
}

static bool in_sessions(const struct killtree_target *target, const struct proc *proc)
{
	uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK);

	for (size_t i = 0; i < target->n_sessions; i++) {
		if (proc->session == target->sessions[i] &&
			(target->sessions_before_us == UINT64_MAX ||
				proc->start_ticks <=
					target->sessions_before_us * ticks / CLOCK_SECOND_US))
			return true;
	}
	return false;
}

static void bar(const struct killtree_target *target, struct procs *procs)
{
	struct proc *proc = procs_find(procs, getpid());

	while (proc != NULL && !proc->barred) {
		proc->barred = true;
		proc = procs_find(procs, proc->ppid);
	}
	for (size_t i = 0; i < target->n_spared; i++) {
		proc = procs_find(procs, target->spared[i]);
		if (proc != NULL)
			proc->barred = true;
	}
}

/* Children of those that belong belong, unless they are barred. */
static void spread(struct procs *procs)
{
	bool changed = true;

	while (changed) {
		changed = false;
		for (size_t i = 0; i < procs->n; i++) {
			struct proc *proc = &procs->items[i];
			struct proc *parent;

			if (proc->belongs || proc->barred)
				continue;
			parent = procs_find(procs, proc->ppid);
			if (parent != NULL && parent->belongs)
				proc->belongs = changed = true;
		}
	}
}

/* Marks all that belong to the target. Environments are looked at last: reading them costs most. */
static void mark(const struct killtree_target *target, struct procs *procs, int proc_fd)
{
	char *scratch;

	bar(target, procs);
	for (size_t i = 0; i < procs->n; i++) {
		struct proc *proc = &procs->items[i];

		if (!proc->barred)
			proc->belongs = in_sessions(target, proc) ||
					(target->root != 0 && proc->ppid == target->root);
	}
	spread(procs);
	if (target->run_id == NULL)
		return;
	scratch = xcalloc(1, MAX_ENVIRON_BYTES);
	for (size_t i = 0; i < procs->n; i++) {
		struct proc *proc = &procs->items[i];

		if (!proc->barred && !proc->belongs)
			proc->belongs = carries(target, proc_fd, proc->pid, scratch);
	}
	free(scratch);
	spread(procs);
}

/* Sends sig to the very process that was looked at. */
static void signal_one(int proc_fd, const struct proc *proc, int sig)
{
	int pidfd = (int)syscall(SYS_pidfd_open, proc->pid, 0);
	struct proc now;

	if (pidfd < 0 && errno != ENOSYS && errno != EPERM)
		return; /* gone */
	if (proc_read(proc_fd, proc->pid, &now) && now.start_ticks == proc->start_ticks) {
		if (pidfd >= 0)
			syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
		else
			kill(proc->pid, sig);
	}
	if (pidfd >= 0)
		close(pidfd);
}

static void report_name(struct killtree_report *report, const struct proc *proc)
{
	if (report == NULL)
		return;
	for (size_t i = 0; i < report->n_names; i++) {
		if (strcmp(report->names[i], proc->name) == 0)
			return;
	}
	if (report->n_names < KILLTREE_MAX_NAMES)
		memcpy(report->names[report->n_names++], proc->name, sizeof(proc->name));
}

static int look_open(const struct killtree_target *target, struct procs *procs, int *ret_proc_fd)
{
	int rc;

	*ret_proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret_proc_fd < 0)
		return -errno;
	rc = procs_read(procs, *ret_proc_fd);
	if (rc == 0)
		mark(target, procs, *ret_proc_fd);
	else
		close(*ret_proc_fd);
	return rc;
}

static int count_alive(const struct procs *procs)
{
	int n = 0;

	for (size_t i = 0; i < procs->n; i++)
		n += procs->items[i].belongs && proc_is_alive(&procs->items[i]);
	return n;
}

int killtree_count(const struct killtree_target *target)
{
	struct procs procs = {0};
	int proc_fd, n;
	int rc = look_open(target, &procs, &proc_fd);

	n = rc == 0 ? count_alive(&procs) : rc;
	if (rc == 0)
		close(proc_fd);
	free(procs.items);
	return n;
}

int killtree_signal(const struct killtree_target *target, int sig, struct killtree_report *report)
{
	struct procs procs = {0};
	int proc_fd, n;
	int rc = look_open(target, &procs, &proc_fd);

	if (rc != 0) {
		free(procs.items);
		return rc;
	}
	for (size_t i = 0; i < procs.n; i++) {
		const struct proc *proc = &procs.items[i];

		if (!proc->belongs || !proc_is_alive(proc))
			continue;
		signal_one(proc_fd, proc, sig);
		signal_one(proc_fd, proc, SIGCONT);
		report_name(report, proc);
	}
	n = count_alive(&procs);
	if (report != NULL)
		report->count += (unsigned)n;
	close(proc_fd);
	free(procs.items);
	return n;
}

/* What a round has stopped already. */
struct stopped {
	struct proc *procs;
	size_t n, cap;
};

static bool stopped_has(const struct stopped *stopped, const struct proc *proc)
{
	for (size_t i = 0; i < stopped->n; i++) {
		if (stopped->procs[i].pid == proc->pid &&
			stopped->procs[i].start_ticks == proc->start_ticks)
			return true;
	}
	return false;
}

static bool stopped_add(struct stopped *stopped, const struct proc *proc)
{
	if (stopped->n == stopped->cap) {
		size_t cap = stopped->cap != 0 ? 2 * stopped->cap : 64;
		struct proc *grown = realloc(stopped->procs, cap * sizeof(*grown));

		if (grown == NULL)
			return false;
		stopped->procs = grown;
		stopped->cap = cap;
	}
	stopped->procs[stopped->n++] = *proc;
	return true;
}

/* What a look of stop_round() found. */
struct look {
	unsigned n_new;	   /* nobody had stopped them before */
	unsigned restless; /* told to stop, and not stopped yet */
};

/* One look; stops all that are new. 0 or a negative errno. */
static int stop_new(
	const struct killtree_target *target, struct stopped *stopped, struct look *ret_look)
{
	struct procs procs = {0};
	struct look look = {0};
	int proc_fd;
	int rc = look_open(target, &procs, &proc_fd);

	for (size_t i = 0; rc == 0 && i < procs.n; i++) {
		const struct proc *proc = &procs.items[i];

		if (!proc->belongs || !proc_is_alive(proc))
			continue;
		if (stopped_has(stopped, proc)) {
			look.restless += proc->state != 'T' && proc->state != 't';
			continue;
		}
		look.n_new++;
		signal_one(proc_fd, proc, SIGSTOP);
		if (!stopped_add(stopped, proc))
			signal_one(proc_fd, proc, SIGKILL);
	}
	if (rc == 0)
		close(proc_fd);
	free(procs.items);
	if (rc == 0)
		*ret_look = look;
	return rc;
}

/*
 * Stops all, until a look finds nobody new and everybody at rest. A signal does not end a fork(2)
 * that is under way, however long it takes: the child comes into being after the look that found
 * its parent, so looking on until the parent rests is what makes sure that it is found. Who never
 * rests (waiting uninterruptibly, for a disk or in vfork(2)) costs the round its whole time.
 */
static int stop_all(const struct killtree_target *target, struct stopped *stopped, uint64_t until)
{
	struct look look = {.n_new = 1};

	for (int i = 0; i < KILLTREE_MAX_SWEEPS && (look.n_new > 0 || look.restless > 0); i++) {
		struct timespec wait = {.tv_nsec = REST_STEP_US * 1000L};
		int rc;

		if (i > 0 && look.n_new == 0)
			nanosleep(&wait, NULL);
		rc = stop_new(target, stopped, &look);
		if (rc != 0)
			return rc;
		if (clock_mono_us() > until)
			break;
	}
	return 0;
}

/* Waits for the killed to be gone (a zombie is), and takes those that are out of the list. */
static void wait_gone(int proc_fd, struct stopped *killed, uint64_t until)
{
	for (;;) {
		struct timespec wait = {.tv_nsec = REST_STEP_US * 1000L};
		size_t n = 0;

		for (size_t i = 0; i < killed->n; i++) {
			const struct proc *proc = &killed->procs[i];
			struct proc now;

			if (proc_read(proc_fd, proc->pid, &now) && proc_is_alive(&now) &&
				now.start_ticks == proc->start_ticks)
				killed->procs[n++] = *proc;
		}
		killed->n = n;
		if (n == 0 || clock_mono_us() > until)
			return;
		nanosleep(&wait, NULL);
	}
}

/* Counts who was not counted by the round before, which may have left it dying. */
static void report_round(struct killtree_report *report, const struct stopped *stopped)
{
	if (report == NULL)
		return;
	for (size_t i = 0; i < stopped->n; i++) {
		const struct proc *proc = &stopped->procs[i];
		bool counted = false;

		for (size_t k = 0; k < report->n_dying && !counted; k++)
			counted = report->dying[k].pid == proc->pid &&
				  report->dying[k].start_ticks == proc->start_ticks;
		report->count += !counted;
		report_name(report, proc);
	}
}

/* What the next round has to know. */
static void report_dying(struct killtree_report *report, const struct stopped *dying, unsigned left)
{
	if (report == NULL)
		return;
	report->left = left;
	report->n_dying = MIN(dying->n, KILLTREE_MAX_DYING);
	for (size_t i = 0; i < report->n_dying; i++) {
		report->dying[i].pid = dying->procs[i].pid;
		report->dying[i].start_ticks = dying->procs[i].start_ticks;
	}
}

int killtree_kill(const struct killtree_target *target, struct killtree_report *report)
{
	uint64_t start = clock_mono_us();
	struct stopped stopped = {0};
	int rc, left = 0, proc_fd;

	rc = stop_all(target, &stopped, start + STOP_ROUND_US);
	proc_fd = rc == 0 ? open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (rc == 0 && proc_fd < 0)
		rc = -errno;
	if (rc == 0) {
		for (size_t i = 0; i < stopped.n; i++)
			signal_one(proc_fd, &stopped.procs[i], SIGKILL);
		report_round(report, &stopped);
		wait_gone(proc_fd, &stopped, start + STOP_ROUND_US + GONE_ROUND_US);
		/* Only a look afterwards can say that nobody is left: the death of a parent wakes a
		 * stopped child whose process group it orphans (SIGHUP, SIGCONT), and what had no
		 * time to rest may have forked. */
		left = killtree_count(target);
		rc = MIN(left, 0);
	}
	if (rc == 0) {
		left = MAX(left, (int)stopped.n);
		report_dying(report, &stopped, (unsigned)left);
	}
	if (proc_fd >= 0)
		close(proc_fd);
	free(stopped.procs);
	return rc == 0 ? left : rc;
}

int killtree_by_run(const char *run_id, const struct run_state *state, uint64_t timeout_us,
	struct killtree_report *report)
{
	uint64_t deadline = clock_mono_us() + timeout_us;
	pid_t sessions[PLAN_MAX_STEPS];
	struct killtree_target target = {.run_id = run_id, .sessions = sessions};
	uint8_t boot_id[16];
	int clean = 0;

	state_boot_id(boot_id);
	/* Pids of another boot mean nothing. */
	if (state != NULL && memcmp(state->boot_id, boot_id, sizeof(boot_id)) == 0) {
		target.sessions_before_us = state->written_boot_us;
		for (size_t i = 0; i < state->n_steps; i++) {
			if (state->steps[i].pid > 1)
				sessions[target.n_sessions++] = state->steps[i].pid;
		}
	}
	/* Nobody twice in a row: for a moment within execve(2) a process has no environment. */
	while (clean < 2) {
		struct timespec wait = {.tv_nsec = WAIT_STEP_US * 1000L};
		int left = killtree_kill(&target, report);

		if (left < 0)
			return left;
		clean = left == 0 ? clean + 1 : 0;
		if (left > 0 && clock_mono_us() >= deadline)
			return -ETIMEDOUT;
		nanosleep(&wait, NULL);
	}
	return 0;
}
