#include "agent/worker/methods.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/config/catalog_json.h"
#include "agent/run/index.h"
#include "agent/run/rundir.h"
#include "agent/worker/ask.h"
#include "agent/worker/document.h"
#include "agent/worker/events.h"
#include "agent/worker/live.h"
#include "agent/worker/status.h"
#include "agent/worker/tail.h"
#include "proto/frame.h"

#define LIST_MAX_BYTES (800u << 10) /* of run documents in one answer */
#define LIST_MAX_RUNS 200

void methods_malformed(struct stream *stream)
{
	conn_goaway(stream->conn, MSG_GOAWAY_MALFORMED, "fields that are not the method's");
}

static void respond_encoded(struct stream *stream, const uint8_t *bytes, int n)
{
	if (n < 0)
		stream_respond(stream, MSG_INTERNAL, "the answer does not fit", NULL, 0);
	else
		stream_respond(stream, MSG_OK, "", bytes, (size_t)n);
}

void methods_respond_document(struct stream *stream, struct buf *json)
{
	struct msg_document document = {.json = {(const char *)json->data, (uint32_t)json->len}};
	uint8_t *bytes;
	int n;

	if (buf_err(json) != 0 || (bytes = malloc(json->len + 8)) == NULL) {
		stream_respond(stream, MSG_INTERNAL, "the document does not fit", NULL, 0);
		return;
	}
	n = msg_document_encode(&document, bytes, json->len + 8);
	respond_encoded(stream, bytes, n);
	free(bytes);
}

static struct run *find_run(struct stream *stream, struct wire_str ref)
{
	struct run *run = runset_find(&stream->conn->worker->runs, ref);

	if (run == NULL)
		stream_respond(stream, MSG_NOT_FOUND, "there is no such run here", NULL, 0);
	return run;
}

static void handle_hello(struct stream *stream, const struct msg_request *request)
{
	struct worker *worker = stream->conn->worker;
	struct msg_hello_reply reply = {
		.version = MSG_PROTOCOL_VERSION,
		.agent_version = wire_str_of(OPS_VERSION),
		.agent_id = wire_str_of(worker->opts->agent_id),
		.host = wire_str_of(worker->host),
		.config_digest = wire_str_of(worker->catalog->digest),
		.started_us = worker->opts->started_us,
		.max_payload = FRAME_MAX_PAYLOAD,
		.initial_credit = FRAME_INITIAL_CREDIT,
		.max_streams = CONN_MAX_STREAMS,
	};
	struct msg_hello hello;
	uint8_t bytes[1024];

	if (msg_hello_decode(request->fields, request->fields_len, &hello) != 0) {
		methods_malformed(stream);
		return;
	}
	if (hello.version != MSG_PROTOCOL_VERSION) {
		stream_respond(stream, MSG_UNSUPPORTED,
			"this agent speaks version 1 of the protocol", NULL, 0);
		return;
	}
	events_advance(worker);
	reply.ledger_position = worker->ledger_end;
	respond_encoded(stream, bytes, msg_hello_reply_encode(&reply, bytes, sizeof(bytes)));
}

static void write_rules(const struct catalog_flow *flow, struct json *json, void *arg)
{
	schedule_write_rules(arg, flow, json);
}

/* The catalogue, and beside its own members why the newest files were refused. */
static void handle_catalog(struct stream *stream, const struct msg_request *request)
{
	struct worker *worker = stream->conn->worker;
	struct json json;
	struct buf buf;

	if (request->fields_len != 0) {
		methods_malformed(stream);
		return;
	}
	buf_init(&buf, FRAME_MAX_PAYLOAD - 1024);
	json_init(&json, &buf);
	catalog_write_json(worker->catalog, write_rules, &worker->schedule, &json);
	if (buf_err(&buf) == 0 && buf.len != 0 && worker->config_error != NULL) {
		buf.len--; /* its closing brace */
		buf_append_str(&buf, ",\"config_error\":");
		json_init(&json, &buf);
		json_str(&json, worker->config_error);
		buf_append_byte(&buf, '}');
	}
	methods_respond_document(stream, &buf);
	buf_fini(&buf);
}

