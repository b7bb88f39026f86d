/*
 * Owns one question to the database and one to each connected agent, all at once.
 *
 * Happy path: a UUID: the database says whose it is, which is the last word; where it does not (a
 * run of this moment), it is the host's that told of it before and has it now. A number: all are
 * heard, then it is the run of the one host that has it; an agent's word for its id is looked up as
 * a UUID is.
 *
 * Failure modes: an agent that does not answer in time (hosts_call_ms()), or the database
 * (HISTORY_HOMES_MS), is gone without; what nobody else has is then not "not there" but "cannot be
 * asked". Without the database all agents are heard, and who alone has the run is believed; a run
 * that two say they have is refused. A host that leaves meanwhile ends its question with an error.
 */
#include "core/app/hosts/runfind.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/archive/history.h"
#include "core/app/http.h"
#include "core/app/limits.h"
#include "core/app/runs/runref.h"
#include "core/app/server.h"

#define MAX_FOUND (LIMIT_HOSTS + HISTORY_MAX_HOMES)

struct question {
	struct runfind *find;
	struct link_call *call; /* NULL: answered */
	char host[LIMIT_HOST_BYTES];
};

struct found {
	char host[LIMIT_HOST_BYTES];
	char run[UUID_TEXT_BYTES];
	bool archived; /* the database says so */
};

struct runfind {
	struct server *server;
	char run[UUID_TEXT_BYTES];
	bool by_number;
	bool unsure;		      /* somebody could not be asked */
	char owner[LIMIT_HOST_BYTES]; /* whose number is being looked up as a UUID; "": nobody's */
	char told[LIMIT_HOST_BYTES];  /* who alone said before that it has the run; "": nobody */
	struct history_call *history; /* NULL: answered … */
	bool has_history;	      /* … and that was no error */
	struct question questions[LIMIT_HOSTS];
	size_t n_questions, n_waiting; /* of them and the database */
	struct found found[MAX_FOUND];
	size_t n_found;
	runfind_fn cb;
	void *arg;
};

void runfind_forget(struct runfind *find)
{
	if (find == NULL)
		return;
	history_forget(find->history);
	for (size_t i = 0; i < find->n_questions; i++)
		link_call_forget(find->questions[i].call);
	free(find);
}

static void finish(struct runfind *find, const struct runfind_reply *reply)
{
	find->cb(reply, find->arg);
	runfind_forget(find);
}

static void finish_err(struct runfind *find, int err)
{
	finish(find, &(struct runfind_reply){.err = err, .run = find->run});
}

static void finish_found(struct runfind *find, const struct found *found)
{
	struct hosts *hosts = find->server->hosts;
	struct runfind_reply reply = {
		.host = found->host[0] != '\0' ? hosts_find(hosts, found->host) : NULL,
		.run = found->run,
	};
	struct uuid id;

	if (find->owner[0] != '\0' && strcmp(find->owner, found->host) != 0) {
		finish_err(find, -ENOENT); /* the owner said that another's run had its number */
		return;
	}
	if (reply.host != NULL && uuid_parse(found->run, strlen(found->run), &id) == 0) {
		if (found->archived)
			hosts_settle_run(hosts, reply.host, &id);
		else if (find->n_waiting == 0)
			hosts_trust_run(hosts, reply.host, &id);
	}
	finish(find, &reply);
}

static void finish_ambiguous(struct runfind *find)
{
	struct runfind_reply reply = {.err = -ENOTUNIQ, .run = find->run};
	json_t *choices = json_array();
	char *text;

	for (size_t i = 0; i < find->n_found; i++)
		json_array_append_new(choices, json_pack("{s:s,s:s}", "host", find->found[i].host,
						       "id", find->found[i].run));
	text = json_dumps(choices, JSON_COMPACT);
	reply.choices = text != NULL ? text : "[]";
	json_decref(choices);
	finish(find, &reply);
	free(text);
}

static void ask_all(struct runfind *find, const char *host);

