/*
 * What the agents say about their schedules, as one document, and the switches. A switch goes to
 * one host, or with "*" to all; where only some take it, the answer says who did not.
 */
#include "core/app/runs/schedule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/hosts/ask.h"
#include "core/app/http.h"
#include "core/app/server.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "proto/msg.h"

#define MAX_FLOW 64
#define MAX_REASON 200
#define ALL_HOSTS "*"

/* ---- the schedule ---- */

static bool is_ok(const struct link_reply *reply)
{
	return reply->err == 0 && reply->status == MSG_OK;
}

/* For a person: why an agent did not do it. */
static const char *fault_of(const struct link_reply *reply)
{
	if (reply->err == -ETIMEDOUT)
		return "the agent did not answer in time";
	if (reply->err != 0)
		return "the agent cannot be reached";
	return reply->message.len > 0 ? reply->message.data : "the agent refused it";
}

static json_t *document_of(const struct link_reply *reply)
{
	struct msg_document document;

	if (!is_ok(reply) || msg_document_decode(reply->fields, reply->fields_len, &document) != 0)
		return NULL;
	return json_loadb(document.json.data, document.json.len,
		JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
}

/* What an agent says is what is known of it from now on. Consumes doc. */
static void keep(struct host *host, json_t *doc)
{
	if (!json_is_object(doc)) {
		json_decref(doc);
		return;
	}
	json_decref(host->schedule);
	host->schedule = doc;
	host->schedule_us = clock_wall_us();
}

/* What a host that cannot be asked said last, or NULL. A time that is over is no next one. */
static json_t *kept_of(const struct host *host)
{
	json_t *doc = host != NULL ? json_deep_copy(host->schedule) : NULL, *flow;
	size_t i;

	json_array_foreach(json_object_get(doc, "flows"), i, flow)
	{
		json_int_t next_us = json_integer_value(json_object_get(flow, "next_us"));

		if (next_us > 0 && (uint64_t)next_us < clock_wall_us())
			json_object_set_new(flow, "next_us", json_null());
	}
	return doc;
}

/* An agent that was just connected to, or has another catalogue, has said what it has planned. */
static void on_learned(const struct link_reply *reply, void *arg)
{
	keep(arg, document_of(reply));
}

void schedule_learn(struct host *host)
{
	link_request(host->link, MSG_SCHEDULE, NULL, 0, on_learned, host);
}

/* Adds what a host says to the document of all, or said when it could be asked. False: nothing is
 * known of it. */
static bool add_schedule(
	json_t *to, struct host *host, const struct ask_answer *answer, bool is_first)
{
	json_t *doc = document_of(&answer->reply), *flow;
	bool is_new = json_is_object(doc);
	const char *fault = is_ok(&answer->reply) ? "the agent's answer makes no sense"
						  : fault_of(&answer->reply);
	bool is_known;
	size_t i;

	if (is_new && host != NULL)
		keep(host, json_incref(doc));
	if (!is_new) {
		json_decref(doc);
		doc = kept_of(host);
	}
	is_known = doc != NULL;
	json_array_append_new(json_object_get(to, "hosts"),
		json_pack("{s:s,s:b,s:O?,s:o?,s:o?}", "host", answer->host, "maintenance",
			json_is_true(json_object_get(doc, "maintenance")), "maintenance_reason",
			json_object_get(doc, "maintenance_reason"), "error",
			is_new ? NULL : json_string(fault), "as_of_us",
			is_new || !is_known ? NULL : json_integer((json_int_t)host->schedule_us)));
	json_array_foreach(json_object_get(doc, "flows"), i, flow)
	{
		json_object_set_new(flow, "host", json_string(answer->host));
		json_array_append(json_object_get(to, "flows"), flow);
	}
	if (is_first) {
		json_object_set_new(to, "maintenance",
			json_boolean(json_is_true(json_object_get(doc, "maintenance"))));
		json_object_set(to, "maintenance_reason",
			json_object_get(doc, "maintenance_reason") != NULL
				? json_object_get(doc, "maintenance_reason")
				: json_null());
	}
	json_decref(doc);
	return is_known;
}

/* Notes whose answer it is: http_agent_problem() names it. */
static void answer_problem(struct request *req, const struct ask_answer *answer)
{
	const struct host *host = hosts_find(server_of(req)->hosts, answer->host);

	if (host != NULL)
		caller_set_host(req, host);
	http_agent_problem(req, &answer->reply);
}

static void on_schedules(struct request *req, const struct ask_answer *answers, size_t n)
{
	json_t *doc = json_pack("{s:[],s:[]}", "flows", "hosts");
	struct hosts *hosts = server_of(req)->hosts;
	size_t n_known = 0;

	for (size_t i = 0; i < n; i++)
		n_known +=
			add_schedule(doc, hosts_find(hosts, answers[i].host), &answers[i], i == 0);
	if (n_known == 0)
		answer_problem(req, &answers[0]);
	else
		http_json(req, 200, doc);
	json_decref(doc);
}

void schedule_get(struct request *req)
{
	struct host *host = NULL;

	if (request_query(req, "host") != NULL) {
		host = http_query_host(req);
		if (host == NULL)
			return;
	}
	ask_hosts(req, host, MSG_SCHEDULE, NULL, on_schedules);
}

/* ---- switches ---- */

/* The first that did not do it; NULL: all did. */
static const struct ask_answer *first_fault(const struct ask_answer *answers, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!is_ok(&answers[i].reply))
			return &answers[i];
	}
	return NULL;
}

