/*
 * The handlers that read runs and stop them. Each asks the agent first, and the database for what
 * the agent no longer has; the answer follows from their callbacks. A peer that leaves meanwhile is
 * answered into the void (request.h), so nothing here needs to watch for that.
 */
#include "core/app/runs/runs.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/archive/history.h"
#include "core/app/hosts/runfind.h"
#include "core/app/http.h"
#include "core/app/limits.h"
#include "core/app/runs/runs_page.h"
#include "core/app/server.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/utf8.h"

#define MAX_REASON 200 /* bytes of why a run is cancelled */

void runs_catalog(struct request *req)
{
	struct hosts *hosts = server_of(req)->hosts;
	struct link_reply away = {.err = -ENOTCONN};
	const char *name = request_query(req, "host"), *text;
	struct host *host = name != NULL ? http_query_host(req) : NULL;
	char *own = NULL;
	size_t len;

	if (name != NULL && host == NULL)
		return;
	if (name != NULL) {
		text = own = hosts_catalog_of(hosts, host);
		len = own != NULL ? strlen(own) : 0;
	} else {
		text = hosts_catalog(hosts, &len);
	}
	if (text != NULL) {
		response_send(req, 200, "application/json", text, len);
	} else {
		hosts_want_catalogs(hosts);
		http_agent_problem(req, &away);
	}
	free(own);
}

static bool copy_query(struct request *req, const char *name, char *out, size_t cap)
{
	const char *text = request_query(req, name);
	char detail[96];

	if (text == NULL)
		return true;
	if (strlen(text) >= cap) {
		snprintf(detail, sizeof(detail), "The parameter %s is longer than %zu bytes.", name,
			cap - 1);
		response_problem(req, 400, "bad_parameter", detail);
		return false;
	}
	if (!utf8_is_valid(text, strlen(text))) {
		snprintf(detail, sizeof(detail), "The parameter %s is not UTF-8.", name);
		response_problem(req, 400, "bad_parameter", detail);
		return false;
	}
	memcpy(out, text, strlen(text) + 1);
	return true;
}

static bool statuses_are_known(const char *list)
{
	static const char *const known[] = {"queued", "running", "waiting", "succeeded", "failed",
		"cancelled", "timed_out", "lost", "skipped"};

	for (;;) {
		size_t len = strcspn(list, ",");
		bool found = len == 0;

		for (size_t i = 0; i < ARRAY_LEN(known) && !found; i++)
			found = strlen(known[i]) == len && strncmp(known[i], list, len) == 0;
		if (!found)
			return false;
		if (list[len] == '\0')
			return true;
		list += len + 1;
	}
}

static void on_page(int err, struct buf *body, void *arg)
{
	struct request *req = arg;

	(void)err; /* a buffer in error is answered with 500 */
	response_json(req, 200, body);
}

void runs_list(struct request *req)
{
	struct runs_query query = {0};
	struct uuid before;
	uint64_t limit;

	if (!http_query_number(req, "limit", HISTORY_DEFAULT_LIMIT, LIMIT_RUN_LIST, &limit) ||
		!copy_query(req, "before", query.before, sizeof(query.before)) ||
		!copy_query(req, "status", query.status, sizeof(query.status)) ||
		!copy_query(req, "name", query.name, sizeof(query.name)) ||
		!copy_query(req, "host", query.host, sizeof(query.host)) ||
		!copy_query(req, "q", query.q, sizeof(query.q)))
		return;
	if (query.before[0] != '\0' &&
		uuid_parse(query.before, strlen(query.before), &before) < 0) {
		response_problem(
			req, 400, "bad_parameter", "The parameter before must be a run's id.");
		return;
	}
	if (!statuses_are_known(query.status)) {
		response_problem(
			req, 400, "bad_parameter", "The parameter status names no status.");
		return;
	}
	query.limit = limit == 0 ? 1 : (unsigned)limit;
	runs_page_get(server_of(req), &query, on_page, req);
}

/* {"run":DOCUMENT} */
static void send_run(struct request *req, unsigned status, struct wire_str document)
{
	struct buf body;

	buf_init(&body, HTTP_MAX_DOCUMENT);
	buf_append_str(&body, "{\"run\":");
	errorlines_append(server_of(req)->errorlines, document, &body);
	buf_append_byte(&body, '}');
	response_json(req, status, &body);
	buf_fini(&body);
}

/* The database has answered for a run that the agent could not tell us about. */
static void on_history_run(const struct history_get_reply *reply, void *arg)
{
	struct request *req = arg;
	const struct host *host = host_of(req); /* NULL: it is gone, or the daemon is closing */

	if (reply->err == 0)
		send_run(req, 200, reply->run.json);
	else if (reply->err != -ENOENT)
		response_problem(req, 503, "history_unavailable",
			"The agent does not have this run, and the database cannot be asked now.");
	else if (host == NULL || !host_is_connected(host))
		response_problem(req, 503, "agent_unavailable",
			"The database does not know this run, and the agent cannot be asked now.");
	else
		response_problem(req, 404, "not_found", "There is no such run.");
}