/* The one run of that number. What an agent says of its id is an agent's word. */
static void number_found(struct runfind *find, const struct found *found)
{
	if (found->archived || hosts_of_run(find->server->hosts, found->run) != NULL) {
		finish_found(find, found);
		return;
	}
	memcpy(find->run, found->run, sizeof(find->run));
	memcpy(find->owner, found->host, sizeof(find->owner));
	find->by_number = false;
	ask_all(find, "");
}

/* Hosts that are here count before those that only the database remembers. */
static void judge_numbers(struct runfind *find)
{
	const struct found *here = NULL;
	size_t n_here = 0;

	for (size_t i = 0; i < find->n_found; i++) {
		if (find->found[i].host[0] != '\0' &&
			hosts_find(find->server->hosts, find->found[i].host) != NULL) {
			here = &find->found[i];
			n_here++;
		}
	}
	if (n_here == 1)
		number_found(find, here);
	else if (find->n_found == 1)
		number_found(find, &find->found[0]);
	else
		finish_ambiguous(find);
}

/* What the agents say of a run of which the database does not. */
static void judge_claims(struct runfind *find)
{
	const struct found *claim = NULL, *archived = NULL;
	struct home home = {.kind = HOME_UNKNOWN};
	size_t n_claims = 0;
	struct uuid id;

	if (uuid_parse(find->run, strlen(find->run), &id) == 0)
		home = hosts_home(find->server->hosts, &id);
	for (size_t i = 0; i < find->n_found; i++) {
		if (find->found[i].archived) {
			archived = &find->found[i];
		} else {
			claim = &find->found[i];
			n_claims++;
		}
	}
	if (n_claims > 1 || (n_claims == 1 && home.kind == HOME_CONTESTED))
		finish_err(find, -EEXIST);
	else if (n_claims == 1 &&
		 (find->n_waiting == 0 ||
			 (find->has_history && strcmp(find->told, claim->host) == 0)))
		finish_found(find, claim);
	else if (find->n_waiting == 0 && archived != NULL)
		finish_found(find, archived);
	else if (find->n_waiting == 0)
		finish_err(find, find->unsure ? -EAGAIN : -ENOENT);
}

static void maybe_done(struct runfind *find)
{
	if (find->history != NULL)
		return; /* its word is the last */
	for (size_t i = 0; i < find->n_found && !find->by_number; i++) {
		if (find->found[i].archived &&
			hosts_find(find->server->hosts, find->found[i].host) != NULL &&
			find->found[i].host[0] != '\0') {
			finish_found(find, &find->found[i]);
			return;
		}
	}
	if (find->n_waiting == 0 && hosts_count(find->server->hosts) == 0)
		finish_err(find, -ECANCELED);
	else if (!find->by_number)
		judge_claims(find);
	else if (find->n_waiting == 0 && find->n_found > 0)
		judge_numbers(find);
	else if (find->n_waiting == 0)
		finish_err(find, find->unsure ? -EAGAIN : -ENOENT);
}

/* Of each host one: the newest of that number. */
static void add_found(struct runfind *find, const char *host, const char *run, bool archived)
{
	struct found *found = NULL;

	for (size_t i = 0; i < find->n_found && found == NULL; i++) {
		if (strcmp(find->found[i].host, host) == 0)
			found = &find->found[i];
	}
	if (found == NULL && find->n_found < MAX_FOUND)
		found = &find->found[find->n_found++];
	if (found == NULL || strcmp(found->run, run) > 0)
		return;
	found->archived = archived || (found->archived && strcmp(found->run, run) == 0);
	snprintf(found->host, sizeof(found->host), "%s", host);
	snprintf(found->run, sizeof(found->run), "%s", run);
}

