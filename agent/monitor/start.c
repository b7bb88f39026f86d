/*
 * IMSG_START: from a request to a run. What a start costs is mostly waiting for the disk, so the
 * starts of one turn of the loop share their syncs.
 *
 * Happy path: the plan is made of the monitor's own catalogue, RUN_DIR is made (launch_prepare());
 * starts_flush(), at the end of the turn, syncs all of them at once, and then writes the ledger,
 * starts the runner and answers, each in turn.
 *
 * Failure modes: what cannot be made, synced or written in the ledger is removed again and answered
 * so. A runner that cannot be started: the run exists and is settled as lost. The monitor dies
 * before the answer: the run, if it is there at all, has no runner, and the next monitor ends it.
 */
#include "agent/monitor/start.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/config/planner.h"
#include "agent/monitor/admit.h"
#include "agent/monitor/state.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/utf8.h"

#define MAX_TRIGGER_BYTES 128

static bool is_plain_text(struct wire_str s, uint32_t max)
{
	if (s.len > max || !utf8_is_valid(s.data, s.len))
		return false;
	for (uint32_t i = 0; i < s.len; i++) {
		if ((unsigned char)s.data[i] < 0x20 || s.data[i] == 0x7f)
			return false;
	}
	return true;
}

static void answer_started(struct monitor *m, uint32_t seq, const struct uuid *run, bool created)
{
	struct imsg reply = {.type = IMSG_ANSWER, .seq = seq, .run = *run, .created = created};

	child_send(&m->child, &reply);
}

/* The plan that the monitor's own catalogue makes of the request; NULL after having answered. */
static struct plan *make_plan(
	struct monitor *m, const struct imsg *msg, const struct msg_run_start *start)
{
	struct planner_request request = {
		.kind = start->kind,
		.id = start->id,
		.inputs = start->inputs,
		.n_inputs = start->n_inputs,
		.host = m->host,
		.actor = start->actor,
		.trigger = start->trigger,
		.created_us = clock_wall_us(),
		.number = m->number + 1,
	};
	struct planner_problems problems;
	struct err err = {0};
	struct plan *plan = NULL;
	int rc;

	uuid_v7(&request.run_id);
	rc = planner_build(m->catalog, &request, &plan, &problems, &err);
	if (rc == 0)
		return plan;
	requests_refused(m, msg, err.msg);
	if (rc == -EINVAL)
		requests_answer_problems(m, msg, &problems, err.msg);
	else
		requests_answer(m, msg->seq, rc == -ENOENT ? MSG_NOT_FOUND : MSG_LIMIT, err.msg);
	return NULL;
}

static int note_started(struct monitor *m, const struct plan *plan, struct err *err)
{
	struct json *json = ledger_begin(m->ledger, "run.started");

	requests_kv_run(json, &plan->id);
	json_kv_uint(json, "number", plan->number);
	json_kv_str(json, "kind", plan->is_flow ? "flow" : "command");
	json_kv_str(json, "name", plan->name);
	json_kv_str(json, "actor", plan->actor);
	json_kv_str(json, "trigger", plan->trigger);
	json_kv_str(json, "config_digest", plan->config_digest);
	return requests_commit(m, err);
}

/* ---- making it last, and going ---- */

static void drop(struct monitor *m, struct start *start, enum msg_status status, const char *why)
{
	launch_close(&start->run);
	active_drop(&m->active, &start->plan->id);
	launch_discard(&m->launch, &start->plan->id);
	requests_answer(m, start->seq, status, why);
}

/* The run is durable: its runner may start. */
static void go(struct monitor *m, struct start *start)
{
	const struct plan *plan = start->plan;
	struct err err = {0};
	pid_t pid;

	if (launch_ready(&m->launch, &err) != 0 || note_started(m, plan, &err) != 0) {
		drop(m, start, MSG_UNAVAILABLE, err.msg);
		return;
	}
	pid = launch_runner(&m->launch, &start->run, &err);
	launch_close(&start->run);
	if (pid < 0) /* the run exists, and is lost unless systemd has it all the same */
		log_error(LOG_EV("run.not_started"), LOG_INT("number", plan->number),
			LOG_STR("error", err.msg));
	active_started(&m->active, &plan->id, pid > 0 ? pid : 0);
	answer_started(m, start->seq, &plan->id, true);
}

