/*
 * Owns a timerfd, its poll handle, one item per cron line of the catalogue, and a copy of what is
 * paused.
 *
 * Happy path: every item knows when it fires next; the timer is set to the first of them. When it
 * comes, items that are due ask the monitor for a start, and get their next time.
 *
 * Failure modes: the clock is set: the timer says so at once, what became due is judged by its
 * lateness, everything else gets a new next time, and no time fires twice in a row. The monitor
 * cannot take the start now (its catalogue is newer, the disk is full): tried again every
 * SCHEDULE_RETRY_S for as long as the fire is not too late. It refuses: logged, and in the ledger.
 */
#include "agent/worker/schedule.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "agent/config/cron.h"
#include "agent/config/zone.h"
#include "agent/run/meta.h"
#include "agent/worker/document.h"
#include "agent/worker/methods.h"
#include "agent/worker/state.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "proto/frame.h"

#define SECOND_US UINT64_C(1000000)
#define LAST_RUNS_LOOKED_AT 256 /* newest runs, for the last one of each flow */

struct schedule_item {
	const struct catalog_flow *flow; /* of the live catalogue */
	const struct catalog_schedule *rule;
	unsigned index;
	int64_t next_s;	      /* INT64_MAX: never */
	int64_t fired_s;      /* the last one; INT64_MIN: none */
	int64_t not_before_s; /* a start failed: not before this */
};

/* A question to the monitor; the item may be another one when the answer comes. */
struct asked {
	struct schedule *schedule;
	char *flow;
	unsigned index;
	int64_t fire_s;
};

static int64_t now_s(void)
{
	return (int64_t)(clock_wall_us() / SECOND_US);
}

static int zone_offset_of(const void *zone, int64_t t)
{
	return zone_offset(zone, t);
}

static int64_t next_after(const struct schedule_item *item, int64_t after)
{
	int64_t next;

	if (cron_next(&item->rule->cron, zone_offset_of, item->rule->timezone, after, &next) != 0)
		return INT64_MAX;
	return next;
}

static int64_t patience_s(const struct schedule_item *item)
{
	int64_t catch_up = (int64_t)(item->rule->catch_up_us / SECOND_US);

	return MAX(catch_up, (int64_t)SCHEDULE_GRACE_S);
}

static bool is_paused(const struct schedule *schedule, const struct schedule_item *item)
{
	return switches_find(&schedule->switches, item->flow->id) != NULL;
}

/* Sets the timer to the first that is due. */
static void arm(struct schedule *schedule)
{
	struct itimerspec spec = {0};
	int64_t first = INT64_MAX;

	for (size_t i = 0; i < schedule->n; i++) {
		const struct schedule_item *item = &schedule->items[i];
		int64_t at = MAX(item->next_s, item->not_before_s);

		first = MIN(first, at);
	}
	/* all zero: never */
	if (first != INT64_MAX)
		spec.it_value.tv_sec = (time_t)MAX(first, INT64_C(1));
	if (timerfd_settime(schedule->timer_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &spec,
		    NULL) != 0)
		log_error(LOG_EV("schedule.no_timer"), LOG_STR("error", strerror(errno)));
}

/* ---- starting ---- */

static struct schedule_item *find_item(struct schedule *schedule, const char *flow, unsigned index)
{
	for (size_t i = 0; i < schedule->n; i++) {
		struct schedule_item *item = &schedule->items[i];

		if (item->index == index && strcmp(item->flow->id, flow) == 0)
			return item;
	}
	return NULL;
}

static void try_again(struct schedule *schedule, const char *flow, unsigned index, int64_t fire_s)
{
	struct schedule_item *item = find_item(schedule, flow, index);

	if (item == NULL || !schedule->open)
		return;
	item->next_s = fire_s;
	item->not_before_s = now_s() + SCHEDULE_RETRY_S;
	arm(schedule);
}

