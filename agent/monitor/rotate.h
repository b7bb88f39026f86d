/*
 * A new secret, on the word of root or of the agent's own user through opsctl; nobody else, so that
 * neither the dashboard nor who took it over can lock everybody out. The old one stays good for a
 * while if asked for, also over a restart of the agent; the worker does the judging
 * (worker/secrets.h), the monitor keeps the files.
 */
#ifndef OPS_AGENT_MONITOR_ROTATE_H
#define OPS_AGENT_MONITOR_ROTATE_H

#include <stdint.h>

#include "agent/monitor/imsg.h"

struct monitor;

/* Looks whether a rotation is under way; once, when the state folder is open. */
void rotate_resume(struct monitor *m);
/* Handles IMSG_ROTATE. */
void rotate_handle(struct monitor *m, const struct imsg *msg);
/* Removes the old secret when its time has come. Returns when to be called again; 0: never. */
uint64_t rotate_step(struct monitor *m, uint64_t now_us);

#endif
