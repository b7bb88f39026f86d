/*
 * Runners as transient services of systemd, `ops-run-UUID.service` in ops-runs.slice: each has its
 * own cgroup and nothing of the agent's sandbox, and no stop, upgrade or death of the agent reaches
 * it. The only user of the bus in the monitor.
 *
 * The plan is the unit's standard input and RUN_DIR/lock its standard output (the runner recognises
 * it, runner/setup.c). systemd keeps both open until the unit is gone, so the lock is held from the
 * making of RUN_DIR, through the time the start waits in systemd, to the end of the last process of
 * the unit: a free lock says that the unit is gone.
 *
 * Everything here may block, for UNITS_CALL_US at most.
 */
#ifndef OPS_AGENT_MONITOR_UNITS_H
#define OPS_AGENT_MONITOR_UNITS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/run/plan.h"
#include "core/base/err.h"

#define UNITS_SLICE "ops-runs.slice"
#define UNITS_CALL_US 5000000	      /* for the bus to take us, and for systemd to answer */
#define UNITS_REST_US 10000000	      /* after it did not, nobody is kept waiting for so long */
#define UNITS_NAME_BYTES 64	      /* of a unit's name */
#define UNITS_STOP_MARGIN_US 30000000 /* beyond what ending a run may take by its plan */
/* A shutdown cuts short what takes longer in `finally`. */
#define UNITS_STOP_MAX_US UINT64_C(900000000)

struct units;

/* What a runner is started with. */
struct unit_start {
	const char *program; /* of the runner: ops-agent */
	const char *run_dir;
	char **env; /* NAME=VALUE, NULL at the end */
	int plan_fd, lock_fd;
};

/* Makes the connection when it is needed; never NULL. */
struct units *units_new(void);
void units_free(struct units *units);

/* Whether systemd answers: connects if need be. 0; or a negative errno with err set, at once when
 * it did not answer less than UNITS_REST_US ago. */
MUSTCHECK int units_ready(struct units *units, struct err *err);
/* Starts the unit. 0: systemd has the start, and with it the lock. A negative errno with err set:
 * it refused. -ETIMEDOUT: it may have it; who holds the lock knows. */
MUSTCHECK int units_start(struct units *units, const struct plan *plan,
	const struct unit_start *start, struct err *err);

/* The name of the run's unit. */
void units_name(const struct uuid *run, char out[UNITS_NAME_BYTES]);
/* For how long a shutdown waits for the run to end by itself: longer than its steps' kill_after,
 * and than `finally` takes. Microseconds. */
uint64_t units_stop_us(const struct plan *plan);

#endif
