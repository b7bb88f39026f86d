/*
 * Owns: the stream of status documents and the newest of them (text and parsed).
 *
 * Happy path: somebody subscribes -> status.watch is opened -> the first document is a snapshot for
 * all
 * -> of each further one, what differs goes out as a put -> nobody is left: the stream is closed.
 *
 * Failure modes: the agent goes away, or does not know the method: what was known is dropped, so
 * that nobody takes it for new; the page shows how old its own copy is. Back again, there is a new
 * snapshot. A document that is none is logged and dropped.
 */
#include "core/app/status.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/http.h"
#include "core/app/server.h"
#include "core/base/log.h"

#define WATCH_INTERVAL_MS 1000

struct status {
	struct server *server;
	struct link_watch watch;
	struct link_stream *stream; /* NULL: not watched */
	size_t n_subscribed;
	char *text; /* the newest document; NULL: none since the stream was opened */
	size_t len;
	json_t *doc;
};

static void forget(struct status *status)
{
	free(status->text);
	status->text = NULL;
	status->len = 0;
	json_decref(status->doc);
	status->doc = NULL;
}

/* ---- what changed ---- */

static json_t *find(const json_t *items, const char *id)
{
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
	{
		const char *other = json_string_value(json_object_get(item, "id"));

		if (other != NULL && strcmp(other, id) == 0)
			return item;
	}
	return NULL;
}

/* Those of now that are not in before; with same: also when they are there, but differ. */
static json_t *difference(json_t *now, const json_t *before, bool changed_too)
{
	json_t *result = json_array();
	json_t *item;
	size_t i;

	json_array_foreach(now, i, item)
	{
		const char *id = json_string_value(json_object_get(item, "id"));
		json_t *old = id != NULL ? find(before, id) : NULL;

		if (id != NULL && (old == NULL || (changed_too && !json_equal(old, item))))
			json_array_append(result, item);
	}
	return result;
}

static void tell(struct status *status, const char *event, json_t *data)
{
	char *text = json_dumps(data, JSON_COMPACT);

	if (text != NULL)
		live_on_status(status->server->live, event, text, strlen(text));
	free(text);
}

static void send_gone(struct status *status, json_t *before, json_t *now)
{
	const char *section;
	json_t *items;

	json_object_foreach(before, section, items)
	{
		json_t *gone = difference(items, json_object_get(now, section), false);
		json_t *item, *data;
		size_t i;

		json_array_foreach(gone, i, item)
		{
			data = json_pack("{s:o}", "id",
				json_sprintf("%s/%s", section,
					json_string_value(json_object_get(item, "id"))));
			tell(status, "del", data);
			json_decref(data);
		}
		json_decref(gone);
	}
}

static void send_changes(struct status *status, json_t *doc)
{
	json_t *before = json_object_get(status->doc, "sections");
	json_t *now = json_object_get(doc, "sections");
	json_t *sections = json_object();
	const char *section;
	json_t *items, *put;

	send_gone(status, before, now);
	json_object_foreach(now, section, items)
	{
		json_t *changed = difference(items, json_object_get(before, section), true);

		if (json_array_size(changed) != 0)
			json_object_set(sections, section, changed);
		json_decref(changed);
	}
	put = json_pack("{s:O?,s:O?,s:o}", "time_us", json_object_get(doc, "time_us"), "level",
		json_object_get(doc, "level"), "sections", sections);
	tell(status, "put", put);
	json_decref(put);
}

/* ---- the agent ---- */

static json_t *parse(struct wire_str text)
{
	json_t *doc = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(json_object_get(doc, "sections")))
		return doc;
	json_decref(doc);
	log_warn(LOG_EV("agent.status_malformed"), LOG_INT("bytes", text.len));
	return NULL;
}

