/*
 * Questions about runs: one call to the pool each, translated on its way out. The log is
 * history_log.c's, finding a place in it history_locate.c's.
 */
#include "core/app/archive/history.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/archive/history_internal.h"
#include "core/base/utf8.h"

void history_forget(struct history_call *call)
{
	if (call == NULL)
		return;
	pool_call_forget(call->out);
	free(call);
}

static struct wire_str text_of(const struct pg_result *result, size_t row, size_t col)
{
	struct pg_bytes_view view = pg_get_text(result, row, col);
	return (struct wire_str){(const char *)view.data, (uint32_t)view.len};
}

#define RUN_COLUMNS "id, complete, archived_offset, size, error_line, error_text"
/* The document as it is told. */
#define DOCUMENT(document)                                                                         \
	"(" document " || CASE WHEN error_line > 0 THEN jsonb_build_object('first_error',"         \
	" jsonb_build_object('line', error_line, 'text', error_text)) ELSE '{}' END)::text AS"     \
	" document"
#define DOCUMENT_COLUMN 6

/* Columns: RUN_COLUMNS, document. */
static struct history_run run_of(const struct pg_result *result, size_t row)
{
	return (struct history_run){
		.id = pg_get_uuid(result, row, 0),
		.complete = pg_get_bool(result, row, 1),
		.archived_offset = (uint64_t)pg_get_i64(result, row, 2),
		.size = (uint64_t)pg_get_i64(result, row, 3),
		.json = text_of(result, row, DOCUMENT_COLUMN),
		.error_line = (uint64_t)pg_get_i64(result, row, 4),
		.error_text = text_of(result, row, 5),
	};
}

/* ---- list ---- */

/* $6: one more than wanted, to see whether there are more; $7: bytes of documents at most, but at
 * least one run. */
#define LIST_SQL                                                                                   \
	"SELECT " RUN_COLUMNS ", document, found FROM (SELECT r.*, count(*) OVER () AS found,"     \
	" sum(octet_length(document)) OVER (ORDER BY id DESC) AS so_far FROM ("                    \
	"SELECT " RUN_COLUMNS                                                                      \
	", " DOCUMENT("(document - 'steps')") " FROM ops.runs"                                     \
					      " WHERE ($1::uuid IS NULL OR id < $1)"               \
					      " AND ($2::text IS NULL OR status = ANY "            \
					      "(string_to_array($2, ',')))"                        \
					      " AND ($3::text IS NULL OR name = $3)"               \
					      " AND ($8::text IS NULL OR host = $8)"               \
					      " AND ($4::text IS NULL OR name ILIKE $4 OR title "  \
					      "ILIKE $4 OR actor ILIKE $4"                         \
					      " OR reason ILIKE $4 OR number = $5::bigint)"        \
					      " ORDER BY id DESC LIMIT $6) r) s"                   \
					      " WHERE so_far <= $7 OR so_far = "                   \
					      "octet_length(document) ORDER BY id DESC"
#define LIST_FOUND 7

/* An answer to history_list(). */
static void on_list(const struct pg_reply *reply, void *arg)
{
	struct history_call *call = arg;
	struct history_list_reply list = {.err = reply->err, .message = reply->message};
	struct history_run *runs = NULL;

	if (reply->err == 0 && pg_rows(reply->results[0]) > 0) {
		const struct pg_result *result = reply->results[0];
		list.n_runs = MIN(pg_rows(result), (size_t)call->limit);
		list.more = (uint64_t)pg_get_i64(result, 0, LIST_FOUND) > list.n_runs;
		runs = xcalloc(list.n_runs, sizeof(*runs));
		for (size_t i = 0; i < list.n_runs; i++)
			runs[i] = run_of(result, i);
		list.runs = runs;
	}
	call->cb.list(&list, call->arg);
	free(runs);
	free(call);
}

static bool is_given(const char *text)
{
	return text != NULL && text[0] != '\0';
}

/* What PostgreSQL takes as text. */
static bool is_acceptable(const char *text)
{
	return !is_given(text) ||
	       (strlen(text) <= HISTORY_MAX_TEXT && utf8_is_valid(text, strlen(text)));
}

/* The number that "1482" or "#1482" names. */
static bool number_of(const char *text, uint64_t *ret_number)
{
	char *end;
	const char *digits = text[0] == '#' ? text + 1 : text;
	if (digits[0] < '0' || digits[0] > '9' || strlen(digits) > 18)
		return false;
	*ret_number = strtoull(digits, &end, 10);
	return *end == '\0';
}

/* A LIKE pattern that finds text anywhere, its own wildcards meant literally. */
static void pattern_of(const char *text, char out[2 * HISTORY_MAX_TEXT + 3])
{
	size_t n = 0;
	out[n++] = '%';
	for (const char *at = text; *at != '\0'; at++) {
		if (*at == '%' || *at == '_' || *at == '\\')
			out[n++] = '\\';
		out[n++] = *at;
	}
	out[n++] = '%';
	out[n] = '\0';
}