static void handle_get(struct stream *stream, const struct msg_request *request)
{
	struct msg_run_ref ref;
	struct err err = {0};
	struct json json;
	struct buf buf;
	struct run *run;

	if (msg_run_ref_decode(request->fields, request->fields_len, &ref) != 0) {
		methods_malformed(stream);
		return;
	}
	run = find_run(stream, ref.run);
	if (run == NULL)
		return;
	buf_init(&buf, DOCUMENT_MAX_BYTES);
	json_init(&json, &buf);
	if (runset_document(run, &json, &err) != 0)
		stream_respond(stream, MSG_UNAVAILABLE, err.msg, NULL, 0);
	else
		methods_respond_document(stream, &buf);
	buf_fini(&buf);
}

static bool passes(const struct run *run, uint8_t filter)
{
	if (filter == MSG_LIST_ACTIVE)
		return !run->final;
	return filter != MSG_LIST_UNRELEASED || !run->released;
}

/* Writes documents from position pos on, towards older runs. Returns the position of the last one
 * written when there are more, set->n otherwise. */
static size_t write_list(
	const struct runset *set, size_t pos, const struct msg_run_list *list, struct json *json)
{
	size_t last = set->n;
	unsigned n = 0;

	for (; pos != set->n; pos = pos != 0 ? pos - 1 : set->n) {
		struct err err = {0};
		struct json one_json;
		struct buf one;

		if (!passes(set->runs[pos], list->filter))
			continue;
		if (n == list->limit || json->buf->len > LIST_MAX_BYTES - DOCUMENT_MAX_BYTES)
			return last;
		buf_init(&one, DOCUMENT_MAX_BYTES);
		json_init(&one_json, &one);
		if (runset_document(set->runs[pos], &one_json, &err) == 0 && buf_err(&one) == 0) {
			json_raw(json, one.data, one.len);
			n++;
			last = pos;
		}
		buf_fini(&one);
	}
	return set->n;
}

static void handle_list(struct stream *stream, const struct msg_request *request)
{
	const struct runset *set = &stream->conn->worker->runs;
	struct msg_run_list_reply reply = {0};
	struct msg_run_list list;
	char next[UUID_TEXT_BYTES] = "";
	struct uuid before;
	struct json json;
	struct buf buf;
	uint8_t *bytes;
	size_t last;

	if (msg_run_list_decode(request->fields, request->fields_len, &list) != 0 ||
		list.limit == 0 || list.limit > LIST_MAX_RUNS ||
		list.filter > MSG_LIST_UNRELEASED ||
		(list.before.len != 0 &&
			uuid_parse(list.before.data, list.before.len, &before) != 0)) {
		methods_malformed(stream);
		return;
	}
	buf_init(&buf, FRAME_MAX_PAYLOAD - 1024);
	json_init(&json, &buf);
	json_open_object(&json);
	json_key(&json, "runs");
	json_open_array(&json);
	last = write_list(
		set, runset_before(set, list.before.len != 0 ? &before : NULL), &list, &json);
	json_close_array(&json);
	json_close_object(&json);
	if (last != set->n)
		uuid_format(&set->runs[last]->id, next);
	reply.json = (struct wire_str){(const char *)buf.data, (uint32_t)buf.len};
	reply.next = wire_str_of(next);
	bytes = malloc(buf.len + 64);
	if (bytes == NULL || buf_err(&buf) != 0)
		stream_respond(stream, MSG_INTERNAL, "the list does not fit", NULL, 0);
	else
		respond_encoded(
			stream, bytes, msg_run_list_reply_encode(&reply, bytes, buf.len + 64));
	free(bytes);
	buf_fini(&buf);
}

