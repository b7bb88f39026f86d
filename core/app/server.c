/*
 * Puts the daemon together and takes it apart.
 *
 * Start: what needs no one else first (store, sessions, throttle), then the listening socket, then
 * agent and database, which are connected to in their own time: the page is there before either.
 *
 * Stop: the web server drains (WebSockets 1001, requests finish) within LIMIT_SHUTDOWN_MS, then it
 * is closed, then notify, then the hosts with all they have, then pool, sessions and store, since
 * each uses what comes after it (a call a link cancels may go on to the pool). At the end the rest
 * is freed and on_stopped is called.
 */
#include "core/app/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>

#include "core/app/activation.h"
#include "core/app/auth/access.h"
#include "core/app/auth/caller.h"
#include "core/app/auth/signin.h"
#include "core/app/gate.h"
#include "core/app/limits.h"
#include "core/app/routes.h"
#include "core/app/threads.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/net/tls.h"

/* A request is over: the access log. */
static void on_finished(const struct web_finished *finished, void *arg)
{
	struct caller *caller = finished->identity;
	char path[256];
	size_t n = strcspn(finished->target, "?"); /* what stands behind may be a search of logs */
	struct server *server = arg;

	metrics_count(&server->metrics, finished);
	if (server->audit != NULL)
		audit_request(server->audit, caller, finished);
	caller_free(caller);
	n = MIN(n, sizeof(path) - 1);
	memcpy(path, finished->target, n);
	path[n] = '\0';
	/* Probes come every few seconds: they are no news. */
	if (finished->route != NULL && finished->status == 200 &&
		strncmp(finished->route->pattern, "/api/", 5) != 0) {
		log_debug(LOG_EV("http.request"), LOG_STR("path", path));
		return;
	}
	log_info(LOG_EV("http.request"), LOG_STR("method", finished->method), LOG_STR("path", path),
		LOG_INT("status", finished->status), LOG_INT("bytes", finished->bytes),
		LOG_INT("us", finished->duration_us), LOG_STR("remote", finished->remote),
		LOG_STR("request_id", finished->request_id));
}

/* No route: the page and its files. */
static void on_fallback(struct request *req)
{
	struct server *server = request_app(req);

	assets_handle(server->assets, req);
}

static void on_pool_state(struct pool_watch *watch, const struct pool_info *info)
{
	struct server *server = container_of(watch, struct server, pool_watch);

	if (info->state == POOL_READY)
		log_info(LOG_EV("database.ready"), LOG_STR("where", info->where));
	else if (info->state == POOL_DOWN)
		log_warn(LOG_EV("database.down"), LOG_STR("where", info->where),
			LOG_STR("reason", info->reason));
	live_on_system(server->live);
	if (info->state == POOL_READY)
		live_on_agent(server->live); /* what waited for either of them goes on */
}

/* Another dashboard tells, or may have told while we did not listen. */
static void on_channel(struct channel_watch *watch, const char *text)
{
	if (strcmp(text, ACCESS_SESSIONS_NOTIFY) == 0)
		access_sessions_load(container_of(watch, struct server, channel_watch));
}

static void on_channel_up(struct channel_watch *watch)
{
	access_sessions_load(container_of(watch, struct server, channel_watch));
}

static void on_partitions(const char *problem, void *arg)
{
	(void)arg;
	if (problem[0] != '\0')
		log_warn(LOG_EV("database.partitions"), LOG_STR("reason", problem));
}

static bool on_stored_event(const char *json, size_t len, void *arg)
{
	struct server *server = arg;
	bool session = sessions_on_stored_event(server->sessions, json, len);
	bool code = signin_on_stored_event(server, json, len);
	struct audit_head head;

	/* The audit notes its head again with its first entry: the old one need not be kept. */
	return session && code && !audit_head_parse(json, len, &head);
}

static size_t connection_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return web_limits_default.max_connections;
	if (files.rlim_cur <= 2 * LIMIT_SPARE_FDS)
		return MAX(files.rlim_cur / 2, 8);
	return MIN(files.rlim_cur - LIMIT_SPARE_FDS, LIMIT_CONNECTIONS);
}

static int open_web(struct server *server, struct err *err)
{
	const struct config *cfg = server->cfg;
	struct web_opts opts = {
		.routes = app_routes,
		.n_routes = app_routes_count,
		.public_origin = cfg->public_origin,
		.arg = server,
		.admit = gate_admit,
		.authorize = gate_authorize,
		.fallback = on_fallback,
		.on_finished = on_finished,
	};
	struct web_limits limits = web_limits_default;
	bool v6 = strchr(cfg->listen_host, ':') != NULL;
	char address[128];
	int sockets;

	limits.max_connections = connection_limit();
	opts.limits = &limits;
	snprintf(address, sizeof(address), v6 ? "[%s]:%u" : "%s:%u", cfg->listen_host,
		cfg->listen_port);
	server->web = web_server_open(server->loop, &opts, err);
	if (server->web == NULL)
		return EX_SOFTWARE;
	if (cfg->tls_cert != NULL) {
		struct tls_identity *identity = tls_identity_load(cfg->tls_cert, cfg->tls_key, err);

		if (identity == NULL)
			return EX_CONFIG;
		web_server_set_identity(server->web, identity);
	}
	sockets = activation_listen(server->web, err);
	if (sockets < 0)
		return EX_CONFIG;
	if (sockets == 0 && web_server_listen(server->web, address, err) < 0) {
		err_wrap(err, "LISTEN");
		return EX_UNAVAILABLE;
	}
	return 0;
}

