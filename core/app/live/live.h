/*
 * The live side: WebSockets on /api/v1/live, their subscriptions, and what they are told. The text
 * messages and topics are those of the API document (core/app/api).
 */
#ifndef OPS_CORE_APP_LIVE_LIVE_H
#define OPS_CORE_APP_LIVE_LIVE_H

#include <jansson.h>
#include <stddef.h>

#include "core/base/mem.h"

struct host;
struct live;
struct request;
struct server;

struct live *live_new(struct server *server);
/* After the web server is closed: no socket is left. */
void live_free(struct live *live);

/* Handles GET /api/v1/live: authorised already. */
void live_handle(struct request *req);

/* A run is another than before: its document. */
void live_on_run(struct live *live, const json_t *run);
/* The catalogues together are another than before. */
void live_on_catalog(struct live *live);
/* An agent (or the database) was reached again: what was missed meanwhile is told by new snapshots.
 */
void live_on_agent(struct live *live);
/* How that host is: event is snapshot, put or del, text its data. */
void live_on_status(const struct host *host, const char *event, const char *text, size_t len);
/* The host is about to be closed: nothing may refer to it any more. */
void live_on_host_gone(struct live *live, const struct host *host);
/* There are other hosts than before. */
void live_on_hosts(struct live *live);
/* Agent, database or archiver changed: the topic `system`. */
void live_on_system(struct live *live);

size_t live_socket_count(const struct live *live);

#endif
