/*
 * Copies the agent's ledger into ops.ledger, event by event, so that it stands in one timeline with
 * the dashboard's audit. It goes on from the last event the database has; an event copied twice is
 * there once.
 */
#ifndef OPS_CORE_APP_AUDIT_LEDGER_H
#define OPS_CORE_APP_AUDIT_LEDGER_H

#include <uv.h>

#include "core/agentlink/link.h"
#include "core/app/archive/archive_job.h"
#include "core/db/pool.h"

#define LEDGER_BATCH 64		     /* events of one transaction */
#define LEDGER_MAX_HELD 512	     /* in memory; then the stream is closed until they are in */
#define LEDGER_MAX_BYTES (64u << 10) /* of one event; larger ones are left out */
#define LEDGER_RETRY_MS 5000

struct ledger;

/* All must outlive it. An agent with the id of one of the others' is left alone. */
struct ledger *ledger_open(
	uv_loop_t *loop, struct link *link, struct pool *pool, const struct archive_others *others);
void ledger_close(struct ledger *ledger, void (*on_closed)(void *arg), void *arg);

#endif
