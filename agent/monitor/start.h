/* Starting runs: the worker's IMSG_STARTs of one turn of the loop, checked, made and answered. */
#ifndef OPS_AGENT_MONITOR_START_H
#define OPS_AGENT_MONITOR_START_H

#include <stddef.h>
#include <stdint.h>

#include "agent/monitor/imsg.h"
#include "agent/monitor/launch.h"

#define STARTS_MAX 16 /* that share their syncs */

struct monitor;

struct start {
	uint32_t seq; /* of the question */
	struct plan *plan;
	struct launch_run run;
};

struct starts {
	size_t n;
	uint64_t go_at_us; /* when a waiting run that could not be told is told again; 0: none */
	struct start items[STARTS_MAX];
};

/* Takes one request: answers it at once when it cannot be, or else by the next starts_flush(). */
void starts_take(struct monitor *m, const struct imsg *msg);
/* Makes what was taken durable, starts the runners, answers. Nothing taken: nothing done. */
void starts_flush(struct monitor *m);
/* Tells runs that waited for others and need not any more. Returns when to be called again whatever
 * happens; 0: never. */
uint64_t starts_let_go(struct monitor *m, uint64_t now_us);

#endif