static void handle_tail(struct stream *stream, const struct msg_request *request)
{
	struct msg_run_tail tail;
	struct run *run;

	if (msg_run_tail_decode(request->fields, request->fields_len, &tail) != 0) {
		methods_malformed(stream);
		return;
	}
	run = find_run(stream, tail.run);
	if (run != NULL)
		tail_start(stream, run, tail.offset);
}

static int locate(struct run *run, const struct msg_run_locate *ask, struct index_entry *ret_found)
{
	int dir_fd = runset_open_dir(run->set, run);
	int journal_fd, index_fd, rc;
	struct stat st;

	if (dir_fd < 0)
		return dir_fd;
	journal_fd = openat(dir_fd, RUNDIR_JOURNAL, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	index_fd = openat(dir_fd, RUNDIR_INDEX, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (journal_fd >= 0 && fstat(journal_fd, &st) == 0)
		rc = index_locate(journal_fd, index_fd, (uint64_t)st.st_size,
			(enum index_key)ask->kind, ask->value, ret_found);
	else
		rc = -errno;
	if (journal_fd >= 0)
		close(journal_fd);
	if (index_fd >= 0)
		close(index_fd);
	close(dir_fd);
	return rc;
}

static void handle_locate(struct stream *stream, const struct msg_request *request)
{
	struct msg_run_locate_reply reply;
	struct msg_run_locate ask;
	struct index_entry found;
	uint8_t bytes[32];
	struct run *run;
	int rc;

	if (msg_run_locate_decode(request->fields, request->fields_len, &ask) != 0 ||
		ask.kind > MSG_LOCATE_BEFORE_END) {
		methods_malformed(stream);
		return;
	}
	run = find_run(stream, ask.run);
	if (run == NULL)
		return;
	rc = locate(run, &ask, &found);
	if (rc != 0) {
		stream_respond(stream, MSG_UNAVAILABLE, strerror(-rc), NULL, 0);
		return;
	}
	reply = (struct msg_run_locate_reply){
		.offset = found.offset, .line = found.line, .time_us = found.time_us};
	respond_encoded(stream, bytes, msg_run_locate_reply_encode(&reply, bytes, sizeof(bytes)));
}

static void handle_events(struct stream *stream, const struct msg_request *request)
{
	struct msg_events events;

	if (msg_events_decode(request->fields, request->fields_len, &events) != 0)
		methods_malformed(stream);
	else
		events_start(stream, events.position);
}

/* Every method there is. */
static const struct method {
	uint16_t id;
	void (*handle)(struct stream *stream, const struct msg_request *request);
} methods[] = {
	{MSG_HELLO, handle_hello},
	{MSG_CATALOG, handle_catalog},
	{MSG_RUN_START, ask_start},
	{MSG_RUN_GET, handle_get},
	{MSG_RUN_LIST, handle_list},
	{MSG_RUN_TAIL, handle_tail},
	{MSG_RUN_CANCEL, ask_cancel},
	{MSG_RUN_APPROVE, ask_approve},
	{MSG_RUN_LOCATE, handle_locate},
	{MSG_RUN_RELEASE, ask_release},
	{MSG_EVENTS, handle_events},
	{MSG_STATUS, status_handle_get},
	{MSG_STATUS_WATCH, status_handle_watch},
	{MSG_SCHEDULE, schedule_respond},
	{MSG_RELOAD, ask_reload},
	{MSG_TAIL_OPEN, live_handle_open},
	{MSG_SCHEDULE_PAUSE, ask_pause},
	{MSG_MAINTENANCE, ask_maintenance},
	{MSG_RUN_CANCEL_ALL, ask_cancel_all},
	{MSG_SECRET_ROTATE, ask_secret_rotate},
	{MSG_RUN_STOP, ask_stop},
};

void methods_dispatch(struct stream *stream, const struct msg_request *request)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (methods[i].id == request->method) {
			methods[i].handle(stream, request);
			return;
		}
	}
	stream_respond(stream, MSG_UNSUPPORTED, "this agent does not know the method", NULL, 0);
}
