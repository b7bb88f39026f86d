/* The SQL of verify.c. */
#ifndef OPS_CORE_APP_VERIFY_VERIFY_SQL_H
#define OPS_CORE_APP_VERIFY_VERIFY_SQL_H

#include <stdbool.h>

#include "core/app/archive/projection.h"
#include "core/app/logs/errorline.h"
#include "core/base/uuid.h"
#include "core/db/batch.h"

#define VERIFY_PAGE 50

/* A page of runs, newest first, before NULL: the first; also those that have rows in ops.run_log
 * but none in ops.runs. id, archived_offset, bytes in ops.run_log, complete, size, digest, known.
 */
struct pg_batch *verify_sql_page(const struct uuid *before);
/* Writes what the projection says: the run (a new row of it unless known), its end, its steps; and
 * which line of the log says why it failed, if it did. */
struct pg_batch *verify_sql_rebuild(const struct uuid *run, bool known,
	struct projection *projection, const struct errorline *line);

#endif
