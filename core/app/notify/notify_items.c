/*
 * How each machine is, for notify.c: an item of the status document at another level than its mark
 * says is an event.
 *
 * Happy path: status.c tells a change of level -> it is told at once. Every look_every, and soon
 * after the agent came, the document is asked for besides: what changed while nobody listened
 * differs from the marks. A mark whose item is not in the document for GONE_US is forgotten.
 *
 * Failure modes: the agent does not answer, or with what makes no sense: the next look will do. An
 * agent that cannot be watched is only looked at.
 */
#include <stdio.h>
#include <string.h>

#include "core/app/notify/notify_internal.h"
#include "core/app/server.h"
#include "core/base/clock.h"

#define LOOK_SOON_MS 2000		   /* after the agent came */
#define GONE_US (UINT64_C(3600) * 1000000) /* an item that is not there for so long is gone */

static enum notify_on on_of_level(const char *level)
{
	if (strcmp(level, "bad") == 0)
		return NOTIFY_STATUS_BAD;
	if (strcmp(level, "warn") == 0)
		return NOTIFY_STATUS_WARN;
	return strcmp(level, "ok") == 0 ? NOTIFY_STATUS_OK : NOTIFY_STATUS_UNKNOWN;
}

static uint32_t wanted(const struct notify *n)
{
	uint32_t on = 0;

	for (size_t i = 0; n->conf != NULL && i < n->conf->n_rules; i++)
		on |= n->conf->rules[i].on;
	return on;
}

static bool looks_at_items(const struct notify *n)
{
	static const uint32_t levels = 1u << NOTIFY_STATUS_BAD | 1u << NOTIFY_STATUS_WARN |
				       1u << NOTIFY_STATUS_UNKNOWN | 1u << NOTIFY_STATUS_OK;

	return (wanted(n) & levels) != 0;
}

static void take_item(struct notify *n, const char *host, const char *section, const json_t *item)
{
	const char *id = json_string_value(json_object_get(item, "id"));
	const char *level = json_string_value(json_object_get(item, "level"));
	struct notify_words words = notify_words(n);
	struct notify_event event = {0};
	struct notify_mark *mark;

	if (id == NULL || level == NULL)
		return;
	event.on = on_of_level(level);
	snprintf(event.key, sizeof(event.key), "status/%s/%s/%s", host, section, id);
	mark = notify_find_mark(n, event.key);
	if (mark != NULL)
		mark->time_us = clock_wall_us();
	/* Not to know is no news to those who did not ask for it. */
	if (event.on == NOTIFY_STATUS_UNKNOWN && (wanted(n) & 1u << NOTIFY_STATUS_UNKNOWN) == 0)
		return;
	if (strcmp(mark != NULL ? mark->state : "ok", level) == 0)
		return;
	snprintf(event.state, sizeof(event.state), "%s", level);
	snprintf(event.name, sizeof(event.name), "%s", id);
	snprintf(event.section, sizeof(event.section), "%s", section);
	words.host = host;
	notify_text_item(&words, item, &event);
	if (event.on == NOTIFY_STATUS_OK)
		notify_drop_mark(n, mark);
	else
		notify_set_mark(n, event.key, level, clock_wall_us(), false);
	notify_tell(n, &event);
}

/* What the host no longer has. */
static void forget_gone(struct notify *n, const char *host)
{
	uint64_t now_us = clock_wall_us();
	char prefix[96];
	size_t len;

	snprintf(prefix, sizeof(prefix), "status/%s/", host);
	len = strlen(prefix);

	list_foreach(pos, tmp, &n->marks)
	{
		struct notify_mark *mark = container_of(pos, struct notify_mark, link);

		if (strncmp(mark->key, prefix, len) == 0 &&
			mark->time_us + MAX(GONE_US, 3 * n->conf->look_every_us) < now_us)
			notify_drop_mark(n, mark);
	}
}

static void take_section(
	struct notify *n, const char *host, const char *section, const json_t *items)
{
	const json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
	{
		take_item(n, host, section, item);
	}
}

/* How the machine is, as the agent says, and what the dashboard adds to that. */
static void on_look(const struct link_reply *reply, void *arg)
{
	struct notify_host *h = arg;
	struct notify *n = h->notify;
	struct msg_document document;
	json_t *doc, *sections, *items;
	const char *host = host_name(h->host), *section;

	h->look = NULL;
	if (n->conf == NULL || reply->err != 0 || reply->status != MSG_OK ||
		msg_document_decode(reply->fields, reply->fields_len, &document) != 0)
		return;
	doc = json_loadb(document.json.data, document.json.len, JSON_REJECT_DUPLICATES, NULL);
	sections = json_object_get(doc, "sections");
	json_object_update_missing(
		sections, json_object_get(status_document(h->host->status), "sections"));
	json_object_foreach(sections, section, items)
	{
		take_section(n, host, section, items);
	}
	forget_gone(n, host);
	json_decref(doc);
}

/* Time to look at the machine. */
static void on_look_timer(uv_timer_t *timer)
{
	struct notify_host *h = timer->data;

	if (h->look == NULL && looks_at_items(h->notify) && host_is_connected(h->host))
		h->look = link_request(h->host->link, MSG_STATUS, NULL, 0, on_look, h);
}

/* An item's level is another one. What is gone is left to forget_gone(). */
static void on_level(struct status_listener *listener, const struct status_change *change)
{
	struct notify_host *h = container_of(listener, struct notify_host, levels);
	json_t *item;

	if (change->level == NULL || !looks_at_items(h->notify))
		return;
	item = json_pack("{s:s,s:s,s:s,s:s,s:I}", "id", change->id, "title", change->title, "level",
		change->level, "message", change->message, "since_us",
		(json_int_t)change->since_us);
	take_item(h->notify, host_name(h->host), change->section, item);
	json_decref(item);
}

/* ---- birth and death ---- */

void notify_items_configure(struct notify_host *h)
{
	const struct notify_conf *conf = h->notify->conf;
	uint64_t every_ms;

	if (conf == NULL) {
		uv_timer_stop(&h->look_timer);
		return;
	}
	every_ms = conf->look_every_us / 1000;
	uv_timer_start(&h->look_timer, on_look_timer, MIN(LOOK_SOON_MS, every_ms), every_ms);
}

void notify_items_open(struct notify_host *h)
{
	uv_timer_init(h->notify->server->loop, &h->look_timer);
	h->look_timer.data = h;
	h->levels.on_change = on_level;
	status_listen(h->host->status, &h->levels);
}

void notify_items_close(struct notify_host *h, uv_close_cb on_closed)
{
	status_unlisten(&h->levels);
	link_call_forget(h->look);
	uv_close((uv_handle_t *)&h->look_timer, on_closed);
}
