/*
 * Owns the hosts and those that are still closing, the union of their catalogues, and which runs
 * are whose (homes.h). What is not known there is looked up (runfind.h).
 */
#include "core/app/hosts/hosts.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/server.h"
#include "core/base/log.h"

struct hosts {
	struct server *server;
	struct host *list[LIMIT_HOSTS];
	size_t n;
	unsigned n_open;     /* with those that are closing */
	struct homes *homes; /* made with the second host; else NULL */
	char others[LIMIT_HOSTS * (LIMIT_HOST_BYTES + 3) + 3];
	char *catalog; /* the union, or NULL: none is known, or it is to be made */
	size_t catalog_len;
	void (*on_closed)(void *arg); /* set: closing */
	void *closed_arg;
};

/* ---- which there are ---- */

size_t hosts_count(const struct hosts *hosts)
{
	return hosts->n;
}

struct host *hosts_at(const struct hosts *hosts, size_t i)
{
	assert(i < hosts->n);
	return hosts->list[i];
}

struct host *hosts_primary(const struct hosts *hosts)
{
	return hosts->n > 0 ? hosts->list[0] : NULL;
}

bool hosts_is_primary(const struct host *host)
{
	return hosts_primary(host->server->hosts) == host;
}

struct host *hosts_find(const struct hosts *hosts, const char *name)
{
	if (name == NULL || name[0] == '\0')
		return hosts_primary(hosts);
	for (size_t i = 0; i < hosts->n; i++) {
		if (strcmp(host_name(hosts->list[i]), name) == 0)
			return hosts->list[i];
	}
	return NULL;
}

void hosts_names(const struct hosts *hosts, char *out, size_t size)
{
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < hosts->n && at < size - 1; i++) {
		int n = snprintf(
			out + at, size - at, "%s%s", i > 0 ? ", " : "", host_name(hosts->list[i]));

		at += n > 0 ? (size_t)n : 0;
	}
}

bool hosts_are_connected(const struct hosts *hosts)
{
	for (size_t i = 0; i < hosts->n; i++) {
		if (!host_is_connected(hosts->list[i]))
			return false;
	}
	return hosts->n > 0;
}

unsigned hosts_call_ms(const struct host *host)
{
	if (host->server->hosts->n <= 1)
		return 0;
	return uv_now(host->server->loop) < host->slow_until_ms ? LIMIT_HOSTS_SLOW_MS
								: LIMIT_HOSTS_CALL_MS;
}

void hosts_note_answer(struct hosts *hosts, const char *name, const struct link_reply *reply)
{
	struct host *host = hosts_find(hosts, name);

	if (host == NULL)
		return;
	if (reply->err != -ETIMEDOUT)
		host->slow_until_ms = 0;
	else if (host->slow_until_ms <= uv_now(host->server->loop))
		host->slow_until_ms = uv_now(host->server->loop) + LIMIT_HOSTS_SLOW_FOR_MS;
}

/* ---- runs ---- */

static bool is_here(const struct hosts *hosts, const struct host *host)
{
	for (size_t i = 0; i < hosts->n; i++) {
		if (hosts->list[i] == host)
			return true;
	}
	return false;
}

static void log_foreign(const char *run, const struct host *host, const struct host *other)
{
	log_warn(LOG_EV("runs.foreign"), LOG_STR("run", run), LOG_STR("host", host_name(host)),
		LOG_STR("other", host_name(other)));
}

bool hosts_note_run(struct hosts *hosts, struct host *host, const char *run)
{
	struct host *other = NULL;
	struct uuid id;

	if (!is_here(hosts, host))
		return false; /* closing: it is freed soon, and was forgotten */
	if (hosts->homes == NULL || run == NULL || uuid_parse(run, strlen(run), &id) < 0 ||
		homes_claim(hosts->homes, &id, host, &other))
		return true;
	if (other != NULL)
		log_foreign(run, host, other);
	return false;
}

void hosts_settle_run(struct hosts *hosts, struct host *host, const struct uuid *run)
{
	char text[UUID_TEXT_BYTES];
	const struct host *wrong;

	if (hosts->homes == NULL || !is_here(hosts, host))
		return;
	wrong = homes_settle(hosts->homes, run, host);
	uuid_format(run, text);
	if (wrong != NULL)
		log_foreign(text, wrong, host);
}

void hosts_trust_run(struct hosts *hosts, struct host *host, const struct uuid *run)
{
	if (hosts->homes != NULL && is_here(hosts, host))
		homes_alone(hosts->homes, run, host,
			uv_now(hosts->server->loop) + LIMIT_HOSTS_ALONE_MS);
}

struct home hosts_home(const struct hosts *hosts, const struct uuid *run)
{
	if (hosts->homes == NULL)
		return (struct home){.kind = HOME_UNKNOWN};
	return homes_get(hosts->homes, run, uv_now(hosts->server->loop));
}

bool hosts_is_anothers(const struct host *host, const char *name)
{
	const struct host *other = name[0] != '\0' ? hosts_find(host->server->hosts, name) : NULL;

	return other != NULL && other != host;
}

