#include "core/app/http.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/limits.h"
#include "core/app/server.h"
#include "core/base/json.h"

static unsigned depth_of(const char *text, size_t len)
{
	unsigned depth = 0, deepest = 0;
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		if (in_string && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			in_string = !in_string;
		else if (!in_string && (text[i] == '{' || text[i] == '['))
			deepest = MAX(deepest, ++depth);
		else if (!in_string && (text[i] == '}' || text[i] == ']') && depth > 0)
			depth--;
	}
	return deepest;
}

static bool name_is_among(const char *name, const char *const names[])
{
	for (; *names != NULL; names++) {
		if (strcmp(*names, name) == 0)
			return true;
	}
	return false;
}

json_t *http_body(struct request *req, const char *const names[], bool may_be_empty)
{
	char detail[JSON_ERROR_TEXT_LENGTH + 64];
	json_error_t error = {0};
	const char *name;
	json_t *doc, *value;
	size_t len;
	const char *text = (const char *)request_body(req, &len);

	if (len == 0 && may_be_empty)
		return json_object();
	if (depth_of(text, len) > LIMIT_JSON_DEPTH) {
		response_problem(req, 400, "bad_json", "The body is nested too deeply.");
		return NULL;
	}
	doc = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(doc)) {
		snprintf(detail, sizeof(detail), "The body is not a JSON object%s%s.",
			error.text[0] != '\0' ? ": " : "", error.text);
		json_decref(doc);
		response_problem(req, 400, "bad_json", detail);
		return NULL;
	}
	json_object_foreach(doc, name, value)
	{
		if (name_is_among(name, names))
			continue;
		snprintf(detail, sizeof(detail), "The member '%.60s' is not known here.", name);
		json_decref(doc);
		response_problem(req, 422, "unknown_member", detail);
		return NULL;
	}
	return doc;
}

const char *http_string(const json_t *object, const char *name, bool *ret_ok)
{
	const json_t *value = json_object_get(object, name);

	if (value != NULL && !json_is_string(value) && !json_is_null(value))
		*ret_ok = false;
	return json_string_value(value);
}

struct status_row {
	uint16_t status;
	unsigned http;
	const char *code, *fallback;
};

static const struct status_row status_rows[] = {
	{MSG_MALFORMED, 502, "agent_error", "The agent did not understand the request."},
	{MSG_UNAUTHORIZED, 503, "agent_refused", "The agent refused the dashboard's secret."},
	{MSG_FORBIDDEN, 403, "forbidden", "The agent does not allow this."},
	{MSG_NOT_FOUND, 404, "not_found", "There is no such thing."},
	{MSG_CONFLICT, 409, "conflict", "This does not go with the present state."},
	{MSG_INVALID_INPUT, 422, "invalid_input", "Some inputs are not acceptable."},
	{MSG_LIMIT, 429, "limit", "A limit of the agent is reached."},
	{MSG_UNAVAILABLE, 503, "agent_unavailable", "The agent cannot do this now."},
	{MSG_INTERNAL, 502, "agent_error", "The agent met an error of its own."},
	{MSG_BAD_OFFSET, 400, "bad_offset", "The offset is not the beginning of a record."},
	{MSG_UNSUPPORTED, 501, "unsupported", "This agent cannot do this yet."},
};

/* Which inputs are wrong, as `"errors":[{"name":…,"message":…}]`. */
static char *problems_json(const struct link_reply *reply)
{
	struct msg_problems problems;
	struct json json;
	struct buf buf;

	if (msg_problems_decode(reply->fields, reply->fields_len, &problems) < 0)
		return NULL;
	buf_init(&buf, LIMIT_BODY_BYTES);
	buf_append_str(&buf, "\"errors\":");
	json_init(&json, &buf);
	json_open_array(&json);
	for (size_t i = 0; i < problems.n; i++) {
		json_open_object(&json);
		json_key(&json, "name");
		json_strn(&json, problems.items[i].name.data, problems.items[i].name.len);
		json_key(&json, "message");
		json_strn(&json, problems.items[i].value.data, problems.items[i].value.len);
		json_close_object(&json);
	}
	json_close_array(&json);
	return buf_take_str(&buf);
}

void http_unknown_host(struct request *req, const char *name)
{
	char names[256], detail[400];

	hosts_names(server_of(req)->hosts, names, sizeof(names));
	snprintf(detail, sizeof(detail), "There is no host '%.64s' here. There are: %s.", name,
		names);
	response_problem(req, 404, "unknown_host", detail);
}

struct host *http_query_host(struct request *req)
{
	const char *name = request_query(req, "host");
	struct host *host = hosts_find(server_of(req)->hosts, name);

