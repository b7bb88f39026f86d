/*
 * Schedules: starts flows when their cron lines say so. A fire that comes late, since the agent was
 * down or the clock was set, still runs if it is no later than the schedule's catch_up (or
 * SCHEDULE_GRACE_S), and however many were missed, once. Starts go the way every start goes, with
 * the actor schedule:FLOW, and with an idempotency key made of the time, so that one fire is one
 * run whoever is restarted in between.
 */
#ifndef OPS_AGENT_WORKER_SCHEDULE_H
#define OPS_AGENT_WORKER_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "agent/config/catalog.h"
#include "agent/monitor/switches.h"
#include "core/base/json.h"

#define SCHEDULE_GRACE_S 60 /* lateness that needs no catch_up: a worker that was restarted */
#define SCHEDULE_RETRY_S 2  /* before a start that the monitor could not take is tried again */
#define SCHEDULE_MAX_MISSED 100000 /* fires looked through for the last one that was missed */

struct worker;
struct stream;
struct msg_request;

struct schedule_item;

struct schedule {
	struct worker *worker;
	int timer_fd; /* CLOCK_REALTIME; wakes up too when the clock is set */
	uv_poll_t poll;
	struct schedule_item *items;
	size_t n;
	int64_t since_s; /* what was due after this and before now was missed */
	bool open;
	struct switches switches;
};

/* Starts its timer. What was due after since_us counts as missed. 0 or a negative errno. */
MUSTCHECK int schedule_open(struct schedule *schedule, struct worker *worker, uint64_t since_us);
/* Memory may go when the loop has run. */
void schedule_close(struct schedule *schedule);
/* The worker has another catalogue; the one before is still there. */
void schedule_reload(struct schedule *schedule);
/* Reads again what is paused. */
void schedule_read_switches(struct schedule *schedule);

/* Writes the rules of a flow, as `schedule` of the catalogue: null when it has none. */
void schedule_write_rules(
	const struct schedule *schedule, const struct catalog_flow *flow, struct json *json);
/* Answers method 14. */
void schedule_respond(struct stream *stream, const struct msg_request *request);

#endif
