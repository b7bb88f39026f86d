/*
 * Owns: the entries that wait (in memory all of them, on the disk those that a crash would lose),
 * one call to the pool, one timer.
 *
 * Happy path: an entry is appended to `waiting` → a transaction takes up to AUDIT_BATCH of them,
 * each with an id of its own, so that a repetition does nothing → they are freed.
 *
 * Failure modes: PostgreSQL is away, or the transaction fails: what waits is written to
 * STATE_DIR/audit, and tried again when the pool is ready, or every AUDIT_RETRY_MS. When all is in,
 * the file is emptied. A daemon killed before an entry was either in PostgreSQL or on the disk
 * (milliseconds after the answer) loses it.
 */
#include "core/app/audit/audit.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/server.h"
#include "core/base/clock.h"
#include "core/base/hex.h"
#include "core/base/log.h"
#include "core/base/utf8.h"

#define APPEND_SQL "SELECT ops.audit_append($1, $2)"
#define HEAD_SQL "SELECT position, hash FROM ops.audit ORDER BY position DESC LIMIT 1"
#define EVENT_HEAD "{\"event\":\"audit.entry\",\"id\":\""

struct entry {
	struct list link; /* audit.waiting */
	struct uuid id;
	bool stored; /* or on its way to the disk */
	size_t len;
	char text[]; /* the entry, as it is hashed */
};

struct audit {
	struct server *server;
	struct store *store;
	struct list waiting; /* entry.link */
	size_t n_waiting, n_sent;
	bool spooled; /* the file holds something */
	struct pool_call *call;
	struct pool_watch pool_watch;
	uv_timer_t retry;
	uint64_t minute; /* of the strangers */
	unsigned strangers;
	struct audit_head head; /* the newest that was written, as PostgreSQL told */
	int64_t noted;		/* position that STATE_DIR knows */
	uint64_t noted_ms;
	unsigned n_closing;
	bool closing, put_away; /* put_away: all of it is on its way to the disk */
	void (*on_closed)(void *arg);
	void *closed_arg;
};

static void audit_flush(struct audit *a);

static void entry_free(struct audit *a, struct entry *entry)
{
	list_remove(&entry->link);
	a->n_waiting--;
	free(entry);
}

static struct entry *entry_add(struct audit *a, const struct uuid *id, const char *text, size_t len)
{
	struct entry *entry;

	if (a->n_waiting == AUDIT_MAX_WAITING) {
		log_error(LOG_EV("audit.lost"), LOG_STR("reason", "too many entries wait"));
		return NULL;
	}
	entry = xcalloc(1, sizeof(*entry) + len + 1);
	entry->id = *id;
	entry->len = len;
	memcpy(entry->text, text, len);
	list_append(&a->waiting, &entry->link);
	a->n_waiting++;
	return entry;
}

/* ---- the file ---- */

/* {"event":"audit.entry","id":UUID,"entry":TEXT} */
static bool on_stored_event(const char *json, size_t len, void *arg)
{
	struct audit *a = arg;
	json_t *doc = json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL);
	const char *id_text = json_string_value(json_object_get(doc, "id"));
	const json_t *text = json_object_get(doc, "entry");
	struct entry *entry;
	struct uuid id;

	if (id_text != NULL && json_is_string(text) &&
		uuid_parse(id_text, strlen(id_text), &id) == 0) {
		entry = entry_add(a, &id, json_string_value(text), json_string_length(text));
		if (entry != NULL)
			entry->stored = true;
		a->spooled = true;
	}
	json_decref(doc);
	return true;
}

static void audit_put_away(struct audit *a);

static void on_spooled(int err, void *arg)
{
	struct audit *a = arg;

	if (err < 0)
		log_error(LOG_EV("audit.not_stored"), LOG_STR("reason", strerror(-err)));
	if (a->closing && !a->put_away)
		audit_put_away(a);
}

/* Writes down what waits and is not on the disk yet. False: the disk is busy, some are left. */
static bool audit_spool(struct audit *a)
{
	list_foreach(at, tmp, &a->waiting)
	{
		struct entry *entry = container_of(at, struct entry, link);
		char id[UUID_TEXT_BYTES];
		int rc = -ENOMEM;

		if (entry->stored)
			continue;
		uuid_format(&entry->id, id);
		json_t *doc = json_pack("{s:s,s:s,s:s%}", "event", "audit.entry", "id", id, "entry",
			entry->text, entry->len);
		char *json = json_dumps(doc, JSON_COMPACT);
		if (json != NULL)
			rc = store_append(a->store, json, strlen(json), on_spooled, a);
		free(json);
		json_decref(doc);
		if (rc == -ENOBUFS)
			return false; /* the rest with the next try */
		entry->stored = true;
		a->spooled = true;
		if (rc < 0)
			log_error(LOG_EV("audit.not_stored"), LOG_STR("reason", strerror(-rc)));
	}
	return true;
}

