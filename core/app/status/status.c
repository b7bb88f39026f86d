/*
 * Owns: the stream of status documents, the newest of them, and what the dashboard adds to it.
 *
 * Happy path: the agent is there -> status.watch is opened, slowly -> somebody subscribes -> it is
 * opened anew, closely -> of each document, what differs from the one before goes out as a put, and
 * changed levels to the listeners -> nobody is left: slowly again. A page that comes gets the
 * newest document as its snapshot; the text is made when somebody wants it.
 *
 * Failure modes: the agent goes away, or does not know the method: what was known is dropped, so
 * that nobody takes it for new; the page shows how old its own copy is. Back again, there is a new
 * snapshot. A stream that ended or was not answered while the agent stayed is opened again by
 * status_ensure(). A document that is none is logged and dropped.
 */
#include "core/app/status/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/http.h"
#include "core/app/server.h"
#include "core/app/status/status_diff.h"
#include "core/app/status/status_levels.h"
#include "core/base/clock.h"
#include "core/base/log.h"

struct status {
	struct host *host;
	struct link_watch watch;
	struct link_stream *stream; /* NULL: not watched */
	bool refused;		    /* the agent will not; asked again when it is reached anew */
	size_t n_subscribed;
	uint64_t heard_us; /* clock_mono_us() of agent */
	json_t *agent;	   /* its newest document; NULL: none since the stream was opened */
	json_t *own;	   /* section -> items: what the dashboard adds */
	json_t *doc;	   /* both; NULL without the agent's */
	char *text;	   /* of doc, or NULL: not made yet */
	size_t len;
	struct status_levels levels;
};

static void forget_text(struct status *status)
{
	free(status->text);
	status->text = NULL;
	status->len = 0;
}

static void forget(struct status *status)
{
	forget_text(status);
	json_decref(status->doc);
	json_decref(status->agent);
	status->doc = status->agent = NULL;
}

/* ---- the document ---- */

static void tell(struct status *status, const char *event, json_t *data)
{
	char *text = json_dumps(data, JSON_COMPACT);

	if (text != NULL)
		live_on_status(status->host, event, text, strlen(text));
	free(text);
	json_decref(data);
}

static void send_changes(struct status *status, json_t *doc)
{
	json_t *before = json_object_get(status->doc, "sections");
	json_t *now = json_object_get(doc, "sections");
	json_t *gone, *path;
	size_t i;

	gone = status_gone(now, before);
	json_array_foreach(gone, i, path)
	{
		tell(status, "del", json_pack("{s:O}", "id", path));
	}
	json_decref(gone);
	tell(status, "put",
		json_pack("{s:O?,s:O?,s:o}", "time_us", json_object_get(doc, "time_us"), "level",
			json_object_get(doc, "level"), "sections", status_changed(now, before)));
}

/* The agent's document with what the dashboard adds to it. New reference. */
static json_t *compose(const struct host *host, json_t *agent, json_t *own)
{
	json_t *doc = json_copy(agent);
	json_t *sections = json_copy(json_object_get(agent, "sections"));

	json_object_update(sections, own);
	json_object_set_new(doc, "sections", sections);
	/* Where there may be several an agent speaks for no other. */
	if (host->conf.host != NULL)
		json_object_set_new(doc, "host", json_string(host->conf.host));
	json_object_set_new(doc, "level", json_string(status_worst(sections)));
	return doc;
}

static void text_make(struct status *status)
{
	if (status->text != NULL || status->doc == NULL)
		return;
	status->text = json_dumps(status->doc, JSON_COMPACT);
	status->len = status->text != NULL ? strlen(status->text) : 0;
}

/* The agent's document (taken over) or a section of our own is new. */
static void renew(struct status *status, json_t *agent)
{
	bool first = status->doc == NULL;
	json_t *doc = compose(status->host, agent, status->own);

	if (!first && status->n_subscribed > 0)
		send_changes(status, doc);
	forget_text(status);
	json_decref(status->doc);
	status->doc = doc;
	if (agent != status->agent) {
		json_decref(status->agent);
		status->agent = agent;
	}
	if (first && status->n_subscribed > 0) {
		text_make(status);
		if (status->text != NULL)
			live_on_status(status->host, "snapshot", status->text, status->len);
	}
	status_levels_take(
		&status->levels, json_object_get(status->doc, "sections"), true, clock_mono_us());
}

void status_put_section(struct status *status, const char *section, json_t *items)
{
	if (json_array_size(items) == 0 && json_object_get(status->own, section) == NULL) {
		json_decref(items);
		return;
	}
	if (json_array_size(items) == 0)
		json_object_del(status->own, section);
	else
		json_object_set(status->own, section, items);
	json_decref(items);
	if (status->agent != NULL)
		renew(status, status->agent);
	else
		status_levels_take(&status->levels, status->own, false, clock_mono_us());
}

