#include "core/app/archive/archive_batch.h"

#include <errno.h>
#include <stdlib.h>

#include "core/db/channel.h"

void archive_batch_init(struct archive_batch *batch, uint64_t offset)
{
	*batch = (struct archive_batch){.offset = offset};
	buf_init(&batch->block, ARCHIVE_BATCH_BYTES);
}

void archive_batch_fini(struct archive_batch *batch)
{
	buf_fini(&batch->block);
}

uint64_t archive_batch_end(const struct archive_batch *batch)
{
	return batch->offset + batch->block.len;
}

int archive_batch_add(struct archive_batch *batch, const uint8_t *record, size_t size)
{
	struct archive_row *row = batch->n_rows > 0 ? &batch->rows[batch->n_rows - 1] : NULL;
	bool new_row = row == NULL || row->len + size > ARCHIVE_ROW_BYTES;
	struct record rec;

	if (size > ARCHIVE_BATCH_BYTES - batch->block.len ||
		(new_row && batch->n_rows == ARCHIVE_MAX_ROWS))
		return -EMSGSIZE;
	int rc = record_decode_header(record, size, &rec);
	if (rc != 0)
		return rc;
	size_t at = batch->block.len;
	buf_append(&batch->block, record, size);
	if (buf_err(&batch->block) != 0)
		return buf_err(&batch->block);
	if (new_row) {
		row = &batch->rows[batch->n_rows++];
		*row = (struct archive_row){
			.at = at, .first_line = rec.line, .time_us = rec.time_us};
	}
	row->len += size;
	return 0;
}

static struct pg_param number_or_null(int64_t n)
{
	return n == RUNDOC_NONE ? pg_null() : pg_i64(n);
}

static struct pg_param document_param(struct wire_str document, char **ret_copy)
{
	*ret_copy = malloc(document.len > 0 ? document.len : 1);
	if (*ret_copy == NULL)
		return pg_null(); /* the column is NOT NULL: the statement fails and is repeated */
	return pg_textn(*ret_copy, rundoc_for_jsonb(document, *ret_copy));
}

#define OPEN_SQL                                                                                   \
	"INSERT INTO ops.runs (id, number, host, kind, name, title, status, reason, exit_code,"    \
	" signal, actor, \"trigger\", config_digest, created_us, started_us, finished_us, bytes,"  \
	" lines, size, truncated, document) VALUES ($1, $2::bigint, $3, $4, $5, $6, $7, $8,"       \
	" $9::bigint::integer, $10::bigint::integer, $11, $12, $13, $14::bigint, $15::bigint,"     \
	" $16::bigint, $17, $18, $19, $20, $21::jsonb)"                                            \
	" ON CONFLICT (id) DO UPDATE SET number = EXCLUDED.number, host = EXCLUDED.host,"          \
	" kind = EXCLUDED.kind, name = EXCLUDED.name, title = EXCLUDED.title,"                     \
	" status = EXCLUDED.status, reason = EXCLUDED.reason, exit_code = EXCLUDED.exit_code,"     \
	" signal = EXCLUDED.signal, actor = EXCLUDED.actor, \"trigger\" = EXCLUDED.\"trigger\","   \
	" config_digest = EXCLUDED.config_digest, created_us = EXCLUDED.created_us,"               \
	" started_us = EXCLUDED.started_us, finished_us = EXCLUDED.finished_us,"                   \
	" bytes = EXCLUDED.bytes, lines = EXCLUDED.lines, size = EXCLUDED.size,"                   \
	" truncated = EXCLUDED.truncated, document = EXCLUDED.document, updated_at = now()"        \
	" WHERE NOT runs.complete AND runs.host <> ALL ($22::text[])"
#define OPENED_SQL                                                                                 \
	"SELECT archived_offset, complete, size, digest, host = ANY ($2::text[]) FROM ops.runs"    \
	" WHERE id = $1"
#define KNOWN_SQL "SELECT archived_offset, complete, size, digest FROM ops.runs WHERE id = $1"