/* The monitor has started the run, or has not. */
static void on_started(const struct imsg *answer, void *arg)
{
	struct asked *asked = arg;
	struct worker *worker = asked->schedule->worker;
	bool later = answer == NULL || answer->status == MSG_UNAVAILABLE ||
		     answer->status == MSG_CONFLICT;

	if (answer == NULL || answer->status != MSG_OK)
		log_warn(LOG_EV("schedule.not_started"), LOG_STR("flow", asked->flow),
			LOG_INT("status", answer != NULL ? answer->status : -1));
	if (answer != NULL && answer->status == MSG_CONFLICT && answer->config_digest.len != 0 &&
		!wire_str_eq(answer->config_digest, worker->catalog->digest))
		worker_reload(worker);
	if (later)
		try_again(asked->schedule, asked->flow, asked->index, asked->fire_s);
	free(asked->flow);
	free(asked);
}

static void start(struct schedule *schedule, struct schedule_item *item, int64_t fire_s)
{
	struct worker *worker = schedule->worker;
	struct msg_run_start run = {.kind = MSG_KIND_FLOW,
		.id = wire_str_of(item->flow->id),
		.trigger = wire_str_of("schedule")};
	struct imsg msg = {.type = IMSG_START,
		.peer = {.uid = geteuid(), .pid = getpid()},
		.config_digest = wire_str_of(worker->catalog->digest)};
	struct asked *asked = xcalloc(1, sizeof(*asked));
	char actor[IMSG_MAX_ACTOR + 1], key[64];
	uint8_t fields[512];
	int n;

	snprintf(actor, sizeof(actor), "schedule:%s", item->flow->id);
	snprintf(key, sizeof(key), "%u@%" PRId64, item->index, fire_s);
	run.actor = wire_str_of(actor);
	run.idempotency_key = wire_str_of(key);
	n = msg_run_start_encode(&run, fields, sizeof(fields));
	msg.fields = (struct wire_str){(const char *)fields, n > 0 ? (uint32_t)n : 0};
	*asked = (struct asked){.schedule = schedule,
		.flow = xstrdup(item->flow->id),
		.index = item->index,
		.fire_s = fire_s};
	item->fired_s = fire_s;
	if (n > 0 && monlink_ask(&worker->monitor, &msg, on_started, asked) == 0)
		return;
	log_warn(LOG_EV("schedule.not_asked"), LOG_STR("flow", item->flow->id));
	free(asked->flow);
	free(asked);
	item->next_s = fire_s;
	item->not_before_s = now_s() + SCHEDULE_RETRY_S;
}

/* It was due at fire_s. */
static void fire(struct schedule *schedule, struct schedule_item *item, int64_t fire_s, int64_t now)
{
	if (is_paused(schedule, item))
		log_info(LOG_EV("schedule.paused"), LOG_STR("flow", item->flow->id));
	else if (now - fire_s > patience_s(item))
		log_warn(LOG_EV("schedule.missed"), LOG_STR("flow", item->flow->id),
			LOG_INT("late_s", now - fire_s));
	else
		start(schedule, item, fire_s);
}

static void look(struct schedule *schedule, bool clock_was_set)
{
	int64_t now = now_s();

	for (size_t i = 0; i < schedule->n; i++) {
		struct schedule_item *item = &schedule->items[i];
		int64_t due = item->next_s;

		if (due > now && !clock_was_set)
			continue;
		if (due <= now && item->not_before_s > now && !clock_was_set)
			continue;
		item->not_before_s = 0;
		item->next_s = next_after(item, now);
		/* the clock was put back behind a time that has fired */
		if (item->next_s == item->fired_s)
			item->next_s = next_after(item, item->next_s);
		if (due <= now)
			fire(schedule, item, due, now);
	}
	arm(schedule);
}

/* The timer has come, or the clock was set. */
static void on_timer(uv_poll_t *poll, int status, int events)
{
	struct schedule *schedule = container_of(poll, struct schedule, poll);
	uint64_t times;
	bool was_set = read(schedule->timer_fd, &times, sizeof(times)) < 0 && errno == ECANCELED;

	(void)status;
	(void)events;
	look(schedule, was_set);
}

/* ---- the catalogue ---- */

/* The last time that was missed since then; INT64_MIN: none. */
static int64_t last_missed(const struct schedule_item *item, int64_t since, int64_t now)
{
	int64_t from = MAX(since, now - patience_s(item)), last = INT64_MIN;

	for (int i = 0; i < SCHEDULE_MAX_MISSED; i++) {
		from = next_after(item, from);
		if (from > now)
			break;
		last = from;
	}
	return last;
}