void starts_flush(struct monitor *m)
{
	struct starts *starts = &m->starts;
	struct launch_run runs[STARTS_MAX];
	int rc;

	if (starts->n == 0)
		return;
	for (size_t i = 0; i < starts->n; i++)
		runs[i] = starts->items[i].run;
	rc = launch_sync(&m->launch, runs, starts->n);
	if (rc == 0)
		rc = keys_sync(m->keys);
	for (size_t i = 0; i < starts->n; i++) {
		if (rc == 0)
			go(m, &starts->items[i]);
		else
			drop(m, &starts->items[i], MSG_UNAVAILABLE, strerror(-rc));
		plan_free(starts->items[i].plan);
	}
	if (rc != 0)
		log_error(LOG_EV("run.sync_failed"), LOG_STR("error", strerror(-rc)));
	starts->n = 0;
}

/* ---- beside which others ---- */

/* The run takes the place of those of its concurrency group: they are asked to end, once. */
static void replace_others(struct monitor *m, const struct plan *plan)
{
	char reason[64];

	snprintf(reason, sizeof(reason), "replaced by run %llu", (unsigned long long)plan->number);
	for (size_t i = 0; i < m->active.n; i++) {
		const struct active_run *other = &m->active.runs[i];
		int dir_fd, rc;

		if (!admit_is_replaced(m->catalog, plan, other))
			continue;
		dir_fd = active_open(&m->active, &other->id);
		rc = dir_fd < 0 ? dir_fd
				: requests_cancel(m, dir_fd, &other->id, wire_str_of(plan->actor),
					  wire_str_of(reason), CANCEL_ONCE);
		if (dir_fd >= 0)
			close(dir_fd);
		if (rc != 0 && rc != -EEXIST)
			log_error(LOG_EV("run.not_replaced"), LOG_INT("number", other->number),
				LOG_STR("error", strerror(-rc)));
	}
}

/* Writes into RUN_DIR what the run must wait for, and puts it among the active ones. */
static int admit(struct monitor *m, const struct launch_run *run)
{
	const struct plan *plan = run->plan;
	char *claims = admit_claims(m->catalog, plan);
	enum admit_verdict verdict;
	int rc;

	if (claims[0] != '\0')
		active_refresh_claims(&m->active);
	verdict = admit_judge(m->catalog, &m->active, plan, claims);
	if (verdict == ADMIT_SKIP || verdict == ADMIT_QUEUE_FULL)
		claims[0] = '\0';
	rc = admit_write(run->dir_fd, claims, verdict);
	if (rc != 0) {
		free(claims);
		return rc;
	}
	if (verdict == ADMIT_HOLD)
		replace_others(m, plan);
	active_add(&m->active, &plan->id, plan->number, claims, verdict == ADMIT_HOLD);
	return 0;
}

uint64_t starts_let_go(struct monitor *m, uint64_t now_us)
{
	struct active_run *run;

	if (now_us < m->starts.go_at_us)
		return m->starts.go_at_us;
	m->starts.go_at_us = 0;
	while ((run = admit_next(m->catalog, &m->active)) != NULL) {
		int dir_fd = active_open(&m->active, &run->id);
		int rc = dir_fd < 0 ? dir_fd : admit_go(dir_fd);

		if (dir_fd >= 0)
			close(dir_fd);
		if (rc != 0 && rc != -ENOENT) {
			log_error(LOG_EV("run.cannot_go"), LOG_INT("number", run->number),
				LOG_STR("error", strerror(-rc)));
			m->starts.go_at_us = now_us + ACTIVE_RETRY_MS * UINT64_C(1000);
			break;
		}
		run->held = false;
	}
	return m->starts.go_at_us;
}

/* ---- taking a request ---- */

/* Whether the request was answered before, or cannot be. */
static bool is_known(struct monitor *m, const struct imsg *msg, const struct msg_run_start *start,
	struct key *key)
{
	struct uuid run;
	int rc;

