/* The levels that items had last, and who is told when they change. Pure but for its listeners. */
#ifndef OPS_CORE_APP_STATUS_STATUS_LEVELS_H
#define OPS_CORE_APP_STATUS_STATUS_LEVELS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/app/status/status.h"

struct status_levels {
	json_t *known;	       /* "section/id" -> {level, title, missing_us} */
	struct list listeners; /* status_listener.link */
};

void status_levels_init(struct status_levels *levels);
void status_levels_fini(struct status_levels *levels);

/* Compares with what was known. complete: what is not in sections is missing; after STATUS_GONE_US
 * it is told as gone. now_us: any clock that does not go back. */
void status_levels_take(
	struct status_levels *levels, json_t *sections, bool complete, uint64_t now_us);

#endif
