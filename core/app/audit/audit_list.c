/*
 * GET /audit: what the dashboard's audit and the agents' ledgers say, newest first, as one
 * timeline. A page is one question; format=ndjson is all pages after one another, the next one
 * asked for when the client has taken the last. The answer is made of the bytes that were hashed,
 * not of the columns beside them, and says whether they are what was chained.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/audit/audit.h"
#include "core/app/http.h"
#include "core/app/server.h"
#include "core/base/utf8.h"

#define MAX_FILTER 128
#define EXPORT_PAGE 200
#define LIST_MS 10000

/* $1 $2 $3 $10: the cursor, $4 event begins with, $5 actor, $6 from, $7 to, $8 limit, $9 host.
 * Ledgers of several agents may have the same position at the same time: their ids order them. */
#define WHERE_SQL(source, agent, event)                                                            \
	" WHERE ($1::bigint IS NULL OR (time_us, '" source "', position, " agent                   \
	") < ($1, $2, $3::bigint, $10))"                                                           \
	" AND ($4::text IS NULL OR starts_with(" event ", $4))"                                    \
	" AND ($5::text IS NULL OR actor = $5)"                                                    \
	" AND ($6::bigint IS NULL OR time_us >= $6) AND ($7::bigint IS NULL OR time_us <= $7)"     \
	" AND ($9::text IS NULL OR host = $9)"                                                     \
	" ORDER BY time_us DESC, position DESC, " agent " DESC LIMIT $8)"
#define DASHBOARD_SQL                                                                              \
	"(SELECT 'dashboard' AS source,"                                                           \
	" position, time_us, convert_from(entry, 'UTF8') AS body,"                                 \
	" (hash = sha256(previous_hash || entry) AND previous_hash = coalesce((SELECT p.hash"      \
	" FROM ops.audit p WHERE p.position < a.position ORDER BY p.position DESC LIMIT 1),"       \
	" decode(repeat('00', 32), 'hex'))) AS good, host, '' AS agent_id"                         \
	" FROM ops.audit a" WHERE_SQL("dashboard", "''::text", "action")
#define AGENT_SQL                                                                                  \
	"(SELECT 'agent', position, time_us, document, NULL, coalesce(host, ''), agent_id"         \
	" FROM ops.ledger LEFT JOIN ops.agents USING (agent_id)" WHERE_SQL(                        \
		"agent", "agent_id", "event")
#define LIST_SQL                                                                                   \
	"SELECT source, position, time_us, body, good, host, agent_id FROM (" DASHBOARD_SQL        \
	" UNION ALL " AGENT_SQL ") s"                                                              \
	" ORDER BY time_us DESC, source DESC, position DESC, agent_id DESC LIMIT $8"
#define COL_GOOD 4
#define COL_HOST 5
#define COL_AGENT 6
#define MAX_AGENT_ID 40

struct cursor {
	bool set;
	uint64_t time_us, position;
	char source[12];
	char agent[MAX_AGENT_ID + 1]; /* its id; "": the dashboard's */
};

struct listing {
	struct request *req;
	struct pool_call *call;
	char event[MAX_FILTER + 1], actor[MAX_FILTER + 1], host[MAX_FILTER + 1];
	uint64_t from_us, to_us, limit;
	bool has_to, export, begun;
	struct cursor cursor; /* of the next page */
	bool more;
};

static void listing_ask(struct listing *l);

/* "1795474800000000.dashboard.12" or "1795474800000000.agent.12.AGENT-ID" */
static bool cursor_parse(const char *text, struct cursor *ret)
{
	unsigned long long time_us, position;
	int end = 0;

	if (strlen(text) > 64 + MAX_AGENT_ID ||
		sscanf(text, "%20llu.%10[a-z].%20llu%n", &time_us, ret->source, &position, &end) !=
			3 ||
		time_us > INT64_MAX || position > INT64_MAX ||
		(strcmp(ret->source, "dashboard") != 0 && strcmp(ret->source, "agent") != 0))
		return false;
	ret->agent[0] = '\0';
	if (text[end] == '.' && utf8_is_valid(text + end, strlen(text + end)) &&
		strlen(text + end + 1) <= MAX_AGENT_ID)
		strcpy(ret->agent, text + end + 1);
	else if (text[end] != '\0')
		return false;
	ret->set = true;
	ret->time_us = time_us;
	ret->position = position;
	return true;
}

