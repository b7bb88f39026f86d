#include "core/web/request.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/clock.h"
#include "core/web/cookie.h"
#include "core/web/request_impl.h"

#define REQUEST_MAGIC 0x52455131

/* Where the parts of a request lie behind its struct, in one allocation. */
struct layout {
	struct request_field *fields;
	struct uri_pair *pairs;
	char *head, *path, *segments, *query;
};

static void lower_case(char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] >= 'A' && s[i] <= 'Z')
			s[i] = (char)(s[i] + ('a' - 'A'));
	}
}

/* A span of the copied head as text: the byte behind it is a delimiter that nobody needs. */
static char *text_of(char *head, struct head_span span)
{
	head[span.off + span.len] = '\0';
	return head + span.off;
}

static void take_fields(struct request *req, const struct head *head, char *copy)
{
	for (size_t i = 0; i < head->n_fields; i++) {
		struct head_span name = head->fields[i].name;

		lower_case(copy + name.off, name.len);
		req->fields[i].name = text_of(copy, name);
		req->fields[i].value = text_of(copy, head->fields[i].value);
	}
	req->n_fields = head->n_fields;
}

/* Splits the decoded path; what goes beyond WEB_MAX_SEGMENTS is counted but not kept. */
static void split_path(struct request *req)
{
	char *s = req->segments;

	req->n_segments = 0;
	if (s[0] != '/' || s[1] == '\0')
		return;
	while (*s == '/') {
		size_t len;

		*s++ = '\0';
		len = strcspn(s, "/");
		if (req->n_segments == WEB_MAX_SEGMENTS) {
			req->n_segments++;
			return;
		}
		req->segment[req->n_segments++] = s;
		s += len;
	}
}

static int take_target(struct request *req, const char *target, size_t n, struct layout *at)
{
	const char *mark = memchr(target, '?', n);
	size_t path_len = mark != NULL ? (size_t)(mark - target) : n;
	int pairs = 0;

	req->path = req->flags & HEAD_ASTERISK ? "*" : n > 0 ? at->path : "/";
	req->segments = at->segments;
	at->path[0] = at->segments[0] = '\0';
	if (n == 0 || (req->flags & HEAD_ASTERISK))
		return 0;
	if (uri_decode_path(target, path_len, at->path) != 0)
		return -EBADMSG;
	memcpy(at->segments, at->path, strlen(at->path) + 1);
	split_path(req);
	if (mark != NULL)
		pairs = uri_decode_query(
			mark + 1, n - path_len - 1, at->query, at->pairs, WEB_MAX_QUERY);
	if (pairs < 0)
		return -EBADMSG;
	req->n_pairs = (uint8_t)pairs;
	return 0;
}

static struct request *allocate(const struct head *head, size_t n, struct layout *at)
{
	size_t fields = head->n_fields * sizeof(struct request_field);
	size_t pairs = WEB_MAX_QUERY * sizeof(struct uri_pair), target = head->target.len + 1u;
	struct request *req = malloc(sizeof(*req) + fields + pairs + n + 1 + 3 * target);

	if (req == NULL)
		return NULL;
	at->fields = (struct request_field *)(req + 1);
	at->pairs = (struct uri_pair *)(at->fields + head->n_fields);
	at->head = (char *)(at->pairs + WEB_MAX_QUERY);
	at->path = at->head + n + 1;
	at->segments = at->path + target;
	at->query = at->segments + target;
	return req;
}

struct request *request_new(
	struct conn *conn, const struct head *head, const char *data, size_t n, int *ret_error)
{
	struct web_server *server = conn->server;
	struct layout at;
	struct request *req = allocate(head, n, &at);

	if (req == NULL)
		return NULL;
	memset(req, 0, sizeof(*req));
	req->magic = REQUEST_MAGIC;
	req->server = server;
	req->conn = conn;
	req->app = server->opts.arg;
	req->started_us = clock_mono_us();
	req->flags = head->flags;
	req->minor_version = head->minor_version;
	req->content_length = head->content_length;
	req->fields = at.fields;
	req->pairs = at.pairs;
	memcpy(at.head, data, n);
	at.head[n] = '\0';
	*ret_error = take_target(req, data + head->target.off, head->target.len, &at);
	req->method = text_of(at.head, head->method);
	req->target = head->target.len > 0 ? text_of(at.head, head->target) : "/";
	take_fields(req, head, at.head);
	req->host = head->host.len > 0 ? text_of(at.head, head->host) : "";
	buf_init(&req->content, 0);
	buf_init(&req->answer.extra, WEB_MAX_RESPONSE_HEAD / 2);
	memcpy(req->remote, conn->remote, sizeof(req->remote));
	memcpy(req->client, conn->remote, sizeof(req->client));
	server_new_id(server, req->id);
	list_append(&server->requests, &req->link);
	conn->req = req;
	return req;
}

