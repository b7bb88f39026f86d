/*
 * One agent, and everything of which there is one per agent: the connection, its catalogue and
 * events (hub), its status document and samples, its ledger, and the archiver of its runs. What
 * befalls one host does not touch another.
 */
#ifndef OPS_CORE_APP_HOSTS_HOST_H
#define OPS_CORE_APP_HOSTS_HOST_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/agentlink/link.h"
#include "core/app/archive/archive_job.h"
#include "core/app/archive/archiver.h"
#include "core/app/audit/ledger.h"
#include "core/app/config/agents_conf.h"
#include "core/app/hosts/hub.h"
#include "core/app/status/samples.h"
#include "core/app/status/status.h"

struct server;

struct host {
	struct server *server;
	struct agent_conf conf;
	struct link *link;
	struct hub *hub;
	struct status *status;
	struct samples *samples;
	struct ledger *ledger;
	struct archiver *archiver;
	struct archive_others others;
	struct link_watch watch;
	uint64_t released_runs; /* archived wholly, of which we heard */
	json_t *schedule; /* what its agent said last that it has planned; NULL: nothing yet */
	uint64_t schedule_us;
	uint64_t slow_until_ms; /* uv_now(): it did not answer in time what was asked of all */
	void (*on_closed)(struct host *host);
};

/* conf is copied. Connects in its own time; never fails. */
struct host *host_open(struct server *server, const struct agent_conf *conf);
/* What is sampled is written, what is asked for ends with -ECANCELED; then on_closed comes, once,
 * later, and the host is freed behind it. */
void host_close(struct host *host, void (*on_closed)(struct host *host));

/* What AGENTS_FILE calls it, else what its agent says; "" while that was never heard. Valid until
 * the loop runs again. */
const char *host_name(const struct host *host);
/* For people: its title, else its name. */
const char *host_title(const struct host *host);
bool host_is_connected(const struct host *host);
/* Another title or secret (copied); a new secret makes the connection anew. */
void host_reconfigure(struct host *host, const struct agent_conf *conf);

#endif
