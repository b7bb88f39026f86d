#include "core/app/schedule.h"

#include <stdlib.h>
#include <string.h>

#include "core/app/http.h"
#include "core/app/server.h"
#include "core/base/log.h"
#include "proto/msg.h"

#define MAX_FLOW 64
#define MAX_REASON 200

static void on_document(const struct link_reply *reply, void *arg)
{
	struct request *req = arg;
	struct msg_document document;

	if (reply->err != 0 || reply->status != MSG_OK)
		http_agent_problem(req, reply);
	else if (msg_document_decode(reply->fields, reply->fields_len, &document) != 0)
		response_problem(req, 502, "agent_malformed", "The agent's answer makes no sense.");
	else
		response_send(req, 200, "application/json", document.json.data, document.json.len);
}

void schedule_get(struct request *req)
{
	link_request(server_of(req)->link, MSG_SCHEDULE, NULL, 0, on_document, req);
}

/* A switch was set: what the schedule is now is the answer. */
static void on_switched(const struct link_reply *reply, void *arg)
{
	struct request *req = arg;

	if (reply->err == 0 && reply->status == MSG_OK)
		schedule_get(req);
	else
		http_agent_problem(req, reply);
}

/* The reason that the body gives, NULL for none; false: answered. */
static bool read_reason(struct request *req, const json_t *body, const char **ret_reason)
{
	bool ok = true;
	const char *reason = http_string(body, "reason", &ok);

	if (ok && (reason == NULL || strlen(reason) <= MAX_REASON)) {
		*ret_reason = reason;
		return true;
	}
	response_problem(req, 422, "invalid_input", "reason must be a text of at most 200 bytes.");
	return false;
}

static void ask_agent(struct request *req, enum msg_method method, const uint8_t *fields, int n,
	link_reply_fn on_answer)
{
	if (n < 0)
		abort(); /* all of it is bounded by the callers */
	link_request(server_of(req)->link, (uint16_t)method,
		&(struct wire_str){(const char *)fields, (uint32_t)n}, 0, on_answer, req);
}

static void pause_flow(struct request *req, const json_t *body)
{
	const json_t *pause = json_object_get(body, "pause");
	struct msg_schedule_pause ask = {.actor = wire_str_of(caller_actor(req))};
	const char *flow, *reason;
	uint8_t fields[1024];
	bool ok = true;

	flow = http_string(body, "flow", &ok);
	if (!ok || flow == NULL || strlen(flow) > MAX_FLOW || !json_is_boolean(pause)) {
		response_problem(req, 422, "invalid_input",
			"flow must be a flow's id, pause true or false.");
		return;
	}
	if (!read_reason(req, body, &reason))
		return;
	ask.flow = wire_str_of(flow);
	ask.pause = json_is_true(pause);
	ask.reason = wire_str_of(reason);
	caller_note(req, ask.pause != 0 ? "schedule.pause" : "schedule.resume", flow, NULL);
	log_info(LOG_EV("schedule.pause"), LOG_STR("flow", flow), LOG_INT("pause", ask.pause),
		LOG_STR("actor", caller_actor(req)), LOG_STR("request_id", request_id(req)));
	ask_agent(req, MSG_SCHEDULE_PAUSE, fields,
		msg_schedule_pause_encode(&ask, fields, sizeof(fields)), on_switched);
}

void schedule_pause(struct request *req)
{
	static const char *const names[] = {"flow", "pause", "reason", NULL};
	json_t *body = http_body(req, names, false);

	if (body != NULL)
		pause_flow(req, body);
	json_decref(body);
}

static void set_maintenance(struct request *req, const json_t *body)
{
	const json_t *on = json_object_get(body, "on");
	struct msg_maintenance ask = {.actor = wire_str_of(caller_actor(req))};
	const char *reason;
	uint8_t fields[1024];

	if (!json_is_boolean(on)) {
		response_problem(req, 422, "invalid_input", "on must be true or false.");
		return;
	}
	if (!read_reason(req, body, &reason))
		return;
	ask.on = json_is_true(on);
	ask.reason = wire_str_of(reason);
	caller_note(req, ask.on != 0 ? "maintenance.on" : "maintenance.off", reason, NULL);
	log_info(LOG_EV("maintenance"), LOG_INT("on", ask.on), LOG_STR("actor", caller_actor(req)),
		LOG_STR("request_id", request_id(req)));
	ask_agent(req, MSG_MAINTENANCE, fields,
		msg_maintenance_encode(&ask, fields, sizeof(fields)), on_switched);
}

void schedule_maintenance(struct request *req)
{
	static const char *const names[] = {"on", "reason", NULL};
	json_t *body = http_body(req, names, false);

	if (body != NULL)
		set_maintenance(req, body);
	json_decref(body);
}

static void on_all_cancelled(const struct link_reply *reply, void *arg)
{
	struct request *req = arg;
	struct msg_run_cancel_all_reply cancelled;
	json_t *answer;

	if (reply->err != 0 || reply->status != MSG_OK) {
		http_agent_problem(req, reply);
		return;
	}
	if (msg_run_cancel_all_reply_decode(reply->fields, reply->fields_len, &cancelled) != 0) {
		response_problem(req, 502, "agent_malformed", "The agent's answer makes no sense.");
		return;
	}
	answer = json_pack("{s:I}", "runs", (json_int_t)cancelled.n_runs);
	http_json(req, 202, answer);
	json_decref(answer);
}

void schedule_cancel_all(struct request *req)
{
	static const char *const names[] = {"reason", NULL};
	struct msg_run_cancel_all ask = {.actor = wire_str_of(caller_actor(req))};
	json_t *body = http_body(req, names, true);
	const char *reason;
	uint8_t fields[1024];

	if (body != NULL && read_reason(req, body, &reason)) {
		ask.reason = wire_str_of(reason);
		caller_note(req, "run.cancel_all", reason, NULL);
		log_info(LOG_EV("run.cancel_all"), LOG_STR("actor", caller_actor(req)),
			LOG_STR("request_id", request_id(req)));
		ask_agent(req, MSG_RUN_CANCEL_ALL, fields,
			msg_run_cancel_all_encode(&ask, fields, sizeof(fields)), on_all_cancelled);
	}
	json_decref(body);
}
