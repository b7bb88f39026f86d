/*
 * A container of the Docker engine: what its JSON says, and what to think of it. Pure; every answer
 * is foreign, and what it lacks is not known.
 */
#ifndef OPS_AGENT_PROBES_CONTAINER_H
#define OPS_AGENT_PROBES_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/probes/report.h"
#include "agent/relay/ask.h"
#include "core/base/err.h"

#define CONTAINER_SHORT_ID 12
/* Restarted by the engine less than so long ago: worth a look. */
#define CONTAINER_RESTARTED_US UINT64_C(600000000)

struct container {
	char id[RELAY_MAX_ID + 1], image_id[RELAY_MAX_ID + 1];
	char name[256], image[256], digest[128], project[128], service[128], ports[512];
	char state[24], health[24], policy[24]; /* health, policy: "" when there is none */
	bool detailed;				/* what follows was told */
	bool oom, tty;
	int64_t exit_code;
	uint64_t restarts, failing_streak;
	uint64_t created_us, started_us, finished_us; /* 0: not known, or never */
	uint64_t memory_limit;			      /* 0: none */
	bool measured;				      /* what follows was told */
	uint64_t cpu_us, cpu_at_us, memory;
};

/* What an earlier report said of a container, found by its short id. */
struct container_before {
	char id[CONTAINER_SHORT_ID + 1], digest[128];
	uint64_t cpu_us, cpu_at_us; /* cpu_at_us 0: not measured */
};

/* The list of all. Fills at most max; *ret_total is how many there are. -EBADMSG with a text. */
MUSTCHECK int container_read_list(const uint8_t *json, size_t n, struct container *ret_list,
	size_t max, size_t *ret_total, struct err *err);
/* One in full. -EBADMSG with a text. */
MUSTCHECK int container_read_details(
	const uint8_t *json, size_t n, struct container *container, struct err *err);
/* What it uses: sets measured when the answer says so. */
void container_read_stats(const uint8_t *json, size_t n, struct container *container);
/* Its image's digest: of the registry it was pulled from, else the image's own id. */
void container_read_image(const uint8_t *json, size_t n, struct container *container);
/* The values of an earlier finding. -EBADMSG when it is of no container. */
MUSTCHECK int container_read_before(
	const uint8_t *values, size_t n, struct container_before *ret_before);

/* Adds its finding. before may be NULL; why: what it is unknown for, NULL when it is known. */
void container_report(const struct container *container, const struct container_before *before,
	const char *why, uint64_t wall_us, struct report *report);

#endif
