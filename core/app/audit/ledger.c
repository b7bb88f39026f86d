/*
 * Owns one stream of the agent's events, one call to the pool, the events between them, one timer.
 *
 * Happy path: agent and database are there → POSITION (what the database has) → the stream from
 * there on → events are held, and written in transactions while more come.
 *
 * Failure modes: either side goes, or a transaction fails: what is held is dropped and all of it
 * begins again from POSITION. An agent whose ledger is shorter than what the database has (it was
 * restored from a copy) is read from its beginning.
 */
#include "core/app/audit/ledger.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "proto/msg.h"

/* $2: names of other hosts, as an array's text. */
#define POSITION_SQL                                                                               \
	"SELECT coalesce(max(position), 0), coalesce((SELECT host FROM ops.agents"                 \
	" WHERE agent_id = $1 AND host = ANY ($2::text[])), '')"                                   \
	" FROM ops.ledger WHERE agent_id = $1"
#define AGENT_SQL                                                                                  \
	"INSERT INTO ops.agents (agent_id, host, seen_us) VALUES ($1, $2, $3)"                     \
	" ON CONFLICT (agent_id) DO UPDATE SET host = EXCLUDED.host, seen_us = EXCLUDED.seen_us"   \
	" WHERE agents.host <> ALL ($4::text[])"
#define INSERT_SQL                                                                                 \
	"INSERT INTO ops.ledger (agent_id, position, time_us, event, actor, run, document)"        \
	" VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (agent_id, position) DO NOTHING"

struct held {
	struct list link; /* ledger.held */
	uint64_t position;
	size_t len;
	char text[];
};

