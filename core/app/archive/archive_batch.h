/*
 * The pure part of archiving: records on their way into ops.run_log are gathered in one block and
 * cut into rows of whole records; and the SQL of each transaction.
 */
#ifndef OPS_CORE_APP_ARCHIVE_ARCHIVE_BATCH_H
#define OPS_CORE_APP_ARCHIVE_ARCHIVE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/app/archive/projection.h"
#include "core/app/runs/rundoc.h"
#include "core/base/buf.h"
#include "core/db/batch.h"
#include "proto/record.h"

#define ARCHIVE_ROW_BYTES                                                                          \
	(256u << 10) /* a row ends before the record that would make it larger                     \
		      */
/* What the agent may send before something is committed: while PostgreSQL works at one transaction
 * the next one gathers, so that neither waits for the other. */
#define ARCHIVE_WINDOW_BYTES (1792u << 10)
/* What one transaction holds at most. */
#define ARCHIVE_BATCH_BYTES (ARCHIVE_WINDOW_BYTES + RECORD_MAX_BYTES)
#define ARCHIVE_MAX_ROWS 64

struct archive_row {
	size_t at, len; /* in the block */
	uint32_t first_line;
	uint64_t time_us; /* of its first record */
};

/* Records that were fed to the projection and are not yet on their way to the database. */
struct archive_batch {
	uint64_t offset;  /* of the first byte in the journal */
	struct buf block; /* at most ARCHIVE_BATCH_BYTES */
	struct archive_row rows[ARCHIVE_MAX_ROWS];
	size_t n_rows;
};

/* Empty, for records from offset on. */
void archive_batch_init(struct archive_batch *batch, uint64_t offset);
void archive_batch_fini(struct archive_batch *batch);
/* Appends one record (its whole bytes, verified). -EMSGSIZE when the batch is full, -ENOMEM. */
MUSTCHECK int archive_batch_add(struct archive_batch *batch, const uint8_t *record, size_t size);
/* The journal offset behind its last record. */
uint64_t archive_batch_end(const struct archive_batch *batch);

/*
 * The transactions. Each statement's SQL is constant.
 */

/* Makes or refreshes the run's row (document: the JSON text; the row of a complete run, or of one
 * of the others, hosts as an array's text, stays as it is) and asks: result 1 holds
 * archived_offset, complete, size, digest, and whether the row is of one of the others. */
struct pg_batch *archive_sql_open(
	const struct rundoc *doc, struct wire_str document, const char *others);
#define ARCHIVE_OPEN_RESULT 1

/* What a transaction of archiving adds besides its records. */
struct archive_end {
	const struct projection *projection; /* finished, digest_matches */
	const struct rundoc *doc;
	struct wire_str document;
};

/* Moves the batch's records into rows and the steps that changed with them; with end, makes the run
 * complete. Takes the block over and leaves the batch empty, at its end. The transaction fails when
 * the run is no longer at batch->offset. */
struct pg_batch *archive_sql_commit(const struct uuid *run, struct archive_batch *batch,
	struct projection *projection, const struct archive_end *end);
#define ARCHIVE_SQLSTATE_DOUBLE "23505" /* a row with this offset is there already */
/* `run.archived UUID` is notified (db/channel.h) when a run has become complete. */
#define ARCHIVE_NOTIFY "run.archived"
#define ARCHIVE_SQLSTATE_MOVED "OPS01" /* somebody else archived meanwhile */

/* Adds the steps that changed to a transaction. */
void archive_sql_add_steps(
	struct pg_batch *sql, const struct uuid *run, struct projection *projection);

/* Forgets all that was archived of the run: it starts again at offset 0. */
struct pg_batch *archive_sql_refill(const struct uuid *run);
/* Notes that the agent may drop its journal; and why a run cannot be archived. */
struct pg_batch *archive_sql_released(const struct uuid *run);
struct pg_batch *archive_sql_problem(const struct uuid *run, const char *problem);
/* The row that starts at offset: start_offset, end_offset, records. */
struct pg_batch *archive_sql_row(const struct uuid *run, uint64_t offset);
/* complete, size, digest of the run with this id. */
struct pg_batch *archive_sql_known(const struct uuid *run);

#endif
