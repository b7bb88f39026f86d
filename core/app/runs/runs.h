/* GET /catalog, GET /runs, GET /runs/{id}, POST /runs/{id}/cancel. */
#ifndef OPS_CORE_APP_RUNS_RUNS_H
#define OPS_CORE_APP_RUNS_RUNS_H

struct request;

void runs_catalog(struct request *req);
void runs_list(struct request *req);
void runs_get(struct request *req);
void runs_cancel(struct request *req);

#endif
