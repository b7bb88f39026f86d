#include "agent/probes/schedule.h"

#include <stdlib.h>

#define S UINT64_C(1000000)
#define RETRY_US (5 * S) /* after a look that told nothing */

static struct probe *add(struct probe *probes, size_t *n, const char *section, const char *id,
	const char *title, probe_run_fn run)
{
	struct probe *probe = &probes[(*n)++];

	*probe = (struct probe){.section = section, .id = id, .title = title, .run = run, .fd = -1};
	return probe;
}

static void set_times(
	struct probe *probe, uint64_t watched_us, uint64_t idle_us, uint64_t deadline_us)
{
	probe->watched_us = watched_us;
	probe->idle_us = MAX(idle_us, watched_us);
	probe->deadline_us = deadline_us;
}

size_t schedule_make(const struct status_config *config, struct probe *probes)
{
	uint64_t interval = config->interval_us;
	size_t n = 0;

	if (config->host) {
		set_times(add(probes, &n, "host", "disks", "Disks", disks_run),
			MAX(interval, 10 * S), SCHEDULE_IDLE_US, 5 * S);
	}
	return n;
}

uint64_t schedule_next(const struct probe *probe, bool watched, uint64_t then_us)
{
	uint64_t wait = watched ? probe->watched_us : probe->idle_us;

	if (probe->missed != 0)
		wait = MIN(wait, RETRY_US * probe->missed);
	return then_us + wait;
}
