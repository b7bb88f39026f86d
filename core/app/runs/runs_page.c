/*
 * Owns: one history call, one call to each agent at a time, and the documents that came so far.
 *
 * Happy path: history and agents are asked at once; an agent's answer is filtered and, when the
 * filter left too little, it is asked for its next page (AGENT_PAGES at most); when all are done
 * the sorted lists are merged by id and written.
 *
 * What was not looked at to the end ("cut") says up to where: nothing older than that is written,
 * since there may be something between; the next page begins there.
 *
 * Failure modes: an agent away, or one of several that does not answer in time: its part is empty,
 * "agent":"away". PostgreSQL down: "history":"unavailable". Neither is an error of the page.
 */
#include "core/app/runs/runs_page.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/http.h"
#include "core/app/limits.h"
#include "core/app/server.h"
#include "core/base/json.h"

#define AGENT_PAGES 8

struct item {
	char id[UUID_TEXT_BYTES];
	char *text;  /* of the history's */
	json_t *run; /* of an agent's; one of the two is NULL */
};

struct items {
	struct item list[LIMIT_RUN_LIST];
	size_t n;
};

/* Of one agent. */
struct part {
	struct runs_page *page;
	struct link_call *call; /* NULL: done */
	char host[LIMIT_HOST_BYTES];
	bool ok, more;
	bool cut; /* not all of its runs were looked at: before says how far */
	unsigned pages;
	char before[UUID_TEXT_BYTES];
	struct items items;
};

struct runs_page {
	struct server *server;
	struct runs_query query;
	runs_page_fn cb;
	void *arg;
	struct history_call *history_call; /* NULL: done */
	bool history_ok, history_more;
	struct items history;
	size_t n_parts;
	struct part parts[]; /* of each host that is asked */
};

static void item_fini(struct item *item)
{
	free(item->text);
	json_decref(item->run);
}

static void items_fini(struct items *items)
{
	for (size_t i = 0; i < items->n; i++)
		item_fini(&items->list[i]);
}

static void page_free(struct runs_page *page)
{
	for (size_t i = 0; i < page->n_parts; i++)
		items_fini(&page->parts[i].items);
	items_fini(&page->history);
	free(page);
}

void runs_page_forget(struct runs_page *page)
{
	if (page == NULL)
		return;
	history_forget(page->history_call);
	for (size_t i = 0; i < page->n_parts; i++)
		link_call_forget(page->parts[i].call);
	page_free(page);
}

static bool text_contains(const json_t *run, const char *member, const char *part)
{
	const char *text = json_string_value(json_object_get(run, member));

	return text != NULL && strcasestr(text, part) != NULL;
}

/* Whether status is one of a list like "failed,lost". */
static bool status_is_among(const char *status, const char *list)
{
	size_t n = strlen(status);

	for (const char *at = list; *at != '\0';) {
		size_t len = strcspn(at, ",");

		if (len == n && strncmp(at, status, n) == 0)
			return true;
		at += len;
		at += *at == ',';
	}
	return false;
}

static bool run_matches(const json_t *run, const struct runs_query *query)
{
	const char *status = json_string_value(json_object_get(run, "status"));
	const char *name = json_string_value(json_object_get(run, "name"));
	char number[32];

	if (query->status[0] != '\0' && (status == NULL || !status_is_among(status, query->status)))
		return false;
	if (query->name[0] != '\0' && (name == NULL || strcmp(name, query->name) != 0))
		return false;
	if (query->q[0] == '\0')
		return true;
	snprintf(number, sizeof(number), "#%lld",
		(long long)json_integer_value(json_object_get(run, "number")));
	return strcmp(number, query->q) == 0 || text_contains(run, "name", query->q) ||
	       text_contains(run, "title", query->q) || text_contains(run, "actor", query->q) ||
	       text_contains(run, "reason", query->q);
}

/* ---- the lists as one ---- */

/* Where the lists are read: [0] the history, then the parts. */
struct merge {
	const struct items *lists[LIMIT_HOSTS + 1];
	size_t at[LIMIT_HOSTS + 1];
	size_t n;
};

/* The newest that is left, an agent's before the history's when they are the same; its list, or
 * NULL when nothing is left. The canonical text of a version 7 id sorts by time. */
static const struct item *merge_next(const struct merge *m)
{
	const struct item *best = NULL;

	for (size_t i = 0; i < m->n; i++) {
		const struct item *item = &m->lists[i]->list[m->at[i]];

		if (m->at[i] < m->lists[i]->n && (best == NULL || strcmp(item->id, best->id) >= 0))
			best = item;
	}
	return best;
}

