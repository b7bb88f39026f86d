/* The worker's state, shared by its modules. */
#ifndef OPS_AGENT_WORKER_STATE_H
#define OPS_AGENT_WORKER_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "agent/config/catalog.h"
#include "agent/config/status.h"
#include "agent/worker/monlink.h"
#include "agent/worker/runset.h"
#include "agent/worker/schedule.h"
#include "agent/worker/secrets.h"
#include "agent/worker/watch.h"
#include "agent/worker/worker.h"
#include "core/base/list.h"

#define WORKER_MAX_CONNS 32
#define WORKER_HOST_BYTES 256

/* verified.h */
struct verified {
	char *name;	  /* of a command or flow that proves a backup */
	uint64_t time_us; /* unix time of its last success; 0: not known */
};

struct worker {
	uv_loop_t loop;
	const struct worker_opts *opts;
	char host[WORKER_HOST_BYTES];

	struct secrets secrets;
	struct catalog *catalog;
	char *config_error; /* of the last load that failed; NULL: the newest config is live */

	struct watcher watcher;
	struct runset runs;
	struct monlink monitor;
	struct status *status; /* status.h; NULL: stopping */
	struct live *live;     /* live.h; NULL: stopping */
	struct verified verified[STATUS_CONFIG_MAX_ITEMS];
	size_t n_verified;
	uint64_t verified_change; /* of the last run looked at */
	struct schedule schedule;

	int ledger_fd;
	uint64_t ledger_end; /* behind the last whole record seen */
	struct watch ledger_watch;

	uv_poll_t listen_poll;
	uv_timer_t listen_timer; /* while no descriptor is left to accept with */
	uv_timer_t stop_timer;
	uv_signal_t term;
	struct list conns; /* conn.link */
	unsigned n_conns;
	struct list listeners; /* stream.all_link: events streams of all connections */
	struct list ready;     /* conn.ready_link: has streams that may have something to send */
	uv_check_t check;      /* sends what the events of this turn of the loop made ready */
	uv_idle_t idle;	       /* while some is left after that */
	uint64_t next_conn_id;
	bool stopping;
};

/* Reads secret and config again; what is broken stays as it was, and config_error says why. */
void worker_reload(struct worker *worker);

#endif
