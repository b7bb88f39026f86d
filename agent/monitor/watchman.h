/*
 * The probes' process, seen from the monitor: started while there is a status.yml, replaced when it
 * dies. Monitor and worker know nothing of what it does: the monitor makes the pair over which
 * worker and probes talk, once, so that either may be replaced without the other.
 */
#ifndef OPS_AGENT_MONITOR_WATCHMAN_H
#define OPS_AGENT_MONITOR_WATCHMAN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/err.h"

#define WATCHMAN_BACKOFF_MIN_MS 100
#define WATCHMAN_BACKOFF_MAX_MS 30000
#define WATCHMAN_STEADY_US 10000000
#define WATCHMAN_REST_MS 60000 /* account or configuration are not in order */

struct watchman {
	pid_t pid;		  /* 0: none */
	int worker_fd, probes_fd; /* the pair; -1: it could not be made */
	bool wanted;
	uint64_t started_us, respawn_us; /* monotonic */
	unsigned backoff_ms;
};

/* Makes the pair. 0 or a negative errno. */
MUSTCHECK int watchman_init(struct watchman *watchman, struct err *err);
/* The configuration was loaded: with or without a status.yml. The process is started anew. */
void watchman_configure(struct watchman *watchman, bool wanted);
/* Starts it when that is due. Returns when to be called again (monotonic); 0: not by time. */
uint64_t watchman_run(struct watchman *watchman, uint64_t now_us);
/* A child has exited; whether it was this one. */
bool watchman_exited(struct watchman *watchman, pid_t pid, int status);
void watchman_stop(struct watchman *watchman);

#endif