/* The id of the run in an agent's answer; NULL: it is not what was asked for, or another host's. */
static const char *claimed_run(const struct question *question, const json_t *doc)
{
	const struct runfind *find = question->find;
	struct hosts *hosts = find->server->hosts;
	struct host *host = hosts_find(hosts, question->host);
	const char *id = json_string_value(json_object_get(doc, "id"));
	struct uuid claimed, asked;
	struct home home;

	if (host == NULL || id == NULL || uuid_parse(id, strlen(id), &claimed) < 0 ||
		(!find->by_number && (uuid_parse(find->run, strlen(find->run), &asked) < 0 ||
					     memcmp(&claimed, &asked, sizeof(asked)) != 0)))
		return NULL;
	if (hosts_believe_run(hosts, host, doc))
		return id;
	/* One that two have is to be told of, and not to be taken for none. */
	home = hosts_home(hosts, &claimed);
	return home.kind == HOME_CONTESTED ? id : NULL;
}

/* An agent has the run, or has not. */
static void on_agent(const struct link_reply *reply, void *arg)
{
	struct question *question = arg;
	struct runfind *find = question->find;
	struct msg_document document;
	json_t *doc = NULL;
	const char *id;

	question->call = NULL;
	hosts_note_answer(find->server->hosts, question->host, reply);
	find->n_waiting--;
	if (reply->err == 0 && reply->status == MSG_OK &&
		msg_document_decode(reply->fields, reply->fields_len, &document) == 0)
		doc = json_loadb(document.json.data, document.json.len,
			JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	id = claimed_run(question, doc);
	if (id != NULL)
		add_found(find, question->host, id, false);
	else if (reply->err != 0 || reply->status != MSG_NOT_FOUND)
		find->unsure = true;
	json_decref(doc);
	maybe_done(find);
}

/* What the database remembers. */
static void on_homes(const struct history_homes_reply *reply, void *arg)
{
	struct runfind *find = arg;
	char id[UUID_TEXT_BYTES];

	find->history = NULL;
	find->n_waiting--;
	find->has_history = reply->err == 0;
	find->unsure = find->unsure || reply->err != 0;
	for (size_t i = 0; reply->err == 0 && i < reply->n; i++) {
		uuid_format(&reply->homes[i].run, id);
		add_found(find, reply->homes[i].host, id, true);
	}
	maybe_done(find);
}

static void ask_host(struct runfind *find, struct host *host)
{
	struct question *question = &find->questions[find->n_questions++];
	const struct msg_run_ref ref = {.run = wire_str_of(find->run)};
	uint8_t fields[64];
	int n = msg_run_ref_encode(&ref, fields, sizeof(fields));

	if (n < 0)
		abort(); /* the callers check it */
	question->find = find;
	snprintf(question->host, sizeof(question->host), "%s", host_name(host));
	question->call = link_request(host->link, MSG_RUN_GET,
		&(struct wire_str){(const char *)fields, (uint32_t)n}, hosts_call_ms(host),
		on_agent, question);
	find->n_waiting++;
}

/* Who said before that it has the run, when nobody else did. */
static void remember_claim(struct runfind *find)
{
	struct home home = {.kind = HOME_UNKNOWN};
	struct uuid id;

	if (uuid_parse(find->run, strlen(find->run), &id) == 0)
		home = hosts_home(find->server->hosts, &id);
	snprintf(find->told, sizeof(find->told), "%s",
		home.kind == HOME_CLAIMED || home.kind == HOME_ALONE ? host_name(home.host) : "");
}

/* host: whose number, "" for any. */
static void ask_all(struct runfind *find, const char *host)
{
	struct hosts *hosts = find->server->hosts;

	find->n_questions = find->n_found = 0;
	find->unsure = false;
	remember_claim(find);
	for (size_t i = 0; i < hosts_count(hosts); i++) {
		struct host *one = hosts_at(hosts, i);

		if (find->by_number && host[0] != '\0' && strcmp(host_name(one), host) != 0)
			continue;
		if (host_is_connected(one))
			ask_host(find, one);
		else
			find->unsure = true;
	}
	find->n_waiting++;
	find->history = history_homes(find->server->pool, find->run, host, on_homes, find);
}

static struct runfind *find_new(struct server *server, const char *run, runfind_fn cb, void *arg)
{
	struct runfind *find = xcalloc(1, sizeof(*find));
	struct uuid id;

	find->server = server;
	snprintf(find->run, sizeof(find->run), "%s", run);
	find->by_number = uuid_parse(run, strlen(run), &id) < 0;
	find->cb = cb;
	find->arg = arg;
	return find;
}

struct runfind *runfind_start(
	struct server *server, const char *run, const char *host, runfind_fn cb, void *arg)
{
	struct runfind_reply reply = {.run = run};
	struct runfind *find;
	const struct host *only = hosts_primary(server->hosts);
	bool is_other = hosts_count(server->hosts) == 1 && host[0] != '\0' &&
			strcmp(host, host_name(only)) != 0;

	reply.host = is_other ? NULL : hosts_of_run(server->hosts, run);
	if (reply.host == NULL && hosts_count(server->hosts) > 0) {
		find = find_new(server, run, cb, arg);
		ask_all(find, host);
		return find;
	}
	if (reply.host == NULL)
		reply.err = -ECANCELED;
	cb(&reply, arg);
	return NULL;
}

/* ---- for requests ---- */

struct waiting {
	struct request *req;
	void (*go)(struct request *req, struct host *host);
};

static void answer_ambiguous(struct request *req, const char *choices)
{
	char *extra = xasprintf("\"choices\":%s", choices);

	response_problem_ex(
		req, &(struct problem){
			     .status = 409,
			     .code = "ambiguous_number",
			     .detail = "Several hosts have a run of this number: give the "
				       "parameter host, or the run's id.",
			     .extra = extra,
		     });
	free(extra);
}

static void on_found(const struct runfind_reply *reply, void *arg)
{
	struct waiting waiting = *(struct waiting *)arg;
	struct request *req = waiting.req;
	struct caller *caller = caller_of(req);

	free(arg);
	if (request_is_aborted(req)) {
		response_abandon(req);
	} else if (reply->err == -ENOENT) {
		response_problem(req, 404, "not_found", "There is no such run.");
	} else if (reply->err == -ENOTUNIQ) {
		answer_ambiguous(req, reply->choices);
	} else if (reply->err == -EEXIST) {
		response_problem(req, 409, "contested_run", RUNFIND_CONTESTED);
	} else if (reply->err != 0) {
		response_problem(req, 503, "agent_unavailable",
			"No agent that can be asked now has this run, and not all can.");
	} else {
		if (caller != NULL)
			snprintf(caller->ref, sizeof(caller->ref), "%s", reply->run);
		if (reply->host != NULL)
			caller_set_host(req, reply->host);
		waiting.go(req, reply->host);
	}
}

void runfind_request(struct request *req, void (*go)(struct request *req, struct host *host))
{
	const char *id = request_param(req, "id"), *host = request_query(req, "host");
	struct waiting *waiting;

	if (!runref_is_valid(id)) {
		response_problem(req, 404, "not_found", "There is no such run.");
		return;
	}
	if (host != NULL && !agents_is_host_name(host)) {
		http_unknown_host(req, host);
		return;
	}
	waiting = xcalloc(1, sizeof(*waiting));
	*waiting = (struct waiting){req, go};
	(void)runfind_start(server_of(req), id, host != NULL ? host : "", on_found, waiting);
}

void runfind_ask(struct request *req, struct host *host, link_reply_fn cb)
{
	struct msg_run_ref ref = {.run = wire_str_of(caller_run(req))};
	uint8_t fields[64];
	int n = msg_run_ref_encode(&ref, fields, sizeof(fields));

	if (n < 0)
		abort(); /* runfind_request() bounds it */
	link_request(host->link, MSG_RUN_GET, &(struct wire_str){(const char *)fields, (uint32_t)n},
		0, cb, req);
}
