/*
 * Where events come from, of each host for itself: the agent's run.changed events, its list of runs
 * whenever it has been away, and its absence. The machine's items are notify_items.c's.
 *
 * Runs: an event run.changed carries the run's document. After (re)connecting the agent's list is
 * read back to what was seen before, oldest first then, so that what failed while nobody listened
 * is told, and "works again" follows "failed".
 *
 * Failure modes: the agent goes away in the middle of a scan: the next connection begins it anew. A
 * page of it that does not come while the agent stays is asked for again, ever more seldom. A
 * document that makes no sense is passed over; hub.c says so in the log.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/notify/notify_internal.h"
#include "core/app/server.h"
#include "core/base/clock.h"
#include "core/base/log.h"

#define SCAN_PAGE 100
#define SCAN_MAX_PAGES 50
#define SCAN_LONGEST_US                                                                            \
	(UINT64_C(48) * 3600 * 1000000) /* a run that lasts; longer ones are missed */
#define SCAN_RETRY_MIN_MS 1000u
#define SCAN_RETRY_MAX_MS 60000u

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

	words.host = doc->host;
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

	words.host = doc->host;
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

static void take_run(struct notify_host *h, json_t *run)
{
	struct notify *n = h->notify;
	struct rundoc doc;
	char key[200];

	if (n->conf == NULL || rundoc_read(run, &doc) < 0 ||
		!hosts_believe_run(n->server->hosts, h->host, run))
		return;
	if (strcmp(doc.status, "waiting") == 0) {
		take_waiting(n, run, &doc);
		return;
	}
	run_key(&doc, "end", key, sizeof(key));
	if (!doc.final || finished_us(&doc) + NOTIFY_SLACK_US < h->seen_us ||
		notify_find_mark(n, key) != NULL)
		return;
	if (has_failed(doc.status))
		take_failed(n, run, &doc);
	else if (strcmp(doc.status, "succeeded") == 0)
		take_succeeded(n, &doc);
	if (h->scanned)
		h->seen_us = MAX(h->seen_us, clock_wall_us());
}

/* ---- what happened while nobody listened ---- */

/* Up to when its runs were looked at: as written down under its name, or (the primary one, also of
 * a state from before there were several) as such. A host that is new here has no old news. */
static uint64_t seen_at_start(const struct notify_host *h)
{
	const struct notify *n = h->notify;
	json_int_t us = json_integer_value(json_object_get(n->seen, host_name(h->host)));

	if (us > 0)
		return (uint64_t)us;
	if (hosts_is_primary(h->host) && n->seen_us > 0)
		return n->seen_us;
	return clock_wall_us() + NOTIFY_SLACK_US;
}

uint64_t notify_host_seen_us(const struct notify_host *h)
{
	return h->seen_us > 0 ? h->seen_us : seen_at_start(h);
}

static void scan_page(struct notify_host *h);

static void scan_done(struct notify_host *h)
{
	size_t i = json_array_size(h->found);

	while (i-- > 0)
		take_run(h, json_array_get(h->found, i));
	json_decref(h->found);
	h->found = NULL;
	h->scanned = true;
	h->seen_us = MAX(h->seen_us, h->scan_began_us);
	notify_state_touch(h->notify);
}

/* Keeps what may be news; whether older runs may be too. */
static bool scan_take(struct notify_host *h, const json_t *runs)
{
	uint64_t since_us = h->seen_us - MIN(h->seen_us, NOTIFY_SLACK_US);
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
			json_array_append(h->found, run);
	}
	return more;
}

/* Time to ask again for a page that did not come. */
static void on_scan_timer(uv_timer_t *timer)
{
	struct notify_host *h = timer->data;

	if (host_is_connected(h->host))
		scan_page(h);
}

static void scan_retry(struct notify_host *h, const struct link_reply *reply)
{
	unsigned wait_ms = SCAN_RETRY_MIN_MS << MIN(h->scan_failures, 6u);

	h->scan_failures++;
	log_warn(LOG_EV("notify.scan_failed"), LOG_STR("host", host_name(h->host)),
		LOG_INT("page", h->scan_pages), LOG_INT("attempt", h->scan_failures),
		LOG_STR("reason",
			reply->err != 0 ? strerror(-reply->err) : msg_status_name(reply->status)));
	uv_timer_start(&h->scan_timer, on_scan_timer, MIN(wait_ms, SCAN_RETRY_MAX_MS), 0);
}