static void set_first(const struct schedule *schedule, struct schedule_item *item, int64_t now)
{
	int64_t missed = INT64_MIN;

	item->next_s = next_after(item, now);
	if (schedule->since_s != 0)
		missed = last_missed(item, schedule->since_s, now);
	if (missed != INT64_MIN)
		item->next_s = missed;
}

/* Of a rule that was there before: what has fired, and what is due and has not. */
static void take_over(
	struct schedule_item *item, const struct schedule_item *old, size_t n_old, int64_t now)
{
	for (size_t i = 0; i < n_old; i++, old++) {
		if (old->index != item->index || strcmp(old->flow->id, item->flow->id) != 0 ||
			strcmp(old->rule->text, item->rule->text) != 0 ||
			strcmp(old->rule->timezone, item->rule->timezone) != 0)
			continue;
		item->fired_s = old->fired_s;
		if (old->next_s <= now) {
			item->next_s = old->next_s;
			item->not_before_s = old->not_before_s;
		}
		return;
	}
}

void schedule_reload(struct schedule *schedule)
{
	const struct catalog *catalog;
	struct schedule_item *old = schedule->items;
	size_t n = 0, n_old = schedule->n;
	int64_t now = now_s();

	if (!schedule->open)
		return;
	catalog = schedule->worker->catalog;
	for (size_t i = 0; i < catalog->n_flows; i++)
		n += catalog->flows[i].n_schedules;
	schedule->items = xcalloc(MAX(n, 1u), sizeof(schedule->items[0]));
	schedule->n = 0;
	for (size_t i = 0; i < catalog->n_flows; i++) {
		const struct catalog_flow *flow = &catalog->flows[i];

		for (unsigned k = 0; k < flow->n_schedules; k++) {
			struct schedule_item *item = &schedule->items[schedule->n++];

			*item = (struct schedule_item){.flow = flow,
				.rule = &flow->schedules[k],
				.index = k,
				.fired_s = INT64_MIN};
			set_first(schedule, item, now);
			take_over(item, old, n_old, now);
		}
	}
	free(old);
	/* only the first catalogue has missed anything */
	schedule->since_s = 0;
	arm(schedule);
}

