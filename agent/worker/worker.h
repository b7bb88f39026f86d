/*
 * The worker: the unprivileged process that clients talk to. It parses everything foreign, tails
 * journals, composes documents, and asks the monitor for whatever needs its rights. One libuv loop;
 * it lives as long as its end of the pair to the monitor does.
 */
#ifndef OPS_AGENT_WORKER_WORKER_H
#define OPS_AGENT_WORKER_WORKER_H

#include "agent/monitor/monitor.h"

/* Drops privileges, then serves until told to stop or the monitor is gone. Returns the process's
 * exit code. */
MUSTCHECK int worker_main(const struct worker_opts *opts);

#endif
