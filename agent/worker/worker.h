/*
 * The worker: the unprivileged process that clients talk to. It parses everything foreign, tails
 * journals, composes documents, and asks the monitor for whatever needs its rights. One libuv loop;
 * it lives as long as its end of the pair to the monitor does.
 */
#ifndef OPS_AGENT_WORKER_WORKER_H
#define OPS_AGENT_WORKER_WORKER_H

#include <stdint.h>

#include "agent/config/catalog.h"
#include "agent/monitor/settings.h"
#include "core/base/uuid.h"

/* What the monitor hands to the process it forks. */
struct worker_opts {
	const struct settings *settings;
	const struct catalog_opts *catalog_opts;
	const char *agent_id;	  /* UUID */
	const char *config_error; /* why the newest config was refused; NULL: it was not */
	uint64_t started_us;	  /* of the monitor */
	uint64_t ledger_position;
	int listen_fd;
	int monitor_fd;
};

/* Drops privileges, then serves until told to stop or the monitor is gone. Returns the process's
 * exit code. */
MUSTCHECK int worker_main(const struct worker_opts *opts);

#endif
