/* What differs between the sections of two status documents. */
#ifndef OPS_CORE_APP_STATUS_STATUS_DIFF_H
#define OPS_CORE_APP_STATUS_STATUS_DIFF_H

#include <jansson.h>

#include "core/base/mem.h"

/* The item of this id among items (an array, or NULL); NULL: there is none. Borrowed. */
json_t *status_find(const json_t *items, const char *id);

/* The items of now that are not in before, or differ: {section: [item…]}. New reference. */
json_t *status_changed(json_t *now, const json_t *before);
/* Those of before that are not in now: ["section/id"…]. New reference. */
json_t *status_gone(json_t *now, json_t *before);

/* The worst level of all items: bad, warn, unknown, ok; "unknown" when there are none. */
const char *status_worst(json_t *sections);

#endif
