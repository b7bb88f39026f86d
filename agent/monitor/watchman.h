/*
 * A process beside the worker, seen from the monitor: started while the configuration wants it,
 * replaced when it dies. There are two: the probes, and the relay between them and the Docker
 * engine. The monitor knows nothing of what they do: it makes the pairs over which they talk, once,
 * so that either end may be replaced without the other.
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
#define WATCHMAN_EXTRA_FD 3
#define WATCHMAN_REST_MS 60000 /* account or configuration are not in order */

struct watchman {
	const char *verb; /* `ops-agent VERB PARENT [ARGUMENT]` */
	char *argument;	  /* NULL: none */
	pid_t pid;	  /* 0: none */
	int peer_fd;	  /* whoever talks with it has this end of the pair; -1: none was made */
	int own_fd;	  /* and it the other one, as standard input */
	int extra_fd;	  /* another pair's, which it has as descriptor 3; -1: none */
	bool wanted;
	bool replaced;			 /* we have killed it for a newer one */
	uint64_t started_us, respawn_us; /* monotonic */
	unsigned backoff_ms;
};

/* Makes the pair; verb is a constant. extra_fd stays the caller's. 0 or a negative errno. */
MUSTCHECK int watchman_init(
	struct watchman *watchman, const char *verb, int extra_fd, struct err *err);
/* The configuration was loaded: with or without a need for the process, which is started anew.
 * argument may be NULL. */
void watchman_configure(struct watchman *watchman, bool wanted, const char *argument);
/* Starts it when that is due. Returns when to be called again (monotonic); 0: not by time. */
uint64_t watchman_run(struct watchman *watchman, uint64_t now_us);
/* A child has exited; whether it was this one. */
bool watchman_exited(struct watchman *watchman, pid_t pid, int status);
void watchman_stop(struct watchman *watchman);
/* Memory only: also in a forked process, which is to leave the rest alone. */
void watchman_fini(struct watchman *watchman);

#endif