static void make_boot_id(struct server *server)
{
	struct uuid uuid;

	uuid_v7(&uuid);
	uuid_format(&uuid, server->boot_id);
	server->started_us = clock_wall_us();
}

int server_start(struct server *server, uv_loop_t *loop, const struct config *cfg, struct err *err)
{
	struct pool_opts pool_opts = {.database_url = cfg->database_url, .migrate = true};
	int rc;

	if (threads_start(loop, err) < 0)
		return EX_OSERR;
	server->loop = loop;
	server->cfg = cfg;
	make_boot_id(server);
	list_init(&server->callers);
	cookie_derive_keys(cfg, &server->keys);
	server->sessions = sessions_new(loop, &server->keys);
	server->store = store_open(loop, cfg->state_dir, STORE_FILE, on_stored_event, server, err);
	if (server->store == NULL)
		return EX_CONFIG;
	server->throttle = throttle_new();
	server->passwords = password_pool_new(loop, cfg->auth_password_hash);
	server->assets = assets_new(ui_assets, ui_assets_count);
	server->logfan = logfan_open(server);
	server->live = live_new(server);
	server->pool = pool_open(loop, &pool_opts, err);
	if (server->pool == NULL) {
		err_wrap(err, "DATABASE_URL");
		return EX_CONFIG;
	}
	server->channel = channel_open(loop, server->pool);
	server->channel_watch.on_notify = on_channel;
	server->channel_watch.on_up = on_channel_up;
	channel_watch_add(server->channel, &server->channel_watch);
	server->tokens = tokens_open(loop, server->pool, server->channel);
	server->audit = audit_open(server, err);
	if (server->audit == NULL)
		return EX_CONFIG;
	server->partitions =
		partitions_open(loop, server->pool, cfg->retention_days, on_partitions, server);
	server->hosts = hosts_new(server);
	server->dbstatus = dbstatus_open(server);
	server->errorlines = errorlines_open(server);
	server->hooks = hooks_new();
	server->notify = notify_open(server, err);
	if (server->notify == NULL)
		return EX_CONFIG;
	server->pool_watch.on_state = on_pool_state;
	pool_watch_add(server->pool, &server->pool_watch);
	rc = open_web(server, err);
	return rc;
}

/* One member has closed; the last one ends the daemon. */
static void on_member_closed(void *arg)
{
	struct server *server = arg;

	if (--server->n_closing > 0)
		return;
	while (!list_empty(&server->callers))
		caller_free(container_of(server->callers.next, struct caller, link));
	throttle_free(server->throttle);
	assets_free(server->assets);
	live_free(server->live);
	hosts_free(server->hosts);
	hooks_free(server->hooks);
	mem_wipe(&server->keys, sizeof(server->keys));
	server->on_stopped(server);
}

/* Nothing that waited for the database is called back any more. */
static void on_pool_closed(void *arg)
{
	struct server *server = arg;

	server->n_closing = 3;
	logfan_close(server->logfan, on_member_closed, server);
	sessions_close(server->sessions, on_member_closed, server);
	store_close(server->store, on_member_closed, server);
	password_pool_close(server->passwords);
}

/* Nobody uses the pool any more, but requests that wait for it. */
static void on_channel_closed(void *arg)
{
	struct server *server = arg;

	pool_close(server->pool, on_pool_closed, server);
}

/* Entries that PostgreSQL does not have are on the disk. */
static void on_audit_closed(void *arg)
{
	struct server *server = arg;

	server->audit = NULL;
	channel_close(server->channel, on_channel_closed, server);
}

static void on_tokens_closed(void *arg)
{
	struct server *server = arg;

	audit_close(server->audit, on_audit_closed, server);
}

/* Nothing writes to the database any more but the audit and tokens. */
static void on_partitions_closed(void *arg)
{
	struct server *server = arg;

	channel_watch_remove(&server->channel_watch);
	pool_watch_remove(&server->pool_watch);
	tokens_close(server->tokens, on_tokens_closed, server);
}

/* No answer of an agent comes any more, so nobody goes on to ask the database. */
static void on_hosts_closed(void *arg)
{
	struct server *server = arg;

	partitions_close(server->partitions, on_partitions_closed, server);
}

/* No log is looked through any more. */
static void on_errorlines_closed(void *arg)
{
	struct server *server = arg;

	server->errorlines = NULL;
	hosts_close(server->hosts, on_hosts_closed, server);
}

/* The status document gets nothing from the database any more. */
static void on_dbstatus_closed(void *arg)
{
	struct server *server = arg;

	errorlines_close(server->errorlines, on_errorlines_closed, server);
}

/* Nothing is told any more; what was not is on the disk. */
static void on_notify_closed(void *arg)
{
	struct server *server = arg;

	dbstatus_close(server->dbstatus, on_dbstatus_closed, server);
}

/* No connection is left. */
static void on_web_closed(void *arg)
{
	struct server *server = arg;

	notify_close(server->notify, on_notify_closed, server);
}

/* All requests have finished, or their time is over. */
static void on_drained(int err, void *arg)
{
	struct server *server = arg;

	if (err == -ETIMEDOUT)
		log_warn(LOG_EV("server.cut_off"), LOG_INT("after_ms", LIMIT_SHUTDOWN_MS));
	if (err != -ECANCELED)
		web_server_close(server->web, on_web_closed, server);
}

void server_stop(struct server *server, void (*on_stopped)(struct server *server))
{
	if (server->stopping)
		return;
	server->stopping = true;
	server->on_stopped = on_stopped;
	web_server_drain(server->web, LIMIT_SHUTDOWN_MS, on_drained, server);
}
