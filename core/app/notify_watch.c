/*
 * Where events come from: the agent's run.changed events, its list of runs whenever it has been
 * away, its absence, and its status document, which is asked for every now and then. Asking does
 * not make the probes look more often, as watching would.
 *
 * Runs: an event run.changed carries the run's document. After (re)connecting the agent's list is
 * read back to what was seen before, oldest first then, so that what failed while nobody listened
 * is told, and "works again" follows "failed".
 *
 * Failure modes: the agent goes away in the middle of a scan: the next connection begins it anew.
 * A document that makes no sense is passed over; hub.c and status.c say so in the log.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/notify_internal.h"
#include "core/app/server.h"
#include "core/base/clock.h"
#include "core/base/log.h"

#define SCAN_PAGE 100
#define SCAN_MAX_PAGES 50
#define SCAN_LONGEST_US                                                                            \
	(UINT64_C(48) * 3600 * 1000000)	   /* a run that lasts; longer ones are missed */
#define GONE_US (UINT64_C(3600) * 1000000) /* an item that is not there for so long is gone */

/* ---- runs ---- */

static bool has_failed(const char *status)
{
	return strcmp(status, "failed") == 0 || strcmp(status, "timed_out") == 0 ||
	       strcmp(status, "lost") == 0;
}

static void run_key(const struct rundoc *doc, const char *what, char *out, size_t cap)
{
	char id[UUID_TEXT_BYTES];

	uuid_format(&doc->id, id);
	snprintf(out, cap, "run/%s/%s", id, what);
}

static void name_key(const struct rundoc *doc, char *out, size_t cap)
{
	snprintf(out, cap, "failed/%s/%s/%s", doc->host, doc->kind, doc->name);
}

static uint64_t finished_us(const struct rundoc *doc)
{
	return doc->finished_us > 0 ? (uint64_t)doc->finished_us : clock_wall_us();
}

/* Marks and tells it. */
static void run_ended(
	struct notify *n, const struct rundoc *doc, enum notify_on on, const char *line)
{
	struct notify_event event = {.on = on};
	struct notify_words words = notify_words(n);

	run_key(doc, "end", event.key, sizeof(event.key));
	snprintf(event.state, sizeof(event.state), "%s", doc->status);
	notify_text_run(&words, doc, line, &event);
	notify_set_mark(n, event.key, event.state, finished_us(doc), true);
	notify_tell(n, &event);
}

/* The last line of a failed run is here. */
static void on_line(struct notify *n, const json_t *run, const char *line)
{
	struct rundoc doc;

	if (rundoc_read(run, &doc) == 0)
		run_ended(n, &doc, NOTIFY_RUN_FAILED, line);
}

static void take_failed(struct notify *n, json_t *run, const struct rundoc *doc)
{
	char key[200], id[UUID_TEXT_BYTES];

	uuid_format(&doc->id, id);
	if (notify_line_is_asked(n, id))
		return; /* known; its name may have succeeded since */
	name_key(doc, key, sizeof(key));
	notify_set_mark(n, key, "failed", finished_us(doc), false);
	if (!notify_line_ask(n, run, on_line))
		run_ended(n, doc, NOTIFY_RUN_FAILED, "");
}

static void take_succeeded(struct notify *n, const struct rundoc *doc)
{
	struct notify_mark *mark;
	char key[200];

	name_key(doc, key, sizeof(key));
	mark = notify_find_mark(n, key);
	if (mark == NULL || mark->time_us > finished_us(doc))
		return;
	notify_drop_mark(n, mark);
	run_ended(n, doc, NOTIFY_RUN_RECOVERED, "");
}

static void take_waiting(struct notify *n, const json_t *run, const struct rundoc *doc)
{
	struct notify_words words = notify_words(n);
	const json_t *step;
	size_t i;

	json_array_foreach(json_object_get(run, "steps"), i, step)
	{
		const char *status = json_string_value(json_object_get(step, "status"));
		const char *id = json_string_value(json_object_get(step, "id"));
		struct notify_event event = {.on = NOTIFY_APPROVAL_WAITING, .state = "waiting"};
		char what[100];

		if (id == NULL || status == NULL || strcmp(status, "waiting") != 0 ||
			!json_is_object(json_object_get(step, "approve")))
			continue;
		snprintf(what, sizeof(what), "approve/%s", id);
		run_key(doc, what, event.key, sizeof(event.key));
		if (notify_find_mark(n, event.key) != NULL)
			continue;
		notify_text_approval(&words, doc, step, &event);
		notify_set_mark(n, event.key, event.state, clock_wall_us(), true);
		notify_tell(n, &event);
	}
}