bool hosts_believe_run(struct hosts *hosts, struct host *host, const json_t *run)
{
	const char *name = json_string_value(json_object_get(run, "host"));

	return (name == NULL || !hosts_is_anothers(host, name)) &&
	       hosts_note_run(hosts, host, json_string_value(json_object_get(run, "id")));
}

const char *hosts_others_array(const struct host *host)
{
	struct hosts *hosts = host->server->hosts;
	size_t at = 0;

	hosts->others[at++] = '{';
	for (size_t i = 0; i < hosts->n; i++) {
		/* Of several each has a name of AGENTS_FILE, which needs no escapes. */
		if (hosts->list[i] != host)
			at += (size_t)snprintf(hosts->others + at, sizeof(hosts->others) - at,
				"%s\"%s\"", at > 1 ? "," : "", host_name(hosts->list[i]));
	}
	memcpy(hosts->others + at, "}", 2);
	return hosts->others;
}

struct host *hosts_of_run(const struct hosts *hosts, const char *run)
{
	struct home home;
	struct uuid id;

	if (hosts->n <= 1)
		return hosts_primary(hosts);
	if (uuid_parse(run, strlen(run), &id) < 0)
		return NULL;
	home = hosts_home(hosts, &id);
	return home.kind == HOME_SURE || home.kind == HOME_ALONE ? home.host : NULL;
}

static void forget_runs_of(struct hosts *hosts, const struct host *host)
{
	if (hosts->homes != NULL)
		homes_forget(hosts->homes, host);
}

/* ---- the catalogue ---- */

static json_t *host_summary(const struct host *host)
{
	const json_t *doc = hub_doc(host->hub);

	return json_pack("{s:s,s:s,s:b,s:O?,s:O?}", "host", host_name(host), "title",
		host_title(host), "primary", hosts_is_primary(host), "digest",
		json_object_get(doc, "config_digest"), "error",
		json_object_get(doc, "config_error"));
}

static void add_catalog(json_t *to, const struct host *host)
{
	const json_t *doc = hub_doc(host->hub);

	json_array_extend(json_object_get(to, "commands"), json_object_get(doc, "commands"));
	json_array_extend(json_object_get(to, "flows"), json_object_get(doc, "flows"));
	json_array_append_new(json_object_get(to, "hosts"), host_summary(host));
}

/* The document of first, with room for what is added to it. */
static json_t *begin_catalog(const struct host *first)
{
	json_t *doc = json_copy((json_t *)(uintptr_t)hub_doc(first->hub));

	if (doc == NULL)
		doc = json_pack("{s:s}", "config_digest", "");
	json_object_set_new(doc, "commands", json_array());
	json_object_set_new(doc, "flows", json_array());
	json_object_set_new(doc, "hosts", json_array());
	return doc;
}

static char *finish_catalog(json_t *doc)
{
	char *text = json_dumps(doc, JSON_COMPACT);

	json_decref(doc);
	return text;
}

char *hosts_catalog_of(const struct hosts *hosts, const struct host *host)
{
	json_t *doc;

	(void)hosts;
	if (hub_doc(host->hub) == NULL)
		return NULL;
	doc = begin_catalog(host);
	add_catalog(doc, host);
	return finish_catalog(doc);
}

static bool any_catalog(const struct hosts *hosts)
{
	for (size_t i = 0; i < hosts->n; i++) {
		if (hub_doc(hosts->list[i]->hub) != NULL)
			return true;
	}
	return false;
}

const char *hosts_catalog(struct hosts *hosts, size_t *ret_len)
{
	json_t *doc;

	if (hosts->catalog == NULL && any_catalog(hosts)) {
		doc = begin_catalog(hosts->list[0]);
		for (size_t i = 0; i < hosts->n; i++)
			add_catalog(doc, hosts->list[i]);
		hosts->catalog = finish_catalog(doc);
		hosts->catalog_len = hosts->catalog != NULL ? strlen(hosts->catalog) : 0;
	}
	*ret_len = hosts->catalog_len;
	return hosts->catalog;
}

static void forget_catalog(struct hosts *hosts)
{
	free(hosts->catalog);
	hosts->catalog = NULL;
	hosts->catalog_len = 0;
}

void hosts_on_catalog(struct hosts *hosts)
{
	forget_catalog(hosts);
	live_on_catalog(hosts->server->live);
}

void hosts_want_catalogs(struct hosts *hosts)
{
	for (size_t i = 0; i < hosts->n; i++) {
		if (hub_doc(hosts->list[i]->hub) == NULL)
			hub_want_catalog(hosts->list[i]->hub);
	}
}

/* ---- the archivers ---- */

