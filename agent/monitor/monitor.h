/*
 * The monitor: the only privileged process that stays. It owns the listening socket, the ledger,
 * the run numbers, the idempotency keys and the start of runs; it reads nothing of foreign origin
 * but the worker's messages, and those it does not trust. No libuv: one poll loop.
 */
#ifndef OPS_AGENT_MONITOR_MONITOR_H
#define OPS_AGENT_MONITOR_MONITOR_H

#include <stdint.h>

#include "agent/config/catalog.h"
#include "agent/monitor/settings.h"
#include "core/base/mem.h"

#define MONITOR_EXIT_OK 0
#define MONITOR_EXIT_FAILED 1
#define MONITOR_EXIT_USAGE 64
#define MONITOR_EXIT_BUSY 75   /* another agent runs on this state folder or socket */
#define MONITOR_EXIT_CONFIG 78 /* environment, secret or config are not in order */

/* What the monitor hands to the process it forks. */
struct worker_opts {
	const struct settings *settings;
	const struct catalog_opts *catalog_opts;
	const char *agent_id;	  /* UUID */
	const char *config_error; /* why the newest config was refused; NULL: it was not */
	uint64_t started_us;	  /* of the monitor */
	uint64_t seen_alive_us;	  /* no worker looked at schedules since; 0: there was none ever */
	uint64_t ledger_position;
	int listen_fd;
	int monitor_fd;
	int probes_fd; /* the worker's end of the pair to the probes */
};

/* What forked processes do. */
struct monitor_programs {
	int (*worker)(const struct worker_opts *opts);	 /* agent/worker/worker.h */
	int (*runner)(const char *run_dir, int lock_fd); /* agent/runner/runner.h */
};

/* `ops-agent serve`: runs until SIGTERM or SIGINT, with a worker in a forked process. Returns the
 * exit code, in the worker's process that of worker(). The caller exits with it. A runner's process
 * never returns. */
MUSTCHECK int monitor_main(const struct monitor_programs *programs);

/* `ops-agent verify`: checks the ledger's chain and the digest of every finished journal in the
 * state folder against run.finished, state, ledger and seal; prints what it found. head: NULL, or
 * what an earlier verify printed, which the ledger must have gone through. Returns the exit code.
 */
MUSTCHECK int monitor_verify(const char *head);

#endif
