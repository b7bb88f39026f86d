/*
 * The section `database` of the status document: the PostgreSQL that the dashboard uses, asked
 * every DBSTATUS_WATCHED_MS while somebody looks, else every DBSTATUS_IDLE_MS. Away, its items are
 * unknown and say why.
 */
#ifndef OPS_CORE_APP_STATUS_DBSTATUS_H
#define OPS_CORE_APP_STATUS_DBSTATUS_H

#include "core/base/mem.h"

#define DBSTATUS_WATCHED_MS 10000
#define DBSTATUS_IDLE_MS 60000
#define DBSTATUS_DEADLINE_MS 5000 /* of one look */

struct dbstatus;
struct server;

/* Stands in the status document of the primary host. Uses server->hosts and server->pool, which
 * must outlive it. */
struct dbstatus *dbstatus_open(struct server *server);
/* Another host is the primary one now, maybe. */
void dbstatus_move(struct dbstatus *dbstatus);
void dbstatus_close(struct dbstatus *dbstatus, void (*on_closed)(void *arg), void *arg);

#endif
