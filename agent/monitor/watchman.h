/*
 * A process beside the worker, seen from the monitor: started while the configuration wants it,
 * replaced when it dies. There are two: the probes, and the relay between them and the Docker
 * engine. The monitor knows nothing of what they do: it makes the pairs over which they talk, once,
 * so that either end may be replaced without the other.
 *
 * A process is forked, or is a service of its own: systemd listens at a path that only root can
 * connect to, and each connection is the standard input of a new service with rights of its own
 * (ops-agent-probes@.service). Either way it gets its errand (config/errand.h) there. The
 * connection then is its life line: the end of file is a service's exit, and asks one to exit. One
 * that does not, or lets go of the line and stays, is killed: which process it is the kernel has
 * said with its first word.
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
#define WATCHMAN_REST_MS 60000	 /* account or configuration are not in order */
#define WATCHMAN_END_US 10000000 /* a service that was asked to end and is there is killed … */
#define WATCHMAN_LAST_MS 1000	 /* … sooner when the monitor itself ends … */
#define WATCHMAN_KILL_US 3000000 /* … and left alone, when it is there even then */

struct watchman {
	const char *verb; /* `ops-agent VERB PARENT [ARGUMENT]` */
	char *argument;	  /* NULL: none */
	pid_t pid;	  /* forked; 0: not */
	int peer_fd;	  /* whoever talks with it has this end of the pair; -1: none was made */
	int own_fd;	  /* and it the other one, as standard input or in its errand */
	bool has_errand;
	int relay_fd, status_fd; /* of the errand; status_fd -1: there is nothing to do */
	const char *service;	 /* path at which systemd starts it; NULL: it is forked */
	int life_fd;		 /* connection to the service, to be polled for reading; -1: none */
	int pid_fd;		 /* of the service's process, when it has said so; -1: not known */
	bool killed;
	bool wanted;
	bool replaced;		     /* we have ended it for a newer one */
	bool refused;		     /* it said that account or configuration are not in order */
	uint64_t started_us;	     /* monotonic, as are the next two */
	uint64_t respawn_us, end_us; /* end_us: the service was asked to end; 0: it was not */
	unsigned backoff_ms;
};

/* Makes the pair; verb is a constant. 0 or a negative errno. */
MUSTCHECK int watchman_init(struct watchman *watchman, const char *verb, struct err *err);
/* It is started with an errand, in which relay_fd, which stays the caller's, is the second pair's
 * end. service is the path of its socket and stays the caller's, or NULL. */
void watchman_give(struct watchman *watchman, int relay_fd, const char *service);
/* The configuration was loaded: with or without a need for the process, which is started anew.
 * argument may be NULL. status_fd is the errand's, and is taken over; -1: it has none. */
void watchman_configure(
	struct watchman *watchman, bool wanted, const char *argument, int status_fd);
/* Starts it when that is due. Returns when to be called again (monotonic); 0: not by time. */
uint64_t watchman_run(struct watchman *watchman, uint64_t now_us);
/* A child has exited; whether it was this one. */
bool watchman_exited(struct watchman *watchman, pid_t pid, int status);
/* life_fd can be read. */
void watchman_polled(struct watchman *watchman);
void watchman_stop(struct watchman *watchman);
/* The monitor ends, after watchman_stop(): blocks for WATCHMAN_LAST_MS at most. */
void watchman_last(struct watchman *watchman);
/* Memory only: also in a forked process, which is to leave the rest alone. */
void watchman_fini(struct watchman *watchman);

#endif