static void take_run(struct notify *n, json_t *run)
{
	struct rundoc doc;
	char key[200];

	if (n->conf == NULL || rundoc_read(run, &doc) < 0)
		return;
	if (strcmp(doc.status, "waiting") == 0) {
		take_waiting(n, run, &doc);
		return;
	}
	run_key(&doc, "end", key, sizeof(key));
	if (!doc.final || finished_us(&doc) + NOTIFY_SLACK_US < n->seen_us ||
		notify_find_mark(n, key) != NULL)
		return;
	if (has_failed(doc.status))
		take_failed(n, run, &doc);
	else if (strcmp(doc.status, "succeeded") == 0)
		take_succeeded(n, &doc);
	if (n->scanned)
		n->seen_us = MAX(n->seen_us, clock_wall_us());
}

/* ---- what happened while nobody listened ---- */

static void scan_page(struct notify *n, const char *before);

static void scan_done(struct notify *n)
{
	size_t i = json_array_size(n->found);

	while (i-- > 0)
		take_run(n, json_array_get(n->found, i));
	json_decref(n->found);
	n->found = NULL;
	n->scanned = true;
	n->seen_us = MAX(n->seen_us, n->scan_began_us);
	notify_state_touch(n);
}

/* Keeps what may be news; whether older runs may be too. */
static bool scan_take(struct notify *n, const json_t *runs)
{
	uint64_t since_us = n->seen_us - MIN(n->seen_us, NOTIFY_SLACK_US);
	bool more = true;
	json_t *run;
	size_t i;

	json_array_foreach(runs, i, run)
	{
		struct rundoc doc;

		if (rundoc_read(run, &doc) < 0)
			continue;
		if (uuid_time_ms(&doc.id) * 1000 + SCAN_LONGEST_US < since_us)
			more = false;
		if ((doc.final && finished_us(&doc) > since_us) ||
			strcmp(doc.status, "waiting") == 0)
			json_array_append(n->found, run);
	}
	return more;
}