const json_t *status_document(const struct status *status)
{
	return status->doc;
}

uint64_t status_age_us(const struct status *status)
{
	return status->doc != NULL ? clock_mono_us() - status->heard_us : UINT64_MAX;
}

void status_listen(struct status *status, struct status_listener *listener)
{
	list_append(&status->levels.listeners, &listener->link);
}

void status_unlisten(struct status_listener *listener)
{
	list_remove(&listener->link);
}

/* ---- the agent ---- */

static json_t *parse(struct wire_str text)
{
	json_t *doc =
		json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);

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
	json_t *doc = parse(text);

	/* a stream that is opened anew begins with what is known */
	if (status->agent != NULL && json_equal(json_object_get(doc, "time_us"),
					     json_object_get(status->agent, "time_us")))
		json_decref(doc);
	else if (doc != NULL)
		renew(status, doc);
	if (status->agent != NULL)
		status->heard_us = clock_mono_us();
}

/* The agent watches, or says that it will not. */
static void on_reply(struct link_stream *stream, const struct link_reply *reply)
{
	struct status *status = link_stream_arg(stream);

	if (reply->err == 0 && reply->status == MSG_OK)
		return;
	status->stream = NULL;
	forget(status);
	status->refused = reply->err == 0;
	if (status->refused)
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

/* Opens the stream, as closely as somebody looks; one that is open is given up. */
static void watch(struct status *status)
{
	static const struct link_stream_callbacks callbacks = {
		.on_reply = on_reply,
		.on_chunk = on_chunk,
		.on_event = on_event,
		.on_end = on_end,
	};
	struct msg_status_watch ask = {
		.interval_ms = status->n_subscribed > 0 ? STATUS_WATCHED_MS : STATUS_IDLE_MS};
	uint8_t fields[16];
	int n;

	link_close_stream(status->stream);
	status->stream = NULL;
	status->refused = false;
	if (!link_is_connected(status->host->link))
		return;
	n = msg_status_watch_encode(&ask, fields, sizeof(fields));
	if (n < 0)
		abort(); /* four bytes */
	status->stream = link_stream_open(status->host->link, MSG_STATUS_WATCH,
		&(struct wire_str){(const char *)fields, (uint32_t)n}, &callbacks, status);
}

void status_ensure(struct status *status)
{
	if (status->stream == NULL && !status->refused)
		watch(status);
}

static void on_state(struct link_watch *link_watch, const struct link_info *info)
{
	if (info->state == LINK_CONNECTED)
		watch(container_of(link_watch, struct status, watch));
}

/* ---- who looks ---- */

bool status_is_watched(const struct status *status)
{
	return status->n_subscribed > 0;
}

const char *status_subscribed(struct status *status, size_t *ret_len)
{
	if (status->n_subscribed++ == 0)
		watch(status);
	text_make(status);
	*ret_len = status->len;
	return status->text;
}

void status_unsubscribed(struct status *status)
{
	if (--status->n_subscribed == 0)
		watch(status);
}

/* The agent has answered a request for the document. */
static void on_document(const struct link_reply *reply, void *arg)
{
	struct request *req = arg;
	struct msg_document document;
	const struct host *host = host_of(req);
	json_t *agent, *doc;

	if (host == NULL) { /* it was taken out meanwhile, whatever it said */
		http_agent_problem(req, &(struct link_reply){.err = -ECANCELED});
		return;
	}
	if (reply->err != 0 || reply->status != MSG_OK) {
		http_agent_problem(req, reply);
		return;
	}
	if (msg_document_decode(reply->fields, reply->fields_len, &document) != 0 ||
		(agent = parse(document.json)) == NULL) {
		response_problem(req, 502, "agent_malformed", "The agent's answer makes no sense.");
		return;
	}
	doc = compose(host, agent, host->status->own);
	http_json(req, 200, doc);
	json_decref(doc);
	json_decref(agent);
}

void status_get(struct request *req)
{
	struct host *host = http_query_host(req);
	struct status *status;

	if (host == NULL)
		return;
	status = host->status;
	text_make(status);
	if (status->text != NULL)
		response_send(req, 200, "application/json", status->text, status->len);
	else
		link_request(status->host->link, MSG_STATUS, NULL, 0, on_document, req);
}

struct status *status_open(struct host *host)
{
	struct status *status = xcalloc(1, sizeof(*status));

	status->host = host;
	status->own = json_object();
	status_levels_init(&status->levels);
	status->watch.on_state = on_state;
	link_watch_add(host->link, &status->watch);
	return status;
}

void status_close(struct status *status)
{
	if (status == NULL)
		return;
	link_watch_remove(&status->watch);
	link_close_stream(status->stream);
	forget(status);
	json_decref(status->own);
	status_levels_fini(&status->levels);
	free(status);
}
