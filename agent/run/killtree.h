/*
 * Ending processes that do not want to end: a step's tree in the runner, and in the monitor what a
 * dead runner left. A process belongs to it when it descends from `root`, is in one of the
 * sessions, carries OPS_RUN_ID (and OPS_STEP) in its environment, or descends from one that does.
 * The caller itself and its ancestors never belong to it.
 *
 * Killing: SIGSTOP to every one found, again and again until a look finds nobody new and everybody
 * at rest (a fork bomb cannot outrun it: what is stopped forks no more), then SIGKILL to all, then
 * one more look. Signals go through pidfds after the start time was compared, so that a reused pid
 * is never hit.
 */
#ifndef OPS_AGENT_RUN_KILLTREE_H
#define OPS_AGENT_RUN_KILLTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/run/state.h"

#define KILLTREE_MAX_NAMES 16
#define KILLTREE_MAX_DYING 64
#define KILLTREE_MAX_SWEEPS 200
#define KILLTREE_NAME_BYTES 16

struct killtree_target {
	pid_t root; /* 0: none */
	const pid_t *sessions;
	size_t n_sessions;
	/* Only processes of the sessions that started before this (microseconds since boot): pids
	 * may have been reused later. UINT64_MAX: all. */
	uint64_t sessions_before_us;
	const char *run_id;  /* NULL: do not look into environments */
	const char *step_id; /* NULL: any step's */
	/* Children of root that are left alone, with their descendants. */
	const pid_t *spared;
	size_t n_spared;
};

struct killtree_report {
	unsigned
		count; /* signalled, or killed and gone; over many rounds of killing nobody twice */
	unsigned left; /* alive at the last look; zombies are not */
	size_t n_names;
	char names[KILLTREE_MAX_NAMES][KILLTREE_NAME_BYTES]; /* without doubles */
	/* Between two rounds of killing: those that were counted and not gone yet. More than fit
	 * are counted again. */
	size_t n_dying;
	struct {
		pid_t pid;
		uint64_t start_ticks;
	} dying[KILLTREE_MAX_DYING];
};

/* How many processes belong to it now, zombies not counted. */
MUSTCHECK int killtree_count(const struct killtree_target *target);
/* Sends sig, then SIGCONT (a stopped process can only then end), to all that belong to it. Returns
 * how many were there, or a negative errno (/proc is unreadable). report may be NULL; it is added
 * to, so start with a zeroed one. */
int killtree_signal(const struct killtree_target *target, int sig, struct killtree_report *report);
/* One round of stopping and killing, at most some 100 ms long; call again, a little later, until it
 * returns 0: what is killed takes a moment to go, and root has to reap its children. Returns how
 * many were alive at a look after the killing, or a negative errno. */
int killtree_kill(const struct killtree_target *target, struct killtree_report *report);

/*
 * For the monitor: ends all that a dead runner left, by OPS_RUN_ID and by the sessions recorded in
 * its state (state may be NULL), waiting at most timeout_us for them to be gone. Blocks. 0, or
 * -ETIMEDOUT with report->left > 0, or a negative errno.
 */
MUSTCHECK int killtree_by_run(const char *run_id, const struct run_state *state,
	uint64_t timeout_us, struct killtree_report *report);

#endif
