/*
 * The schema's migrations: core/db/migrations/NNNN_name.sql, numbered from 0001 without gaps, part
 * of the binary. Each runs once, in a transaction of its own, under an advisory lock (several
 * dashboards may start at once), and is recorded in ops.migrations with its checksum.
 *
 * Migrations only ever add, so the previous program runs on the newer schema; each says in its
 * first line which program is the oldest that suits: `-- suits: 0.1.0`. A database that needs a
 * newer program than this one, or whose applied migrations differ from ours, is refused and left
 * alone.
 */
#ifndef OPS_CORE_DB_MIGRATE_H
#define OPS_CORE_DB_MIGRATE_H

#include <stdint.h>

#include "core/base/err.h"
#include "core/db/pg.h"

#define MIGRATE_DEADLINE_MS 300000 /* of one migration */
#define MIGRATE_LOCK_WAIT_MS 60000 /* for another dashboard that is migrating */

struct migration {
	int number;
	const char *name;  /* "0001_schema" */
	const char *suits; /* the oldest program version */
	const char *sql;
};

/* All of them, in order; the last has number 0. */
const struct migration *migrate_all(void);

struct migrate;

/* err->code 0: the schema is up to date, `applied` migrations were new. */
typedef void (*migrate_done_fn)(const struct err *err, int applied, void *arg);

/* Brings the database behind pg (idle; used by nobody else until done) up to date. cb comes exactly
 * once, later. When the connection breaks meanwhile cb says so as well. */
struct migrate *migrate_start(struct pg *pg, migrate_done_fn cb, void *arg);

/* Whether program version a ("1.2.3") is at least b. -EINVAL when either is no such text. */
MUSTCHECK int migrate_version_at_least(const char *a, const char *b, bool *ret_yes);

#endif
