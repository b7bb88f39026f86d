/* What runs when, and whether anything may: GET /schedule, POST /schedule/pause, POST /maintenance,
 * POST /runs/cancel. */
#ifndef OPS_CORE_APP_SCHEDULE_H
#define OPS_CORE_APP_SCHEDULE_H

#include "core/web/request.h"

/* The agent's schedule document, as it is. */
void schedule_get(struct request *req);
/* Switches a flow's schedule, or all starts, off or on; answers with the schedule of then. */
void schedule_pause(struct request *req);
void schedule_maintenance(struct request *req);
/* Asks every active run to end; answers with how many. */
void schedule_cancel_all(struct request *req);

#endif
