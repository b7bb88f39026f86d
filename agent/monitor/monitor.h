/*
 * The monitor: the only privileged process that stays. It owns the listening socket, the ledger,
 * the run numbers, the idempotency keys and the start of runs; it reads nothing of foreign origin
 * but the worker's messages, and those it does not trust. No libuv: one poll loop.
 */
#ifndef OPS_AGENT_MONITOR_MONITOR_H
#define OPS_AGENT_MONITOR_MONITOR_H

#include "core/base/mem.h"

#define MONITOR_EXIT_OK 0
#define MONITOR_EXIT_FAILED 1
#define MONITOR_EXIT_BUSY 75   /* another agent runs on this state folder or socket */
#define MONITOR_EXIT_CONFIG 78 /* environment, secret or config are not in order */

/* `ops-agent serve`: runs until SIGTERM or SIGINT. In the worker's process it returns the worker's
 * exit code. The caller exits with what it returns. */
MUSTCHECK int monitor_main(void);

/* `ops-agent verify`: checks the ledger's chain and the digest of every finished journal in the
 * state folder; prints what it found. Returns the exit code. */
MUSTCHECK int monitor_verify(void);

#endif
