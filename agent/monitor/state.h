/* The monitor's state, shared by its modules. */
#ifndef OPS_AGENT_MONITOR_STATE_H
#define OPS_AGENT_MONITOR_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/config/catalog.h"
#include "agent/config/planner.h"
#include "agent/monitor/active.h"
#include "agent/monitor/care.h"
#include "agent/monitor/child.h"
#include "agent/monitor/keys.h"
#include "agent/monitor/launch.h"
#include "agent/monitor/ledger.h"
#include "agent/monitor/monitor.h"
#include "agent/monitor/rates.h"
#include "agent/monitor/sealer.h"
#include "agent/monitor/settings.h"
#include "agent/monitor/start.h"
#include "agent/monitor/switches.h"
#include "agent/monitor/watchman.h"
#include "core/base/uuid.h"

#define MONITOR_HOST_BYTES 256
#define MONITOR_SUMMARY_US 10000000 /* refusals of one kind are told once in so long */

/* Refusals since the ledger was last told of them. */
struct refusals {
	const char *event;
	unsigned count;
	struct imsg_peer last;
	char reason[IMSG_MAX_REASON + 32]; /* of the last; "": there is only one */
	uint64_t told_us;		   /* monotonic */
};

struct monitor {
	const struct monitor_programs *programs;
	struct settings settings;
	struct catalog_opts catalog_opts;
	char account[64]; /* for catalog_opts */
	struct catalog *catalog;
	char *config_error; /* why the newest config was refused; NULL: it was not */
	char host[MONITOR_HOST_BYTES];
	char agent_id[UUID_TEXT_BYTES];
	uint64_t started_us;

	int state_fd, lock_fd, listen_fd, signal_fd, number_fd;
	uint64_t number; /* of the newest run */
	char *runs_path;
	struct launch launch;
	struct ledger *ledger;
	struct keys *keys;
	struct active active;
	struct care care;
	struct rates rates;
	struct switches switches;
	uint64_t seen_alive_us; /* wall clock: nobody looked at schedules between then and now */
	struct starts starts;	/* taken in this turn of the loop */
	struct child child;
	struct watchman probes, relay;
	struct sealer sealer;
	struct refusals bad_secrets, bad_peers, refused;

	bool stopping;
	uint64_t stop_by_us;
	uint64_t old_secret_by_us; /* monotonic; until then the one before is good; 0: none is */
	uint64_t sync_by_us, watchdog_by_us; /* 0: not wanted */
};

/* ---- config.c ---- */

/* Loads secret and config at start. On failure all errors are on standard error. */
MUSTCHECK int config_load_first(struct monitor *m);
/* Loads them again; what is broken leaves everything as it was. errors gets what is wrong. Tells
 * ledger and worker either way. */
MUSTCHECK int config_reload(struct monitor *m, struct wire_str actor, struct config_errors *errors);
/* (Re)starts what looks at the machine as the catalogue wants it. */
void config_start_watching(struct monitor *m);

/* ---- requests.c ---- */

/* Handles one message of the worker. */
void requests_handle(struct monitor *m, const struct imsg *msg);
enum cancel {
	CANCEL_ONCE,  /* asked before: nothing */
	CANCEL_AGAIN, /* asked before: at once */
	CANCEL_KILL,  /* at once */
};

/* Asks a run to end; writes the ledger. 0; -EEXIST: there is nothing more to ask for; or another
 * negative errno. */
MUSTCHECK int requests_cancel(struct monitor *m, int dir_fd, const struct uuid *run,
	struct wire_str actor, struct wire_str reason, enum cancel how);
/* Answers the question of this number. */
void requests_answer(struct monitor *m, uint32_t seq, enum msg_status status, const char *message);
/* Answers invalid_input. */
void requests_answer_problems(struct monitor *m, const struct imsg *msg,
	const struct planner_problems *problems, const char *message);
/* ledger_commit(), and says so in the log when it fails. */
MUSTCHECK int requests_commit(struct monitor *m, struct err *err);
void requests_kv_run(struct json *json, const struct uuid *id);
/* The monitor does not allow what the worker let pass; the ledger is told in time. */
void requests_refused(struct monitor *m, const struct imsg *msg, const char *why);
/* Tells the ledger of refusals whose time has come. Returns when to be called again; 0: never. */
uint64_t requests_tell_refusals(struct monitor *m);

/* ---- policy.c: each handles one message of the worker ---- */

void policy_pause(struct monitor *m, const struct imsg *msg);
void policy_maintenance(struct monitor *m, const struct imsg *msg);
void policy_cancel_all(struct monitor *m, const struct imsg *msg);

/* ---- files.c ---- */

/* Opens or makes everything in the state folder. */
MUSTCHECK int files_open(struct monitor *m, struct err *err);
void files_close(struct monitor *m);
/* The next run's number, remembered. */
uint64_t files_next_number(struct monitor *m);

#endif