struct ledger {
	uv_loop_t *loop;
	struct link *link;
	struct pool *pool;
	struct link_watch link_watch;
	struct pool_watch pool_watch;
	struct pool_call *call;
	struct link_stream *stream;
	struct list held;
	size_t n_held, n_sent;
	char agent_id[64];
	bool known; /* position is */
	bool told_foreign;
	const struct archive_others *others;
	uint64_t position;
	uv_timer_t retry;
	bool closing;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

static void ledger_pump(struct ledger *l);

static void ledger_drop(struct ledger *l)
{
	while (!list_empty(&l->held)) {
		struct held *held = container_of(l->held.next, struct held, link);
		list_remove(&held->link);
		free(held);
	}
	l->n_held = l->n_sent = 0;
	if (l->stream != NULL)
		link_close_stream(l->stream);
	l->stream = NULL;
	pool_call_forget(l->call);
	l->call = NULL;
	l->known = false;
}

static void on_retry(uv_timer_t *timer)
{
	ledger_pump(timer->data);
}

static void ledger_again(struct ledger *l)
{
	ledger_drop(l);
	uv_timer_start(&l->retry, on_retry, LEDGER_RETRY_MS, 0);
}

/* ---- the stream ---- */

static void on_reply(struct link_stream *stream, const struct link_reply *reply)
{
	struct ledger *l = link_stream_arg(stream);

	if (reply->err == 0 && reply->status == MSG_OK)
		return;
	l->stream = NULL; /* freed behind this call */
	if (reply->err == 0 && reply->status == MSG_BAD_OFFSET && l->position > 0) {
		log_warn(LOG_EV("ledger.shorter"), LOG_INT("position", l->position));
		l->position = 0;
		uv_timer_start(&l->retry, on_retry, 0, 0);
	} else {
		ledger_again(l);
	}
}

static void on_chunk(struct link_stream *stream, const uint8_t *payload, size_t len)
{
	(void)stream;
	(void)payload;
	(void)len; /* there are none in this stream */
}

/* The agent tells an event; those of its ledger have a position. */
static void on_event(struct link_stream *stream, struct wire_str text)
{
	struct ledger *l = link_stream_arg(stream);
	struct held *held;

	if (text.len > LEDGER_MAX_BYTES || memmem(text.data, text.len, "\"position\":", 11) == NULL)
		return;
	json_t *doc =
		json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	const json_t *position = json_object_get(doc, "position");
	if (json_is_integer(position) && json_integer_value(position) > 0 &&
		json_is_string(json_object_get(doc, "event"))) {
		held = xcalloc(1, sizeof(*held) + text.len);
		held->position = (uint64_t)json_integer_value(position);
		held->len = text.len;
		memcpy(held->text, text.data, text.len);
		list_append(&l->held, &held->link);
		if (++l->n_held >= LEDGER_MAX_HELD) {
			link_close_stream(l->stream);
			l->stream = NULL;
		}
	}
	json_decref(doc);
	ledger_pump(l);
}

static void on_end(struct link_stream *stream, const struct link_end *end)
{
	struct ledger *l = link_stream_arg(stream);

	(void)end;
	l->stream = NULL;
	ledger_again(l);
}

static void ledger_open_stream(struct ledger *l)
{
	static const struct link_stream_callbacks callbacks = {
		.on_reply = on_reply, .on_chunk = on_chunk, .on_event = on_event, .on_end = on_end};
	const struct msg_events events = {.position = l->position};
	uint8_t fields[16];
	int n = msg_events_encode(&events, fields, sizeof(fields));

	assert(n > 0);
	l->stream = link_stream_open(l->link, MSG_EVENTS,
		&(struct wire_str){(const char *)fields, (uint32_t)n}, &callbacks, l);
}

/* ---- PostgreSQL ---- */

/* Its id is that of another host's agent: a lie, or a copied machine. The ledgers would be mixed.
 */
static void ledger_refuse(struct ledger *l, struct pg_bytes_view other)
{
	char host[80];

	snprintf(host, sizeof(host), "%.*s", (int)other.len, (const char *)other.data);
	if (!l->told_foreign)
		log_error(LOG_EV("ledger.foreign"), LOG_STR("agent", l->agent_id),
			LOG_STR("other", host),
			LOG_STR("reason", "another host's agent has this id: its ledger is not "
					  "archived"));
	l->told_foreign = true;
	ledger_again(l);
}

static void on_position(const struct pg_reply *reply, void *arg)
{
	struct ledger *l = arg;
	struct pg_bytes_view other;

	l->call = NULL;
	if (reply->err != 0) {
		ledger_again(l);
		return;
	}
	other = pg_get_text(reply->results[1], 0, 1);
	if (other.len > 0) {
		ledger_refuse(l, other);
		return;
	}
	l->known = true;
	l->told_foreign = false;
	l->position = (uint64_t)pg_get_i64(reply->results[1], 0, 0);
	ledger_pump(l);
}

/* The events that were sent are in, or not. */
static void on_written(const struct pg_reply *reply, void *arg)
{
	struct ledger *l = arg;

	l->call = NULL;
	if (reply->err != 0) {
		log_warn(LOG_EV("ledger.not_written"), LOG_STR("reason", reply->message));
		ledger_again(l);
		return;
	}
	for (; l->n_sent > 0; l->n_sent--) {
		struct held *held = container_of(l->held.next, struct held, link);
		l->position = held->position;
		list_remove(&held->link);
		l->n_held--;
		free(held);
	}
	ledger_pump(l);
}

static struct pg_param text_of(const json_t *doc, const char *key)
{
	const char *text = json_string_value(json_object_get(doc, key));
	return pg_text(text != NULL ? text : "");
}

static void ledger_write(struct ledger *l)
{
	struct pg_batch *batch = pg_batch_new();

	l->n_sent = 0;
	list_foreach(at, tmp, &l->held)
	{
		const struct held *held = container_of(at, struct held, link);
		json_t *doc = json_loadb(held->text, held->len, 0, NULL);
		const struct pg_param params[] = {
			pg_text(l->agent_id),
			pg_u64(held->position),
			pg_i64(json_integer_value(json_object_get(doc, "time_us"))),
			text_of(doc, "event"),
			text_of(doc, "actor"),
			text_of(doc, "run"),
			pg_textn(held->text, held->len),
		};
		pg_batch_add(batch, INSERT_SQL, params, ARRAY_LEN(params));
		json_decref(doc);
		if (++l->n_sent == LEDGER_BATCH)
			break;
	}
	l->call = pool_run(l->pool, batch, POOL_IDEMPOTENT | POOL_BACKGROUND, 0, on_written, l);
}

/* Says whose ledger it is, and asks how much of it is there. */
static void ledger_ask_position(struct ledger *l, const char *host)
{
	const char *others = l->others->array(l->others->arg);
	const struct pg_param params[] = {
		pg_text(l->agent_id), pg_text(host), pg_u64(clock_wall_us()), pg_text(others)};
	const struct pg_param ask[] = {pg_text(l->agent_id), pg_text(others)};
	struct pg_batch *batch = pg_batch_new();

	pg_batch_add(batch, AGENT_SQL, params, ARRAY_LEN(params));
	pg_batch_add(batch, POSITION_SQL, ask, ARRAY_LEN(ask));
	l->call = pool_run(l->pool, batch, POOL_IDEMPOTENT | POOL_BACKGROUND, 0, on_position, l);
}

static void ledger_pump(struct ledger *l)
{
	struct pool_info database;
	struct link_info agent;

	link_get_info(l->link, &agent);
	pool_get_info(l->pool, &database);
	if (l->closing || l->call != NULL || agent.state != LINK_CONNECTED ||
		database.state != POOL_READY || database.read_only)
		return;
	if (strcmp(l->agent_id, agent.agent_id) != 0)
		ledger_drop(l);
	snprintf(l->agent_id, sizeof(l->agent_id), "%s", agent.agent_id);
	if (!l->known) {
		ledger_ask_position(l, agent.host);
	} else if (l->n_held > 0) {
		ledger_write(l);
	} else if (l->stream == NULL) {
		ledger_open_stream(l);
	}
}

static void on_link_state(struct link_watch *watch, const struct link_info *info)
{
	struct ledger *l = container_of(watch, struct ledger, link_watch);

	/* A stream that was lost has ended by itself before this. */
	if (info->state == LINK_CONNECTED)
		uv_timer_start(&l->retry, on_retry, 0, 0);
}

static void on_pool_state(struct pool_watch *watch, const struct pool_info *info)
{
	struct ledger *l = container_of(watch, struct ledger, pool_watch);

	if (info->state == POOL_READY)
		uv_timer_start(&l->retry, on_retry, 0, 0);
}

struct ledger *ledger_open(
	uv_loop_t *loop, struct link *link, struct pool *pool, const struct archive_others *others)
{
	struct ledger *l = xcalloc(1, sizeof(*l));

	l->loop = loop;
	l->link = link;
	l->pool = pool;
	l->others = others;
	list_init(&l->held);
	uv_timer_init(loop, &l->retry);
	l->retry.data = l;
	l->link_watch.on_state = on_link_state;
	l->pool_watch.on_state = on_pool_state;
	link_watch_add(link, &l->link_watch);
	pool_watch_add(pool, &l->pool_watch);
	return l;
}

static void on_retry_closed(uv_handle_t *handle)
{
	struct ledger *l = handle->data;
	void (*on_closed)(void *arg) = l->on_closed;
	void *arg = l->closed_arg;

	free(l);
	on_closed(arg);
}

void ledger_close(struct ledger *l, void (*on_closed)(void *arg), void *arg)
{
	l->closing = true;
	l->on_closed = on_closed;
	l->closed_arg = arg;
	link_watch_remove(&l->link_watch);
	pool_watch_remove(&l->pool_watch);
	ledger_drop(l);
	uv_close((uv_handle_t *)&l->retry, on_retry_closed);
}