/* The agent has looked again. */
static void on_event(struct link_stream *stream, struct wire_str text)
{
	struct status *status = link_stream_arg(stream);
	bool first = status->text == NULL;
	json_t *doc = parse(text);

	if (doc == NULL)
		return;
	if (!first)
		send_changes(status, doc);
	forget(status);
	status->text = xstrndup(text.data, text.len);
	status->len = text.len;
	status->doc = doc;
	if (first)
		live_on_status(status->server->live, "snapshot", status->text, status->len);
}

/* The agent watches, or says that it will not. */
static void on_reply(struct link_stream *stream, const struct link_reply *reply)
{
	struct status *status = link_stream_arg(stream);

	if (reply->err == 0 && reply->status == MSG_OK)
		return;
	status->stream = NULL;
	if (reply->err == 0)
		log_warn(LOG_EV("agent.status_refused"),
			LOG_STR("status", msg_status_name(reply->status)));
}

static void on_chunk(struct link_stream *stream, const uint8_t *payload, size_t len)
{
	(void)stream;
	(void)payload;
	(void)len;
}

/* The stream is over: the agent is going, or gone. */
static void on_end(struct link_stream *stream, const struct link_end *end)
{
	struct status *status = link_stream_arg(stream);

	(void)end;
	status->stream = NULL;
	forget(status);
}

static void watch(struct status *status)
{
	static const struct link_stream_callbacks callbacks = {
		.on_reply = on_reply,
		.on_chunk = on_chunk,
		.on_event = on_event,
		.on_end = on_end,
	};
	struct msg_status_watch ask = {.interval_ms = WATCH_INTERVAL_MS};
	uint8_t fields[16];
	int n;

	if (status->stream != NULL || status->n_subscribed == 0 ||
		!link_is_connected(status->server->link))
		return;
	n = msg_status_watch_encode(&ask, fields, sizeof(fields));
	if (n < 0)
		abort(); /* four bytes */
	status->stream = link_stream_open(status->server->link, MSG_STATUS_WATCH,
		&(struct wire_str){(const char *)fields, (uint32_t)n}, &callbacks, status);
}

static void on_state(struct link_watch *link_watch, const struct link_info *info)
{
	if (info->state == LINK_CONNECTED)
		watch(container_of(link_watch, struct status, watch));
}

/* ---- who looks ---- */

const char *status_subscribed(struct status *status, size_t *ret_len)
{
	status->n_subscribed++;
	watch(status);
	*ret_len = status->len;
	return status->text;
}

void status_unsubscribed(struct status *status)
{
	if (--status->n_subscribed != 0)
		return;
	link_close_stream(status->stream);
	status->stream = NULL;
	forget(status);
}

/* The agent has answered a request for the document. */
static void on_document(const struct link_reply *reply, void *arg)
{
	struct request *req = arg;
	struct msg_document document;
	json_t *doc;

	if (reply->err != 0 || reply->status != MSG_OK) {
		http_agent_problem(req, reply);
		return;
	}
	if (msg_document_decode(reply->fields, reply->fields_len, &document) != 0 ||
		(doc = parse(document.json)) == NULL) {
		response_problem(req, 502, "agent_malformed", "The agent's answer makes no sense.");
		return;
	}
	json_decref(doc);
	response_send(req, 200, "application/json", document.json.data, document.json.len);
}

void status_get(struct request *req)
{
	struct status *status = server_of(req)->status;

	if (status->text != NULL)
		response_send(req, 200, "application/json", status->text, status->len);
	else
		link_request(status->server->link, MSG_STATUS, NULL, 0, on_document, req);
}

struct status *status_open(struct server *server)
{
	struct status *status = xcalloc(1, sizeof(*status));

	status->server = server;
	status->watch.on_state = on_state;
	link_watch_add(server->link, &status->watch);
	return status;
}

void status_close(struct status *status)
{
	if (status == NULL)
		return;
	link_watch_remove(&status->watch);
	link_close_stream(status->stream);
	forget(status);
	free(status);
}
