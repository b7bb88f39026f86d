/*
 * Owns one page of the agent's list, and the request or call that is out.
 *
 * Happy path, per page: LIST (newest first) → KNOWN (what the database has of the finished ones) →
 * VERIFY, one after the other → the next page.
 *
 * Failure modes: agent or database gone: on_done with the reason; whoever started us does so again
 * later.
 */
#include "core/app/archive/archive_scan.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/archive/archive_batch.h"
#include "core/base/hex.h"
#include "proto/msg.h"

#define KNOWN_SQL                                                                                  \
	"SELECT id, complete, size, digest, released, host = ANY ($2::text[]) FROM ops.runs"       \
	" WHERE id = ANY ($1::uuid[])"

/* A finished run that the database has wholly. */
struct scan_item {
	struct uuid id;
	uint8_t digest[CRYPTO_SHA256_BYTES];
	bool released;
	size_t doc; /* its index in the page */
};

struct archive_scan {
	struct link *link;
	struct pool *pool;
	const struct archive_others *others;
	struct link_call *request;
	struct pool_call *call;
	json_t *page;
	char next[UUID_TEXT_BYTES]; /* "": no further page */
	struct scan_item items[ARCHIVE_SCAN_PAGE];
	size_t n_items, at;
	struct archive_scan_callbacks callbacks;
	void *arg;
};

static void scan_list(struct archive_scan *scan);
static void scan_verify(struct archive_scan *scan);

void archive_scan_cancel(struct archive_scan *scan)
{
	if (scan == NULL)
		return;
	if (scan->request != NULL)
		link_call_forget(scan->request);
	pool_call_forget(scan->call);
	json_decref(scan->page);
	free(scan);
}

static void scan_end(struct archive_scan *scan, const char *problem)
{
	scan->callbacks.on_done(problem, scan->arg);
	archive_scan_cancel(scan);
}

static void scan_next_page(struct archive_scan *scan)
{
	json_decref(scan->page);
	scan->page = NULL;
	if (scan->next[0] == '\0')
		scan_end(scan, "");
	else
		scan_list(scan);
}

static void scan_report(struct archive_scan *scan, size_t doc)
{
	struct rundoc run;
	const json_t *runs = json_object_get(scan->page, "runs");
	if (rundoc_read(json_array_get(runs, doc), &run) == 0)
		scan->callbacks.on_run(&run, scan->arg);
}

/* The agent has compared the digest with its own. */
static void on_verified(const struct link_reply *reply, void *arg)
{
	struct archive_scan *scan = arg;
	const struct scan_item *item = &scan->items[scan->at++];

	scan->request = NULL;
	if (reply->err != 0) {
		scan_end(scan, "the connection to the agent was lost");
		return;
	}
	if (reply->status == MSG_CONFLICT)
		scan_report(scan, item->doc);
	else if (reply->status == MSG_OK && !item->released)
		pool_run(scan->pool, archive_sql_released(&item->id),
			POOL_IDEMPOTENT | POOL_BACKGROUND, 0, NULL, NULL);
	scan_verify(scan);
}

static void scan_verify(struct archive_scan *scan)
{
	char run[UUID_TEXT_BYTES], hex[2 * CRYPTO_SHA256_BYTES + 1];
	uint8_t fields[256];

	if (scan->at == scan->n_items) {
		scan_next_page(scan);
		return;
	}
	const struct scan_item *item = &scan->items[scan->at];
	uuid_format(&item->id, run);
	hex_encode(item->digest, sizeof(item->digest), hex);
	const struct msg_run_release release = {
		.run = wire_str_of(run), .digest = wire_str_of(hex)};
	int n = msg_run_release_encode(&release, fields, sizeof(fields));
	assert(n > 0);
	const struct wire_str out = {(const char *)fields, (uint32_t)n};
	scan->request = link_request(scan->link, MSG_RUN_RELEASE, &out, 0, on_verified, scan);
}

/* Whether the database has the run wholly; then it is put down to be verified. The digest of
 * another host's run is not for this agent: it is reported, and whoever archives refuses it. */