static void copy_text(char *out, size_t size, const struct pg_result *rows, size_t i, size_t col)
{
	struct pg_bytes_view text = pg_get_text(rows, i, col);

	snprintf(out, size, "%.*s", (int)text.len, (const char *)text.data);
}

static void put_member(json_t *to, const char *key, const json_t *from)
{
	const char *text = json_string_value(json_object_get(from, key));
	json_object_set_new(to, key, text != NULL ? json_string(text) : json_null());
}

/* One entry of the answer out of a row. */
static json_t *entry_of(const struct pg_result *rows, size_t i, const char *source)
{
	struct pg_bytes_view body = pg_get_text(rows, i, 3);
	char host[MAX_FILTER + 1];
	json_t *said = json_loadb((const char *)body.data, body.len, 0, NULL);
	json_t *entry = json_pack("{s:I,s:I,s:s}", "id", (json_int_t)pg_get_i64(rows, i, 1),
		"time_us", (json_int_t)pg_get_i64(rows, i, 2), "source", source);

	put_member(entry, "event", said);
	put_member(entry, "actor", said);
	put_member(entry, "address", said);
	put_member(entry, "request_id", said);
	put_member(entry, "run", said);
	copy_text(host, sizeof(host), rows, i, COL_HOST);
	json_object_set_new(entry, "host", host[0] != '\0' ? json_string(host) : json_null());
	if (strcmp(source, "agent") == 0)
		json_object_set(entry, "data", said != NULL ? said : json_null());
	else
		json_object_set_new(entry, "data",
			json_pack("{s:O?,s:O?,s:O?}", "object", json_object_get(said, "object"),
				"status", json_object_get(said, "status"), "host",
				json_object_get(said, "host")));
	json_decref(said);
	return entry;
}

/* Makes the entries of the page, moves the cursor. The chain's state, by what was on the page. */
static json_t *take_page(struct listing *l, const struct pg_result *rows, const char **ret_chain)
{
	json_t *entries = json_array();
	size_t n = MIN(pg_rows(rows), (size_t)l->limit);

	*ret_chain = "unknown";
	l->more = pg_rows(rows) > n;
	for (size_t i = 0; i < n; i++) {
		copy_text(l->cursor.source, sizeof(l->cursor.source), rows, i, 0);
		copy_text(l->cursor.agent, sizeof(l->cursor.agent), rows, i, COL_AGENT);
		if (!pg_is_null(rows, i, COL_GOOD) && !pg_get_bool(rows, i, COL_GOOD))
			*ret_chain = "broken";
		else if (!pg_is_null(rows, i, COL_GOOD) && strcmp(*ret_chain, "unknown") == 0)
			*ret_chain = "verified";
		json_array_append_new(entries, entry_of(rows, i, l->cursor.source));
		l->cursor.set = true;
		l->cursor.time_us = (uint64_t)pg_get_i64(rows, i, 2);
		l->cursor.position = (uint64_t)pg_get_i64(rows, i, 1);
	}
	return entries;
}

static void listing_free(struct listing *l)
{
	pool_call_forget(l->call);
	free(l);
}

static void send_page(struct listing *l, json_t *entries, const char *chain)
{
	char next[64 + MAX_AGENT_ID + 1];
	json_t *doc = json_pack("{s:O,s:s}", "entries", entries, "chain", chain);

	snprintf(next, sizeof(next), "%llu.%s.%llu%s%s", (unsigned long long)l->cursor.time_us,
		l->cursor.source, (unsigned long long)l->cursor.position,
		l->cursor.agent[0] != '\0' ? "." : "", l->cursor.agent);
	json_object_set_new(doc, "next", l->more ? json_string(next) : json_null());
	http_json(l->req, 200, doc);
	json_decref(doc);
	listing_free(l);
}

/* The client has taken enough: the next page. */
static void on_writable(struct request *req)
{
	struct listing *l = request_arg(req);

	if (l->call == NULL)
		listing_ask(l);
}

