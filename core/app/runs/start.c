/*
 * POST /runs: the body is checked for its shape, the catalogue for what it asks of the person
 * (confirm, danger), and the rest is the agent's to judge: it validates every input again.
 *
 * POST /runs/{id}/rerun: the run's document is fetched (agent, else database), its inputs are laid
 * under those of the body, and it goes on as above. Secrets are masked in the document, so they
 * must be given again.
 */
#include "core/app/runs/start.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/archive/history.h"
#include "core/app/hosts/runfind.h"
#include "core/app/http.h"
#include "core/app/limits.h"
#include "core/app/server.h"
#include "core/base/log.h"

#define MAX_KEY 128 /* bytes of an Idempotency-Key */
#define SECRET_MASK "***"

/* What is to be started. Texts belong to the JSON documents of the caller. */
struct order {
	bool is_flow, dry_run;
	const char *id, *confirm, *trigger, *key;
	const char *host;     /* NULL: the only one that has it */
	const json_t *inputs; /* NULL: none */
};

/* Which run came of it, for the audit. */
static void note_run(struct request *req, struct wire_str document)
{
	json_t *doc = json_loadb(
		document.data, document.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	const char *id = json_string_value(json_object_get(doc, "id"));
	struct host *host = host_of(req);

	caller_note(req, NULL, NULL, id);
	if (host != NULL)
		hosts_note_run(server_of(req)->hosts, host, id);
	json_decref(doc);
}

/* The agent has accepted the run, or says why not. */
static void on_started(const struct link_reply *reply, void *arg)
{
	struct request *req = arg;
	struct msg_run_start_reply start;
	struct buf body;

	if (reply->err != 0 || reply->status != MSG_OK) {
		http_agent_problem(req, reply);
		return;
	}
	if (msg_run_start_reply_decode(reply->fields, reply->fields_len, &start) < 0) {
		response_problem(
			req, 502, "agent_error", "The agent gave an answer that makes no sense.");
		return;
	}
	note_run(req, start.json);
	buf_init(&body, HTTP_MAX_DOCUMENT);
	/* A dry run's answer is the plan, whole; a start's is the run. */
	if (start.json.len >= 8 && memcmp(start.json.data, "{\"plan\":", 8) == 0) {
		buf_append(&body, start.json.data, start.json.len);
	} else {
		buf_append_str(&body, "{\"run\":");
		buf_append(&body, start.json.data, start.json.len);
		buf_append_byte(&body, '}');
	}
	response_json(req, start.created != 0 ? 201 : 200, &body);
	buf_fini(&body);
}

/* Numbers and booleans become the texts the agent parses by type. Texts made here are kept in
 * numbers, one a pair. */
static bool collect_inputs(struct request *req, const json_t *inputs, struct msg_run_start *start,
	char numbers[MSG_MAX_INPUTS][24])
{
	static const char detail[] = "Some inputs are not acceptable.";
	/* jansson iterates over a mutable object only; nothing is changed. */
	json_t *object = json_incref((json_t *)(uintptr_t)inputs), *value;
	const char *name;
	bool ok = true;

	json_object_foreach(object, name, value)
	{
		struct msg_pair *pair = &start->inputs[start->n_inputs];

		if (start->n_inputs == MSG_MAX_INPUTS) {
			http_input_problem(req, detail, name, "there are too many inputs");
			ok = false;
			break;
		}
		pair->name = wire_str_of(name);
		if (json_is_string(value)) {
			pair->value = (struct wire_str){
				json_string_value(value), (uint32_t)json_string_length(value)};
		} else if (json_is_integer(value)) {
			snprintf(numbers[start->n_inputs], 24, "%" JSON_INTEGER_FORMAT,
				json_integer_value(value));
			pair->value = wire_str_of(numbers[start->n_inputs]);
		} else if (json_is_boolean(value)) {
			pair->value = wire_str_of(json_is_true(value) ? "true" : "false");
		} else {
			http_input_problem(
				req, detail, name, "must be a string, an integer or a boolean");
			ok = false;
			break;
		}
		start->n_inputs++;
	}
	json_decref(object);
	return ok;
}

/* ---- whose agent ---- */

/* It is none, or several, of those that have it: which there are. */
static void host_problem(struct request *req, const char *message, const json_t *choices)
{
	json_t *errors = json_pack("[{s:s,s:s}]", "name", "host", "message", message);
	char *text = json_dumps(errors, JSON_COMPACT), *list = json_dumps(choices, JSON_COMPACT);
	char *extra = xasprintf("\"errors\":%s,\"choices\":%s", text, list);

	response_problem_ex(req, &(struct problem){
					 .status = 422,
					 .code = "invalid_input",
					 .detail = message,
					 .extra = extra,
				 });
	free(extra);
	free(list);
	free(text);
	json_decref(errors);
}

static struct host *host_by_name(struct request *req, const char *name)
{
	const struct hosts *hosts = server_of(req)->hosts;
	struct host *host = name[0] != '\0' ? hosts_find(hosts, name) : NULL;
	json_t *choices;

	if (host != NULL) {
		caller_set_host(req, host);
		return host;
	}
	choices = json_array();
	for (size_t i = 0; i < hosts_count(hosts); i++)
		json_array_append_new(choices, json_string(host_name(hosts_at(hosts, i))));
	host_problem(req, "There is no such host here.", choices);
	json_decref(choices);
	return NULL;
}

/* The only host whose catalogue has it; where none has, one whose catalogue is not known, else the
 * primary one, to say so. NULL: answered, since there are several. */
static struct host *host_that_has(struct request *req, bool is_flow, const char *id)
{
	const struct hosts *hosts = server_of(req)->hosts;
	struct host *found = NULL, *unknown = NULL;
	json_t *choices = json_array();
	struct hub_entry entry;

	for (size_t i = 0; i < hosts_count(hosts); i++) {
		struct host *host = hosts_at(hosts, i);
		int rc = hub_find(host->hub, is_flow, id, &entry);

		if (rc == 0) {
			found = host;
			json_array_append_new(choices, json_string(host_name(host)));
		} else if (rc == -EAGAIN && unknown == NULL) {
			unknown = host;
		}
	}
	if (json_array_size(choices) > 1) {
		host_problem(req, "Several hosts have this: say which one in host.", choices);
		json_decref(choices);
		return NULL;
	}
	json_decref(choices);
	if (found == NULL)
		found = unknown != NULL ? unknown : hosts_primary(hosts);
	caller_set_host(req, found);
	return found;
}

static struct host *choose_host(struct request *req, const struct order *order)
{
	if (order->host != NULL)
		return host_by_name(req, order->host);
	return host_that_has(req, order->is_flow, order->id);
}

/* What the catalogue asks of the person who starts it; false: answered. */
static bool person_may_start(
	struct request *req, const struct host *host, const struct order *order)
{
	struct link_reply away = {.err = -ENOTCONN};
	struct hub_entry entry;
	int rc = hub_find(host->hub, order->is_flow, order->id, &entry);

	if (rc == -EAGAIN) {
		http_agent_problem(req, &away);
		return false;
	}
	if (rc < 0) {
		response_problem(req, 404, "not_found",
			order->is_flow ? "The catalogue has no such flow."
				       : "The catalogue has no such command.");
		return false;
	}
	if (order->dry_run)
		return caller_may_start(req, order->id, false);
	if (entry.confirm && (order->confirm == NULL || strcmp(order->confirm, order->id) != 0)) {
		response_problem(req, 422, "confirm_required",
			"This asks for a confirmation: the member confirm must repeat the id.");
		return false;
	}
	return caller_may_start(req, order->id, entry.danger_high);
}

/* Sends it to the host's agent; the answer follows by way of cb. */
static void order_send(struct request *req, struct host *host, const struct order *order,
	const char *actor, link_reply_fn cb)
{
	struct msg_run_start start = {
		.actor = wire_str_of(actor),
		.kind = order->is_flow ? MSG_KIND_FLOW : MSG_KIND_COMMAND,
		.flags = order->dry_run ? MSG_START_DRY_RUN : 0,
		.id = wire_str_of(order->id),
		.trigger = wire_str_of(order->trigger),
		.idempotency_key = wire_str_of(order->key),
	};
	char numbers[MSG_MAX_INPUTS][24];
	uint8_t *fields;
	int n;

	if (order->inputs != NULL && !collect_inputs(req, order->inputs, &start, numbers))
		return;
	fields = xcalloc(1, MSG_MAX_START_BYTES);
	n = msg_run_start_encode(&start, fields, MSG_MAX_START_BYTES);
	if (n < 0) {
		response_problem(req, 413, "too_large", "The inputs are too large together.");
	} else {
		log_info(LOG_EV("run.start"), LOG_STR("id", order->id),
			LOG_STR("host", host_name(host)), LOG_STR("actor", actor),
			LOG_STR("trigger", order->trigger), LOG_STR("request_id", request_id(req)));
		link_request(host->link, MSG_RUN_START,
			&(struct wire_str){(const char *)fields, (uint32_t)n}, 0, cb, req);
		mem_wipe(fields, (size_t)n);
	}
	free(fields);
}

static void order_place(struct request *req, const struct order *order)
{
	char actor[CALLER_ACTOR_BYTES];
	struct host *host;

	caller_note(req, order->dry_run ? "run.plan" : "run.start", order->id, NULL);
	host = choose_host(req, order);
	if (host == NULL || !person_may_start(req, host, order))
		return;
	snprintf(actor, sizeof(actor), "%s", caller_actor(req));
	order_send(req, host, order, actor, on_started);
}

void start_from_outside(
	struct request *req, const struct start_order *outside, link_reply_fn on_reply)
{
	struct link_reply away = {.err = -ENOTCONN};
	struct order order = {
		.is_flow = true,
		.id = outside->flow,
		.trigger = outside->actor,
		.key = outside->key,
		.inputs = outside->inputs,
	};
	struct host *host = outside->host != NULL ? host_by_name(req, outside->host)
						  : host_that_has(req, true, outside->flow);
	struct hub_entry entry;
	int rc;

	if (host == NULL)
		return;
	rc = hub_find(host->hub, true, outside->flow, &entry);
	if (rc == -EAGAIN)
		http_agent_problem(req, &away);
	else if (rc < 0)
		response_problem(req, 409, "no_such_flow",
			"The catalogue has no flow of the name that is configured for this.");
	else
		order_send(req, host, &order, outside->actor, on_reply);
}

/* The header, or "": a printable text of at most MAX_KEY bytes. NULL: answered. */
static const char *idempotency_key(struct request *req)
{
	const char *key = request_header(req, "Idempotency-Key");

	if (key == NULL)
		return "";
	for (const char *p = key; *p != '\0'; p++) {
		if (*p <= ' ' || *p > '~' || p - key >= MAX_KEY) {
			response_problem(req, 400, "bad_idempotency_key",
				"Idempotency-Key must be 1 to 128 printable characters.");
			return NULL;
		}
	}
	return key;
}

static bool read_order(struct request *req, const json_t *body, struct order *order)
{
	bool ok = true;
	const char *kind = http_string(body, "kind", &ok);
	const json_t *dry_run = json_object_get(body, "dry_run");

	order->id = http_string(body, "id", &ok);
	order->host = http_string(body, "host", &ok);
	order->confirm = http_string(body, "confirm", &ok);
	order->inputs = json_object_get(body, "inputs");
	order->dry_run = json_is_true(dry_run);
	ok = ok && (dry_run == NULL || json_is_boolean(dry_run));
	ok = ok && (order->inputs == NULL || json_is_object(order->inputs));
	if (!ok || kind == NULL || order->id == NULL ||
		(strcmp(kind, "command") != 0 && strcmp(kind, "flow") != 0)) {
		response_problem(req, 422, "invalid_input",
			"kind must be command or flow, id and host texts, inputs an object, "
			"dry_run a boolean.");
		return false;
	}
	order->is_flow = strcmp(kind, "flow") == 0;
	return true;
}

void start_run(struct request *req)
{
	static const char *const names[] = {
		"kind", "id", "host", "inputs", "confirm", "dry_run", NULL};
	struct order order = {.trigger = "manual"};
	json_t *body;

	order.key = idempotency_key(req);
	body = order.key != NULL ? http_body(req, names, false) : NULL;
	if (body == NULL)
		return;
	if (read_order(req, body, &order))
		order_place(req, &order);
	json_decref(body);
}

/* The earlier run's document is here: its inputs under those of the body. */
static void rerun_from(struct request *req, struct wire_str document)
{
	static const char *const names[] = {"inputs", "confirm", NULL};
	struct order order = {.key = idempotency_key(req)};
	json_t *body = order.key != NULL ? http_body(req, names, true) : NULL;
	json_t *run, *inputs, *value;
	const char *kind, *name;
	char trigger[64];
	bool ok = true;
	void *tmp;

	if (body == NULL)
		return;
	run = json_loadb(
		document.data, document.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	kind = json_string_value(json_object_get(run, "kind"));
	inputs = json_deep_copy(json_object_get(run, "inputs"));
	if (inputs == NULL)
		inputs = json_object();
	json_object_foreach_safe(inputs, tmp, name, value)
	{
		const char *text = json_string_value(value);

		if (text != NULL && strcmp(text, SECRET_MASK) == 0)
			json_object_del(inputs, name);
	}
	value = json_object_get(body, "inputs");
	ok = value == NULL || (json_is_object(value) && json_object_update(inputs, value) == 0);
	order.confirm = http_string(body, "confirm", &ok);
	order.id = json_string_value(json_object_get(run, "name"));
	/* Where there is one host, it may have been called otherwise then. */
	if (hosts_count(server_of(req)->hosts) > 1)
		order.host = json_string_value(json_object_get(run, "host"));
	order.inputs = inputs;
	order.is_flow = kind != NULL && strcmp(kind, "flow") == 0;
	snprintf(trigger, sizeof(trigger), "rerun:%s", caller_run(req));
	order.trigger = trigger;
	if (order.id == NULL)
		response_problem(req, 502, "agent_error", "The run's document makes no sense.");
	else if (!ok)
		response_problem(
			req, 422, "invalid_input", "inputs must be an object and confirm a text.");
	else
		order_place(req, &order);
	json_decref(inputs);
	json_decref(run);
	json_decref(body);
}

static void on_history_run(const struct history_get_reply *reply, void *arg)
{
	struct request *req = arg;

	if (hosts_count(server_of(req)->hosts) == 0)
		response_abandon(req); /* the daemon is closing */
	else if (reply->err == 0)
		rerun_from(req, reply->run.json);
	else
		response_problem(req, reply->err == -ENOENT ? 404 : 503,
			reply->err == -ENOENT ? "not_found" : "history_unavailable",
			reply->err == -ENOENT ? "There is no such run."
					      : "The run's inputs cannot be looked up now.");
}

static void on_agent_run(const struct link_reply *reply, void *arg)
{
	struct request *req = arg;
	struct msg_document document;

	if (reply->err == 0 && reply->status == MSG_OK &&
		msg_document_decode(reply->fields, reply->fields_len, &document) == 0)
		rerun_from(req, document.json);
	else if (reply->err == 0 && reply->status == MSG_NOT_FOUND)
		history_get(server_of(req)->pool, caller_run(req), on_history_run, req);
	else
		http_agent_problem(req, reply);
}

static void rerun_at(struct request *req, struct host *host)
{
	if (host == NULL)
		history_get(server_of(req)->pool, caller_run(req), on_history_run, req);
	else
		runfind_ask(req, host, on_agent_run);
}

void start_rerun(struct request *req)
{
	runfind_request(req, rerun_at);
}