struct pg_batch *archive_sql_open(
	const struct rundoc *doc, struct wire_str document, const char *others)
{
	char *copy;
	const struct pg_param known[] = {pg_uuid(&doc->id), pg_text(others)};
	const struct pg_param params[] = {
		pg_uuid(&doc->id),
		number_or_null(doc->number),
		pg_text(doc->host),
		pg_text(doc->kind),
		pg_text(doc->name),
		pg_text(doc->title),
		pg_text(doc->status),
		pg_text(doc->reason),
		number_or_null(doc->exit_code),
		number_or_null(doc->signal),
		pg_text(doc->actor),
		pg_text(doc->trigger),
		pg_text(doc->config_digest),
		number_or_null(doc->created_us),
		number_or_null(doc->started_us),
		number_or_null(doc->finished_us),
		pg_u64(doc->bytes),
		pg_u64(doc->lines),
		pg_u64(doc->size),
		pg_bool(doc->truncated),
		document_param(document, &copy),
		pg_text(others),
	};
	struct pg_batch *sql = pg_batch_one(OPEN_SQL, params, ARRAY_LEN(params));
	pg_batch_add(sql, OPENED_SQL, known, ARRAY_LEN(known));
	free(copy);
	return sql;
}

struct pg_batch *archive_sql_known(const struct uuid *run)
{
	const struct pg_param id = pg_uuid(run);
	return pg_batch_one(KNOWN_SQL, &id, 1);
}

/* A crash of the server may undo these transactions; the offset goes back with them, and the agent
 * still has the bytes. Only the one that makes a run complete waits for the disk. */
#define ASYNC_SQL "SELECT pg_catalog.set_config('synchronous_commit', 'off', true)"
#define ADVANCE_SQL "SELECT ops.archive_advance($1, $2, $3)"
#define ROW_INSERT_SQL                                                                             \
	"INSERT INTO ops.run_log (run_id, start_offset, end_offset, first_line, time_us, records)" \
	" VALUES ($1, $2, $3, $4, $5, $6)"
#define STEPS_SQL                                                                                  \
	"INSERT INTO ops.run_steps (run_id, step, step_id, uses, title, phase, status, reason,"    \
	" attempt, exit_code, signal, started_us, finished_us, start_offset)"                      \
	" SELECT $1, s.* FROM jsonb_to_recordset($2::jsonb) AS s (step integer, step_id text,"     \
	" uses text, title text, phase text, status text, reason text, attempt integer,"           \
	" exit_code integer, signal integer, started_us bigint, finished_us bigint,"               \
	" start_offset bigint)"                                                                    \
	" ON CONFLICT (run_id, step) DO UPDATE SET step_id = EXCLUDED.step_id,"                    \
	" uses = EXCLUDED.uses, title = EXCLUDED.title, phase = EXCLUDED.phase,"                   \
	" status = EXCLUDED.status, reason = EXCLUDED.reason, attempt = EXCLUDED.attempt,"         \
	" exit_code = EXCLUDED.exit_code, signal = EXCLUDED.signal,"                               \
	" started_us = EXCLUDED.started_us, finished_us = EXCLUDED.finished_us,"                   \
	" start_offset = EXCLUDED.start_offset"
#define COMPLETE_SQL                                                                               \
	"UPDATE ops.runs SET complete = true, digest = $2, size = $3, status = $4, reason = $5,"   \
	" exit_code = $6::bigint::integer, signal = $7::bigint::integer, bytes = $8, lines = $9,"  \
	" truncated = $10, started_us = $11::bigint, finished_us = $12::bigint,"                   \
	" document = $13::jsonb, problem = NULL, updated_at = now() WHERE id = $1"

#define NOTIFY_SQL                                                                                 \
	"SELECT pg_catalog.pg_notify('" CHANNEL_NAME "', '" ARCHIVE_NOTIFY " ' || $1::text)"

static void add_complete(
	struct pg_batch *sql, const struct uuid *run, const struct archive_end *end)
{
	const struct projection *p = end->projection;
	const struct rundoc *doc = end->doc;
	char *copy;
	const struct pg_param params[] = {
		pg_uuid(run),
		pg_bytes(p->digest, sizeof(p->digest)),
		pg_u64(p->offset),
		pg_text(p->status),
		pg_text(p->reason[0] != '\0' ? p->reason : NULL),
		number_or_null(p->exit_code),
		number_or_null(p->signal),
		pg_u64(p->bytes),
		pg_u64(p->lines),
		pg_bool(p->truncated),
		number_or_null(doc->started_us != RUNDOC_NONE ? doc->started_us : p->started_us),
		number_or_null(doc->finished_us != RUNDOC_NONE ? doc->finished_us : p->finished_us),
		document_param(end->document, &copy),
	};
	pg_batch_add(sql, COMPLETE_SQL, params, ARRAY_LEN(params));
	pg_batch_add(sql, NOTIFY_SQL, params, 1);
	free(copy);
}

