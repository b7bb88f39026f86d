/*
 * The runs that are going on, as the monitor knows them: its children, or, started by systemd or by
 * an agent before this one, whoever holds RUN_DIR/lock; the kernel tells when the last descriptor
 * of a lock is closed. When a runner is gone its run is settled: a dead runner's leftovers are
 * killed and the run ends as lost; either way the ledger gets run.finished, once, which the file
 * RUN_DIR/settled remembers.
 */
#ifndef OPS_AGENT_MONITOR_ACTIVE_H
#define OPS_AGENT_MONITOR_ACTIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/monitor/ledger.h"
#include "agent/run/plan.h"
#include "agent/run/state.h"
#include "core/base/uuid.h"

#define ACTIVE_MAX 256
#define ACTIVE_RETRY_MS 500 /* between looks at a run that cannot be watched */
#define ACTIVE_SETTLE_MAX_MS                                                                       \
	30000 /* at one that cannot be settled: doubles from the former to this… */
#define ACTIVE_DAMAGED_MAX_MS 3600000 /* …or, where what it left is damaged, to this */
#define ACTIVE_KILL_US 5000000	      /* for a dead runner's leftovers to go */
#define ACTIVE_SETTLED "settled"      /* in RUN_DIR: the ledger has its run.finished */

struct active_run {
	struct uuid id;
	uint64_t number;
	pid_t pid;	   /* child; 0: not ours */
	int watch;	   /* of the lock, in active.inotify_fd; -1: none */
	bool retry;	   /* nothing tells when it ends: look at retry_us */
	bool told;	   /* that it cannot be settled is in log and ledger */
	unsigned wait_ms;  /* until the look after the next */
	uint64_t retry_us; /* monotonic */
	bool starting;	   /* its RUN_DIR is being made; it is nobody's yet */
	bool held;	   /* waits for other runs (monitor/admit.h) */
	char *claims;	   /* names it occupies, one a line; "" for none */
};

struct active {
	int runs_fd;
	int inotify_fd; /* on locks; -1: there is none to be had, and locks are looked at */
	struct ledger *ledger;
	uint8_t boot_id[16];
	/* Called by active_scan() with every run's meta that could be read. */
	void (*seen)(void *arg, const struct plan *meta);
	void *seen_arg;
	/* Called when the ledger has a run's run.finished. */
	void (*finished)(void *arg, const struct run_state *state);
	bool new_ledger;   /* it holds no seals: active_scan() takes the marks away */
	bool has_unsealed; /* active_scan() found a finished run without a seal */
	size_t n;
	struct active_run runs[ACTIVE_MAX];
};

void active_init(struct active *active, int runs_fd, struct ledger *ledger);
/* Forgets all; the runs do not notice. */
void active_fini(struct active *active);

/* Looks at every RUN_DIR that is not settled: adopts or settles it. Returns the highest run number
 * found in any. */
uint64_t active_scan(struct active *active);

bool active_is_full(const struct active *active);
/* A run is being made; takes over claims. There must be room. */
void active_add(
	struct active *active, const struct uuid *id, uint64_t number, char *claims, bool held);
/* Its runner was started as our child; pid 0: it is not ours, or could not be started. */
void active_started(struct active *active, const struct uuid *id, pid_t pid);
/* It was given up before it was started. */
void active_drop(struct active *active, const struct uuid *id);
/* Runs that have ended give up their claims, also while their runner is on its way out. */
void active_refresh_claims(struct active *active);
/* Opens the RUN_DIR. A descriptor or a negative errno. */
MUSTCHECK int active_open(const struct active *active, const struct uuid *id);
/* A child has exited. False: it is none of these. */
bool active_child_exited(struct active *active, pid_t pid);

/* active.inotify_fd is readable: settles those whose lock was closed. */
void active_polled(struct active *active);
/* Looks again at runs whose time has come. Returns when to be called again; 0: not by time. */
uint64_t active_retry(struct active *active, uint64_t now_us);

#endif
