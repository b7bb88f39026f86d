/* Every route of the daemon: one row each. */
#ifndef OPS_CORE_APP_ROUTES_H
#define OPS_CORE_APP_ROUTES_H

#include <stddef.h>

#include "core/web/route.h"

extern const struct route app_routes[];
extern const size_t app_routes_count;

#endif