static void add_rows(
	struct pg_batch *sql, const struct uuid *run, const struct archive_batch *batch)
{
	for (size_t i = 0; i < batch->n_rows; i++) {
		const struct archive_row *row = &batch->rows[i];
		const struct pg_param params[] = {
			pg_uuid(run),
			pg_u64(batch->offset + row->at),
			pg_u64(batch->offset + row->at + row->len),
			pg_i64(row->first_line),
			pg_u64(row->time_us),
			pg_bytes_ref(batch->block.data + row->at, row->len),
		};
		pg_batch_add(sql, ROW_INSERT_SQL, params, ARRAY_LEN(params));
	}
}

void archive_sql_add_steps(
	struct pg_batch *sql, const struct uuid *run, struct projection *projection)
{
	struct buf steps;

	buf_init(&steps, PG_MAX_BATCH_BYTES / 2);
	if (projection_take_changed(projection, &steps)) {
		const struct pg_param params[] = {pg_uuid(run), pg_textn(steps.data, steps.len)};
		pg_batch_add(sql, STEPS_SQL, params, ARRAY_LEN(params));
	}
	buf_fini(&steps);
}

struct pg_batch *archive_sql_commit(const struct uuid *run, struct archive_batch *batch,
	struct projection *projection, const struct archive_end *end)
{
	const struct pg_param advance[] = {
		pg_uuid(run), pg_u64(batch->offset), pg_u64(archive_batch_end(batch))};
	struct pg_batch *sql = pg_batch_new();

	if (end == NULL)
		pg_batch_add(sql, ASYNC_SQL, NULL, 0);
	pg_batch_add(sql, ADVANCE_SQL, advance, ARRAY_LEN(advance));
	add_rows(sql, run, batch);
	archive_sql_add_steps(sql, run, projection);
	if (end != NULL)
		add_complete(sql, run, end);
	uint64_t next = archive_batch_end(batch);
	pg_batch_adopt(sql, batch->block.data);
	archive_batch_init(batch, next);
	return sql;
}

#define REFILL_SQL                                                                                 \
	"UPDATE ops.runs SET archived_offset = 0, complete = false, digest = NULL,"                \
	" released = false, error_line = NULL, error_text = NULL, updated_at = now()"              \
	" WHERE id = $1"
#define REFILL_LOG_SQL "DELETE FROM ops.run_log WHERE run_id = $1"
#define REFILL_STEPS_SQL "DELETE FROM ops.run_steps WHERE run_id = $1"

struct pg_batch *archive_sql_refill(const struct uuid *run)
{
	const struct pg_param id = pg_uuid(run);
	struct pg_batch *sql = pg_batch_one(REFILL_SQL, &id, 1);
	pg_batch_add(sql, REFILL_LOG_SQL, &id, 1);
	pg_batch_add(sql, REFILL_STEPS_SQL, &id, 1);
	return sql;
}

struct pg_batch *archive_sql_released(const struct uuid *run)
{
	const struct pg_param id = pg_uuid(run);
	return pg_batch_one(
		"UPDATE ops.runs SET released = true WHERE id = $1 AND NOT released", &id, 1);
}

struct pg_batch *archive_sql_problem(const struct uuid *run, const char *problem)
{
	const struct pg_param params[] = {pg_uuid(run), pg_text(problem)};
	return pg_batch_one("UPDATE ops.runs SET problem = $2 WHERE id = $1", params, 2);
}

struct pg_batch *archive_sql_row(const struct uuid *run, uint64_t offset)
{
	const struct pg_param params[] = {pg_uuid(run), pg_u64(offset)};
	return pg_batch_one("SELECT start_offset, end_offset, records FROM ops.run_log"
			    " WHERE run_id = $1 AND start_offset = $2",
		params, 2);
}
