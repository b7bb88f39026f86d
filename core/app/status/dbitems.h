/* PostgreSQL as items of the status document: what it says, at which level. Pure. */
#ifndef OPS_CORE_APP_STATUS_DBITEMS_H
#define OPS_CORE_APP_STATUS_DBITEMS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/mem.h"

#define DBITEMS_RAISE 2 /* looks in a row that must be worse before an item is shown as worse */
#define DBITEMS_LOWER 3 /* and better, before it is shown as better */

/* What was seen in one look; -1: not known, or there is none. */
struct db_facts {
	char version[32];
	int64_t started_us;
	int64_t size_bytes; /* of the dashboard's database */
	int64_t connections, connections_max;
	int64_t active, waiting;     /* statements running; waiting for a lock */
	int64_t slowest_ms;	     /* the statement that runs longest */
	int64_t idle_transaction_ms; /* the transaction that is idle longest */
	int64_t replicas, lag_ms;    /* that follow; how far the slowest is behind */
	bool is_standby;	     /* then lag_ms is its own */
	int64_t dead_rows, live_rows, autovacuum_us, checksum_failures, xid_age;
};

enum db_item {
	DB_SERVER,
	DB_STATEMENTS,
	DB_REPLICATION,
	DB_MAINTENANCE,
	DB_ITEMS
};

/* Why an item is not ok: a sentence, and for who reads another language which one it is and what is
 * filled in; code NULL: the text is all there is. */
struct db_reason {
	char message[128];
	const char *code;
	char params[2][32];
	unsigned n_params;
};

/* How an item is shown; zeroed at first. Levels are those of status_diff.h by rank. */
struct db_settled {
	unsigned level; /* 0 ok, 1 unknown, 2 warn, 3 bad */
	unsigned wanted, looks;
	bool known;
	uint64_t since_us;
	struct db_reason reason;
};

struct db_items {
	struct db_settled settled[DB_ITEMS];
	struct db_facts facts; /* the newest */
	bool looked;
};

/* A look has been made. Returns the items (StatusItem). */
json_t *db_items_take(struct db_items *items, const struct db_facts *facts, uint64_t now_us);
/* It could not be asked: all that was known is unknown, at once, and says why. */
json_t *db_items_away(struct db_items *items, const char *why, uint64_t now_us);

#endif
