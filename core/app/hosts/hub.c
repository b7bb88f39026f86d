/*
 * Owns: the catalogue (text and parsed), the request for it, and its place among the link's
 * watchers.
 *
 * Happy path: connected -> catalogue asked for -> kept under its config_digest -> an event says the
 * configuration was loaded anew -> asked for again -> `live` is told when it is another one.
 *
 * The event may come before the part of the agent that answers has loaded the same files: as long
 * as the catalogue's digest is not the one the event named, it is asked for again a little later.
 *
 * Failure modes: the agent goes away: the catalogue stays, it is what the page shows meanwhile (the
 * agent checks every start anyway). An answer that is no catalogue is logged and dropped.
 */
#include "core/app/hosts/hub.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/runs/schedule.h"
#include "core/app/server.h"
#include "core/base/log.h"

#define DIGEST_BYTES 65
#define RETRY_MS 100
#define MAX_RETRIES 50

struct hub {
	struct host *host;
	struct link_watch watch;
	struct link_call *call;	   /* for the catalogue; NULL: none is out */
	bool again;		   /* it changed while the call was out */
	char wanted[DIGEST_BYTES]; /* config_digest that an event named; "": any */
	unsigned retries;
	uv_timer_t retry;
	char *text;
	size_t len;
	json_t *doc;
};

/* Each command and flow says whose it is. */
static void put_host(json_t *doc, const char *list, const char *host)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(doc, list), i, item)
	{
		if (json_is_object(item))
			json_object_set_new(item, "host", json_string(host));
	}
}

static void catalog_set(struct hub *hub, struct wire_str text)
{
	json_error_t error;
	json_t *doc =
		json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);

	if (!json_is_object(doc)) {
		log_error(LOG_EV("agent.catalog_malformed"), LOG_STR("reason", error.text));
		json_decref(doc);
		return;
	}
	if (hub->text != NULL && hub->len == text.len &&
		memcmp(hub->text, text.data, text.len) == 0) {
		json_decref(doc);
		return;
	}
	free(hub->text);
	json_decref(hub->doc);
	hub->text = xstrndup(text.data, text.len);
	hub->len = text.len;
	hub->doc = doc;
	put_host(doc, "commands", host_name(hub->host));
	put_host(doc, "flows", host_name(hub->host));
	schedule_learn(hub->host);
	hosts_on_catalog(hub->host->server->hosts);
}

/* A moment has passed since the agent's answer was still the old one. */
static void on_retry(uv_timer_t *timer)
{
	hub_want_catalog(timer->data);
}

static void check_digest(struct hub *hub)
{
	const char *digest = json_string_value(json_object_get(hub->doc, "config_digest"));

	if (hub->wanted[0] == '\0' || digest == NULL || strcmp(digest, hub->wanted) == 0 ||
		hub->retries++ >= MAX_RETRIES)
		hub->wanted[0] = '\0';
	else
		uv_timer_start(&hub->retry, on_retry, RETRY_MS, 0);
}

/* The agent has sent its catalogue, or could not. */
static void on_catalog(const struct link_reply *reply, void *arg)
{
	struct hub *hub = arg;
	struct msg_document document;

	hub->call = NULL;
	if (reply->err == 0 && reply->status == MSG_OK &&
		msg_document_decode(reply->fields, reply->fields_len, &document) == 0)
		catalog_set(hub, document.json);
	else if (reply->err == 0)
		log_warn(LOG_EV("agent.catalog_failed"),
			LOG_STR("status", msg_status_name(reply->status)));
	check_digest(hub);
	if (hub->again) {
		hub->again = false;
		hub_want_catalog(hub);
	}
}

void hub_want_catalog(struct hub *hub)
{
	if (hub->call == NULL && link_is_connected(hub->host->link))
		hub->call = link_request(hub->host->link, MSG_CATALOG, NULL, 0, on_catalog, hub);
}

static void on_state(struct link_watch *watch, const struct link_info *info)
{
	struct hub *hub = container_of(watch, struct hub, watch);

	if (info->state == LINK_CONNECTED)
		hub_want_catalog(hub);
}

/* The agent has loaded its files anew, or (no digest) refused them: the catalogue says why. */
static void on_config(struct hub *hub, const char *digest)
{
	snprintf(hub->wanted, sizeof(hub->wanted), "%s", digest != NULL ? digest : "");
	hub->retries = 0;
	hub->again = hub->call != NULL;
	hub_want_catalog(hub);
}

static void take_run(struct hub *hub, const json_t *run)
{
	struct server *server = hub->host->server;

	if (hosts_believe_run(server->hosts, hub->host, run))
		live_on_run(server->live, run);
}

/* Something happened in the agent: a run changed, or a line of the ledger. */
static void on_event(struct link_watch *watch, struct wire_str text)
{
	struct hub *hub = container_of(watch, struct hub, watch);
	json_t *doc =
		json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	const char *event = json_string_value(json_object_get(doc, "event"));

	if (event == NULL)
		log_warn(LOG_EV("agent.event_malformed"), LOG_INT("bytes", text.len));
	else if (strcmp(event, "run.changed") == 0)
		take_run(hub, json_object_get(doc, "run"));
	else if (strncmp(event, "config.", 7) == 0)
		on_config(hub, json_string_value(json_object_get(doc, "config_digest")));
	json_decref(doc);
}

struct hub *hub_open(struct host *host)
{
	struct hub *hub = xcalloc(1, sizeof(*hub));

	hub->host = host;
	uv_timer_init(host->server->loop, &hub->retry);
	hub->retry.data = hub;
	hub->watch.on_state = on_state;
	hub->watch.on_event = on_event;
	link_watch_add(host->link, &hub->watch);
	return hub;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void hub_close(struct hub *hub)
{
	if (hub == NULL)
		return;
	link_watch_remove(&hub->watch);
	link_call_forget(hub->call);
	free(hub->text);
	json_decref(hub->doc);
	uv_close((uv_handle_t *)&hub->retry, on_closed);
}

const json_t *hub_doc(const struct hub *hub)
{
	return hub->doc;
}

int hub_find(const struct hub *hub, bool is_flow, const char *id, struct hub_entry *ret_entry)
{
	const json_t *list, *item;
	size_t i;

	if (hub->doc == NULL)
		return -EAGAIN;
	list = json_object_get(hub->doc, is_flow ? "flows" : "commands");
	json_array_foreach(list, i, item)
	{
		const char *other = json_string_value(json_object_get(item, "id"));
		const char *danger = json_string_value(json_object_get(item, "danger"));

		if (other == NULL || strcmp(other, id) != 0)
			continue;
		*ret_entry = (struct hub_entry){
			.is_flow = is_flow,
			.confirm = json_is_true(json_object_get(item, "confirm")),
			.danger_high = danger != NULL && strcmp(danger, "high") == 0,
			.doc = item,
		};
		return 0;
	}
	return -ENOENT;
}
