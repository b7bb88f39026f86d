/* Making a RUN_DIR and starting its runner. All blocking; done by the monitor for one run at a
 * time. */
#ifndef OPS_AGENT_MONITOR_LAUNCH_H
#define OPS_AGENT_MONITOR_LAUNCH_H

#include <stdbool.h>
#include <sys/types.h>

#include "agent/run/plan.h"
#include "core/base/err.h"

#define LAUNCH_NEW_PREFIX ".new-" /* of a RUN_DIR that is not complete yet */

struct launch {
	int runs_fd; /* STATE_DIR/runs */
	const char *runs_path;
	gid_t gid;	   /* of the worker, which reads; -1: leave */
	uid_t trusted_uid; /* who beside root may own executables */
};

/* Makes RUN_DIR under its temporary name, with everything in it that an accepted run has: meta,
 * state, journal, lock, control/; synced to disk. 0 or a negative errno with err set; then nothing
 * is left of it. */
MUSTCHECK int launch_prepare(const struct launch *launch, const struct plan *plan, struct err *err);
/* Gives the prepared RUN_DIR its name, durably: from here on the run exists. */
MUSTCHECK int launch_commit(const struct launch *launch, const struct uuid *id, struct err *err);
/* Removes a prepared RUN_DIR. */
void launch_discard(const struct launch *launch, const struct uuid *id);
/* Starts the runner, in a session of its own, with the plan as a sealed memfd on its standard
 * input. Returns its pid, or a negative errno with err set. */
MUSTCHECK pid_t launch_runner(
	const struct launch *launch, const struct plan *plan, struct err *err);

/* Removes what a killed agent left half made. */
void launch_clean(const struct launch *launch);

/* Whether there is a RUN_DIR of this id. */
bool launch_exists(const struct launch *launch, const struct uuid *id);

#endif
