/*
 * Notifications: what happens (runs, approvals, the agent, the machine's status) against the rules
 * of NOTIFY_FILE, and what is told because of it to ntfy, webhooks and by mail.
 *
 * Every event is told once: by a mark in STATE_DIR/notify.json over restarts, and by a row of
 * ops.notify_claims among several dashboards on one database. While PostgreSQL is away each of
 * them tells by itself: twice is better than not at all then.
 *
 * Of a rule's events the first goes out at once; those of the rule's quiet time after it are told
 * together as one. What a target does not take is tried again for NOTIFY_GIVE_UP_US, together with
 * what happens meanwhile.
 */
#ifndef OPS_CORE_APP_NOTIFY_NOTIFY_H
#define OPS_CORE_APP_NOTIFY_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/app/notify/notify_conf.h"
#include "core/base/buf.h"
#include "core/base/err.h"

#define NOTIFY_FILE_NAME "notify.json"
#define NOTIFY_MAX_WAITING 1024 /* events not claimed yet; the oldest goes first */
#define NOTIFY_MAX_QUEUED 64	/* events kept for a rule and target; older are only counted */
#define NOTIFY_MAX_MARKS 4096
#define NOTIFY_CLAIM_BATCH 32
#define NOTIFY_CLAIM_MS 3000 /* then it is told unclaimed */
#define NOTIFY_RETRY_MIN_MS 1000
#define NOTIFY_RETRY_MAX_MS (10u * 60u * 1000u)
#define NOTIFY_GIVE_UP_US (UINT64_C(24) * 3600 * 1000000)
#define NOTIFY_MAX_LINES 4 /* logs whose last line is being looked up; more events go without */

struct host;
struct notify;
struct request;
struct server;

/* Reads STATE_DIR/notify.json (blocking, at start) and begins to watch. NULL with a text. */
struct notify *notify_open(struct server *server, struct err *err);
/* What is still to be sent is kept on the disk. Before the link and the pool. */
void notify_close(struct notify *notify, void (*on_closed)(void *arg), void *arg);

/* A host was opened, or is about to be closed. */
void notify_host_added(struct notify *notify, struct host *host);
void notify_host_gone(struct notify *notify, const struct host *host);

/* Another configuration (server->cfg->notify is the new one, which may be NULL). What waits for
 * targets that are still there is kept. */
void notify_reload(struct notify *notify);

/* ops_notifications_total and ops_notifications_waiting */
void notify_put_metrics(const struct notify *notify, struct buf *out);

/* GET /notify, POST /notify/test */
void notify_get(struct request *req);
void notify_test(struct request *req);

#endif
