/*
 * `ops-agent docker-relay PARENT SOCKET`: the one process that may speak to the Docker engine,
 * whose socket is as good as root. It lets through what ask.h lists and nothing else, and
 * understands none of the answers. Standard input is its end of the SOCK_SEQPACKET pair whose other
 * end the probes have.
 */
#ifndef OPS_AGENT_RELAY_RELAY_H
#define OPS_AGENT_RELAY_RELAY_H

#include "core/base/mem.h"

#define RELAY_EXIT_CONFIG 78 /* account or socket are not in order */
#define RELAY_USER "ops-docker"
#define RELAY_GROUP "docker"
#define RELAY_MAX 32	       /* answers at a time */
#define RELAY_BUFFER 16384     /* bytes of an answer that are held */
#define RELAY_IDLE_US 10000000 /* without a byte, where the answer does not go on for ever */

/* Serves until its parent (of this pid) is gone. Returns the exit code. */
MUSTCHECK int relay_main(const char *parent_pid, const char *socket_path);

#endif