static void on_agent_run(const struct link_reply *reply, void *arg)
{
	struct request *req = arg;
	struct msg_document document;

	if (reply->err == 0 && reply->status == MSG_OK &&
		msg_document_decode(reply->fields, reply->fields_len, &document) == 0) {
		send_run(req, 200, document.json);
		return;
	}
	if (reply->err != 0 || reply->status == MSG_NOT_FOUND)
		history_get(server_of(req)->pool, caller_run(req), on_history_run, req);
	else
		http_agent_problem(req, reply);
}

static void get_from(struct request *req, struct host *host)
{
	if (host == NULL)
		history_get(server_of(req)->pool, caller_run(req), on_history_run, req);
	else
		runfind_ask(req, host, on_agent_run);
}

void runs_get(struct request *req)
{
	runfind_request(req, get_from);
}

/* What a person asked for; of the heap, until it is answered. */
struct cancel {
	struct request *req;
	struct link *link;
	bool says_how, kill; /* without it: as run.cancel does */
	char id[UUID_TEXT_BYTES], actor[CALLER_ACTOR_BYTES], reason[MAX_REASON + 1];
};

static void ask_cancel(struct cancel *cancel);

static void on_cancelled(const struct link_reply *reply, void *arg)
{
	static const char body[] = "{\"cancel\":\"requested\"}";
	struct cancel *cancel = arg;
	struct request *req = cancel->req;

	if (reply->err == 0 && reply->status == MSG_UNSUPPORTED && cancel->says_how) {
		cancel->says_how = false; /* an older agent */
		ask_cancel(cancel);
		return;
	}
	free(cancel);
	if (reply->err == 0 && reply->status == MSG_OK)
		response_send(req, 202, "application/json", body, sizeof(body) - 1);
	else if (reply->err == 0 && reply->status == MSG_CONFLICT)
		response_problem(req, 409, "finished", "The run has ended already.");
	else
		http_agent_problem(req, reply);
}

static void ask_cancel(struct cancel *cancel)
{
	struct wire_str id = wire_str_of(cancel->id), actor = wire_str_of(cancel->actor),
			reason = wire_str_of(cancel->reason);
	struct msg_run_cancel by_count = {id, actor, reason};
	struct msg_run_stop by_word = {id, cancel->kill, actor, reason};
	uint8_t fields[1024];
	int n = cancel->says_how ? msg_run_stop_encode(&by_word, fields, sizeof(fields))
				 : msg_run_cancel_encode(&by_count, fields, sizeof(fields));

	if (n < 0)
		abort(); /* all of it is bounded above */
	link_request(cancel->link, cancel->says_how ? MSG_RUN_STOP : MSG_RUN_CANCEL,
		&(struct wire_str){(const char *)fields, (uint32_t)n}, 0, on_cancelled, cancel);
}

static void cancel_at(struct request *req, struct host *host)
{
	static const char *const names[] = {"reason", "kill", NULL};
	const char *id = caller_run(req), *reason;
	const json_t *kill;
	struct cancel *cancel;
	json_t *body;
	bool ok = true;

	if (host == NULL) {
		response_problem(
			req, 409, "finished", "The run is of a host that is not here any more.");
		return;
	}
	body = http_body(req, names, true);
	if (body == NULL)
		return;
	reason = http_string(body, "reason", &ok);
	kill = json_object_get(body, "kill");
	if (!ok || (reason != NULL && strlen(reason) > MAX_REASON) ||
		(kill != NULL && !json_is_boolean(kill))) {
		json_decref(body);
		response_problem(req, 422, "invalid_input",
			"reason must be a text of at most 200 bytes, kill true or false.");
		return;
	}
	cancel = xcalloc(1, sizeof(*cancel));
	*cancel = (struct cancel){.req = req,
		.link = host->link,
		.says_how = kill != NULL,
		.kill = json_is_true(kill)};
	snprintf(cancel->id, sizeof(cancel->id), "%s", id);
	snprintf(cancel->actor, sizeof(cancel->actor), "%s", caller_actor(req));
	snprintf(cancel->reason, sizeof(cancel->reason), "%s", reason != NULL ? reason : "");
	json_decref(body);
	caller_note(req, "run.cancel", id, id);
	log_info(LOG_EV("run.cancel"), LOG_STR("run", id), LOG_STR("host", host_name(host)),
		LOG_INT("kill", cancel->kill), LOG_STR("actor", cancel->actor),
		LOG_STR("request_id", request_id(req)));
	ask_cancel(cancel);
}

void runs_cancel(struct request *req)
{
	runfind_request(req, cancel_at);
}
