/*
 * What the worker asks for, checked as if the worker had been taken over: every field again,
 * against the monitor's own catalogue. Every question gets exactly one answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/config/planner.h"
#include "agent/monitor/approve.h"
#include "agent/monitor/rotate.h"
#include "agent/monitor/state.h"
#include "agent/run/rundir.h"
#include "agent/run/state.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/hex.h"
#include "core/base/log.h"
#include "core/base/utf8.h"

void requests_answer(struct monitor *m, uint32_t seq, enum msg_status status, const char *message)
{
	struct imsg reply = {.type = IMSG_ANSWER,
		.seq = seq,
		.status = (uint16_t)status,
		.message = wire_str_of(message)};

	child_send(&m->child, &reply);
}

int requests_commit(struct monitor *m, struct err *err)
{
	int rc = ledger_commit(m->ledger, err);

	if (rc != 0)
		log_error(LOG_EV("ledger.failed"), LOG_STR("error", err->msg));
	return rc;
}

static void kv_wire(struct json *json, const char *key, struct wire_str s)
{
	json_key(json, key);
	json_strn(json, s.data, s.len);
}

void requests_kv_run(struct json *json, const struct uuid *id)
{
	char text[UUID_TEXT_BYTES];

	uuid_format(id, text);
	json_kv_str(json, "run", text);
}

void requests_answer_problems(struct monitor *m, const struct imsg *msg,
	const struct planner_problems *problems, const char *message)
{
	struct imsg reply = {.type = IMSG_ANSWER,
		.seq = msg->seq,
		.status = MSG_INVALID_INPUT,
		.message = wire_str_of(message)};
	struct msg_problems list = {.n = (uint16_t)problems->n};
	uint8_t bytes[32768];
	int n;

	for (size_t i = 0; i < problems->n; i++) {
		list.items[i].name = wire_str_of(problems->items[i].name);
		list.items[i].value = wire_str_of(problems->items[i].message);
	}
	n = msg_problems_encode(&list, bytes, sizeof(bytes));
	reply.fields = (struct wire_str){(const char *)bytes, n > 0 ? (uint32_t)n : 0};
	child_send(&m->child, &reply);
}

/* ---- cancelling and releasing ---- */

/* Opens a RUN_DIR and reads its state; answers and returns a negative errno when it cannot. */
static int open_run(struct monitor *m, const struct imsg *msg, struct run_state *ret_state)
{
	char id[UUID_TEXT_BYTES];
	int dir_fd, rc;

	uuid_format(&msg->run, id);
	dir_fd = openat(m->launch.runs_fd, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir_fd < 0) {
		requests_answer(m, msg->seq, MSG_NOT_FOUND, "there is no such run here");
		return -ENOENT;
	}
	rc = state_read(dir_fd, ret_state);
	if (rc == 0)
		return dir_fd;
	close(dir_fd);
	requests_answer(m, msg->seq, MSG_UNAVAILABLE, "the run's state cannot be read");
	return rc;
}

/* Makes a control file whole or not at all; -EEXIST: it is there. */
static int put_control(int dir_fd, const char *name, struct wire_str actor, struct wire_str reason)
{
	char text[IMSG_MAX_ACTOR + IMSG_MAX_REASON + 4];
	size_t n = 0;
	int fd, rc;

	memcpy(text, actor.data, actor.len);
	n = actor.len;
	text[n++] = '\n';
	for (uint32_t i = 0; i < reason.len; i++) {
		char c = reason.data[i];

		text[n++] = (unsigned char)c < 0x20 || c == 0x7f ? ' ' : c;
	}
	text[n++] = '\n';
	(void)unlinkat(dir_fd, RUNDIR_CONTROL_NEW, 0);
	fd = rundir_create(dir_fd, RUNDIR_CONTROL_NEW, O_WRONLY | O_EXCL);
	if (fd < 0)
		return fd;
	rc = file_write_all(fd, text, n);
	close(fd);
	if (rc == 0 && renameat2(dir_fd, RUNDIR_CONTROL_NEW, dir_fd, name, RENAME_NOREPLACE) != 0)
		rc = -errno;
	if (rc != 0)
		(void)unlinkat(dir_fd, RUNDIR_CONTROL_NEW, 0);
	return rc;
}