/* ---- the head ---- */

bool audit_head_parse(const char *json, size_t len, struct audit_head *ret_head)
{
	json_t *doc = json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL);
	const char *event, *hash;
	json_int_t position;
	bool ok = json_unpack(doc, "{s:s,s:I,s:s}", "event", &event, "position", &position, "hash",
			  &hash) == 0 &&
		  strcmp(event, "audit.head") == 0 && position > 0 &&
		  hex_decode(hash, strlen(hash), ret_head->hash, sizeof(ret_head->hash)) == 0;

	if (ok)
		ret_head->position = position;
	json_decref(doc);
	return ok;
}

/* Notes the newest entry in STATE_DIR. */
static void audit_note_head(struct audit *a)
{
	char hash[2 * CRYPTO_SHA256_BYTES + 1], json[160];
	int n, rc;

	if (a->head.position <= a->noted)
		return;
	hex_encode(a->head.hash, sizeof(a->head.hash), hash);
	n = snprintf(json, sizeof(json),
		"{\"event\":\"audit.head\",\"position\":%lld,\"hash\":\"%s\"}",
		(long long)a->head.position, hash);
	rc = store_append(a->server->store, json, (size_t)n, NULL, NULL);
	if (rc < 0) {
		log_error(LOG_EV("store.append_failed"), LOG_STR("what", "audit.head"),
			LOG_STR("reason", strerror(-rc)));
		return;
	}
	a->noted = a->head.position;
	a->noted_ms = uv_now(a->server->loop);
}

static void audit_take_head(struct audit *a, const struct pg_result *rows)
{
	struct pg_bytes_view hash;

	if (pg_rows(rows) != 1)
		return;
	hash = pg_get_bytes(rows, 0, 1);
	if (hash.len != sizeof(a->head.hash))
		return;
	a->head.position = pg_get_i64(rows, 0, 0);
	memcpy(a->head.hash, hash.data, hash.len);
	if (a->noted == 0 || uv_now(a->server->loop) - a->noted_ms >= AUDIT_HEAD_MS)
		audit_note_head(a);
}

/* ---- PostgreSQL ---- */

static void on_retry(uv_timer_t *timer)
{
	struct audit *a = timer->data;

	audit_flush(a);
	if (a->call == NULL)
		(void)audit_spool(a);
}

/* The entries that were sent are in, or not. */
static void on_appended(const struct pg_reply *reply, void *arg)
{
	struct audit *a = arg;

	a->call = NULL;
	if (a->closing)
		return;
	if (reply->err != 0) {
		if (!pg_reply_is_temporary(reply))
			log_error(LOG_EV("audit.refused"), LOG_STR("reason", reply->message));
		(void)audit_spool(a);
		uv_timer_start(&a->retry, on_retry, AUDIT_RETRY_MS, 0);
		return;
	}
	audit_take_head(a, reply->results[a->n_sent]);
	for (; a->n_sent > 0; a->n_sent--)
		entry_free(a, container_of(a->waiting.next, struct entry, link));
	if (a->n_waiting > 0)
		audit_flush(a);
	else if (a->spooled && store_reset(a->store) == 0)
		a->spooled = false;
}

static void audit_flush(struct audit *a)
{
	struct pool_info info;
	struct pg_batch *batch;

	if (a->call != NULL || a->closing || a->n_waiting == 0)
		return;
	pool_get_info(a->server->pool, &info);
	if (info.state != POOL_READY || info.read_only) {
		(void)audit_spool(a);
		uv_timer_start(&a->retry, on_retry, AUDIT_RETRY_MS, 0);
		return;
	}
	batch = pg_batch_new();
	a->n_sent = 0;
	list_foreach(at, tmp, &a->waiting)
	{
		const struct entry *entry = container_of(at, struct entry, link);
		const struct pg_param params[] = {
			pg_uuid(&entry->id), pg_textn(entry->text, entry->len)};

		if (a->n_sent == AUDIT_BATCH)
			break;
		pg_batch_add(batch, APPEND_SQL, params, ARRAY_LEN(params));
		a->n_sent++;
	}
	pg_batch_add(batch, HEAD_SQL, NULL, 0);
	a->call = pool_run(a->server->pool, batch, POOL_IDEMPOTENT, 0, on_appended, a);
}

static void on_pool_state(struct pool_watch *watch, const struct pool_info *info)
{
	struct audit *a = container_of(watch, struct audit, pool_watch);

	if (info->state == POOL_READY)
		uv_timer_start(&a->retry, on_retry, 0, 0);
}

/* ---- what is written down ---- */

