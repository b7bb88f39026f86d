/*
 * POST /runs/{id}/approve. Two questions to the agent: which run it is, since a flow of danger:
 * high wants the password to have been given just now; then the answer to its approval. The body is
 * read again for the second one. The answer is the run as it is afterwards.
 */
#include "core/app/runs/approve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/hosts/hub.h"
#include "core/app/hosts/runfind.h"
#include "core/app/http.h"
#include "core/app/limits.h"
#include "core/app/runs/runref.h"
#include "core/app/runs/runs.h"
#include "core/app/server.h"
#include "core/base/log.h"
#include "proto/msg.h"

#define MAX_COMMENT 200
#define MAX_STEP 64

struct answer {
	const char *step, *comment;
	bool approve;
};

/* Reads what the body says; false: answered. */
static bool read_answer(struct request *req, const json_t *body, struct answer *ret)
{
	const json_t *approve = json_object_get(body, "approve");
	bool ok = true;

	*ret = (struct answer){.step = http_string(body, "step", &ok),
		.comment = http_string(body, "comment", &ok),
		.approve = json_is_true(approve)};
	if (ok && ret->step != NULL && strlen(ret->step) <= MAX_STEP && json_is_boolean(approve) &&
		(ret->comment == NULL || strlen(ret->comment) <= MAX_COMMENT))
		return true;
	response_problem(req, 422, "invalid_input",
		"step must be a step's id, approve a boolean, comment a text of at most 200 "
		"bytes.");
	return false;
}

static json_t *read_body(struct request *req, struct answer *ret)
{
	static const char *const names[] = {"step", "approve", "comment", NULL};
	json_t *body = http_body(req, names, false);

	if (body == NULL || read_answer(req, body, ret))
		return body;
	json_decref(body);
	return NULL;
}

/* The first answer counted: this one, or the one that the agent names. */
static void on_approved(const struct link_reply *reply, void *arg)
{
	struct request *req = arg;
	char detail[512];

	if (reply->err == 0 && reply->status == MSG_OK) {
		runs_get(req);
	} else if (reply->err == 0 && reply->status == MSG_CONFLICT) {
		snprintf(detail, sizeof(detail), "%.*s", (int)MIN(reply->message.len, 500u),
			reply->message.data);
		response_problem(req, 409, "answered", detail);
	} else {
		http_agent_problem(req, reply);
	}
}

static void approve(struct request *req, const struct answer *answer)
{
	struct link_reply away = {.err = -ENOTCONN};
	struct host *host = host_of(req);
	const char *run = caller_run(req);
	uint8_t fields[1024];
	struct msg_run_approve ask;
	int n;

	if (host == NULL) {
		http_agent_problem(req, &away);
		return;
	}
	caller_note(req, "run.approve", answer->step, run);
	ask = (struct msg_run_approve){
		.run = wire_str_of(run),
		.step = wire_str_of(answer->step),
		.approve = answer->approve,
		.actor = wire_str_of(caller_actor(req)),
		.comment = wire_str_of(answer->comment),
	};
	n = msg_run_approve_encode(&ask, fields, sizeof(fields));
	if (n < 0)
		abort(); /* all of it is bounded above */
	log_info(LOG_EV("run.approve"), LOG_STR("run", run), LOG_STR("step", answer->step),
		LOG_STR("actor", caller_actor(req)), LOG_INT("approve", answer->approve),
		LOG_STR("request_id", request_id(req)));
	link_request(host->link, MSG_RUN_APPROVE,
		&(struct wire_str){(const char *)fields, (uint32_t)n}, 0, on_approved, req);
}

/* Whether the sender may answer in this run: what they may start, with the password given first (or
 * a token's own scope) when it is dangerous. One that the catalogue does not know any more might
 * have been. False: answered. */
static bool may_answer(struct request *req, struct wire_str document)
{
	json_t *run = json_loadb(
		document.data, document.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	const char *kind = json_string_value(json_object_get(run, "kind"));
	const char *name = json_string_value(json_object_get(run, "name"));
	const struct host *host = host_of(req);
	struct hub_entry entry;
	bool dangerous = true, may;

	if (kind != NULL && name != NULL && host != NULL &&
		hub_find(host->hub, strcmp(kind, "flow") == 0, name, &entry) == 0)
		dangerous = entry.danger_high;
	may = caller_may_start(req, name != NULL ? name : "", dangerous);
	json_decref(run);
	return may;
}

/* The agent has said which run it is. */
static void on_run(const struct link_reply *reply, void *arg)
{
	struct request *req = arg;
	struct msg_document document;
	struct answer answer;
	json_t *body;

	if (reply->err != 0 || reply->status != MSG_OK ||
		msg_document_decode(reply->fields, reply->fields_len, &document) != 0) {
		http_agent_problem(req, reply);
		return;
	}
	if (!may_answer(req, document.json))
		return;
	body = read_body(req, &answer);
	if (body == NULL)
		return;
	approve(req, &answer);
	json_decref(body);
}

/* The run is found. */
static void ask_run(struct request *req, struct host *host)
{
	if (host == NULL)
		response_problem(
			req, 404, "not_found", "The run is of a host that is not here any more.");
	else
		runfind_ask(req, host, on_run);
}

void approve_step(struct request *req)
{
	struct answer answer;
	json_t *body;

	if (!runref_is_valid(request_param(req, "id"))) {
		response_problem(req, 404, "not_found", "There is no such run.");
		return;
	}
	body = read_body(req, &answer);
	if (body == NULL)
		return;
	json_decref(body);
	runfind_request(req, ask_run);
}