static void tell_finished(struct request *req)
{
	struct web_server *server = req->server;
	struct web_finished finished;

	if (server == NULL || server->opts.on_finished == NULL)
		return;
	finished = (struct web_finished){
		.method = req->method,
		.target = req->target,
		.remote = req->client,
		.request_id = req->id,
		.route = req->route,
		.request_arg = req->arg,
		.identity = req->identity,
		.status = req->answer.status,
		.bytes = req->answer.sent,
		.duration_us = clock_mono_us() - req->started_us,
	};
	server->opts.on_finished(&finished, req->app);
}

void request_free(struct request *req)
{
	assert(req->magic == REQUEST_MAGIC);
	if (req->conn != NULL)
		req->conn->req = NULL;
	list_remove(&req->link);
	tell_finished(req);
	for (struct request_text *text = req->texts, *next; text != NULL; text = next) {
		next = text->next;
		free(text);
	}
	buf_fini(&req->content);
	buf_fini(&req->answer.extra);
	req->magic = 0;
	free(req);
}

void request_abort(struct request *req)
{
	req->conn->req = NULL;
	req->conn = NULL;
	req->is_aborted = true;
	if (!req->is_held)
		request_free(req);
	else if (req->on_abort != NULL)
		req->on_abort(req);
}

void request_set_client(struct request *req, const char *address)
{
	snprintf(req->client, sizeof(req->client), "%s", address);
}

const char *request_client(const struct request *req)
{
	return req->client;
}

const char *request_method(const struct request *req)
{
	return request_is_head(req) ? "GET" : req->method;
}

bool request_is_head(const struct request *req)
{
	return strcmp(req->method, "HEAD") == 0;
}

bool request_is_safe(const struct request *req)
{
	return strcmp(request_method(req), "GET") == 0;
}

const char *request_path(const struct request *req)
{
	return req->path;
}

const char *request_target(const struct request *req)
{
	return req->target;
}

const char *request_param(const struct request *req, const char *name)
{
	for (size_t i = 0; i < req->n_params; i++) {
		if (strncmp(req->params[i].name, name, req->params[i].name_len) == 0 &&
			name[req->params[i].name_len] == '\0')
			return req->params[i].value;
	}
	/* The route's pattern has no such parameter: a handler in the wrong row. */
	abort();
}

const char *request_query(const struct request *req, const char *name)
{
	return request_query_nth(req, name, 0);
}

const char *request_query_nth(const struct request *req, const char *name, size_t n)
{
	for (size_t i = 0; i < req->n_pairs; i++) {
		if (strcmp(req->pairs[i].name, name) == 0 && n-- == 0)
			return req->pairs[i].value;
	}
	return NULL;
}

const char *request_header(const struct request *req, const char *name)
{
	return request_header_nth(req, name, 0);
}

const char *request_header_nth(const struct request *req, const char *name, size_t n)
{
	for (size_t i = 0; i < req->n_fields; i++) {
		if (strcasecmp(req->fields[i].name, name) == 0 && n-- == 0)
			return req->fields[i].value;
	}
	return NULL;
}

const char *request_host(const struct request *req)
{
	return req->host;
}

/* Keeps n bytes as text for as long as the request lives. */
static const char *keep_text(struct request *req, const char *s, size_t n)
{
	struct request_text *text = malloc(sizeof(*text) + n + 1);

	if (text == NULL)
		return NULL;
	memcpy(text->text, s, n);
	text->text[n] = '\0';
	text->next = req->texts;
	req->texts = text;
	return text->text;
}

int request_cookie(struct request *req, const char *name, const char **ret_value)
{
	struct cookie_hit hit = {0};
	const char *header, *value;

	for (size_t i = 0; (header = request_header_nth(req, "cookie", i)) != NULL; i++)
		cookie_find(header, name, &hit);
	if (hit.count == 0)
		return -ENOENT;
	if (hit.count > 1)
		return -EEXIST;
	value = keep_text(req, hit.value, hit.len);
	if (value == NULL)
		return -ENOMEM;
	*ret_value = value;
	return 0;
}

const uint8_t *request_body(const struct request *req, size_t *ret_len)
{
	*ret_len = req->content.len;
	return req->content.len > 0 ? req->content.data : (const uint8_t *)"";
}

const char *request_remote(const struct request *req)
{
	return req->remote;
}

const char *request_id(const struct request *req)
{
	return req->id;
}

const struct route *request_route(const struct request *req)
{
	return req->route;
}

void *request_app(const struct request *req)
{
	return req->app;
}

void request_set_identity(struct request *req, void *identity)
{
	req->identity = identity;
}

void *request_identity(const struct request *req)
{
	return req->identity;
}

void request_set_arg(struct request *req, void *arg)
{
	req->arg = arg;
}

void *request_arg(const struct request *req)
{
	return req->arg;
}

void request_on_abort(struct request *req, void (*on_abort)(struct request *req))
{
	req->on_abort = on_abort;
}

bool request_is_aborted(const struct request *req)
{
	return req->is_aborted;
}
