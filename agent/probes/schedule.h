/* Which probes there are, from `status.yml`, and when each is due. */
#ifndef OPS_AGENT_PROBES_SCHEDULE_H
#define OPS_AGENT_PROBES_SCHEDULE_H

#include <stddef.h>
#include <stdint.h>

#include "agent/probes/probe.h"

#define SCHEDULE_MAX_RUNNING 6		    /* looks at a time */
#define SCHEDULE_IDLE_US UINT64_C(60000000) /* the host's own values, while nobody watches */
#define SCHEDULE_LATE_US UINT64_C(30000000) /* before the first look at what is expensive */

/* Fills probes (PROBE_MAX, zeroed) with what the configuration asks for; returns how many. The
 * texts and subjects are the configuration's. All are due at once, but for those that are late. */
size_t schedule_make(const struct status_config *config, struct probe *probes);
/* When the probe looks again after a look that began at then_us. watch_us: how often somebody wants
 * to know; 0: nobody watches. */
uint64_t schedule_next(const struct probe *probe, uint64_t watch_us, uint64_t then_us);
/* When it may look again because something has happened. */
uint64_t schedule_early(const struct probe *probe, uint64_t watch_us);

#endif
