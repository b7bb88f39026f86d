/*
 * Owns one `struct pending` per question to the monitor; it holds ids, since the connection may be
 * gone when the answer comes.
 *
 * Happy path: decode, validate against the worker's catalogue, ask, wait; the answer's status,
 * message and fields become the RESPONSE. run.start adds the document of the run that was made.
 *
 * Failure modes: the monitor does not answer: unavailable (a start may or may not have happened;
 * the idempotency key tells on the next try). Its catalogue is not ours: conflict, and ours is read
 * again.
 */
#include "agent/worker/ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/planner.h"
#include "agent/worker/document.h"
#include "agent/worker/methods.h"
#include "core/base/log.h"

struct pending {
	struct worker *worker;
	uint64_t conn;
	uint32_t stream;
	struct uuid run; /* release */
	void (*answered)(struct stream *stream, const struct imsg *answer, struct pending *pending);
	/* Instead, when whoever asked has gone or no answer came: it may have been done. Or NULL.
	 */
	void (*unheard)(struct worker *worker);
};

/* The monitor has answered, or will not. */
static void on_answer(const struct imsg *answer, void *arg)
{
	struct pending *pending = arg;
	struct conn *conn = conn_find(pending->worker, pending->conn);
	struct stream *stream = conn != NULL ? stream_find(conn, pending->stream) : NULL;

	if (stream != NULL && answer == NULL)
		stream_respond(
			stream, MSG_UNAVAILABLE, "the agent's monitor does not answer", NULL, 0);
	else if (stream != NULL)
		pending->answered(stream, answer, pending);
	if ((stream == NULL || answer == NULL) && pending->unheard != NULL)
		pending->unheard(pending->worker);
	free(pending);
}

static void ask(struct stream *stream, struct imsg *msg, const struct pending *template)
{
	struct pending *pending = xcalloc(1, sizeof(*pending));
	int rc;

	*pending = *template;
	pending->worker = stream->conn->worker;
	pending->conn = stream->conn->id;
	pending->stream = stream->id;
	rc = monlink_ask(&pending->worker->monitor, msg, on_answer, pending);
	if (rc == 0)
		return;
	free(pending);
	if (rc == -ENOBUFS)
		stream_respond(stream, MSG_LIMIT, "too many requests wait already", NULL, 0);
	else
		stream_respond(stream, MSG_UNAVAILABLE, "the monitor is away", NULL, 0);
}

/* Passes on what is no success. */
static bool failed(struct stream *stream, const struct imsg *answer)
{
	char message[512];

	if (answer->status == MSG_OK)
		return false;
	snprintf(message, sizeof(message), "%.*s", (int)MIN(answer->message.len, 511u),
		answer->message.data);
	stream_respond(stream, (enum msg_status)answer->status, message, answer->fields.data,
		answer->fields.len);
	return true;
}

/* ---- run.start ---- */

static void respond_started(struct stream *stream, bool created, const struct buf *json)
{
	struct msg_run_start_reply reply = {
		.created = created, .json = {(const char *)json->data, (uint32_t)json->len}};
	uint8_t *bytes = malloc(json->len + 16);
	int n = -ENOMEM;

	if (bytes != NULL && buf_err(json) == 0)
		n = msg_run_start_reply_encode(&reply, bytes, json->len + 16);
	if (n < 0)
		stream_respond(stream, MSG_INTERNAL, "the document does not fit", NULL, 0);
	else
		stream_respond(stream, MSG_OK, "", bytes, (size_t)n);
	free(bytes);
}

/* The run was made (or was there), or it was refused. */
static void on_started(struct stream *stream, const struct imsg *answer, struct pending *pending)
{
	struct worker *worker = pending->worker;
	struct err err = {0};
	struct json json;
	struct buf buf;
	struct run *run;

	if (answer->status == MSG_CONFLICT && answer->config_digest.len != 0 &&
		!wire_str_eq(answer->config_digest, worker->catalog->digest))
		worker_reload(worker);
	if (failed(stream, answer))
		return;
	run = runset_get(&worker->runs, &answer->run);
	buf_init(&buf, DOCUMENT_MAX_BYTES);
	json_init(&json, &buf);
	if (run == NULL)
		stream_respond(stream, MSG_UNAVAILABLE, "the run was made and is gone", NULL, 0);
	else if (runset_document(run, &json, &err) != 0)
		stream_respond(stream, MSG_UNAVAILABLE, err.msg, NULL, 0);
	else
		respond_started(stream, answer->created, &buf);
	buf_fini(&buf);
}

