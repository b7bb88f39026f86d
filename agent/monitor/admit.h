/*
 * Which runs may go on beside each other. A run claims names: `group:NAME` for every command group
 * that one of its steps belongs to, `flow:NAME` for its flow's concurrency group; it has all of
 * them from its first step to its end. A run that cannot have one of them waits (its runner holds
 * until control/go), or ends as skipped. Everything stands in RUN_DIR (claims, control/hold,
 * control/go), so that the next agent goes on where this one stopped; how many a name admits says
 * the catalogue that is live. First come, first served: nobody overtakes a run that waits for the
 * same name.
 */
#ifndef OPS_AGENT_MONITOR_ADMIT_H
#define OPS_AGENT_MONITOR_ADMIT_H

#include <stdbool.h>

#include "agent/config/catalog.h"
#include "agent/monitor/active.h"
#include "agent/run/plan.h"

#define ADMIT_MAX_CLAIMS_BYTES 8192
#define ADMIT_FLOW_QUEUE 16 /* runs that wait for one concurrency group */

enum admit_verdict {
	ADMIT_GO,
	ADMIT_HOLD,
	ADMIT_SKIP,	  /* another run goes on, and the flow says skip */
	ADMIT_QUEUE_FULL, /* no room to wait */
};

/* What a run of this plan claims: one name a line, "" for nothing; the caller frees it. */
char *admit_claims(const struct catalog *catalog, const struct plan *plan);
/* What is to be done with a new run that has these claims. */
enum admit_verdict admit_judge(const struct catalog *catalog, const struct active *active,
	const struct plan *plan, const char *claims);
/* Whether a run stands in the way of a flow that cancels what runs. */
bool admit_is_replaced(
	const struct catalog *catalog, const struct plan *plan, const struct active_run *other);
/* The longest waiting run that may go now; NULL: none. */
struct active_run *admit_next(const struct catalog *catalog, struct active *active);

/* Writes what the verdict means for the runner into a RUN_DIR whose runner was not started yet. 0
 * or a negative errno. */
MUSTCHECK int admit_write(int run_dir_fd, const char *claims, enum admit_verdict verdict);
/* Tells a waiting runner to go. 0 or a negative errno. */
MUSTCHECK int admit_go(int run_dir_fd);
/* What admit_write() wrote; the caller frees it. ret_held: the run waits. */
char *admit_read(int run_dir_fd, bool *ret_held);

#endif
