/*
 * `ops-agent probes [PARENT]`: how the machine is, looked at by a process without rights: forked by
 * the monitor, whose pid is PARENT, or a service that systemd starts for it. Its standard input
 * brings its errand (agent/config/errand.h): the text of status.yml and one end of a pair whose
 * other end is the worker's. It reads nothing else from anybody but the machine and the worker's
 * few words.
 */
#ifndef OPS_AGENT_PROBES_PROBES_H
#define OPS_AGENT_PROBES_PROBES_H

#include "core/base/mem.h"

#define PROBES_EXIT_CONFIG 78 /* account or configuration are not in order */
#define PROBES_USER "ops-probe"

/* Serves until its parent (of this pid) is gone; NULL: until its life line ends. Returns the exit
 * code. */
MUSTCHECK int probes_main(const char *parent_pid);

#endif