/* A page of the agent's runs. */
static void on_list(const struct link_reply *reply, void *arg)
{
	struct notify *n = arg;
	struct msg_run_list_reply list;
	char before[UUID_TEXT_BYTES];
	json_t *page;
	bool more;

	n->list = NULL;
	if (reply->err != 0 || reply->status != MSG_OK ||
		msg_run_list_reply_decode(reply->fields, reply->fields_len, &list) != 0)
		return; /* the next connection scans again */
	page = json_loadb(
		list.json.data, list.json.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	more = scan_take(n, json_object_get(page, "runs"));
	json_decref(page);
	snprintf(before, sizeof(before), "%.*s", (int)list.next.len, list.next.data);
	if (more && before[0] != '\0' && ++n->scan_pages < SCAN_MAX_PAGES)
		scan_page(n, before);
	else
		scan_done(n);
}

static void scan_page(struct notify *n, const char *before)
{
	const struct msg_run_list ask = {
		.filter = MSG_LIST_ALL, .limit = SCAN_PAGE, .before = wire_str_of(before)};
	uint8_t fields[128];
	int len = msg_run_list_encode(&ask, fields, sizeof(fields));

	if (len < 0)
		abort(); /* a UUID */
	n->list = link_request(n->server->link, MSG_RUN_LIST,
		&(struct wire_str){(const char *)fields, (uint32_t)len}, 0, on_list, n);
}

static void scan_begin(struct notify *n)
{
	link_call_forget(n->list);
	json_decref(n->found);
	n->found = json_array();
	n->scan_pages = 0;
	n->scanned = false;
	n->scan_began_us = clock_wall_us();
	scan_page(n, "");
}

/* ---- the agent itself ---- */

static void tell_agent(struct notify *n, enum notify_on on, const char *reason)
{
	struct notify_event event = {.on = on};
	struct notify_words words = notify_words(n);

	snprintf(event.key, sizeof(event.key), "agent/%s", words.host);
	snprintf(event.state, sizeof(event.state), "%s", on == NOTIFY_AGENT_LOST ? "lost" : "back");
	notify_text_agent(&words, reason, n->away_us, &event);
	notify_tell(n, &event);
}

/* The agent has been away for the grace. */
static void on_grace(uv_timer_t *timer)
{
	struct notify *n = timer->data;
	struct link_info info;

	link_get_info(n->server->link, &info);
	if (info.state == LINK_CONNECTED || n->conf == NULL || notify_find_mark(n, "agent") != NULL)
		return;
	notify_set_mark(n, "agent", "lost", n->away_us, false);
	tell_agent(n, NOTIFY_AGENT_LOST, info.reason);
}

static void agent_away(struct notify *n, uint64_t since_us)
{
	struct notify_mark *mark = notify_find_mark(n, "agent");
	uint64_t away_us, grace_us;

	if (n->away_us == 0)
		n->away_us = mark != NULL ? mark->time_us : since_us;
	if (n->conf == NULL || mark != NULL || uv_is_active((uv_handle_t *)&n->grace))
		return;
	away_us = clock_wall_us() - MIN(n->away_us, clock_wall_us());
	grace_us = n->conf->agent_grace_us;
	uv_timer_start(&n->grace, on_grace, (grace_us - MIN(grace_us, away_us)) / 1000, 0);
}

static void agent_back(struct notify *n)
{
	struct notify_mark *mark = notify_find_mark(n, "agent");

	uv_timer_stop(&n->grace);
	if (mark != NULL) {
		n->away_us = mark->time_us;
		notify_drop_mark(n, mark);
		tell_agent(n, NOTIFY_AGENT_BACK, "");
	}
	n->away_us = 0;
}

static void on_state(struct link_watch *watch, const struct link_info *info)
{
	struct notify *n = container_of(watch, struct notify, watch);

	if (info->state != LINK_CONNECTED) {
		agent_away(n, info->since_us);
		return;
	}
	agent_back(n);
	if (n->conf != NULL)
		scan_begin(n);
}

static void on_event(struct link_watch *watch, struct wire_str text)
{
	struct notify *n = container_of(watch, struct notify, watch);
	json_t *doc;

	if (n->conf == NULL || memmem(text.data, MIN(text.len, 64u), "\"run.changed\"", 13) == NULL)
		return;
	doc = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	if (json_is_object(json_object_get(doc, "run")))
		take_run(n, json_object_get(doc, "run"));
	json_decref(doc);
}

/* ---- the machine ---- */

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

static void forget_gone(struct notify *n)
{
	uint64_t now_us = clock_wall_us();

	list_foreach(pos, tmp, &n->marks)
	{
		struct notify_mark *mark = container_of(pos, struct notify_mark, link);

		if (strncmp(mark->key, "status/", 7) == 0 &&
			mark->time_us + MAX(GONE_US, 3 * n->conf->look_every_us) < now_us)
			notify_drop_mark(n, mark);
	}
}

/* How the machine is. */
static void on_look(const struct link_reply *reply, void *arg)
{
	struct notify *n = arg;
	struct msg_document document;
	const char *host, *section;
	json_t *doc, *items, *item;
	size_t i;

	n->look = NULL;
	if (n->conf == NULL || reply->err != 0 || reply->status != MSG_OK ||
		msg_document_decode(reply->fields, reply->fields_len, &document) != 0)
		return;
	doc = json_loadb(document.json.data, document.json.len, JSON_REJECT_DUPLICATES, NULL);
	host = json_string_value(json_object_get(doc, "host"));
	json_object_foreach(json_object_get(doc, "sections"), section, items)
	{
		json_array_foreach(items, i, item)
		{
			take_item(n, host != NULL ? host : "", section, item);
		}
	}
	forget_gone(n);
	json_decref(doc);
}

/* Time to look at the machine. */
static void on_look_timer(uv_timer_t *timer)
{
	static const uint32_t levels = 1u << NOTIFY_STATUS_BAD | 1u << NOTIFY_STATUS_WARN |
				       1u << NOTIFY_STATUS_UNKNOWN | 1u << NOTIFY_STATUS_OK;
	struct notify *n = timer->data;

	if (n->look == NULL && (wanted(n) & levels) != 0 && link_is_connected(n->server->link))
		n->look = link_request(n->server->link, MSG_STATUS, NULL, 0, on_look, n);
}

/* ---- birth and death ---- */

void notify_watch_configure(struct notify *n)
{
	struct link_info info;

	if (n->conf == NULL) {
		uv_timer_stop(&n->look_timer);
		uv_timer_stop(&n->grace);
		return;
	}
	uv_timer_start(&n->look_timer, on_look_timer, n->conf->look_every_us / 1000,
		n->conf->look_every_us / 1000);
	link_get_info(n->server->link, &info);
	uv_timer_stop(&n->grace);
	if (info.state != LINK_CONNECTED)
		agent_away(n, info.since_us);
	else if (!n->scanned && n->list == NULL)
		scan_begin(n);
}

void notify_watch_open(struct notify *n)
{
	uv_timer_init(n->server->loop, &n->grace);
	uv_timer_init(n->server->loop, &n->look_timer);
	n->grace.data = n->look_timer.data = n;
	n->watch.on_state = on_state;
	n->watch.on_event = on_event;
	link_watch_add(n->server->link, &n->watch);
	notify_watch_configure(n);
}

static void on_handle_closed(uv_handle_t *handle)
{
	notify_part_closed(handle->data);
}

void notify_watch_close(struct notify *n)
{
	link_watch_remove(&n->watch);
	link_call_forget(n->list);
	link_call_forget(n->look);
	json_decref(n->found);
	uv_close((uv_handle_t *)&n->grace, on_handle_closed);
	uv_close((uv_handle_t *)&n->look_timer, on_handle_closed);
}