struct history_call *history_list(struct pool *pool, const struct history_filter *filter,
	history_list_fn cb, void *arg, int *ret_err)
{
	unsigned limit = filter->limit > 0 ? filter->limit : HISTORY_DEFAULT_LIMIT;
	char pattern[2 * HISTORY_MAX_TEXT + 3] = "";
	struct uuid before = {0};
	uint64_t number = 0;

	if (limit > HISTORY_MAX_LIMIT || !is_acceptable(filter->status) ||
		!is_acceptable(filter->name) || !is_acceptable(filter->host) ||
		!is_acceptable(filter->q) ||
		(is_given(filter->before) &&
			uuid_parse(filter->before, strlen(filter->before), &before) != 0)) {
		*ret_err = -EINVAL;
		return NULL;
	}
	if (is_given(filter->q))
		pattern_of(filter->q, pattern);
	bool numbered = is_given(filter->q) && number_of(filter->q, &number);
	const struct pg_param params[] = {
		is_given(filter->before) ? pg_uuid(&before) : pg_null(),
		pg_text(is_given(filter->status) ? filter->status : NULL),
		pg_text(is_given(filter->name) ? filter->name : NULL),
		pg_text(is_given(filter->q) ? pattern : NULL),
		numbered ? pg_u64(number) : pg_null(),
		pg_u64(limit + 1),
		pg_u64(HISTORY_MAX_LIST_BYTES),
		pg_text(is_given(filter->host) ? filter->host : NULL),
	};
	struct history_call *call = xcalloc(1, sizeof(*call));
	call->cb.list = cb;
	call->arg = arg;
	call->limit = limit;
	call->out = pool_run(pool, pg_batch_one(LIST_SQL, params, ARRAY_LEN(params)),
		POOL_IDEMPOTENT, HISTORY_DEADLINE_MS, on_list, call);
	return call;
}

/* ---- get ---- */

#define GET_SQL "SELECT " RUN_COLUMNS ", " DOCUMENT("document") " FROM ops.runs WHERE id = $1"
#define GET_NUMBER_SQL                                                                             \
	"SELECT " RUN_COLUMNS ", " DOCUMENT("document") " FROM ops.runs WHERE number = $1"         \
							" ORDER BY id DESC LIMIT 1"
/* What names no run is asked for all the same, so that every answer comes the same way. */
#define GET_NOTHING_SQL "SELECT " RUN_COLUMNS ", " DOCUMENT("document") " FROM ops.runs WHERE false"

/* An answer to history_get(). */
static void on_get(const struct pg_reply *reply, void *arg)
{
	struct history_call *call = arg;
	struct history_get_reply get = {.err = reply->err, .message = reply->message};

	if (reply->err == 0 && pg_rows(reply->results[0]) > 0) {
		get.run = run_of(reply->results[0], 0);
	} else if (reply->err == 0) {
		get.err = -ENOENT;
		get.message = "no such run";
	}
	call->cb.get(&get, call->arg);
	free(call);
}

struct history_call *history_get(struct pool *pool, const char *ref, history_get_fn cb, void *arg)
{
	struct history_call *call = xcalloc(1, sizeof(*call));
	struct pg_batch *sql;
	struct pg_param param;
	struct uuid id;
	uint64_t number;

	if (uuid_parse(ref, strlen(ref), &id) == 0) {
		param = pg_uuid(&id);
		sql = pg_batch_one(GET_SQL, &param, 1);
	} else if (ref[0] != '#' && number_of(ref, &number)) {
		param = pg_u64(number);
		sql = pg_batch_one(GET_NUMBER_SQL, &param, 1);
	} else {
		sql = pg_batch_one(GET_NOTHING_SQL, NULL, 0);
	}
	call->cb.get = cb;
	call->arg = arg;
	call->out = pool_run(pool, sql, POOL_IDEMPOTENT, HISTORY_DEADLINE_MS, on_get, call);
	return call;
}

/* ---- whose it is ---- */

#define HOME_SQL "SELECT id, host FROM ops.runs WHERE id = $1"
#define HOMES_SQL                                                                                  \
	"SELECT DISTINCT ON (host) id, host FROM ops.runs WHERE number = $1"                       \
	" AND ($2::text IS NULL OR host = $2) ORDER BY host, id DESC LIMIT 32"
#define HOME_NOTHING_SQL "SELECT id, host FROM ops.runs WHERE false"

/* An answer to history_homes(). */
static void on_homes(const struct pg_reply *reply, void *arg)
{
	struct history_call *call = arg;
	struct history_home homes[HISTORY_MAX_HOMES];
	struct history_homes_reply answer = {.err = reply->err, .homes = homes};

	if (reply->err == 0) {
		const struct pg_result *rows = reply->results[0];

		answer.n = MIN(pg_rows(rows), (size_t)HISTORY_MAX_HOMES);
		for (size_t i = 0; i < answer.n; i++) {
			struct wire_str host = text_of(rows, i, 1);

			homes[i].run = pg_get_uuid(rows, i, 0);
			snprintf(homes[i].host, sizeof(homes[i].host), "%.*s", (int)host.len,
				host.data);
		}
	}
	call->cb.homes(&answer, call->arg);
	free(call);
}

struct history_call *history_homes(
	struct pool *pool, const char *ref, const char *host, history_homes_fn cb, void *arg)
{
	struct history_call *call = xcalloc(1, sizeof(*call));
	struct pg_param params[2];
	struct pg_batch *sql;
	struct uuid id;
	uint64_t number;

	if (uuid_parse(ref, strlen(ref), &id) == 0) {
		params[0] = pg_uuid(&id);
		sql = pg_batch_one(HOME_SQL, params, 1);
	} else if (ref[0] != '#' && number_of(ref, &number)) {
		params[0] = pg_u64(number);
		params[1] = pg_text(is_given(host) ? host : NULL);
		sql = pg_batch_one(HOMES_SQL, params, 2);
	} else {
		sql = pg_batch_one(HOME_NOTHING_SQL, NULL, 0);
	}
	call->cb.homes = cb;
	call->arg = arg;
	call->out = pool_run(pool, sql, POOL_IDEMPOTENT, HISTORY_HOMES_MS, on_homes, call);
	return call;
}