void hosts_archiver_status(const struct hosts *hosts, struct archiver_status *ret_status)
{
	/* Who waits for the database speaks for all; an agent that is away only when nobody works.
	 */
	static const unsigned rank[] = {
		[ARCHIVER_IDLE] = 0,
		[ARCHIVER_WAITING_FOR_AGENT] = 1,
		[ARCHIVER_WORKING] = 2,
		[ARCHIVER_WAITING_FOR_DATABASE] = 3,
	};
	struct archiver_status sum = {.state = ARCHIVER_IDLE, .problem = ""}, one;

	for (size_t i = 0; i < hosts->n; i++) {
		archiver_get_status(hosts->list[i]->archiver, &one);
		if (i == 0 || rank[one.state] > rank[sum.state]) {
			sum.state = one.state;
			sum.since_us = one.since_us;
		}
		sum.behind_runs += one.behind_runs;
		sum.behind_bytes += one.behind_bytes;
		sum.archived_bytes += one.archived_bytes;
		sum.released_runs += one.released_runs;
		sum.refilled_runs += one.refilled_runs;
		sum.damaged_runs += one.damaged_runs;
		if (sum.problem[0] == '\0')
			sum.problem = one.problem;
	}
	*ret_status = sum;
}

/* ---- birth and death ---- */

static void hosts_open(struct hosts *hosts, const struct agent_conf *conf)
{
	hosts->list[hosts->n++] = host_open(hosts->server, conf);
	hosts->n_open++;
	if (hosts->n > 1 && hosts->homes == NULL)
		hosts->homes = homes_new();
}

struct hosts *hosts_new(struct server *server)
{
	const struct agents_conf *agents = &server->cfg->agents;
	struct hosts *hosts = xcalloc(1, sizeof(*hosts));

	hosts->server = server;
	server->hosts = hosts;
	for (size_t i = 0; i < agents->n; i++)
		hosts_open(hosts, &agents->items[i]);
	return hosts;
}

/* A host is closed; with the last one all of it may be. */
static void on_host_closed(struct host *host)
{
	struct hosts *hosts = host->server->hosts;

	hosts->n_open--;
	if (hosts->on_closed == NULL)
		live_on_agent(hosts->server->live); /* what waited for it looks elsewhere */
	else if (hosts->n_open == 0)
		hosts->on_closed(hosts->closed_arg);
}

void hosts_close(struct hosts *hosts, void (*on_closed)(void *arg), void *arg)
{
	size_t n = hosts->n;

	hosts->on_closed = on_closed;
	hosts->closed_arg = arg;
	hosts->n = 0;
	for (size_t i = 0; i < n; i++) {
		forget_runs_of(hosts, hosts->list[i]);
		host_close(hosts->list[i], on_host_closed);
	}
}

void hosts_free(struct hosts *hosts)
{
	if (hosts == NULL)
		return;
	homes_free(hosts->homes);
	free(hosts->catalog);
	free(hosts);
}

/* ---- another configuration ---- */

/* The open host that is the one of conf: what it was built upon is the same. */
static struct host *match(struct host *const old[], size_t n, const struct agent_conf *conf)
{
	for (size_t i = 0; i < n; i++) {
		const struct agent_conf *has = old[i] != NULL ? &old[i]->conf : NULL;

		if (has == NULL || strcmp(has->socket, conf->socket) != 0 ||
			(has->host == NULL) != (conf->host == NULL) ||
			(conf->host != NULL && strcmp(has->host, conf->host) != 0))
			continue;
		return old[i];
	}
	return NULL;
}

static void take_out(struct host *list[], size_t n, const struct host *host)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i] == host)
			list[i] = NULL;
	}
}

void hosts_reload(struct hosts *hosts)
{
	const struct agents_conf *agents = &hosts->server->cfg->agents;
	struct host *old[LIMIT_HOSTS], *kept[LIMIT_HOSTS] = {NULL};
	size_t n_old = hosts->n;

	memcpy(old, hosts->list, sizeof(old));
	for (size_t i = 0; i < agents->n; i++) {
		kept[i] = match(old, n_old, &agents->items[i]);
		take_out(old, n_old, kept[i]);
	}
	/* Gone first: a name may come back with another socket. */
	hosts->n = 0;
	for (size_t i = 0; i < n_old; i++) {
		if (old[i] == NULL)
			continue;
		log_info(LOG_EV("host.removed"), LOG_STR("host", host_name(old[i])));
		forget_runs_of(hosts, old[i]);
		live_on_host_gone(hosts->server->live, old[i]);
		notify_host_gone(hosts->server->notify, old[i]);
		host_close(old[i], on_host_closed);
	}
	for (size_t i = 0; i < agents->n; i++) {
		if (kept[i] != NULL) {
			hosts->list[hosts->n++] = kept[i];
			continue;
		}
		hosts_open(hosts, &agents->items[i]);
		log_info(LOG_EV("host.added"), LOG_STR("host", host_name(hosts->list[i])));
		notify_host_added(hosts->server->notify, hosts->list[i]);
	}
	for (size_t i = 0; i < agents->n; i++) {
		if (kept[i] != NULL)
			host_reconfigure(kept[i], &agents->items[i]);
	}
	dbstatus_move(hosts->server->dbstatus);
	hosts_on_catalog(hosts);
	live_on_hosts(hosts->server->live);
}
