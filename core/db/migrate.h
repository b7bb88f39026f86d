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

#include <stdbool.h>
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
 * once, later; when the connection breaks meanwhile cb says so as well. After an error the
 * connection is to be closed: it may hold the migrations' lock. */
struct migrate *migrate_start(uv_loop_t *loop, struct pg *pg, migrate_done_fn cb, void *arg);
/* The connection is about to be closed: cb will not come. */
void migrate_cancel(struct migrate *migrate);

/* A row of ops.migrations. */
struct migrate_row {
	int number;
	char name[64];
	char checksum[80]; /* hex SHA-256 of the SQL */
	char suits[32];
};

/* Whether the database's row may stand where ours (number 0: we have no more) is expected, seen by
 * program version `program`. 0, or -EINVAL with a text that says what to do. */
MUSTCHECK int migrate_check(const struct migration *ours, const struct migrate_row *row,
	const char *program, struct err *err);
/* The hex SHA-256 of a migration's SQL. */
void migrate_checksum(const struct migration *migration, char out[65]);
/* Whether program version a ("1.2.3") is at least b. -EINVAL when either is no such text. */
MUSTCHECK int migrate_version_at_least(const char *a, const char *b, bool *ret_yes);

#endif
