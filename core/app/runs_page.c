/*
 * Owns: one history call and one agent call at a time, and the documents that came so far.
 *
 * Happy path: history and agent are asked at once; the agent's answer is filtered and, when the
 * filter left too little, the agent is asked for its next page (AGENT_PAGES at most); when both are
 * done the two sorted lists are merged by id and written.
 *
 * Failure modes: the agent away: its part is empty, "agent":"away". PostgreSQL down:
 * "history":"unavailable". Neither is an error of the page.
 */
#include "core/app/runs_page.h"

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
	char *text;
};

struct items {
	struct item list[LIMIT_RUN_LIST];
	size_t n;
};

struct runs_page {
	struct server *server;
	struct runs_query query;
	runs_page_fn cb;
	void *arg;
	struct history_call *history_call; /* NULL: done */
	struct link_call *agent_call;	   /* NULL: done */
	bool history_ok, history_more, agent_ok, agent_more;
	bool agent_cut; /* not all of the agent's runs were looked at: agent_before says how far */
	unsigned agent_pages;
	char agent_before[UUID_TEXT_BYTES];
	struct items agent, history;
};

static void items_fini(struct items *items)
{
	for (size_t i = 0; i < items->n; i++)
		free(items->list[i].text);
}

static void page_free(struct runs_page *page)
{
	items_fini(&page->agent);
	items_fini(&page->history);
	free(page);
}

void runs_page_forget(struct runs_page *page)
{
	if (page == NULL)
		return;
	history_forget(page->history_call);
	link_call_forget(page->agent_call);
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

static void put_item(struct json *json, const struct item *item, const char **last)
{
	json_raw(json, item->text, strlen(item->text));
	*last = item->id;
}

/* Both lists are sorted, newest first: the canonical text of a version 7 id sorts by time. */
static void page_write(struct runs_page *page, struct buf *body)
{
	size_t a = 0, h = 0, n = 0;
	const char *last = NULL;
	struct json json;

	json_init(&json, body);
	json_open_object(&json);
	json_key(&json, "runs");
	json_open_array(&json);
	for (; n < page->query.limit && (a < page->agent.n || h < page->history.n); n++) {
		int order;

		if (a == page->agent.n)
			order = 1;
		else if (h == page->history.n)
			order = -1;
		else
			order = strcmp(page->history.list[h].id, page->agent.list[a].id);
		/* Older than what was seen of the agent's: some of its runs may come first. */
		if (order > 0 && page->agent_cut &&
			strcmp(page->history.list[h].id, page->agent_before) < 0)
			break;
		if (order <= 0) {
			put_item(&json, &page->agent.list[a++], &last);
			h += order == 0;
		} else {
			put_item(&json, &page->history.list[h++], &last);
		}
	}
	json_close_array(&json);
	json_key(&json, "next");
	if (a < page->agent.n || h < page->history.n || page->agent_more || page->history_more)
		json_str(&json, page->agent_cut || last == NULL ? page->agent_before : last);
	else
		json_str(&json, NULL);
	json_kv_str(&json, "agent", page->agent_ok ? "connected" : "away");
	json_kv_str(&json, "history", page->history_ok ? "ok" : "unavailable");
	json_close_object(&json);
}

static void page_maybe_done(struct runs_page *page)
{
	struct buf body;

	if (page->agent_call != NULL || page->history_call != NULL)
		return;
	buf_init(&body, HTTP_MAX_DOCUMENT);
	page_write(page, &body);
	page->cb(buf_err(&body), &body, page->arg);
	buf_fini(&body);
	page_free(page);
}

static void agent_ask(struct runs_page *page);

static void agent_take(struct runs_page *page, json_t *runs)
{
	json_t *run;
	size_t i;

	json_array_foreach(runs, i, run)
	{
		const char *id = json_string_value(json_object_get(run, "id"));
		struct item *item = &page->agent.list[page->agent.n];

		if (id == NULL || strlen(id) >= sizeof(item->id) || !run_matches(run, &page->query))
			continue;
		if (page->agent.n == page->query.limit) {
			page->agent_more = true;
			return;
		}
		json_object_del(run, "steps");
		snprintf(item->id, sizeof(item->id), "%s", id);
		item->text = json_dumps(run, JSON_COMPACT);
		page->agent.n += item->text != NULL;
	}
}

/* The agent has sent a page of its runs, or could not. */
static void on_agent(const struct link_reply *reply, void *arg)
{
	struct runs_page *page = arg;
	struct msg_run_list_reply list;
	json_t *doc = NULL;

	page->agent_call = NULL;
	page->agent_ok = reply->err == 0 && reply->status == MSG_OK &&
			 msg_run_list_reply_decode(reply->fields, reply->fields_len, &list) == 0;
	if (page->agent_ok) {
		doc = json_loadb(list.json.data, list.json.len,
			JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
		agent_take(page, json_object_get(doc, "runs"));
		json_decref(doc);
		page->agent_more = page->agent_more || list.next.len > 0;
		snprintf(page->agent_before, sizeof(page->agent_before), "%.*s", (int)list.next.len,
			list.next.data != NULL ? list.next.data : "");
		page->agent_cut = list.next.len > 0 && page->agent.n < page->query.limit;
		if (page->agent_cut && ++page->agent_pages < AGENT_PAGES) {
			page->agent_cut = page->agent_more = false;
			agent_ask(page);
		}
	}
	page_maybe_done(page);
}

static void agent_ask(struct runs_page *page)
{
	bool filtered = page->query.status[0] != '\0' || page->query.name[0] != '\0' ||
			page->query.q[0] != '\0';
	struct msg_run_list list = {
		.filter = MSG_LIST_ALL,
		.limit = (uint16_t)(filtered ? LIMIT_RUN_LIST : page->query.limit),
		.before = wire_str_of(page->agent_before),
	};
	uint8_t fields[128];
	int n = msg_run_list_encode(&list, fields, sizeof(fields));

	if (n < 0)
		abort(); /* all of it is of constant size */
	page->agent_call = link_request(page->server->link, MSG_RUN_LIST,
		&(struct wire_str){(const char *)fields, (uint32_t)n}, 0, on_agent, page);
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
	}
	page_maybe_done(page);
}

struct runs_page *runs_page_get(
	struct server *server, const struct runs_query *query, runs_page_fn cb, void *arg)
{
	struct runs_page *page = xcalloc(1, sizeof(*page));
	struct history_filter filter = {.limit = query->limit};
	int err = 0;

	page->server = server;
	page->query = *query;
	page->cb = cb;
	page->arg = arg;
	snprintf(page->agent_before, sizeof(page->agent_before), "%s", query->before);
	filter.before = page->query.before;
	filter.status = page->query.status;
	filter.name = page->query.name;
	filter.q = page->query.q;
	page->history_call = history_list(server->pool, &filter, on_history, page, &err);
	agent_ask(page);
	return page;
}