	if (host == NULL)
		http_unknown_host(req, name != NULL ? name : "");
	else
		caller_set_host(req, host);
	return host;
}

/* Whose agent it is, where that could be asked: `"host":"web1"`, or NULL. */
static char *host_json(const struct request *req)
{
	const struct caller *caller = caller_of(req);
	json_t *name;
	char *text, *extra;

	if (hosts_count(server_of(req)->hosts) < 2 || caller == NULL || caller->host[0] == '\0')
		return NULL;
	name = json_string(caller->host);
	text = json_dumps(name, JSON_ENCODE_ANY);
	extra = text != NULL ? xasprintf("\"host\":%s", text) : NULL;
	json_decref(name);
	free(text);
	return extra;
}

static void link_problem(struct request *req, int err)
{
	const struct host *host = host_of(req);
	char *extra = host_json(req);
	struct problem problem = {.status = 503, .code = "agent_unavailable", .extra = extra};
	struct link_info info = {.reason = "the daemon is stopping"};
	char whose[LIMIT_HOST_BYTES + 8] = "", detail[512];

	if (host != NULL && host->link != NULL)
		link_get_info(host->link, &info);
	if (extra != NULL)
		snprintf(whose, sizeof(whose), " of %s", caller_of(req)->host);
	if (err == -ETIMEDOUT) {
		problem.status = 504;
		problem.code = "agent_timeout";
		snprintf(detail, sizeof(detail), "The agent%s did not answer in time.", whose);
	} else {
		snprintf(detail, sizeof(detail), "The agent%s cannot be reached%s%s.", whose,
			info.reason[0] != '\0' ? ": " : "", info.reason);
		response_header(req, "Retry-After", "2");
	}
	problem.detail = detail;
	response_problem_ex(req, &problem);
	free(extra);
}

void http_input_problem(
	struct request *req, const char *detail, const char *input, const char *message)
{
	json_t *errors = json_pack("[{s:s,s:s}]", "name", input, "message", message);
	char *text = json_dumps(errors, JSON_COMPACT), *extra = xasprintf("\"errors\":%s", text);

	response_problem_ex(req, &(struct problem){
					 .status = 422,
					 .code = "invalid_input",
					 .detail = detail,
					 .extra = extra,
				 });
	free(text);
	free(extra);
	json_decref(errors);
}

void http_agent_problem(struct request *req, const struct link_reply *reply)
{
	struct problem problem = {.status = 502, .code = "agent_error"};
	char detail[512];
	char *extra = NULL;

	if (reply->err != 0) {
		link_problem(req, reply->err);
		return;
	}
	problem.detail = "The agent gave an answer that makes no sense.";
	for (size_t i = 0; i < ARRAY_LEN(status_rows); i++) {
		if (status_rows[i].status != reply->status)
			continue;
		problem.status = status_rows[i].http;
		problem.code = status_rows[i].code;
		problem.detail = status_rows[i].fallback;
	}
	if (reply->message.len > 0) {
		snprintf(detail, sizeof(detail), "%.*s", (int)MIN(reply->message.len, 500u),
			reply->message.data);
		problem.detail = detail;
	}
	if (reply->status == MSG_INVALID_INPUT)
		problem.extra = extra = problems_json(reply);
	response_problem_ex(req, &problem);
	free(extra);
}

static int on_dump(const char *data, size_t len, void *arg)
{
	struct buf *buf = arg;

	buf_append(buf, data, len);
	return buf->err;
}

void http_json(struct request *req, unsigned status, const json_t *doc)
{
	struct buf buf;

	buf_init(&buf, HTTP_MAX_DOCUMENT);
	if (json_dump_callback(doc, on_dump, &buf, JSON_COMPACT) < 0 && buf.err == 0)
		buf.err = -ENOMEM;
	response_json(req, status, &buf);
	buf_fini(&buf);
}

bool http_query_number(
	struct request *req, const char *name, uint64_t fallback, uint64_t max, uint64_t *ret_value)
{
	const char *text = request_query(req, name);
	char detail[128];
	uint64_t v = 0;
	size_t n;

	*ret_value = fallback;
	if (text == NULL)
		return true;
	n = strlen(text);
	if (n > 0 && n <= 19 && strspn(text, "0123456789") == n) {
		v = strtoull(text, NULL, 10);
		if (v <= max) {
			*ret_value = v;
			return true;
		}
	}
	snprintf(detail, sizeof(detail), "The parameter %s must be a number from 0 to %llu.", name,
		(unsigned long long)max);
	response_problem(req, 400, "bad_parameter", detail);
	return false;
}