static bool scan_knows(struct archive_scan *scan, const struct rundoc *run, size_t doc,
	const struct pg_result *rows)
{
	for (size_t i = 0; i < pg_rows(rows); i++) {
		struct uuid id = pg_get_uuid(rows, i, 0);
		struct pg_bytes_view digest = pg_get_bytes(rows, i, 3);
		if (memcmp(&id, &run->id, sizeof(id)) != 0)
			continue;
		if (pg_get_bool(rows, i, 5) || !pg_get_bool(rows, i, 1) ||
			(uint64_t)pg_get_i64(rows, i, 2) != run->size ||
			digest.len != CRYPTO_SHA256_BYTES)
			return false;
		struct scan_item *item = &scan->items[scan->n_items++];
		item->id = id;
		item->doc = doc;
		item->released = pg_get_bool(rows, i, 4);
		memcpy(item->digest, digest.data, sizeof(item->digest));
		return true;
	}
	return false;
}

/* What the database has of this page's runs. */
static void on_known(const struct pg_reply *reply, void *arg)
{
	struct archive_scan *scan = arg;
	size_t i;
	json_t *doc;

	scan->call = NULL;
	if (reply->err != 0) {
		scan_end(scan, reply->message);
		return;
	}
	scan->n_items = scan->at = 0;
	json_array_foreach(json_object_get(scan->page, "runs"), i, doc)
	{
		struct rundoc run;
		if (i == ARCHIVE_SCAN_PAGE)
			break; /* more than we asked for */
		if (rundoc_read(doc, &run) != 0)
			continue;
		if (!run.final || !scan_knows(scan, &run, i, reply->results[0]))
			scan->callbacks.on_run(&run, scan->arg);
	}
	scan_verify(scan);
}

/* The ids of the page as PostgreSQL's array text. */
static void scan_ids(const struct archive_scan *scan, struct buf *text)
{
	size_t i;
	json_t *doc;

	buf_append_byte(text, '{');
	json_array_foreach(json_object_get(scan->page, "runs"), i, doc)
	{
		struct rundoc run;
		char id[UUID_TEXT_BYTES];
		if (i == ARCHIVE_SCAN_PAGE || rundoc_read(doc, &run) != 0)
			continue;
		uuid_format(&run.id, id);
		buf_printf(text, "%s%s", text->len > 1 ? "," : "", id);
	}
	buf_append_byte(text, '}');
}

/* A page of the agent's list. */
static void on_list(const struct link_reply *reply, void *arg)
{
	struct archive_scan *scan = arg;
	struct msg_run_list_reply list;
	struct buf ids;

	scan->request = NULL;
	if (reply->err != 0 || reply->status != MSG_OK ||
		msg_run_list_reply_decode(reply->fields, reply->fields_len, &list) != 0) {
		scan_end(scan, "the agent does not tell its runs");
		return;
	}
	scan->page = json_loadb(
		list.json.data, list.json.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	snprintf(scan->next, sizeof(scan->next), "%.*s", (int)list.next.len, list.next.data);
	buf_init(&ids, 64 + ARCHIVE_SCAN_PAGE * UUID_TEXT_BYTES);
	scan_ids(scan, &ids);
	const struct pg_param params[] = {pg_textn(ids.data, ids.len),
		pg_text(scan->others != NULL ? scan->others->array(scan->others->arg) : "{}")};
	scan->call = pool_run(scan->pool, pg_batch_one(KNOWN_SQL, params, ARRAY_LEN(params)),
		POOL_IDEMPOTENT | POOL_BACKGROUND, 0, on_known, scan);
	buf_fini(&ids);
}

static void scan_list(struct archive_scan *scan)
{
	uint8_t fields[128];
	const struct msg_run_list list = {.filter = MSG_LIST_ALL,
		.limit = ARCHIVE_SCAN_PAGE,
		.before = wire_str_of(scan->next)};
	int n = msg_run_list_encode(&list, fields, sizeof(fields));
	assert(n > 0);
	const struct wire_str out = {(const char *)fields, (uint32_t)n};
	scan->request = link_request(scan->link, MSG_RUN_LIST, &out, 0, on_list, scan);
}

struct archive_scan *archive_scan_start(struct link *link, struct pool *pool,
	const struct archive_others *others, const struct archive_scan_callbacks *callbacks,
	void *arg)
{
	struct archive_scan *scan = xcalloc(1, sizeof(*scan));
	scan->link = link;
	scan->pool = pool;
	scan->others = others;
	scan->callbacks = *callbacks;
	scan->arg = arg;
	scan_list(scan);
	return scan;
}
