/* Making a RUN_DIR and starting its runner. All blocking; done by the monitor alone. */
#ifndef OPS_AGENT_MONITOR_LAUNCH_H
#define OPS_AGENT_MONITOR_LAUNCH_H

#include <stdbool.h>
#include <sys/types.h>

#include "agent/monitor/settings.h"
#include "agent/monitor/units.h"
#include "agent/run/plan.h"
#include "core/base/err.h"

#define LAUNCH_NEW_PREFIX ".new-" /* of a RUN_DIR that is not complete yet */

struct launch {
	int runs_fd; /* STATE_DIR/runs */
	const char *runs_path;
	gid_t gid;					 /* of the worker, which reads; -1: leave */
	uid_t trusted_uid;				 /* who beside root may own executables */
	int (*runner)(const char *run_dir, int lock_fd); /* agent/runner/runner.h */
	struct units *units; /* runners are services of systemd; NULL: they are forked */
};

/* A run between the making of its RUN_DIR and the start of its runner. */
struct launch_run {
	const struct plan *plan;
	int dir_fd, meta_fd, lock_fd; /* -1: closed; the lock is held from the start */
};

/* Makes RUN_DIR with everything in it that a run has: meta, state, journal, lock, control/, under a
 * temporary name first. Nothing is synced yet: until launch_sync() the run may be gone after a
 * power cut, and is nobody's promise. 0 or a negative errno with err set; then nothing is left of
 * it. plan must stay until launch_close(). */
MUSTCHECK int launch_prepare(const struct launch *launch, const struct plan *plan,
	struct launch_run *ret_run, struct err *err);
/* Makes the n runs durable, files and folders; several cost hardly more than one. 0 or a negative
 * errno: then none may be relied on. */
MUSTCHECK int launch_sync(const struct launch *launch, const struct launch_run *runs, size_t n);
/* Makes libc load the modules that look up accounts, once here instead of in every runner. */
void launch_warm_up(void);
/*
 * How runners are started, as the setting OPS_LAUNCH says:
 *
 * - systemd: as transient services (monitor/units.h), and in no other way: while systemd does not
 *   answer nothing is started.
 * - fork: as children.
 * - auto, the default: as services when root starts the agent on a host that systemd manages, and
 *   it answers; as children otherwise.
 *
 * Sets launch->units and says in the log what it is.
 */
void launch_choose(struct launch *launch, enum settings_launch choice);
/* Whether a runner could be started now; to be asked before anything of a start is told to anybody.
 * 0 or a negative errno with err set. */
MUSTCHECK int launch_ready(const struct launch *launch, struct err *err);
/* Starts the runner, in a session of its own, with the plan as a sealed memfd on its standard input
 * and the lock in its hands. Returns the pid of the child; 0: it is systemd's, and maybe not there
 * yet; or a negative errno with err set. */
MUSTCHECK pid_t launch_runner(
	const struct launch *launch, const struct launch_run *run, struct err *err);
/* Closes what is open of it. */
void launch_close(struct launch_run *run);
/* Removes a RUN_DIR with all that is in it: of a run that never started, or that was pruned. */
void launch_discard(const struct launch *launch, const struct uuid *id);

/* Removes what a killed agent left half made, and RUN_DIRs that a power cut left without meta and
 * without a record: they were never answered for. */
void launch_clean(const struct launch *launch);

/* Whether there is a RUN_DIR of this id. */
bool launch_exists(const struct launch *launch, const struct uuid *id);

#endif
