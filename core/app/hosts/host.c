/*
 * Owns the parts of one host. They are opened together; each watches the link by itself.
 *
 * Closing: archiver, samples and ledger stop and write what they hold, one after another; then hub
 * and status, which only watch; the link last, since calls that it cancels may be theirs.
 */
#include "core/app/hosts/host.h"

#include <stdlib.h>
#include <string.h>

#include "core/app/runs/schedule.h"
#include "core/app/server.h"
#include "core/base/log.h"

const char *host_name(const struct host *host)
{
	struct link_info info;

	if (host->conf.host != NULL)
		return host->conf.host;
	link_get_info(host->link, &info);
	return info.host;
}

const char *host_title(const struct host *host)
{
	return host->conf.title != NULL ? host->conf.title : host_name(host);
}

bool host_is_connected(const struct host *host)
{
	return link_is_connected(host->link);
}

static void on_link_state(struct link_watch *watch, const struct link_info *info)
{
	struct host *host = container_of(watch, struct host, watch);

	if (info->state == LINK_CONNECTED)
		log_info(LOG_EV("agent.connected"), LOG_STR("host", info->host),
			LOG_STR("version", info->agent_version), LOG_STR("agent", info->agent_id));
	else
		log_warn(LOG_EV("agent.lost"), LOG_STR("host", host_name(host)),
			LOG_STR("state", link_state_name(info->state)),
			LOG_STR("reason", info->reason));
	live_on_system(host->server->live);
	if (info->state == LINK_CONNECTED) {
		schedule_learn(host);
		live_on_agent(host->server->live);
	}
}

static void on_archiver(const struct archiver_status *status, void *arg)
{
	struct host *host = arg;

	if (status->released_runs != host->released_runs)
		errorlines_kick(host->server->errorlines);
	host->released_runs = status->released_runs;
	live_on_system(host->server->live);
}

static bool is_others(const char *name, void *arg)
{
	return hosts_is_anothers(arg, name);
}

static const char *others_array(void *arg)
{
	return hosts_others_array(arg);
}

static void is_ours(const struct uuid *run, void *arg)
{
	struct host *host = arg;

	hosts_settle_run(host->server->hosts, host, run);
}

struct host *host_open(struct server *server, const struct agent_conf *conf)
{
	struct host *host = xcalloc(1, sizeof(*host));
	const struct link_opts link_opts = {
		.socket_path = conf->socket,
		.secret = conf->secret,
		.client = "ops-dashboard/" OPS_VERSION,
		.host = conf->host,
	};
	const struct archiver_opts archiver_opts = {
		.pool = server->pool,
		.channel = server->channel,
		.link = link_open(server->loop, &link_opts),
		.others = &host->others,
		.on_change = on_archiver,
		.watched_bytes = &server->watched_bytes,
		.arg = host,
	};

	host->server = server;
	host->others = (struct archive_others){is_others, others_array, is_ours, host};
	agent_conf_copy(&host->conf, conf);
	host->link = archiver_opts.link;
	host->ledger = ledger_open(server->loop, host->link, server->pool, &host->others);
	host->hub = hub_open(host);
	host->status = status_open(host);
	host->samples = samples_open(host);
	host->archiver = archiver_open(server->loop, &archiver_opts);
	host->watch.on_state = on_link_state;
	link_watch_add(host->link, &host->watch);
	return host;
}

void host_reconfigure(struct host *host, const struct agent_conf *conf)
{
	bool is_new_secret = strcmp(host->conf.secret, conf->secret) != 0;

	agent_conf_fini(&host->conf);
	agent_conf_copy(&host->conf, conf);
	if (is_new_secret)
		link_set_secret(host->link, conf->secret);
}

/* ---- closing ---- */

/* No answer of the agent comes any more. */
static void on_link_closed(void *arg)
{
	struct host *host = arg;

	host->link = NULL;
	host->on_closed(host);
	agent_conf_fini(&host->conf);
	json_decref(host->schedule);
	free(host);
}

/* Nobody streams from the agent any more. */
static void on_ledger_closed(void *arg)
{
	struct host *host = arg;

	link_watch_remove(&host->watch);
	hub_close(host->hub);
	status_close(host->status);
	link_close(host->link, on_link_closed, host);
}

/* What was sampled is in the database, or lost. */
static void on_samples_closed(void *arg)
{
	struct host *host = arg;

	ledger_close(host->ledger, on_ledger_closed, host);
}

/* Nothing writes to the log any more. */
static void on_archiver_closed(void *arg)
{
	struct host *host = arg;

	samples_close(host->samples, on_samples_closed, host);
}

void host_close(struct host *host, void (*on_closed)(struct host *host))
{
	host->on_closed = on_closed;
	archiver_close(host->archiver, on_archiver_closed, host);
}
