/*
 * The topics that are documents: runs, run/{id}, catalog, system, status.
 *
 * Happy path: topic_start() fetches the snapshot (a page of runs; a run from the agent, else the
 * database) -> it is sent -> changes are sent as `put`. Changes that come while the snapshot is
 * being fetched are held and sent behind it, so that the client never goes back in time; when they
 * do not fit, the snapshot is fetched once more instead.
 *
 * Failure modes: neither agent nor database can be asked: the subscription waits and is restarted
 * by either coming back (live_on_agent()). A run that both deny: an error event, and it is over.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/http.h"
#include "core/app/limits.h"
#include "core/app/live/live_internal.h"
#include "core/app/parts.h"
#include "core/base/clock.h"
#include "core/base/json.h"

static bool is_fetching(const struct sub *sub)
{
	return sub->page != NULL || sub->find != NULL || sub->call != NULL ||
	       sub->history_call != NULL;
}

/* What was held goes out behind the snapshot. */
static void send_held(struct sub *sub)
{
	const char *at = (const char *)sub->held.data;
	size_t left = sub->held.len;

	while (left > 0) {
		const char *end = memchr(at, '\n', left);
		size_t n = end != NULL ? (size_t)(end - at) : left;

		sub_send(sub, "put", at, n);
		n += end != NULL;
		at += n;
		left -= n;
	}
	buf_reset(&sub->held);
}

static void send_snapshot(struct sub *sub, const char *text, size_t len)
{
	sub->waiting = false;
	if (sub->refetch) {
		buf_reset(&sub->held);
		topic_restart(sub);
		return;
	}
	sub_send(sub, "snapshot", text, len);
	send_held(sub);
}

/* A page of the newest runs has come. */
static void on_page(int err, struct buf *body, void *arg)
{
	struct sub *sub = arg;

	sub->page = NULL;
	if (err < 0)
		sub_fail(sub, "internal", "The list of runs is too large.");
	else
		send_snapshot(sub, (const char *)body->data, body->len);
}

static void fetch(struct sub *sub);

