/*
 * Maintenance, paused schedules, and cancelling everything: what a person at the page or on the
 * command line may ask of the agent as a whole. A change is on disk before it is answered, and
 * holds until it is taken back, whatever is restarted in between.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/monitor/state.h"
#include "agent/run/state.h"
#include "core/base/log.h"
#include "core/base/utf8.h"

static bool may_ask(struct monitor *m, const struct imsg *msg)
{
	if (imsg_actor_is_valid(msg->actor, msg->peer.uid) && msg->reason.len <= IMSG_MAX_REASON &&
		utf8_is_valid(msg->reason.data, msg->reason.len))
		return true;
	requests_answer(m, msg->seq, MSG_FORBIDDEN, "an actor or a reason that cannot be");
	return false;
}

static void kv_wire(struct json *json, const char *key, struct wire_str s)
{
	json_key(json, key);
	json_strn(json, s.data, s.len);
}

/* Puts a changed copy on disk and in force, or answers why not. */
static bool keep(struct monitor *m, const struct imsg *msg, struct switches *changed)
{
	struct err err = {0};
	int rc = switches_write(m->state_fd, changed, &err);

	if (rc == 0 && m->settings.drop_privileges &&
		fchownat(m->state_fd, SWITCHES_FILE, (uid_t)-1, m->settings.worker_gid,
			AT_SYMLINK_NOFOLLOW) != 0)
		rc = err_set_errno(&err, -errno, "cannot give '%s' to its group", SWITCHES_FILE);
	if (rc != 0) {
		switches_fini(changed);
		requests_answer(m, msg->seq, MSG_UNAVAILABLE, err.msg);
		return false;
	}
	switches_fini(&m->switches);
	m->switches = *changed;
	return true;
}

/* What is in force, to be changed. */
static bool copy(struct monitor *m, const struct imsg *msg, struct switches *ret_copy)
{
	struct err err = {0};

	if (switches_read(m->state_fd, ret_copy, &err) == 0)
		return true;
	requests_answer(m, msg->seq, MSG_UNAVAILABLE, err.msg);
	return false;
}

void policy_pause(struct monitor *m, const struct imsg *msg)
{
	const struct catalog_flow *flow =
		catalog_find_flow(m->catalog, msg->step.data, msg->step.len);
	struct switches changed;
	struct err err = {0};
	struct json *json;

	if (!may_ask(m, msg))
		return;
	if (flow == NULL || flow->n_schedules == 0) {
		requests_answer(
			m, msg->seq, MSG_NOT_FOUND, "there is no such flow with a schedule");
		return;
	}
	if (!copy(m, msg, &changed))
		return;
	if (switches_set_paused(&changed, flow->id, msg->approve, msg->actor, msg->reason) != 0) {
		switches_fini(&changed);
		requests_answer(m, msg->seq, MSG_LIMIT, "too many flows are paused");
		return;
	}
	if (!keep(m, msg, &changed))
		return;
	json = ledger_begin(m->ledger, "schedule.paused");
	json_kv_str(json, "flow", flow->id);
	json_kv_bool(json, "pause", msg->approve);
	kv_wire(json, "actor", msg->actor);
	kv_wire(json, "reason", msg->reason);
	(void)!requests_commit(m, &err);
	requests_answer(m, msg->seq, MSG_OK, "");
}

void policy_maintenance(struct monitor *m, const struct imsg *msg)
{
	struct switches changed;
	struct err err = {0};
	struct json *json;

	if (!may_ask(m, msg) || !copy(m, msg, &changed))
		return;
	switches_set_maintenance(&changed, msg->approve, msg->actor, msg->reason);
	if (!keep(m, msg, &changed))
		return;
	json = ledger_begin(m->ledger, "maintenance.set");
	json_kv_bool(json, "on", msg->approve);
	kv_wire(json, "actor", msg->actor);
	kv_wire(json, "reason", msg->reason);
	(void)!requests_commit(m, &err);
	log_warn(LOG_EV("maintenance.set"), LOG_INT("on", msg->approve));
	requests_answer(m, msg->seq, MSG_OK, "");
}

void policy_cancel_all(struct monitor *m, const struct imsg *msg)
{
	struct msg_run_cancel_all_reply count = {0};
	struct imsg reply = {.type = IMSG_ANSWER, .seq = msg->seq};
	struct run_state state;
	uint8_t bytes[8];
	int n;

	if (!may_ask(m, msg))
		return;
	for (size_t i = 0; i < m->active.n; i++) {
		const struct active_run *run = &m->active.runs[i];
		int dir_fd = active_open(&m->active, &run->id);
		int rc = dir_fd;

		if (rc >= 0)
			rc = state_read(dir_fd, &state);
		if (rc == 0 && run_status_is_final((enum run_status)state.status))
			rc = -EEXIST; /* its runner is on its way out */
		if (rc == 0)
			rc = requests_cancel(
				m, dir_fd, &run->id, msg->actor, msg->reason, CANCEL_AGAIN);
		if (dir_fd >= 0)
			close(dir_fd);
		if (rc == 0)
			count.n_runs++;
		else if (rc != -EEXIST)
			log_error(LOG_EV("run.not_cancelled"), LOG_INT("number", run->number),
				LOG_STR("error", strerror(-rc)));
	}
	n = msg_run_cancel_all_reply_encode(&count, bytes, sizeof(bytes));
	reply.fields = (struct wire_str){(const char *)bytes, n > 0 ? (uint32_t)n : 0};
	child_send(&m->child, &reply);
}