static void merge_skip(struct merge *m, const char *id)
{
	for (size_t i = 0; i < m->n; i++) {
		if (m->at[i] < m->lists[i]->n && strcmp(m->lists[i]->list[m->at[i]].id, id) == 0)
			m->at[i]++;
	}
}

static void raise_floor(const char **floor, const char *id)
{
	if (*floor == NULL || strcmp(id, *floor) > 0)
		*floor = id;
}

/* Nothing older than this may be written: something that was not seen may come before it. */
static const char *page_floor(const struct runs_page *page)
{
	const char *floor = NULL;

	for (size_t i = 0; i < page->n_parts; i++) {
		if (page->parts[i].cut)
			raise_floor(&floor, page->parts[i].before);
	}
	if (page->history_more && page->history.n > 0 && page->history.n < page->query.limit)
		raise_floor(&floor, page->history.list[page->history.n - 1].id);
	return floor;
}

static bool page_has_more(const struct runs_page *page, const struct merge *m)
{
	bool more = page->history_more || merge_next(m) != NULL;

	for (size_t i = 0; i < page->n_parts; i++)
		more = more || page->parts[i].more;
	return more;
}

/* What the next page is asked for by. */
static const char *page_next(const struct runs_page *page, const struct merge *m, size_t n,
	const char *last, const char *floor)
{
	if (!page_has_more(page, m))
		return NULL;
	return n == page->query.limit || floor == NULL ? last : floor;
}

static void write_parts(struct json *json, const struct runs_page *page)
{
	bool all = true;

	for (size_t i = 0; i < page->n_parts; i++)
		all = all && page->parts[i].ok;
	json_kv_str(json, "agent", all ? "connected" : "away");
	json_key(json, "hosts");
	json_open_array(json);
	for (size_t i = 0; i < page->n_parts; i++) {
		json_open_object(json);
		json_kv_str(json, "host", page->parts[i].host);
		json_kv_str(json, "agent", page->parts[i].ok ? "connected" : "away");
		json_close_object(json);
	}
	json_close_array(json);
}

/* What the history said of a run is known by now. */
static void write_item(struct json *json, const struct runs_page *page, const struct item *item)
{
	char *text = item->text;

	if (item->run != NULL) {
		errorlines_put(page->server->errorlines, item->run);
		text = json_dumps(item->run, JSON_COMPACT);
	}
	if (text != NULL) /* no memory: the page is without it */
		json_raw(json, text, strlen(text));
	if (text != item->text)
		free(text);
}

static void page_write(struct runs_page *page, struct buf *body)
{
	struct merge m = {.lists = {&page->history}, .n = 1};
	const char *floor = page_floor(page), *last = NULL;
	const struct item *item;
	struct json json;
	size_t n = 0;

	for (size_t i = 0; i < page->n_parts; i++)
		m.lists[m.n++] = &page->parts[i].items;
	json_init(&json, body);
	json_open_object(&json);
	json_key(&json, "runs");
	json_open_array(&json);
	for (; n < page->query.limit && (item = merge_next(&m)) != NULL; n++) {
		if (floor != NULL && strcmp(item->id, floor) < 0)
			break;
		write_item(&json, page, item);
		last = item->id;
		merge_skip(&m, last);
	}
	json_close_array(&json);
	json_key(&json, "next");
	json_str(&json, page_next(page, &m, n, last, floor));
	write_parts(&json, page);
	json_kv_str(&json, "history", page->history_ok ? "ok" : "unavailable");
	json_close_object(&json);
}

static void page_maybe_done(struct runs_page *page)
{
	struct buf body;

	if (page->history_call != NULL)
		return;
	for (size_t i = 0; i < page->n_parts; i++) {
		if (page->parts[i].call != NULL)
			return;
	}
	buf_init(&body, HTTP_MAX_DOCUMENT);
	page_write(page, &body);
	page->cb(buf_err(&body), &body, page->arg);
	buf_fini(&body);
	page_free(page);
}

/* ---- the agents ---- */

static void part_ask(struct part *part, struct host *host);

static void part_take(struct part *part, json_t *runs)
{
	const struct runs_page *page = part->page;
	struct hosts *hosts = page->server->hosts;
	struct host *host = hosts_find(hosts, part->host);
	json_t *run;
	size_t i;

	json_array_foreach(runs, i, run)
	{
		const char *id = json_string_value(json_object_get(run, "id"));
		struct item *item = &part->items.list[part->items.n];

		if (id == NULL || strlen(id) >= UUID_TEXT_BYTES)
			continue;
		if ((host != NULL && !hosts_believe_run(hosts, host, run)) ||
			!run_matches(run, &page->query))
			continue;
		if (part->items.n == page->query.limit) {
			part->more = true;
			return;
		}
		json_object_del(run, "steps");
		snprintf(item->id, sizeof(item->id), "%s", id);
		item->run = json_incref(run);
		part->items.n++;
	}
}

