/* IMSG_APPROVE: answers an approval that a run waits for, by making control/approve.N in its
 * RUN_DIR. The runner reads it; whoever makes the file first (another person, or the runner when
 * the time is over) has given the answer. */
#ifndef OPS_AGENT_MONITOR_APPROVE_H
#define OPS_AGENT_MONITOR_APPROVE_H

#include "agent/monitor/imsg.h"
#include "agent/monitor/state.h"

/* Sends exactly one IMSG_ANSWER: ok, forbidden, not_found, conflict with the first answer as its
 * message, or unavailable. */
void approve_handle(struct monitor *m, const struct imsg *msg);

#endif
