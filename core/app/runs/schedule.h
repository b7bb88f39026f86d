/* What runs when, and whether anything may: GET /schedule, POST /schedule/pause, POST /maintenance,
 * POST /runs/cancel. */
#ifndef OPS_CORE_APP_RUNS_SCHEDULE_H
#define OPS_CORE_APP_RUNS_SCHEDULE_H

#include "core/web/request.h"

struct host;

/* Asks the agent what it has planned, to be told of it when the agent is away. */
void schedule_learn(struct host *host);

/* The schedules of all hosts, or of the one named, as one document. */
void schedule_get(struct request *req);
/* Switches a flow's schedule, or all starts, off or on, at the primary host, the one named, or (all
 * starts) everywhere; answers with the schedules of then. */
void schedule_pause(struct request *req);
void schedule_maintenance(struct request *req);
/* Asks every active run there to end; answers with how many. */
void schedule_cancel_all(struct request *req);

#endif
