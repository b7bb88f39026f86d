/* POST /runs/{id}/approve. */
#ifndef OPS_CORE_APP_RUNS_APPROVE_H
#define OPS_CORE_APP_RUNS_APPROVE_H

#include "core/web/request.h"

void approve_step(struct request *req);

#endif
