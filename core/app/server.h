/*
 * The daemon, as one struct that main builds and everybody is handed. Each member is owned by the
 * server and opened and closed by server.c; the modules know each other only through it.
 */
#ifndef OPS_CORE_APP_SERVER_H
#define OPS_CORE_APP_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/app/audit/audit.h"
#include "core/app/auth/cookie.h"
#include "core/app/auth/password.h"
#include "core/app/auth/sessions.h"
#include "core/app/auth/store.h"
#include "core/app/auth/throttle.h"
#include "core/app/auth/tokens.h"
#include "core/app/config/config.h"
#include "core/app/hooks/hooks.h"
#include "core/app/hosts/hosts.h"
#include "core/app/live/live.h"
#include "core/app/logs/logfan.h"
#include "core/app/metrics.h"
#include "core/app/notify/notify.h"
#include "core/app/runs/errorlines.h"
#include "core/app/status/dbstatus.h"
#include "core/base/uuid.h"
#include "core/db/channel.h"
#include "core/db/partitions.h"
#include "core/db/pool.h"
#include "core/web/asset.h"
#include "core/web/server.h"

struct server {
	uv_loop_t *loop;
	const struct config *cfg;
	struct cookie_keys keys;
	char boot_id[UUID_TEXT_BYTES]; /* of this start of the daemon */
	uint64_t started_us;
	uint64_t totp_last_step; /* no code of it or before is good any more */

	struct store *store;
	struct sessions *sessions;
	struct throttle *throttle;
	struct password_pool *passwords;
	struct assets *assets;
	struct web_server *web;
	struct pool *pool;
	struct channel *channel;
	struct tokens *tokens;
	struct audit *audit;
	struct list callers; /* caller.link: of requests that are not over */
	struct partitions *partitions;
	struct hosts *hosts; /* the agents, and what there is of each */
	struct logfan *logfan;
	uint64_t watched_bytes; /* of logs, fetched for viewers since the start */
	struct dbstatus *dbstatus;
	struct errorlines *errorlines; /* NULL when closing */
	struct live *live;
	struct notify *notify;
	struct hooks *hooks;

	struct metrics metrics;
	struct channel_watch channel_watch;
	struct pool_watch pool_watch;
	unsigned n_gzipped;  /* logs that are being sent compressed */
	unsigned n_searches; /* of logs, going on now */
	unsigned n_closing;  /* members that are still closing */
	bool stopping;
	void (*on_stopped)(struct server *server);
};

/* Opens everything and listens; agent and database are connected to afterwards, in their own time.
 * A code for sysexits (EX_CONFIG …) with a text; server_stop() is not needed then, the process is
 * to exit. */
MUSTCHECK int server_start(
	struct server *server, uv_loop_t *loop, const struct config *cfg, struct err *err);

/* Graceful stop, LIMIT_SHUTDOWN_MS at most: no new connections, WebSockets closed with 1001,
 * requests finished. on_stopped comes once, from the loop, when nothing is open any more. */
void server_stop(struct server *server, void (*on_stopped)(struct server *server));

#endif
