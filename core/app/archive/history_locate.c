/*
 * Finding a place in an archived log. One question to the database brings the last row that begins
 * before the place, and the one after it: the place is in one of them. Which record it is follows
 * the rules that the agent has for its journals (run.locate), so that a page cannot tell who
 * answered.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/archive/history_internal.h"

#define LOCATE_SQL(condition)                                                                      \
	"SELECT start_offset, records FROM ops.run_log WHERE run_id = $1 AND start_offset >="      \
	" coalesce((SELECT max(start_offset) FROM ops.run_log WHERE run_id = $1 AND " condition    \
	"), 0) ORDER BY start_offset LIMIT 2"

/* Each takes $2. Where line or time are equal the place may be in the row before. */
static const char *const locate_sql[] = {
	[MSG_LOCATE_LINE] = LOCATE_SQL("first_line < $2"),
	[MSG_LOCATE_TIME] = LOCATE_SQL("time_us < $2"),
	[MSG_LOCATE_OFFSET] = LOCATE_SQL("start_offset <= $2"),
	[MSG_LOCATE_BEFORE_END] =
		LOCATE_SQL("start_offset <= (SELECT archived_offset FROM ops.runs WHERE id = $1)"
			   " - $2"),
};
#define SIZE_SQL "SELECT archived_offset FROM ops.runs WHERE id = $1"

struct place {
	bool is; /* there is such a record */
	uint64_t offset;
	struct record rec;
};

static uint32_t newlines_in(const struct place *place)
{
	return place->is ? record_count_newlines(place->rec.payload, place->rec.length) : 0;
}

static bool ends_line(const struct place *place)
{
	return place->is && place->rec.length > 0 &&
	       place->rec.payload[place->rec.length - 1] == '\n';
}

static void found_at(const struct place *place, struct history_locate_reply *found)
{
	*found = (struct history_locate_reply){.message = "",
		.offset = place->offset,
		.line = place->rec.line,
		.time_us = place->rec.time_us};
}

/* Past the last record: last is that one, output the last one with output (maybe none). */
static void found_end(uint64_t end, const struct place *last, const struct place *output,
	struct history_locate_reply *found)
{
	*found = (struct history_locate_reply){.message = "",
		.offset = end,
		.line = output->is ? output->rec.line + newlines_in(output) : last->rec.line,
		.time_us = last->rec.time_us};
}

/* Whether the record, or what lies before it, settles the question. before: the last record of
 * output before this one. */
static bool settles(const struct place *at, const struct place *before, uint64_t end, uint8_t kind,
	uint64_t value, struct history_locate_reply *found)
{
	switch (kind) {
	case MSG_LOCATE_TIME:
		if (at->rec.time_us < value)
			return false;
		break;
	case MSG_LOCATE_LINE:
		if (at->rec.kind == RECORD_EVENT || at->rec.line < value)
			return false;
		/* The line may have begun in the record before. */
		if (before->is && !(at->rec.line == value && ends_line(before))) {
			found_at(before, found);
			return true;
		}
		break;
	default:
		if (value >= end)
			return false;
		break;
	}
	found_at(at, found);
	return true;
}

int history_walk(const struct history_row *rows, size_t n_rows, uint8_t kind, uint64_t value,
	struct history_locate_reply *ret_found)
{
	struct place last = {0}, output = {0};
	uint64_t offset = rows[0].offset;

	for (size_t i = 0; i < n_rows; i++) {
		for (size_t at = 0; at < rows[i].len;) {
			struct place here = {.is = true, .offset = offset};
			int size = record_decode(rows[i].records + at, rows[i].len - at, &here.rec);
			if (size < 0)
				return -EBADMSG;
			offset += (uint64_t)size;
			at += (size_t)size;
			if (settles(&here, &output, offset, kind, value, ret_found))
				return 0;
			last = here;
			if (here.rec.kind != RECORD_EVENT)
				output = here;
		}
	}
	uint64_t lines = output.is ? output.rec.line + newlines_in(&output) : 0;
	if (kind == MSG_LOCATE_LINE && output.is &&
		(lines > value || (lines == value && !ends_line(&output))))
		found_at(&output, ret_found);
	else
		found_end(offset, &last, &output, ret_found);
	return 0;
}

static void locate_rows(const struct history_call *call, const struct pg_reply *reply,
	struct history_locate_reply *out)
{
	const struct pg_result *result = reply->results[0];
	struct history_row rows[2];
	uint64_t value = call->value;
	size_t n = MIN(pg_rows(result), ARRAY_LEN(rows));

	if (n == 0 || pg_rows(reply->results[1]) == 0) {
		out->err = -ENOENT;
		out->message = "nothing of this run's log is in the database";
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct pg_bytes_view records = pg_get_bytes(result, i, 1);
		rows[i] = (struct history_row){.offset = (uint64_t)pg_get_i64(result, i, 0),
			.records = records.data,
			.len = records.len};
	}
	if (call->kind == MSG_LOCATE_BEFORE_END) {
		uint64_t size = (uint64_t)pg_get_i64(reply->results[1], 0, 0);
		value = value < size ? size - value : 0;
	}
	if (history_walk(rows, n, call->kind, value, out) != 0) {
		out->err = -EIO;
		out->message = "the log in the database is damaged there";
	}
}

/* An answer to history_locate(). */
static void on_locate(const struct pg_reply *reply, void *arg)
{
	struct history_call *call = arg;
	struct history_locate_reply locate = {.err = reply->err, .message = reply->message};

	if (reply->err == 0)
		locate_rows(call, reply, &locate);
	call->cb.locate(&locate, call->arg);
	free(call);
}

struct history_call *history_locate(struct pool *pool, const struct uuid *run, uint8_t kind,
	uint64_t value, history_locate_fn cb, void *arg)
{
	const struct pg_param params[] = {pg_uuid(run), pg_u64(value)};
	struct history_call *call = xcalloc(1, sizeof(*call));
	struct pg_batch *sql = pg_batch_new();

	call->kind = kind <= MSG_LOCATE_BEFORE_END ? kind : MSG_LOCATE_OFFSET;
	call->value = value;
	call->cb.locate = cb;
	call->arg = arg;
	pg_batch_add(sql, locate_sql[call->kind], params, ARRAY_LEN(params));
	pg_batch_add(sql, SIZE_SQL, params, 1);
	call->out = pool_run(pool, sql, POOL_IDEMPOTENT, HISTORY_DEADLINE_MS, on_locate, call);
	return call;
}
