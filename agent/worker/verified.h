/*
 * What the probes, which see no runs, are to know of them: when the commands and flows that prove
 * backups (`verified_by` of status.yml) succeeded last, known from the runs that are kept (what ran
 * before is not known), and that a run of an item's `action` has ended.
 */
#ifndef OPS_AGENT_WORKER_VERIFIED_H
#define OPS_AGENT_WORKER_VERIFIED_H

#include "agent/worker/state.h"

#define VERIFIED_MAX_SCAN 2000 /* runs looked at for the last success, newest first */

/* Looks through the runs for what the catalogue names now. */
void verified_scan(struct worker *worker);
/* Runs have changed: tells the probes of those that have ended. */
void verified_look(struct worker *worker);
/* The probes are new and know nothing. */
void verified_tell(struct worker *worker);

#endif