/* A page of the agent's runs. */
static void on_list(const struct link_reply *reply, void *arg)
{
	struct notify_host *h = arg;
	struct msg_run_list_reply list;
	json_t *page;
	bool more;

	h->list = NULL;
	if (!host_is_connected(h->host))
		return; /* the next connection begins a scan of its own */
	if (reply->err != 0 || reply->status != MSG_OK ||
		msg_run_list_reply_decode(reply->fields, reply->fields_len, &list) != 0) {
		scan_retry(h, reply);
		return;
	}
	page = json_loadb(
		list.json.data, list.json.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	more = scan_take(h, json_object_get(page, "runs"));
	json_decref(page);
	snprintf(
		h->scan_before, sizeof(h->scan_before), "%.*s", (int)list.next.len, list.next.data);
	h->scan_failures = 0;
	if (more && h->scan_before[0] != '\0' && ++h->scan_pages < SCAN_MAX_PAGES)
		scan_page(h);
	else
		scan_done(h);
}

static void scan_page(struct notify_host *h)
{
	const struct msg_run_list ask = {
		.filter = MSG_LIST_ALL, .limit = SCAN_PAGE, .before = wire_str_of(h->scan_before)};
	uint8_t fields[128];
	int len = msg_run_list_encode(&ask, fields, sizeof(fields));

	if (len < 0)
		abort(); /* a UUID */
	h->list = link_request(h->host->link, MSG_RUN_LIST,
		&(struct wire_str){(const char *)fields, (uint32_t)len}, 0, on_list, h);
}

static void scan_begin(struct notify_host *h)
{
	link_call_forget(h->list);
	json_decref(h->found);
	h->found = json_array();
	h->scan_pages = h->scan_failures = 0;
	h->scan_before[0] = '\0';
	h->scanned = false;
	if (h->seen_us == 0)
		h->seen_us = seen_at_start(h);
	h->scan_began_us = clock_wall_us();
	uv_timer_stop(&h->scan_timer);
	scan_page(h);
}

/* ---- the agent itself ---- */

/* The mark that says that it is lost. Where there is only one, its name may not be known yet. */
static void away_key(const struct notify_host *h, char out[80])
{
	if (h->host->conf.host == NULL)
		snprintf(out, 80, "agent");
	else
		snprintf(out, 80, "agent/%s", h->host->conf.host);
}

static struct notify_mark *away_mark(const struct notify_host *h)
{
	char key[80];

	away_key(h, key);
	return notify_find_mark(h->notify, key);
}

static void tell_agent(struct notify_host *h, enum notify_on on, const char *reason)
{
	struct notify_event event = {.on = on};
	struct notify_words words = notify_words(h->notify);

	words.host = host_name(h->host);
	snprintf(event.key, sizeof(event.key), "agent/%s", words.host);
	snprintf(event.state, sizeof(event.state), "%s", on == NOTIFY_AGENT_LOST ? "lost" : "back");
	notify_text_agent(&words, reason, h->away_us, &event);
	notify_tell(h->notify, &event);
}

/* The agent has been away for the grace. */
static void on_grace(uv_timer_t *timer)
{
	struct notify_host *h = timer->data;
	struct link_info info;
	char key[80];

	link_get_info(h->host->link, &info);
	if (info.state == LINK_CONNECTED || h->notify->conf == NULL || away_mark(h) != NULL)
		return;
	away_key(h, key);
	notify_set_mark(h->notify, key, "lost", h->away_us, false);
	tell_agent(h, NOTIFY_AGENT_LOST, info.reason);
}

static void agent_away(struct notify_host *h, uint64_t since_us)
{
	struct notify_mark *mark = away_mark(h);
	uint64_t away_us, grace_us;

	if (h->away_us == 0)
		h->away_us = mark != NULL ? mark->time_us : since_us;
	if (h->notify->conf == NULL || mark != NULL || uv_is_active((uv_handle_t *)&h->grace))
		return;
	away_us = clock_wall_us() - MIN(h->away_us, clock_wall_us());
	grace_us = h->notify->conf->agent_grace_us;
	uv_timer_start(&h->grace, on_grace, (grace_us - MIN(grace_us, away_us)) / 1000, 0);
}

static void agent_back(struct notify_host *h)
{
	struct notify_mark *mark = away_mark(h);

	uv_timer_stop(&h->grace);
	if (mark != NULL) {
		h->away_us = mark->time_us;
		notify_drop_mark(h->notify, mark);
		tell_agent(h, NOTIFY_AGENT_BACK, "");
	}
	h->away_us = 0;
}

static void on_state(struct link_watch *watch, const struct link_info *info)
{
	struct notify_host *h = container_of(watch, struct notify_host, watch);

	if (info->state != LINK_CONNECTED) {
		agent_away(h, info->since_us);
		return;
	}
	agent_back(h);
	if (h->notify->conf == NULL)
		return;
	scan_begin(h);
	notify_items_configure(h);
}

static void on_event(struct link_watch *watch, struct wire_str text)
{
	struct notify_host *h = container_of(watch, struct notify_host, watch);
	json_t *doc;

	if (h->notify->conf == NULL ||
		memmem(text.data, MIN(text.len, 64u), "\"run.changed\"", 13) == NULL)
		return;
	doc = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	if (json_is_object(json_object_get(doc, "run")))
		take_run(h, json_object_get(doc, "run"));
	json_decref(doc);
}

/* ---- birth and death ---- */

static void configure(struct notify_host *h)
{
	struct link_info info;

	notify_items_configure(h);
	uv_timer_stop(&h->grace);
	if (h->notify->conf == NULL)
		return;
	link_get_info(h->host->link, &info);
	if (info.state != LINK_CONNECTED)
		agent_away(h, info.since_us);
	else if (!h->scanned && h->list == NULL && !uv_is_active((uv_handle_t *)&h->scan_timer))
		scan_begin(h);
}

void notify_watch_configure(struct notify *n)
{
	list_foreach(pos, tmp, &n->hosts) configure(container_of(pos, struct notify_host, link));
}

void notify_host_added(struct notify *n, struct host *host)
{
	struct notify_host *h = xcalloc(1, sizeof(*h));

	h->notify = n;
	h->host = host;
	list_append(&n->hosts, &h->link);
	n->n_hosts++;
	uv_timer_init(n->server->loop, &h->grace);
	uv_timer_init(n->server->loop, &h->scan_timer);
	h->n_handles = 3;
	h->grace.data = h->scan_timer.data = h;
	notify_items_open(h);
	h->watch.on_state = on_state;
	h->watch.on_event = on_event;
	link_watch_add(host->link, &h->watch);
	configure(h);
}

void notify_watch_open(struct notify *n)
{
	for (size_t i = 0; i < hosts_count(n->server->hosts); i++)
		notify_host_added(n, hosts_at(n->server->hosts, i));
}

/* One of its timers is closed. */
static void on_handle_closed(uv_handle_t *handle)
{
	struct notify_host *h = handle->data;
	struct notify *n = h->notify;

	if (--h->n_handles > 0)
		return;
	free(h);
	n->n_hosts--;
	if (n->closing)
		notify_part_closed(n);
}

static void host_close_watch(struct notify_host *h)
{
	list_remove(&h->link);
	link_watch_remove(&h->watch);
	link_call_forget(h->list);
	json_decref(h->found);
	uv_close((uv_handle_t *)&h->grace, on_handle_closed);
	uv_close((uv_handle_t *)&h->scan_timer, on_handle_closed);
	notify_items_close(h, on_handle_closed);
}

void notify_host_gone(struct notify *n, const struct host *host)
{
	list_foreach(pos, tmp, &n->hosts)
	{
		struct notify_host *h = container_of(pos, struct notify_host, link);

		if (h->host == host)
			host_close_watch(h);
	}
}

void notify_watch_close(struct notify *n)
{
	while (!list_empty(&n->hosts))
		host_close_watch(container_of(n->hosts.next, struct notify_host, link));
}