static void respond_problems(
	struct stream *stream, const struct planner_problems *problems, const char *message)
{
	struct msg_problems list = {.n = (uint16_t)problems->n};
	uint8_t bytes[32768];
	int n;

	for (size_t i = 0; i < problems->n; i++) {
		list.items[i].name = wire_str_of(problems->items[i].name);
		list.items[i].value = wire_str_of(problems->items[i].message);
	}
	n = msg_problems_encode(&list, bytes, sizeof(bytes));
	stream_respond(stream, MSG_INVALID_INPUT, message, bytes, n > 0 ? (size_t)n : 0);
}

static void dry_run(struct stream *stream, const struct plan *plan)
{
	struct json json;
	struct buf buf;

	buf_init(&buf, DOCUMENT_MAX_BYTES);
	json_init(&json, &buf);
	planner_write_json(plan, &json);
	respond_started(stream, false, &buf);
	buf_fini(&buf);
}

/* Answers and returns false when the worker's own catalogue does not allow it. */
static bool validate(
	struct stream *stream, const struct msg_run_start *start, struct plan **ret_plan)
{
	struct worker *worker = stream->conn->worker;
	const struct planner_request request = {
		.kind = start->kind,
		.id = start->id,
		.inputs = start->inputs,
		.n_inputs = start->n_inputs,
		.host = worker->host,
		.actor = start->actor,
		.trigger = start->trigger,
	};
	struct planner_problems problems;
	struct err err = {0};
	int rc = planner_build(worker->catalog, &request, ret_plan, &problems, &err);

	if (rc == 0)
		return true;
	if (rc == -ENOENT)
		stream_respond(stream, MSG_NOT_FOUND, err.msg, NULL, 0);
	else if (rc == -EINVAL)
		respond_problems(stream, &problems, err.msg);
	else
		stream_respond(stream, MSG_LIMIT, err.msg, NULL, 0);
	return false;
}

void ask_start(struct stream *stream, const struct msg_request *request)
{
	struct imsg msg = {
		.type = IMSG_START,
		.peer = stream->conn->peer,
		.config_digest = wire_str_of(stream->conn->worker->catalog->digest),
		.fields = {(const char *)request->fields, (uint32_t)request->fields_len},
	};
	struct msg_run_start start;
	struct plan *plan;

	if (request->fields_len > MSG_MAX_START_BYTES) {
		stream_respond(stream, MSG_LIMIT, "more than 48 KiB of inputs", NULL, 0);
		return;
	}
	if (msg_run_start_decode(request->fields, request->fields_len, &start) != 0 ||
		(start.flags & ~MSG_START_DRY_RUN) != 0) {
		methods_malformed(stream);
		return;
	}
	if (!imsg_actor_is_valid(start.actor, stream->conn->peer.uid)) {
		stream_respond(stream, MSG_FORBIDDEN, "an actor that cannot be", NULL, 0);
		return;
	}
	if (!validate(stream, &start, &plan))
		return;
	if (start.flags & MSG_START_DRY_RUN)
		dry_run(stream, plan);
	else
		ask(stream, &msg, &(struct pending){.answered = on_started});
	plan_free(plan);
}

/* ---- run.cancel, run.stop, run.approve, run.release, reload ---- */

static void on_done(struct stream *stream, const struct imsg *answer, struct pending *pending)
{
	(void)pending;
	if (!failed(stream, answer))
		stream_respond(stream, MSG_OK, "", NULL, 0);
}

static struct run *find_run(struct stream *stream, struct wire_str ref)
{
	struct run *run = runset_find(&stream->conn->worker->runs, ref);

	if (run == NULL)
		stream_respond(stream, MSG_NOT_FOUND, "there is no such run here", NULL, 0);
	return run;
}

/* Checks who asks and why; answers and returns false when that cannot be. */
static bool may_ask(struct stream *stream, struct wire_str actor, struct wire_str reason)
{
	if (!imsg_actor_is_valid(actor, stream->conn->peer.uid))
		stream_respond(stream, MSG_FORBIDDEN, "an actor that cannot be", NULL, 0);
	else if (reason.len > IMSG_MAX_REASON)
		stream_respond(
			stream, MSG_LIMIT, "a reason or comment of more than 512 bytes", NULL, 0);
	else
		return true;
	return false;
}