int requests_cancel(struct monitor *m, int dir_fd, const struct uuid *run, struct wire_str actor,
	struct wire_str reason, enum cancel how)
{
	struct err err = {0};
	struct json *json;
	bool kill = how == CANCEL_KILL;
	int rc;

	if (!kill && faccessat(dir_fd, RUNDIR_CONTROL_KILL, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	rc = put_control(dir_fd, kill ? RUNDIR_CONTROL_KILL : RUNDIR_CONTROL_CANCEL, actor, reason);
	if (rc == -EEXIST && how == CANCEL_AGAIN) {
		kill = true;
		rc = put_control(dir_fd, RUNDIR_CONTROL_KILL, actor, reason);
	}
	if (rc != 0)
		return rc;
	json = ledger_begin(m->ledger, "run.cancel_requested");
	requests_kv_run(json, run);
	kv_wire(json, "actor", actor);
	kv_wire(json, "reason", reason);
	json_kv_bool(json, "kill", kill);
	(void)!requests_commit(m, &err);
	return 0;
}

static void handle_cancel(struct monitor *m, const struct imsg *msg, enum cancel how)
{
	struct run_state state;
	int dir_fd, rc;

	if (!imsg_actor_is_valid(msg->actor, msg->peer.uid) || msg->reason.len > IMSG_MAX_REASON ||
		!utf8_is_valid(msg->reason.data, msg->reason.len)) {
		requests_answer(m, msg->seq, MSG_FORBIDDEN, "an actor or a reason that cannot be");
		return;
	}
	dir_fd = open_run(m, msg, &state);
	if (dir_fd < 0)
		return;
	if (run_status_is_final((enum run_status)state.status)) {
		close(dir_fd);
		requests_answer(m, msg->seq, MSG_CONFLICT, "the run has finished already");
		return;
	}
	rc = requests_cancel(m, dir_fd, &msg->run, msg->actor, msg->reason, how);
	close(dir_fd);
	if (rc == 0 || rc == -EEXIST)
		requests_answer(m, msg->seq, MSG_OK, "");
	else
		requests_answer(m, msg->seq, MSG_UNAVAILABLE, strerror(-rc));
}

static void handle_release(struct monitor *m, const struct imsg *msg)
{
	struct run_state state;
	char digest[2 * sizeof(state.digest) + 1];
	struct err err = {0};
	int dir_fd = open_run(m, msg, &state);
	int fd = -1;

	if (dir_fd < 0)
		return;
	hex_encode(state.digest, sizeof(state.digest), digest);
	if (!run_status_is_final((enum run_status)state.status)) {
		requests_answer(m, msg->seq, MSG_CONFLICT, "the run has not finished");
	} else if (!wire_str_eq(msg->digest, digest)) {
		requests_answer(m, msg->seq, MSG_CONFLICT, "the digest is not the journal's");
	} else if (faccessat(dir_fd, RUNDIR_RELEASED, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		requests_answer(m, msg->seq, MSG_OK, "");
	} else if ((fd = rundir_create(dir_fd, RUNDIR_RELEASED, O_WRONLY)) < 0) {
		requests_answer(m, msg->seq, MSG_UNAVAILABLE, strerror(-fd));
	} else {
		struct json *json = ledger_begin(m->ledger, "run.released");

		requests_kv_run(json, &msg->run);
		json_kv_str(json, "digest", digest);
		(void)!requests_commit(m, &err);
		m->care.unreleased_bytes -= MIN(m->care.unreleased_bytes, state.size);
		m->care.wanted = true;
		requests_answer(m, msg->seq, MSG_OK, "");
	}
	if (fd >= 0)
		close(fd);
	close(dir_fd);
}

/* ---- the rest ---- */

/* Each error becomes a problem: name = "file:line:col", message = what. */
static void answer_config_errors(
	struct monitor *m, const struct imsg *msg, const struct config_errors *errors)
{
	struct planner_problems *problems = xcalloc(1, sizeof(*problems));
	char message[128];

	for (size_t i = 0; i < errors->n && i < ARRAY_LEN(problems->items); i++) {
		struct planner_problem *problem = &problems->items[problems->n++];
		const char *line = errors->lines[i];
		const char *sep = strstr(line, ": ");
		size_t len = sep != NULL ? (size_t)(sep - line) : 0;

		snprintf(problem->name, sizeof(problem->name), "%.*s", (int)len, line);
		snprintf(problem->message, sizeof(problem->message), "%.255s",
			sep != NULL ? sep + 2 : line);
	}
	snprintf(message, sizeof(message),
		"the configuration has %zu error%s; the one before stays in force", errors->total,
		errors->total == 1 ? "" : "s");
	requests_answer_problems(m, msg, problems, message);
	free(problems);
}

static void handle_reload(struct monitor *m, const struct imsg *msg)
{
	struct config_errors *errors;
	struct imsg reply = {.type = IMSG_ANSWER, .seq = msg->seq};

	if (!imsg_actor_is_valid(msg->actor, msg->peer.uid)) {
		requests_answer(m, msg->seq, MSG_FORBIDDEN, "an actor that cannot be");
		return;
	}
	errors = xcalloc(1, sizeof(*errors));
	if (config_reload(m, msg->actor, errors) == 0) {
		reply.config_digest = wire_str_of(m->catalog->digest);
		child_send(&m->child, &reply);
	} else {
		answer_config_errors(m, msg, errors);
	}
	free(errors);
}

static uint64_t tell(struct monitor *m, struct refusals *refusals)
{
	uint64_t now = clock_mono_us();
	struct err err = {0};
	struct json *json;

	if (refusals->count == 0)
		return 0;
	if (refusals->told_us != 0 && now - refusals->told_us < MONITOR_SUMMARY_US)
		return refusals->told_us + MONITOR_SUMMARY_US;
	json = ledger_begin(m->ledger, refusals->event);
	json_kv_uint(json, "count", refusals->count);
	json_kv_uint(json, "uid", refusals->last.uid);
	json_kv_int(json, "pid", refusals->last.pid);
	if (refusals->reason[0] != '\0')
		json_kv_str(json, "reason", refusals->reason);
	(void)!requests_commit(m, &err);
	log_warn(LOG_EV(refusals->event), LOG_INT("count", refusals->count),
		LOG_INT("uid", refusals->last.uid), LOG_INT("pid", refusals->last.pid),
		LOG_STR("reason", refusals->reason));
	refusals->count = 0;
	refusals->told_us = now;
	return 0;
}

uint64_t requests_tell_refusals(struct monitor *m)
{
	struct refusals *all[] = {&m->bad_secrets, &m->bad_peers, &m->refused};
	uint64_t next = 0;

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		uint64_t due = tell(m, all[i]);

		if (next == 0 || (due != 0 && due < next))
			next = due;
	}
	return next;
}

static void count(struct refusals *refusals, const char *event, const struct imsg *msg)
{
	refusals->event = event;
	refusals->count++;
	refusals->last = msg->peer;
}

void requests_refused(struct monitor *m, const struct imsg *msg, const char *why)
{
	count(&m->refused, "request.refused", msg);
	snprintf(m->refused.reason, sizeof(m->refused.reason), "%s", why);
}

void requests_handle(struct monitor *m, const struct imsg *msg)
{
	/* everything else must see those starts as what they became */
	if (msg->type != IMSG_START)
		starts_flush(m);
	switch (msg->type) {
	case IMSG_START:
		starts_take(m, msg);
		break;
	case IMSG_CANCEL:
		handle_cancel(m, msg, CANCEL_AGAIN);
		break;
	case IMSG_STOP:
		handle_cancel(m, msg, msg->approve ? CANCEL_KILL : CANCEL_ONCE);
		break;
	case IMSG_APPROVE:
		approve_handle(m, msg);
		break;
	case IMSG_RELEASE:
		handle_release(m, msg);
		break;
	case IMSG_RELOAD:
		handle_reload(m, msg);
		break;
	case IMSG_PAUSE:
		policy_pause(m, msg);
		break;
	case IMSG_MAINTENANCE:
		policy_maintenance(m, msg);
		break;
	case IMSG_CANCEL_ALL:
		policy_cancel_all(m, msg);
		break;
	case IMSG_ROTATE:
		rotate_handle(m, msg);
		break;
	case IMSG_BAD_SECRET:
		count(&m->bad_secrets, "secret.wrong", msg);
		break;
	case IMSG_BAD_PEER:
		count(&m->bad_peers, "peer.refused", msg);
		break;
	default: /* the monitor's own types: the worker has no business sending them */
		log_error(LOG_EV("worker.nonsense"), LOG_INT("type", msg->type));
		kill(m->child.pid, SIGKILL);
	}
}
