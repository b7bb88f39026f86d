/*
 * How the machine is: the agent's status document, watched while somebody looks at the topic
 * `status`, and asked for otherwise. What changed between two documents is told as small puts.
 */
#ifndef OPS_CORE_APP_STATUS_H
#define OPS_CORE_APP_STATUS_H

#include <stddef.h>

#include "core/base/mem.h"

struct request;
struct server;
struct status;

/* Watches server->link, which must be open. */
struct status *status_open(struct server *server);
void status_close(struct status *status);

/* Handles GET /api/v1/status. */
void status_get(struct request *req);

/* One more subscription to the topic: the newest document, or NULL when it is still to come (`live`
 * is told). The text is valid until the loop runs again. */
const char *status_subscribed(struct status *status, size_t *ret_len);
/* One less; after the last one the agent looks at the machine only seldom. */
void status_unsubscribed(struct status *status);

#endif