void schedule_read_switches(struct schedule *schedule)
{
	struct switches fresh;
	struct err err = {0};
	int fd = open(
		schedule->worker->opts->settings->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 ? -errno : switches_read(fd, &fresh, &err);

	if (fd >= 0)
		close(fd);
	if (rc != 0) {
		log_error(LOG_EV("schedule.switches"), LOG_STR("error", strerror(-rc)));
		return;
	}
	switches_fini(&schedule->switches);
	schedule->switches = fresh;
}

int schedule_open(struct schedule *schedule, struct worker *worker, uint64_t since_us)
{
	int rc;

	*schedule = (struct schedule){
		.worker = worker, .since_s = (int64_t)(since_us / SECOND_US), .open = true};
	schedule->timer_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (schedule->timer_fd < 0) {
		schedule->open = false;
		return -errno;
	}
	rc = uv_poll_init(&worker->loop, &schedule->poll, schedule->timer_fd);
	if (rc == 0)
		rc = uv_poll_start(&schedule->poll, UV_READABLE, on_timer);
	schedule_read_switches(schedule);
	schedule_reload(schedule);
	return rc;
}

/* The poll handle is closed. */
static void on_closed(uv_handle_t *handle)
{
	struct schedule *schedule = container_of(handle, struct schedule, poll);

	close(schedule->timer_fd);
	free(schedule->items);
	schedule->items = NULL;
	schedule->n = 0;
	switches_fini(&schedule->switches);
}

void schedule_close(struct schedule *schedule)
{
	if (!schedule->open)
		return;
	schedule->open = false;
	uv_close((uv_handle_t *)&schedule->poll, on_closed);
}

/* ---- documents ---- */

static void kv_time(struct json *json, const char *key, int64_t s)
{
	if (s == INT64_MAX)
		json_kv_null(json, key);
	else
		json_kv_uint(json, key, (uint64_t)s * SECOND_US);
}

static void write_rule(
	const struct schedule *schedule, const struct schedule_item *item, struct json *json)
{
	bool paused = is_paused(schedule, item);

	json_open_object(json);
	json_kv_str(json, "cron", item->rule->text);
	json_kv_str(json, "timezone", item->rule->timezone);
	if (item->rule->catch_up_us != 0)
		json_kv_uint(json, "catch_up_us", item->rule->catch_up_us);
	else
		json_kv_null(json, "catch_up_us");
	kv_time(json, "next_us", paused ? INT64_MAX : item->next_s);
	json_kv_bool(json, "paused", paused);
	json_close_object(json);
}

void schedule_write_rules(
	const struct schedule *schedule, const struct catalog_flow *flow, struct json *json)
{
	json_open_array(json);
	for (size_t i = 0; i < schedule->n; i++) {
		if (schedule->items[i].flow == flow)
			write_rule(schedule, &schedule->items[i], json);
	}
	json_close_array(json);
}

/* The newest run of this flow among those looked at; NULL: none. */
static struct run *last_run(
	struct worker *worker, struct plan *const *metas, size_t n, const struct catalog_flow *flow)
{
	struct runset *runs = &worker->runs;

	for (size_t i = 0; i < n; i++) {
		if (metas[i] != NULL && metas[i]->is_flow && strcmp(metas[i]->name, flow->id) == 0)
			return runs->runs[runs->n - 1 - i];
	}
	return NULL;
}

static void write_flow(const struct schedule *schedule, const struct catalog_flow *flow,
	struct run *last, struct json *json)
{
	const struct switch_entry *paused = switches_find(&schedule->switches, flow->id);
	struct err err = {0};
	int64_t next = INT64_MAX;

	for (size_t i = 0; i < schedule->n; i++) {
		if (schedule->items[i].flow == flow)
			next = MIN(next, schedule->items[i].next_s);
	}
	json_open_object(json);
	json_kv_str(json, "flow", flow->id);
	json_kv_str(json, "title", flow->title);
	json_key(json, "rules");
	schedule_write_rules(schedule, flow, json);
	kv_time(json, "next_us", paused != NULL ? INT64_MAX : next);
	json_key(json, "last_run");
	if (last == NULL || runset_document(last, json, &err) != 0)
		json_nil(json);
	json_kv_bool(json, "paused", paused != NULL);
	json_kv_str(json, "paused_by", paused != NULL ? paused->actor : NULL);
	json_kv_str(json, "reason", paused != NULL ? paused->reason : NULL);
	json_close_object(json);
}

static struct plan *read_meta(const struct runset *runs, const struct run *run)
{
	struct err err = {0};
	struct plan *meta;
	int fd = runset_open_dir(runs, run);

	if (fd < 0)
		return NULL;
	meta = meta_read(fd, &err);
	close(fd);
	return meta;
}

static void write_document(struct worker *worker, struct json *json)
{
	const struct schedule *schedule = &worker->schedule;
	const struct catalog *catalog = worker->catalog;
	struct plan *metas[LAST_RUNS_LOOKED_AT];
	size_t n = MIN(worker->runs.n, (size_t)LAST_RUNS_LOOKED_AT);

	for (size_t i = 0; i < n; i++)
		metas[i] = read_meta(&worker->runs, worker->runs.runs[worker->runs.n - 1 - i]);
	json_open_object(json);
	json_key(json, "flows");
	json_open_array(json);
	for (size_t i = 0; i < catalog->n_flows; i++) {
		const struct catalog_flow *flow = &catalog->flows[i];

		if (flow->n_schedules != 0)
			write_flow(schedule, flow, last_run(worker, metas, n, flow), json);
	}
	json_close_array(json);
	json_kv_bool(json, "maintenance", schedule->switches.maintenance);
	json_kv_str(json, "maintenance_reason", schedule->switches.why.reason);
	json_close_object(json);
	for (size_t i = 0; i < n; i++)
		meta_free(metas[i]);
}

void schedule_respond(struct stream *stream, const struct msg_request *request)
{
	struct json json;
	struct buf buf;

	if (request->fields_len != 0) {
		methods_malformed(stream);
		return;
	}
	buf_init(&buf, FRAME_MAX_PAYLOAD - 1024);
	json_init(&json, &buf);
	write_document(stream->conn->worker, &json);
	methods_respond_document(stream, &buf);
	buf_fini(&buf);
}