/* Asks the monitor about the run that ref names; msg says the rest. */
static void ask_about_run(struct stream *stream, struct imsg *msg, struct wire_str ref)
{
	struct run *run;

	if (!may_ask(stream, msg->actor, msg->reason))
		return;
	run = find_run(stream, ref);
	if (run == NULL)
		return;
	msg->run = run->id;
	ask(stream, msg, &(struct pending){.answered = on_done});
}

void ask_cancel(struct stream *stream, const struct msg_request *request)
{
	struct imsg msg = {.type = IMSG_CANCEL, .peer = stream->conn->peer};
	struct msg_run_cancel cancel;

	if (msg_run_cancel_decode(request->fields, request->fields_len, &cancel) != 0) {
		methods_malformed(stream);
		return;
	}
	msg.actor = cancel.actor;
	msg.reason = cancel.reason;
	ask_about_run(stream, &msg, cancel.run);
}

void ask_stop(struct stream *stream, const struct msg_request *request)
{
	struct imsg msg = {.type = IMSG_STOP, .peer = stream->conn->peer};
	struct msg_run_stop stop;

	if (msg_run_stop_decode(request->fields, request->fields_len, &stop) != 0) {
		methods_malformed(stream);
		return;
	}
	msg.actor = stop.actor;
	msg.reason = stop.reason;
	msg.approve = stop.kill != 0;
	ask_about_run(stream, &msg, stop.run);
}

void ask_approve(struct stream *stream, const struct msg_request *request)
{
	struct imsg msg = {.type = IMSG_APPROVE, .peer = stream->conn->peer};
	struct msg_run_approve approve;

	if (msg_run_approve_decode(request->fields, request->fields_len, &approve) != 0) {
		methods_malformed(stream);
		return;
	}
	msg.actor = approve.actor;
	msg.reason = approve.comment;
	msg.step = approve.step;
	msg.approve = approve.approve != 0;
	ask_about_run(stream, &msg, approve.run);
}

/* The run is marked as held elsewhere, or not. */
static void on_released(struct stream *stream, const struct imsg *answer, struct pending *pending)
{
	struct run *run = runset_get(&pending->worker->runs, &pending->run);

	if (run != NULL)
		runset_refresh(run);
	on_done(stream, answer, pending);
}

void ask_release(struct stream *stream, const struct msg_request *request)
{
	struct imsg msg = {.type = IMSG_RELEASE};
	struct msg_run_release release;
	struct run *run;

	if (msg_run_release_decode(request->fields, request->fields_len, &release) != 0) {
		methods_malformed(stream);
		return;
	}
	run = find_run(stream, release.run);
	if (run == NULL)
		return;
	msg.run = run->id;
	msg.digest = release.digest;
	ask(stream, &msg, &(struct pending){.answered = on_released, .run = run->id});
}

/* The monitor has taken a new configuration; now we do. */
static void on_reloaded(struct stream *stream, const struct imsg *answer, struct pending *pending)
{
	struct worker *worker = pending->worker;
	struct msg_reload_reply reply = {.config_digest = answer->config_digest};
	uint8_t bytes[128];
	int n;

	if (failed(stream, answer))
		return;
	if (!wire_str_eq(answer->config_digest, worker->catalog->digest)) {
		stream_respond(stream, MSG_CONFLICT,
			worker->config_error != NULL
				? worker->config_error
				: "the files changed while they were read; reload again",
			NULL, 0);
		return;
	}
	n = msg_reload_reply_encode(&reply, bytes, sizeof(bytes));
	stream_respond(stream, MSG_OK, "", bytes, n > 0 ? (size_t)n : 0);
}

void ask_reload(struct stream *stream, const struct msg_request *request)
{
	struct imsg msg = {.type = IMSG_RELOAD, .peer = stream->conn->peer};
	struct msg_reload reload;

	if (msg_reload_decode(request->fields, request->fields_len, &reload) != 0) {
		methods_malformed(stream);
		return;
	}
	if (!imsg_actor_is_valid(reload.actor, stream->conn->peer.uid)) {
		stream_respond(stream, MSG_FORBIDDEN, "an actor that cannot be", NULL, 0);
		return;
	}
	msg.actor = reload.actor;
	ask(stream, &msg, &(struct pending){.answered = on_reloaded});
}