	if (start->idempotency_key.len == 0)
		return false;
	key_of(start, key);
	rc = keys_find(m->keys, key, clock_wall_us(), &run);
	if (rc == -EEXIST) {
		requests_answer(m, msg->seq, MSG_CONFLICT,
			"this idempotency key was used for another request");
		return true;
	}
	if (rc != 0)
		return false;
	/* one of this turn must be sure of its life first */
	starts_flush(m);
	/* the agent may have been killed between remembering the key and making the run */
	if (!launch_exists(&m->launch, &run))
		return false;
	answer_started(m, msg->seq, &run, false);
	return true;
}

static void add(struct monitor *m, const struct imsg *msg, struct plan *plan, const struct key *key)
{
	struct start start = {.seq = msg->seq, .plan = plan};
	struct err err = {0};
	int rc = launch_prepare(&m->launch, plan, &start.run, &err);

	if (rc != 0) {
		requests_answer(m, msg->seq, MSG_UNAVAILABLE, err.msg);
		plan_free(plan);
		return;
	}
	rc = admit(m, &start.run);
	if (rc != 0) {
		launch_close(&start.run);
		launch_discard(&m->launch, &plan->id);
		requests_answer(m, msg->seq, MSG_UNAVAILABLE, strerror(-rc));
		plan_free(plan);
		return;
	}
	if (key != NULL)
		rc = keys_add(m->keys, key, plan->created_us, &plan->id);
	if (rc != 0) {
		err_set_errno(&err, rc, "cannot remember the idempotency key");
		drop(m, &start, rc == -ENOBUFS ? MSG_LIMIT : MSG_UNAVAILABLE, err.msg);
		plan_free(plan);
		return;
	}
	files_next_number(m);
	rates_note(&m->rates, m->catalog, plan);
	m->starts.items[m->starts.n++] = start;
	if (m->starts.n == STARTS_MAX)
		starts_flush(m);
}

static void take(struct monitor *m, const struct imsg *msg)
{
	struct msg_run_start start;
	struct err err = {0};
	struct plan *plan;
	struct key key;

	if (msg->fields.len > MSG_MAX_START_BYTES ||
		msg_run_start_decode((const uint8_t *)msg->fields.data, msg->fields.len, &start) !=
			0 ||
		start.flags != 0 || start.idempotency_key.len > KEYS_MAX_KEY_BYTES ||
		!is_plain_text(start.trigger, MAX_TRIGGER_BYTES)) {
		requests_answer(m, msg->seq, MSG_MALFORMED, "a start that is none");
		return;
	}
	if (!imsg_actor_is_valid(start.actor, msg->peer.uid)) {
		requests_refused(m, msg, "an actor that cannot be");
		requests_answer(m, msg->seq, MSG_FORBIDDEN, "an actor that cannot be");
		return;
	}
	if (is_known(m, msg, &start, &key))
		return;
	if (m->switches.maintenance) {
		char why[IMSG_MAX_REASON + 32];

		snprintf(why, sizeof(why), "maintenance: %s", m->switches.why.reason);
		requests_refused(m, msg, why);
		requests_answer(m, msg->seq, MSG_FORBIDDEN, why);
		return;
	}
	if (care_is_over_budget(&m->care)) {
		requests_answer(m, msg->seq, MSG_LIMIT,
			"journals that the dashboard has not archived fill their budget "
			"(OPS_AGENT_MAX_BYTES)");
		return;
	}
	if (active_is_full(&m->active)) {
		requests_answer(m, msg->seq, MSG_LIMIT, "too many runs are going on");
		return;
	}
	plan = make_plan(m, msg, &start);
	if (plan != NULL && rates_check(&m->rates, m->catalog, plan, plan->created_us, &err) != 0) {
		requests_refused(m, msg, err.msg);
		requests_answer(m, msg->seq, MSG_LIMIT, err.msg);
		plan_free(plan);
		return;
	}
	if (plan != NULL)
		add(m, msg, plan, start.idempotency_key.len != 0 ? &key : NULL);
}

void starts_take(struct monitor *m, const struct imsg *msg)
{
	struct imsg reply = {.type = IMSG_ANSWER,
		.seq = msg->seq,
		.status = MSG_CONFLICT,
		.message = wire_str_of("the configuration has just changed; try again"),
		.config_digest = wire_str_of(m->catalog->digest)};

	if (wire_str_eq(msg->config_digest, m->catalog->digest))
		take(m, msg);
	else
		child_send(&m->child, &reply);
}
