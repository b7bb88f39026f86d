/* GET /runs/{id}/log and /runs/{id}/log/locate. */
#ifndef OPS_CORE_APP_LOGS_LOGS_H
#define OPS_CORE_APP_LOGS_LOGS_H

struct request;

void logs_get(struct request *req);
void logs_locate(struct request *req);

#endif