/* A switch was set: what the schedule is now is the answer. */
static void on_switched(struct request *req, const struct ask_answer *answers, size_t n)
{
	const struct ask_answer *fault = first_fault(answers, n);

	if (fault != NULL)
		answer_problem(req, fault);
	else
		ask_hosts(req, NULL, MSG_SCHEDULE, NULL, on_schedules);
}

/* Whom the body's `host` means; *ret_host NULL: all. False: answered. */
static bool read_host(
	struct request *req, const json_t *body, bool may_be_all, struct host **ret_host)
{
	bool ok = true;
	const char *name = http_string(body, "host", &ok);
	struct host *host;

	if (ok && may_be_all && name != NULL && strcmp(name, ALL_HOSTS) == 0) {
		caller_set_all_hosts(req);
		*ret_host = NULL;
		return true;
	}
	host = ok && (name == NULL || name[0] != '\0') ? hosts_find(server_of(req)->hosts, name)
						       : NULL;
	if (host == NULL) {
		http_unknown_host(req, name != NULL ? name : "");
		return false;
	}
	caller_set_host(req, host);
	*ret_host = host;
	return true;
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

static void ask_agents(struct request *req, struct host *host, enum msg_method method,
	const uint8_t *fields, int n, ask_fn on_answers)
{
	if (n < 0)
		abort(); /* all of it is bounded by the callers */
	ask_hosts(req, host, method, &(struct wire_str){(const char *)fields, (uint32_t)n},
		on_answers);
}

static void pause_flow(struct request *req, const json_t *body)
{
	const json_t *pause = json_object_get(body, "pause");
	struct msg_schedule_pause ask = {.actor = wire_str_of(caller_actor(req))};
	const char *flow, *reason;
	struct host *host;
	uint8_t fields[1024];
	bool ok = true;

	flow = http_string(body, "flow", &ok);
	if (!ok || flow == NULL || strlen(flow) > MAX_FLOW || !json_is_boolean(pause)) {
		response_problem(req, 422, "invalid_input",
			"flow must be a flow's id, pause true or false.");
		return;
	}
	if (!read_reason(req, body, &reason) || !read_host(req, body, false, &host))
		return;
	ask.flow = wire_str_of(flow);
	ask.pause = json_is_true(pause);
	ask.reason = wire_str_of(reason);
	caller_note(req, ask.pause != 0 ? "schedule.pause" : "schedule.resume", flow, NULL);
	log_info(LOG_EV("schedule.pause"), LOG_STR("flow", flow), LOG_INT("pause", ask.pause),
		LOG_STR("actor", caller_actor(req)), LOG_STR("request_id", request_id(req)));
	ask_agents(req, host, MSG_SCHEDULE_PAUSE, fields,
		msg_schedule_pause_encode(&ask, fields, sizeof(fields)), on_switched);
}

void schedule_pause(struct request *req)
{
	static const char *const names[] = {"flow", "pause", "reason", "host", NULL};
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
	struct host *host;
	uint8_t fields[1024];

	if (!json_is_boolean(on)) {
		response_problem(req, 422, "invalid_input", "on must be true or false.");
		return;
	}
	if (!read_reason(req, body, &reason) || !read_host(req, body, true, &host))
		return;
	ask.on = json_is_true(on);
	ask.reason = wire_str_of(reason);
	caller_note(req, ask.on != 0 ? "maintenance.on" : "maintenance.off", reason, NULL);
	log_info(LOG_EV("maintenance"), LOG_INT("on", ask.on), LOG_STR("actor", caller_actor(req)),
		LOG_STR("request_id", request_id(req)));
	ask_agents(req, host, MSG_MAINTENANCE, fields,
		msg_maintenance_encode(&ask, fields, sizeof(fields)), on_switched);
}

void schedule_maintenance(struct request *req)
{
	static const char *const names[] = {"on", "reason", "host", NULL};
	json_t *body = http_body(req, names, false);

	if (body != NULL)
		set_maintenance(req, body);
	json_decref(body);
}

/* How many runs a host ends, or why it does not. */
static json_t *cancelled_of(const struct ask_answer *answer, uint64_t *n_runs)
{
	struct msg_run_cancel_all_reply reply;
	const char *fault = fault_of(&answer->reply);

	if (is_ok(&answer->reply) && msg_run_cancel_all_reply_decode(answer->reply.fields,
					     answer->reply.fields_len, &reply) == 0) {
		*n_runs += reply.n_runs;
		return json_pack("{s:s,s:I,s:n}", "host", answer->host, "runs",
			(json_int_t)reply.n_runs, "error");
	}
	if (is_ok(&answer->reply))
		fault = "the agent's answer makes no sense";
	return json_pack("{s:s,s:i,s:s}", "host", answer->host, "runs", 0, "error", fault);
}

static void on_all_cancelled(struct request *req, const struct ask_answer *answers, size_t n)
{
	json_t *doc = json_pack("{s:[]}", "hosts");
	uint64_t n_runs = 0;
	size_t n_ok = 0;

	for (size_t i = 0; i < n; i++) {
		json_array_append_new(
			json_object_get(doc, "hosts"), cancelled_of(&answers[i], &n_runs));
		n_ok += is_ok(&answers[i].reply);
	}
	json_object_set_new(doc, "runs", json_integer((json_int_t)n_runs));
	if (n_ok == 0)
		answer_problem(req, &answers[0]);
	else
		http_json(req, 202, doc);
	json_decref(doc);
}

void schedule_cancel_all(struct request *req)
{
	static const char *const names[] = {"reason", "host", NULL};
	struct msg_run_cancel_all ask = {.actor = wire_str_of(caller_actor(req))};
	json_t *body = http_body(req, names, true);
	const char *reason;
	struct host *host;
	uint8_t fields[1024];

	if (body != NULL && read_reason(req, body, &reason) && read_host(req, body, true, &host)) {
		ask.reason = wire_str_of(reason);
		caller_note(req, "run.cancel_all", reason, NULL);
		log_info(LOG_EV("run.cancel_all"), LOG_STR("actor", caller_actor(req)),
			LOG_STR("request_id", request_id(req)));
		ask_agents(req, host, MSG_RUN_CANCEL_ALL, fields,
			msg_run_cancel_all_encode(&ask, fields, sizeof(fields)), on_all_cancelled);
	}
	json_decref(body);
}
