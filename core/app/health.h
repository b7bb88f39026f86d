/* GET /healthz, /readyz, /api/v1/hosts and /api/v1/openapi.json. */
#ifndef OPS_CORE_APP_HEALTH_H
#define OPS_CORE_APP_HEALTH_H

struct request;

/* 200 as long as the loop turns. */
void health_live(struct request *req);
/* 200 when requests can be served, 503 while stopping; with the state of each part. Says no more
 * than that to those who are not signed in. */
void health_ready(struct request *req);
/* The agents with what is known of each: so far a dashboard has one. */
void health_hosts(struct request *req);
void health_openapi(struct request *req);

#endif
