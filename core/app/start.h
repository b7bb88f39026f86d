/* Starting a run from a request: POST /runs and POST /runs/{id}/rerun. */
#ifndef OPS_CORE_APP_START_H
#define OPS_CORE_APP_START_H

struct request;

void start_run(struct request *req);
void start_rerun(struct request *req);

#endif