static void send_run(struct sub *sub, struct wire_str document)
{
	json_t *run = json_loadb(
		document.data, document.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	const char *id = json_string_value(json_object_get(run, "id"));
	struct buf text;

	buf_init(&text, HTTP_MAX_DOCUMENT);
	errorlines_append(sub->socket->live->server->errorlines, document, &text);
	if (id == NULL || strlen(id) >= sizeof(sub->id_text) || buf_err(&text) != 0) {
		sub_fail(sub, "internal", "The run's document makes no sense.");
	} else {
		memcpy(sub->id_text, id, strlen(id) + 1);
		send_snapshot(sub, (const char *)text.data, text.len);
	}
	buf_fini(&text);
	json_decref(run);
}

/* Whether the agent that would have it was there to be asked. */
static bool home_is_there(const struct sub *sub)
{
	const struct hosts *hosts = sub->socket->live->server->hosts;
	const struct host *host = hosts_of_run(hosts, sub->run);

	return host != NULL ? host_is_connected(host) : hosts_are_connected(hosts);
}

static void on_history_run(const struct history_get_reply *reply, void *arg)
{
	struct sub *sub = arg;

	sub->history_call = NULL;
	if (reply->err == 0)
		send_run(sub, reply->run.json);
	else if (sub->refetch) /* the agent, which was away when it was asked, is back */
		fetch(sub);
	else if (reply->err == -ENOENT && home_is_there(sub))
		sub_fail(sub, "not_found", "There is no such run.");
	else
		sub->waiting = true;
}

static void on_agent_run(const struct link_reply *reply, void *arg)
{
	struct sub *sub = arg;
	struct msg_document document;

	sub->call = NULL;
	if (reply->err == 0 && reply->status == MSG_OK &&
		msg_document_decode(reply->fields, reply->fields_len, &document) == 0)
		send_run(sub, document.json);
	else
		sub->history_call =
			history_get(sub->socket->live->server->pool, sub->run, on_history_run, sub);
}

static void fetch_run(struct sub *sub, struct host *host)
{
	struct server *server = sub->socket->live->server;
	struct msg_run_ref ref = {.run = wire_str_of(sub->run)};
	uint8_t fields[64];
	int n = msg_run_ref_encode(&ref, fields, sizeof(fields));

	if (n < 0)
		abort(); /* live_msg.c bounds it */
	if (host == NULL)
		sub->history_call = history_get(server->pool, sub->run, on_history_run, sub);
	else
		sub->call = link_request(host->link, MSG_RUN_GET,
			&(struct wire_str){(const char *)fields, (uint32_t)n}, 0, on_agent_run,
			sub);
}

/* Whose run it is, at once or later; where there are several hosts its number is done with. */
static void on_found(const struct runfind_reply *reply, void *arg)
{
	struct sub *sub = arg;

	sub->find = NULL;
	if (reply->err == 0) {
		if (reply->run != sub->run)
			snprintf(sub->run, sizeof(sub->run), "%s", reply->run);
		fetch_run(sub, reply->host);
	} else if (sub->refetch) {
		fetch(sub);
	} else if (reply->err == -ENOENT) {
		sub_fail(sub, "not_found", "There is no such run.");
	} else if (reply->err == -ENOTUNIQ) {
		sub_fail(sub, "ambiguous_number", "Several hosts have a run of this number.");
	} else if (reply->err == -EEXIST) {
		sub_fail(sub, "contested_run", RUNFIND_CONTESTED);
	} else {
		sub->waiting = true;
	}
}

static void fetch(struct sub *sub)
{
	struct server *server = sub->socket->live->server;
	struct runs_query query = {.limit = LIMIT_RUNS_SNAPSHOT};

	sub->refetch = false;
	sub->waiting = false;
	buf_reset(&sub->held);
	if (sub->topic == TOPIC_RUNS) {
		sub->page = runs_page_get(server, &query, on_page, sub);
		return;
	}
	sub->find = runfind_start(server, sub->run, sub->host, on_found, sub);
}

void topic_restart(struct sub *sub)
{
	if (is_fetching(sub))
		sub->refetch = true;
	else
		fetch(sub);
}

/* A status document of the host that was asked for, when that is there. */
static void status_start(struct sub *sub)
{
	struct host *host = hosts_find(sub->socket->live->server->hosts, sub->host);
	const char *text;
	size_t len;

	if (host == NULL) {
		sub_fail(sub, "unknown_host", "There is no such host here.");
		return;
	}
	sub->watched = host;
	text = status_subscribed(host->status, &len);
	sub->waiting = text == NULL;
	if (text != NULL)
		sub_send(sub, "snapshot", text, len);
}

void topic_rehost(struct sub *sub)
{
	if (sub->watched == hosts_find(sub->socket->live->server->hosts, sub->host) &&
		sub->watched != NULL)
		return;
	if (sub->watched != NULL)
		status_unsubscribed(sub->watched->status);
	sub->watched = NULL;
	status_start(sub);
}

void topic_start(struct sub *sub)
{
	struct live *live = sub->socket->live;
	const char *text;
	size_t len;

	switch (sub->topic) {
	case TOPIC_RUNS:
	case TOPIC_RUN:
		fetch(sub);
		return;
	case TOPIC_CATALOG:
		text = hosts_catalog(live->server->hosts, &len);
		sub->waiting = text == NULL;
		if (text != NULL)
			sub_send(sub, "snapshot", text, len);
		else
			hosts_want_catalogs(live->server->hosts);
		return;
	case TOPIC_STATUS:
		status_start(sub);
		return;
	case TOPIC_SYSTEM:
		live_on_system(live);
		if (live->system != NULL)
			sub_send(sub, "snapshot", live->system, strlen(live->system));
		return;
	case TOPIC_RUN_LOG:
	case TOPIC_TAIL_DOCKER:
	case TOPIC_TAIL_UNIT:
	case TOPIC_UNSUPPORTED:
		abort(); /* live.c does not send them here */
	}
}

void topic_on_run(struct sub *sub, const char *id, const char *number, const char *text)
{
	size_t len = strlen(text);

	if (sub->topic == TOPIC_RUN) {
		/* A number is only of this run where there is no other host. */
		if (strcmp(sub->run, id) != 0 &&
			(hosts_count(sub->socket->live->server->hosts) != 1 ||
				strcmp(sub->run, number) != 0))
			return;
		buf_reset(&sub->held); /* only its latest state matters */
	} else if (sub->topic != TOPIC_RUNS) {
		return;
	}
	if (!is_fetching(sub)) {
		if (!sub->waiting)
			sub_send(sub, "put", text, len);
		return;
	}
	buf_append(&sub->held, text, len);
	buf_append_byte(&sub->held, '\n');
	if (buf_err(&sub->held) < 0)
		sub->refetch = true;
}

char *topic_system_document(struct live *live)
{
	const struct server *server = live->server;
	const struct host *primary = hosts_primary(server->hosts);
	struct json json;
	struct buf buf;

	if (primary == NULL)
		return NULL; /* the daemon is closing */
	buf_init(&buf, 65536);
	json_init(&json, &buf);
	json_open_object(&json);
	json_kv_str(&json, "boot_id", server->boot_id);
	json_kv_str(&json, "version", OPS_VERSION);
	json_kv_str(&json, "assets", ui_assets_hash);
	json_kv_uint(&json, "started_us", server->started_us);
	json_kv_str(&json, "host", host_name(primary));
	parts_write(&json, server, true);
	json_close_object(&json);
	return buf_take_str(&buf);
}
