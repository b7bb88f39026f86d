/*
 * `ops-agent probes`: how the machine is, looked at by a process without rights. Started by the
 * monitor with one end of a socket pair as standard input; the other end is the worker's. It reads
 * nothing from anybody but `status.yml` (before it gives up its rights), the machine, and the
 * worker's few words.
 */
#ifndef OPS_AGENT_PROBES_PROBES_H
#define OPS_AGENT_PROBES_PROBES_H

#include "core/base/mem.h"

#define PROBES_EXIT_CONFIG 78 /* account or configuration are not in order */
#define PROBES_USER "ops-probe"

/* Serves until its parent (of this pid) is gone. Returns the exit code. */
MUSTCHECK int probes_main(const char *parent_pid);

#endif