static bool starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* What a route does, when its handler did not say: "post /maintenance". */
static void name_event(
	const struct caller *caller, const struct route *route, char *out, size_t cap)
{
	const char *path = route->pattern;

	if (caller->event[0] != '\0') {
		snprintf(out, cap, "%s", caller->event);
		return;
	}
	if (starts(path, "/api/v1"))
		path += 7;
	snprintf(out, cap, "%s %s", route->method, path);
	for (char *at = out; *at != '\0' && *at != ' '; at++)
		*at = (char)(*at | 0x20);
}

/* Whether strangers may still be written about in this minute. */
static bool stranger_fits(struct audit *a)
{
	uint64_t minute = clock_mono_us() / (60 * CLOCK_SECOND_US);

	if (minute != a->minute && a->strangers > AUDIT_STRANGERS_PER_MINUTE)
		log_warn(LOG_EV("audit.strangers"),
			LOG_INT("not_written", a->strangers - AUDIT_STRANGERS_PER_MINUTE));
	if (minute != a->minute)
		a->strangers = 0;
	a->minute = minute;
	return a->strangers++ < AUDIT_STRANGERS_PER_MINUTE;
}

static void set_text(json_t *doc, const char *key, const char *text)
{
	if (text[0] == '\0' || !utf8_is_valid(text, strlen(text)))
		json_object_set_new(doc, key, json_null());
	else
		json_object_set_new(doc, key, json_string(text));
}

void audit_request(
	struct audit *a, const struct caller *caller, const struct web_finished *finished)
{
	const struct host *primary = hosts_primary(a->server->hosts);
	char event[96];
	struct uuid id;
	json_t *doc;
	char *text;

	if (caller == NULL || finished->route == NULL ||
		strcmp(finished->route->method, "GET") == 0)
		return;
	/* Of those who are nobody only the attempts to sign in count. */
	if (caller->actor[0] == '\0' && (finished->status == 429 || !stranger_fits(a)))
		return;
	name_event(caller, finished->route, event, sizeof(event));
	doc = json_pack("{s:I,s:s}", "time_us", (json_int_t)clock_wall_us(), "event", event);
	set_text(doc, "actor", caller->actor);
	set_text(doc, "address", caller->address);
	set_text(doc, "request_id", finished->request_id);
	set_text(doc, "run", caller->run);
	set_text(doc, "object", caller->object);
	set_text(doc, "host",
		caller->host[0] != '\0' ? caller->host
		: primary != NULL	? host_name(primary)
					: "");
	json_object_set_new(doc, "status", json_integer(finished->status));
	text = json_dumps(doc, JSON_COMPACT);
	uuid_v7(&id);
	if (text != NULL)
		entry_add(a, &id, text, strlen(text));
	free(text);
	json_decref(doc);
	audit_flush(a);
}

size_t audit_waiting(const struct audit *a)
{
	return a->n_waiting;
}

/* ---- birth and death ---- */

struct audit *audit_open(struct server *server, struct err *err)
{
	struct audit *a = xcalloc(1, sizeof(*a));

	a->server = server;
	list_init(&a->waiting);
	a->store = store_open(
		server->loop, server->cfg->state_dir, AUDIT_FILE, on_stored_event, a, err);
	if (a->store == NULL) {
		while (!list_empty(&a->waiting))
			entry_free(a, container_of(a->waiting.next, struct entry, link));
		free(a);
		return NULL;
	}
	uv_timer_init(server->loop, &a->retry);
	a->retry.data = a;
	a->pool_watch.on_state = on_pool_state;
	pool_watch_add(server->pool, &a->pool_watch);
	uv_timer_start(&a->retry, on_retry, 0, 0);
	return a;
}

static void on_part_closed(void *arg)
{
	struct audit *a = arg;
	void (*on_closed)(void *) = a->on_closed;
	void *closed_arg = a->closed_arg;

	if (--a->n_closing > 0)
		return;
	while (!list_empty(&a->waiting))
		entry_free(a, container_of(a->waiting.next, struct entry, link));
	free(a);
	on_closed(closed_arg);
}

static void on_retry_closed(uv_handle_t *handle)
{
	on_part_closed(handle->data);
}

/* Closing: the store takes only so many at a time, so that some may have to wait for the others. */
static void audit_put_away(struct audit *a)
{
	a->put_away = audit_spool(a);
	if (a->put_away)
		store_close(a->store, on_part_closed, a);
}

void audit_close(struct audit *a, void (*on_closed)(void *arg), void *arg)
{
	a->closing = true;
	a->on_closed = on_closed;
	a->closed_arg = arg;
	pool_watch_remove(&a->pool_watch);
	pool_call_forget(a->call);
	a->call = NULL;
	a->n_closing = 2;
	uv_close((uv_handle_t *)&a->retry, on_retry_closed);
	audit_note_head(a);
	/* Also what is on its way: whether it arrives is not known. */
	audit_put_away(a);
}
