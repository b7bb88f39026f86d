/*
 * Owns at most one call to the pool; between calls nothing is held but an offset.
 *
 * Happy path: more → the row that holds the offset, its checksums verified → on_records → more … →
 * the offset is where the archive ends → on_end.
 *
 * Failure modes: an offset that is no record boundary, a row that is missing although the run says
 * that it is archived, a damaged record, no database: on_end says which.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/app/archive/history_internal.h"

#define ARCHIVED_SQL "SELECT archived_offset FROM ops.runs WHERE id = $1"
#define ROW_SQL                                                                                    \
	"SELECT start_offset, records FROM ops.run_log WHERE run_id = $1 AND start_offset ="       \
	" (SELECT max(start_offset) FROM ops.run_log WHERE run_id = $1 AND start_offset <= $2)"

struct history_log {
	struct pool *pool;
	struct uuid run;
	uint64_t offset; /* of the next record */
	bool first;	 /* nothing was given yet: offset is the caller's word */
	bool ended;
	struct pool_call *call;
	struct history_log_callbacks callbacks;
	void *arg;
};

static void log_end(struct history_log *log, int err, const char *message)
{
	log->ended = true;
	log->callbacks.on_end(log, err, message, log->offset, log->arg);
}

/* Whether all records from at on are whole and undamaged. */
static bool all_good(const uint8_t *records, size_t n)
{
	for (size_t at = 0; at < n;) {
		struct record rec;
		int size = record_decode(records + at, n - at, &rec);
		if (size < 0)
			return false;
		at += (size_t)size;
	}
	return true;
}

/* The byte in the row at which the wanted offset begins, or -1 when no record begins there. */
static ssize_t boundary_in(const uint8_t *records, size_t n, uint64_t skip)
{
	size_t at = 0;
	while (at < n && at < skip) {
		struct record rec;
		if (record_decode_header(records + at, n - at, &rec) != 0)
			return -1;
		at += RECORD_HEADER_BYTES + rec.length;
	}
	return at == skip && at <= n ? (ssize_t)at : -1;
}

static void log_give(struct history_log *log, uint64_t start, struct pg_bytes_view records)
{
	ssize_t at = boundary_in(records.data, records.len, log->offset - start);
	if (at < 0) {
		log_end(log, log->first ? -EINVAL : -EIO,
			log->first ? "no record begins at this offset"
				   : "the log in the database is damaged there");
		return;
	}
	const uint8_t *from = records.data + at;
	size_t len = records.len - (size_t)at;
	if (!all_good(from, len)) {
		log_end(log, -EIO, "the log in the database is damaged there");
		return;
	}
	uint64_t offset = log->offset;
	log->offset += len;
	log->first = false;
	log->callbacks.on_records(log, offset, from, len, log->arg);
}

/* The row that holds the offset, or none. */
static void on_row(const struct pg_reply *reply, void *arg)
{
	struct history_log *log = arg;
	log->call = NULL;
	if (reply->err != 0) {
		log_end(log, reply->err, reply->message);
		return;
	}
	const struct pg_result *run = reply->results[0], *row = reply->results[1];
	if (pg_rows(run) == 0) {
		log_end(log, -ENOENT, "no such run");
		return;
	}
	uint64_t archived = (uint64_t)pg_get_i64(run, 0, 0);
	if (pg_rows(row) == 1) {
		uint64_t start = (uint64_t)pg_get_i64(row, 0, 0);
		struct pg_bytes_view records = pg_get_bytes(row, 0, 1);
		if (log->offset < start + records.len) {
			log_give(log, start, records);
			return;
		}
	}
	if (log->offset < archived)
		log_end(log, -EIO, "a part of the log is missing in the database");
	else if (log->offset > archived && log->first)
		log_end(log, -EINVAL, "the offset is beyond the end of the log");
	else
		log_end(log, 0, "");
}

struct history_log *history_log_open(struct pool *pool, const struct uuid *run, uint64_t offset,
	const struct history_log_callbacks *callbacks, void *arg)
{
	struct history_log *log = xcalloc(1, sizeof(*log));
	log->pool = pool;
	log->run = *run;
	log->offset = offset;
	log->first = true;
	log->callbacks = *callbacks;
	log->arg = arg;
	return log;
}

void history_log_more(struct history_log *log)
{
	const struct pg_param params[] = {pg_uuid(&log->run), pg_u64(log->offset)};
	struct pg_batch *sql = pg_batch_new();

	assert(log->call == NULL && !log->ended);
	/* First how far it is archived: what comes in between is only more than that. */
	pg_batch_add(sql, ARCHIVED_SQL, params, 1);
	pg_batch_add(sql, ROW_SQL, params, ARRAY_LEN(params));
	log->call = pool_run(log->pool, sql, POOL_IDEMPOTENT, HISTORY_DEADLINE_MS, on_row, log);
}

void history_log_close(struct history_log *log)
{
	if (log == NULL)
		return;
	pool_call_forget(log->call);
	free(log);
}