/* ---- what concerns the agent as a whole ---- */

/* Something was switched on or off. */
static void on_switched(struct stream *stream, const struct imsg *answer, struct pending *pending)
{
	schedule_read_switches(&pending->worker->schedule);
	on_done(stream, answer, pending);
}

void ask_pause(struct stream *stream, const struct msg_request *request)
{
	struct imsg msg = {.type = IMSG_PAUSE, .peer = stream->conn->peer};
	struct msg_schedule_pause pause;

	if (msg_schedule_pause_decode(request->fields, request->fields_len, &pause) != 0 ||
		pause.pause > 1) {
		methods_malformed(stream);
		return;
	}
	if (!may_ask(stream, pause.actor, pause.reason))
		return;
	msg.actor = pause.actor;
	msg.reason = pause.reason;
	msg.step = pause.flow;
	msg.approve = pause.pause != 0;
	ask(stream, &msg, &(struct pending){.answered = on_switched});
}

void ask_maintenance(struct stream *stream, const struct msg_request *request)
{
	struct imsg msg = {.type = IMSG_MAINTENANCE, .peer = stream->conn->peer};
	struct msg_maintenance maintenance;

	if (msg_maintenance_decode(request->fields, request->fields_len, &maintenance) != 0 ||
		maintenance.on > 1) {
		methods_malformed(stream);
		return;
	}
	if (!may_ask(stream, maintenance.actor, maintenance.reason))
		return;
	msg.actor = maintenance.actor;
	msg.reason = maintenance.reason;
	msg.approve = maintenance.on != 0;
	ask(stream, &msg, &(struct pending){.answered = on_switched});
}

/* So many were asked to end. */
static void on_all_cancelled(
	struct stream *stream, const struct imsg *answer, struct pending *pending)
{
	(void)pending;
	if (!failed(stream, answer))
		stream_respond(stream, MSG_OK, "", answer->fields.data, answer->fields.len);
}

void ask_cancel_all(struct stream *stream, const struct msg_request *request)
{
	struct imsg msg = {.type = IMSG_CANCEL_ALL, .peer = stream->conn->peer};
	struct msg_run_cancel_all cancel;

	if (msg_run_cancel_all_decode(request->fields, request->fields_len, &cancel) != 0) {
		methods_malformed(stream);
		return;
	}
	if (!may_ask(stream, cancel.actor, cancel.reason))
		return;
	msg.actor = cancel.actor;
	msg.reason = cancel.reason;
	ask(stream, &msg, &(struct pending){.answered = on_all_cancelled});
}

/* The files hold another secret: ours too, before anybody is told. */
static void on_rotated(struct stream *stream, const struct imsg *answer, struct pending *pending)
{
	struct worker *worker = pending->worker;
	struct err err = {0};

	if (failed(stream, answer))
		return;
	if (secrets_load(worker, &err) != 0) {
		log_error(LOG_EV("worker.secret_refused"), LOG_STR("error", err.msg));
		stream_respond(stream, MSG_UNAVAILABLE, err.msg, NULL, 0);
		return;
	}
	stream_respond(stream, MSG_OK, "", answer->fields.data, answer->fields.len);
	secrets_drop_old(worker);
}

/* The files may hold another secret all the same: ours must not stay good for that. */
static void on_rotation_unheard(struct worker *worker)
{
	struct err err = {0};

	if (worker->stopping)
		return;
	if (secrets_load(worker, &err) != 0)
		log_error(LOG_EV("worker.secret_refused"), LOG_STR("error", err.msg));
	else
		secrets_drop_old(worker);
}

void ask_secret_rotate(struct stream *stream, const struct msg_request *request)
{
	struct imsg msg = {
		.type = IMSG_ROTATE,
		.peer = stream->conn->peer,
		.fields = {(const char *)request->fields, (uint32_t)request->fields_len},
	};
	struct msg_secret_rotate rotate;

	if (msg_secret_rotate_decode(request->fields, request->fields_len, &rotate) != 0)
		methods_malformed(stream);
	else
		ask(stream, &msg,
			&(struct pending){.answered = on_rotated, .unheard = on_rotation_unheard});
}