/* Its filtered runs are too few, and there are more: whether it was asked again. */
static bool part_goes_on(struct part *part)
{
	struct host *host = hosts_find(part->page->server->hosts, part->host);

	if (!part->cut || host == NULL || ++part->pages == AGENT_PAGES)
		return false;
	part->cut = part->more = false;
	part_ask(part, host);
	return true;
}

/* An agent has sent a page of its runs, or could not. */
static void on_agent(const struct link_reply *reply, void *arg)
{
	struct part *part = arg;
	struct msg_run_list_reply list;
	json_t *doc = NULL;

	part->call = NULL;
	hosts_note_answer(part->page->server->hosts, part->host, reply);
	part->ok = reply->err == 0 && reply->status == MSG_OK &&
		   msg_run_list_reply_decode(reply->fields, reply->fields_len, &list) == 0;
	if (part->ok) {
		doc = json_loadb(list.json.data, list.json.len,
			JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
		part_take(part, json_object_get(doc, "runs"));
		json_decref(doc);
		part->more = part->more || list.next.len > 0;
		snprintf(part->before, sizeof(part->before), "%.*s", (int)list.next.len,
			list.next.data != NULL ? list.next.data : "");
		part->cut = list.next.len > 0 && part->items.n < part->page->query.limit;
		if (part_goes_on(part))
			return;
	}
	page_maybe_done(part->page);
}

static void part_ask(struct part *part, struct host *host)
{
	const struct runs_query *query = &part->page->query;
	bool filtered = query->status[0] != '\0' || query->name[0] != '\0' || query->q[0] != '\0';
	struct msg_run_list list = {
		.filter = MSG_LIST_ALL,
		.limit = (uint16_t)(filtered ? LIMIT_RUN_LIST : query->limit),
		.before = wire_str_of(part->before),
	};
	uint8_t fields[128];
	int n = msg_run_list_encode(&list, fields, sizeof(fields));

	if (n < 0)
		abort(); /* all of it is of constant size */
	part->call = link_request(host->link, MSG_RUN_LIST,
		&(struct wire_str){(const char *)fields, (uint32_t)n}, hosts_call_ms(host),
		on_agent, part);
}

static void ask_agents(struct runs_page *page)
{
	const struct hosts *hosts = page->server->hosts;

	for (size_t i = 0; i < hosts_count(hosts); i++) {
		struct host *host = hosts_at(hosts, i);
		struct part *part = &page->parts[page->n_parts];

		if (page->query.host[0] != '\0' && strcmp(host_name(host), page->query.host) != 0)
			continue;
		page->n_parts++;
		part->page = page;
		snprintf(part->host, sizeof(part->host), "%s", host_name(host));
		memcpy(part->before, page->query.before, sizeof(part->before));
		part_ask(part, host);
	}
}

/* The database has answered, or could not. */
static void on_history(const struct history_list_reply *reply, void *arg)
{
	struct runs_page *page = arg;

	page->history_call = NULL;
	page->history_ok = reply->err == 0;
	page->history_more = reply->err == 0 && reply->more;
	for (size_t i = 0; reply->err == 0 && i < MIN(reply->n_runs, (size_t)page->query.limit);
		i++) {
		struct item *item = &page->history.list[page->history.n++];

		uuid_format(&reply->runs[i].id, item->id);
		item->text = xstrndup(reply->runs[i].json.data, reply->runs[i].json.len);
		errorlines_learn(page->server->errorlines, &reply->runs[i].id,
			reply->runs[i].error_line, reply->runs[i].error_text);
	}
	page_maybe_done(page);
}

struct runs_page *runs_page_get(
	struct server *server, const struct runs_query *query, runs_page_fn cb, void *arg)
{
	struct runs_page *page =
		xcalloc(1, sizeof(*page) + hosts_count(server->hosts) * sizeof(page->parts[0]));
	struct history_filter filter = {.limit = query->limit};
	int err = 0;

	page->server = server;
	page->query = *query;
	page->cb = cb;
	page->arg = arg;
	filter.before = page->query.before;
	filter.status = page->query.status;
	filter.name = page->query.name;
	filter.q = page->query.q;
	filter.host = page->query.host;
	page->history_call = history_list(server->pool, &filter, on_history, page, &err);
	ask_agents(page);
	return page;
}