static void send_lines(struct listing *l, const json_t *entries)
{
	size_t i;
	json_t *entry;

	if (!l->begun)
		response_begin(
			l->req, 200, "application/x-ndjson", RESPONSE_LENGTH_UNKNOWN, on_writable);
	l->begun = true;
	json_array_foreach(entries, i, entry)
	{
		char *line = json_dumps(entry, JSON_COMPACT);
		if (line != NULL) {
			response_write(l->req, line, strlen(line));
			response_write(l->req, "\n", 1);
		}
		free(line);
	}
	if (!l->more) {
		response_end(l->req);
		listing_free(l);
	} else if (!response_is_full(l->req)) {
		listing_ask(l);
	}
}

static void on_rows(const struct pg_reply *reply, void *arg)
{
	struct listing *l = arg;
	const char *chain;
	json_t *entries;

	l->call = NULL;
	if (reply->err != 0) {
		if (l->begun)
			response_abandon(l->req);
		else
			response_problem(l->req, 503, "database_unavailable",
				"The audit is kept in the database, which cannot be asked now.");
		listing_free(l);
		return;
	}
	entries = take_page(l, reply->results[0], &chain);
	if (l->export)
		send_lines(l, entries);
	else
		send_page(l, entries, chain);
	json_decref(entries);
}

static void listing_ask(struct listing *l)
{
	const struct cursor *c = &l->cursor;
	const struct pg_param params[] = {
		c->set ? pg_u64(c->time_us) : pg_null(),
		pg_text(c->set ? c->source : ""),
		c->set ? pg_u64(c->position) : pg_null(),
		pg_text(l->event[0] != '\0' ? l->event : NULL),
		pg_text(l->actor[0] != '\0' ? l->actor : NULL),
		l->from_us > 0 ? pg_u64(l->from_us) : pg_null(),
		l->has_to ? pg_u64(l->to_us) : pg_null(),
		pg_u64(l->limit + 1),
		pg_text(l->host[0] != '\0' ? l->host : NULL),
		pg_text(c->agent),
	};

	l->call =
		pool_run(server_of(l->req)->pool, pg_batch_one(LIST_SQL, params, ARRAY_LEN(params)),
			POOL_IDEMPOTENT, LIST_MS, on_rows, l);
}

/* The client has gone. */
static void on_abort(struct request *req)
{
	listing_free(request_arg(req));
	response_abandon(req);
}

static bool copy_filter(struct request *req, const char *name, char out[MAX_FILTER + 1])
{
	const char *text = request_query(req, name);
	size_t n = text != NULL ? strlen(text) : 0;

	if (n > MAX_FILTER || !utf8_is_valid(text != NULL ? text : "", n)) {
		response_problem(req, 400, "bad_parameter", "A parameter is too long.");
		return false;
	}
	memcpy(out, text != NULL ? text : "", n);
	out[n] = '\0';
	return true;
}

/* False: answered. */
static bool listing_read(struct listing *l)
{
	struct request *req = l->req;
	const char *format = request_query(req, "format"), *before = request_query(req, "before");

	if (!copy_filter(req, "event", l->event) || !copy_filter(req, "actor", l->actor) ||
		!copy_filter(req, "host", l->host) ||
		!http_query_number(req, "from", 0, INT64_MAX, &l->from_us) ||
		!http_query_number(req, "to", 0, INT64_MAX, &l->to_us) ||
		!http_query_number(req, "limit", 50, 200, &l->limit))
		return false;
	l->has_to = request_query(req, "to") != NULL;
	l->limit = MAX(l->limit, 1u);
	l->export = format != NULL && strcmp(format, "ndjson") == 0;
	if (l->export)
		l->limit = EXPORT_PAGE;
	if (format != NULL && !l->export && strcmp(format, "json") != 0) {
		response_problem(
			req, 400, "bad_parameter", "The parameter format must be json or ndjson.");
		return false;
	}
	if (before != NULL && before[0] != '\0' && !cursor_parse(before, &l->cursor)) {
		response_problem(req, 400, "bad_parameter",
			"The parameter before must be the next of another page.");
		return false;
	}
	return true;
}

void audit_list(struct request *req)
{
	struct listing *l = xcalloc(1, sizeof(*l));

	l->req = req;
	if (!listing_read(l)) {
		free(l);
		return;
	}
	request_set_arg(req, l);
	request_on_abort(req, on_abort);
	if (l->export)
		response_header(
			req, "Content-Disposition", "attachment; filename=\"audit.ndjson\"");
	listing_ask(l);
}
