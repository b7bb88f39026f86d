/*
 * Owns: what it is waiting for: whose run it is, a locate call, an agent stream, or a history call
 * and log.
 *
 * Happy path, agent: the run's host is found -> (negative offset: run.locate first) -> run.tail ->
 * on_opened -> chunks with the credit passed on to the agent -> END.
 *
 * Happy path, database: the agent says not_found, or cannot be asked -> history_get -> (negative
 * offset: history_locate) -> history_log, a piece at a time while there is credit -> its end, as
 * END finished when the whole log is archived, else -ECONNRESET, so that a reader who wants what
 * is missing comes back when the agent is there again.
 *
 * Failure modes: an END pruned in the middle (the journal went away under us) goes on with the
 * database where the agent stopped. The connection to the agent lost: -ECONNRESET, the reader
 * decides. Everything else: on_end with err.
 */
#include "core/app/logs/logsource.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/archive/history.h"
#include "core/app/hosts/runfind.h"
#include "core/app/limits.h"
#include "core/app/server.h"
#include "core/base/buf.h"
#include "proto/frame.h"

struct logsource {
	struct server *server;
	char run[64];
	int64_t wanted;	 /* as asked for */
	uint64_t offset; /* the next record's */
	int64_t balance; /* database: credit left */
	bool opened, ended, agent_away;
	bool calling, closed; /* closed from within a callback: freed behind it */
	struct logsource_callbacks callbacks;
	void *arg;

	struct runfind *find;
	bool is_here;		     /* found, and its host is one of ours: */
	char host[LIMIT_HOST_BYTES]; /* "": the only one, before it said its name */
	struct link_call *locate;
	struct link_stream *stream;
	struct history_call *history_call;
	struct history_log *log;
	bool log_busy; /* a piece is being fetched */
	bool complete; /* the database has all of it */
	struct uuid uuid;
	char *document; /* the run's, from the database */
	uint64_t size;
	struct buf chunk;
};

static void ask_database(struct logsource *source);

static void source_free(struct logsource *source)
{
	buf_fini(&source->chunk);
	free(source->document);
	free(source);
}

/* NULL: it is not known, or not here any more. */
static struct host *host_of_source(const struct logsource *source)
{
	return source->is_here ? hosts_find(source->server->hosts, source->host) : NULL;
}

static void source_end(struct logsource *source, uint16_t reason, int err, const char *message)
{
	const struct host *host = host_of_source(source);
	struct logsource_end end = {
		reason, err, source->offset, message, host != NULL && host_is_connected(host)};
	struct history_log *log = source->log;

	source->ended = true;
	source->callbacks.on_end(source, &end, source->arg);
	history_log_close(log);
	source_free(source);
}

/* is_whole: nothing that the document speaks of is missing in size bytes. */
static void source_opened(
	struct logsource *source, uint64_t size, bool is_whole, struct wire_str document)
{
	json_t *run = json_loadb(
		document.data, document.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	const char *status = json_string_value(json_object_get(run, "status"));
	const char *id = json_string_value(json_object_get(run, "id"));
	struct logsource_opened opened = {
		.offset = source->offset,
		.size = size,
		.run = document,
		.id = id != NULL ? id : "",
		.is_final = is_whole && status != NULL && strcmp(status, "queued") != 0 &&
			    strcmp(status, "running") != 0 && strcmp(status, "waiting") != 0,
	};

	source->opened = true;
	source->calling = true;
	source->callbacks.on_opened(source, &opened, source->arg);
	source->calling = false;
	json_decref(run);
}

/* After a callback: whether the reader closed it, and it is gone now. */
static bool source_was_closed(struct logsource *source)
{
	if (!source->closed)
		return false;
	source_free(source);
	return true;
}

/* --- the agent --- */

/* The agent has the journal, or does not. */
static void on_tail_reply(struct link_stream *stream, const struct link_reply *reply)
{
	struct logsource *source = link_stream_arg(stream);
	struct msg_run_tail_reply tail;
	char message[160];

	if (reply->err == 0 && reply->status == MSG_OK) {
		if (msg_run_tail_reply_decode(reply->fields, reply->fields_len, &tail) == 0) {
			source->offset = tail.offset;
			source_opened(source, tail.size, true, tail.json);
			source_was_closed(source);
			return;
		}
		link_close_stream(stream);
		source->stream = NULL;
		source_end(source, 0, -EIO, "the agent gave an answer that makes no sense");
		return;
	}
	source->stream = NULL;
	source->agent_away = reply->err != 0;
	if (reply->err != 0 || reply->status == MSG_NOT_FOUND) {
		ask_database(source);
		return;
	}
	snprintf(message, sizeof(message), "%.*s", (int)MIN(reply->message.len, 150u),
		reply->message.data);
	source_end(source, reply->status == MSG_BAD_OFFSET ? MSG_END_SHORTENED : 0,
		reply->status == MSG_BAD_OFFSET ? -EINVAL : -EIO, message);
}

static void on_tail_chunk(struct link_stream *stream, const uint8_t *payload, size_t len)
{
	struct logsource *source = link_stream_arg(stream);
	struct msg_chunk chunk;

	if (msg_chunk_decode(payload, len, &chunk) < 0)
		return; /* link.h promises the prefix */
	source->offset = chunk.offset + chunk.records_len;
	source->callbacks.on_chunk(source, payload, len, source->arg);
}

static void on_tail_end(struct link_stream *stream, const struct link_end *end)
{
	struct logsource *source = link_stream_arg(stream);

	source->stream = NULL;
	if (end->err != 0) {
		source_end(source, 0, -ECONNRESET, "the connection to the agent was lost");
	} else if (end->reason == MSG_END_PRUNED) {
		source->wanted = (int64_t)source->offset;
		ask_database(source);
	} else {
		source->offset = end->offset;
		source_end(source, end->reason, 0, "");
	}
}

static void ask_agent(struct logsource *source, uint64_t offset)
{
	static const struct link_stream_callbacks callbacks = {
		.on_reply = on_tail_reply,
		.on_chunk = on_tail_chunk,
		.on_end = on_tail_end,
	};
	struct host *host = host_of_source(source);

	if (host == NULL) {
		ask_database(source);
		return;
	}
	source->stream = link_tail(host->link, source->run, offset, &callbacks, source);
}

/* Where "about n bytes before the end" is. */
static void on_located(const struct link_reply *reply, void *arg)
{
	struct logsource *source = arg;
	struct msg_run_locate_reply locate;

	source->locate = NULL;
	if (reply->err == 0 && reply->status == MSG_OK &&
		msg_run_locate_reply_decode(reply->fields, reply->fields_len, &locate) == 0) {
		ask_agent(source, locate.offset);
		return;
	}
	source->agent_away = reply->err != 0;
	if (reply->err != 0 || reply->status == MSG_NOT_FOUND)
		ask_database(source);
	else
		source_end(source, 0, -EIO, "the agent cannot find the end of the log");
}

/* --- the database --- */

static void database_pull(struct logsource *source)
{
	if (source->log == NULL || source->log_busy || source->balance <= 0)
		return;
	source->log_busy = true;
	history_log_more(source->log);
}

static void on_log_records(
	struct history_log *log, uint64_t offset, const uint8_t *records, size_t len, void *arg)
{
	struct logsource *source = arg;
	uint8_t prefix[MSG_CHUNK_PREFIX_BYTES];
	struct wire_writer w;

	(void)log;
	source->log_busy = false;
	source->balance -= (int64_t)len;
	source->offset = offset + len;
	wire_writer_init(&w, prefix, sizeof(prefix));
	wire_put_u64(&w, offset);
	buf_reset(&source->chunk);
	buf_append(&source->chunk, prefix, sizeof(prefix));
	buf_append(&source->chunk, records, len);
	if (buf_err(&source->chunk) < 0) {
		source_end(source, 0, -EIO, "a piece of the log is too large");
		return;
	}
	source->calling = true;
	source->callbacks.on_chunk(source, source->chunk.data, source->chunk.len, source->arg);
	source->calling = false;
	if (!source_was_closed(source))
		database_pull(source);
}

static void on_log_end(
	struct history_log *log, int err, const char *message, uint64_t offset, void *arg)
{
	struct logsource *source = arg;

	(void)log;
	source->log_busy = false;
	if (err == 0)
		source->offset = offset;
	if (err == 0 && source->complete)
		source_end(source, MSG_END_FINISHED, 0, "");
	else if (err == 0 && !source->agent_away)
		source_end(source, MSG_END_PRUNED, 0, "the rest of the log is lost");
	else if (err == 0)
		source_end(source, 0, -ECONNRESET, "the rest of the log is with the agent");
	else if (err == -EINVAL)
		source_end(source, MSG_END_SHORTENED, -EINVAL, message);
	else
		source_end(source, 0, err == -ENOENT || err == -EIO ? err : -ENOTCONN, message);
}

static void database_open(struct logsource *source, uint64_t offset)
{
	static const struct history_log_callbacks callbacks = {
		.on_records = on_log_records,
		.on_end = on_log_end,
	};

	source->offset = offset;
	source->log =
		history_log_open(source->server->pool, &source->uuid, offset, &callbacks, source);
	if (!source->opened)
		source_opened(
			source, source->size, source->complete, wire_str_of(source->document));
	if (!source_was_closed(source))
		database_pull(source);
}

static void on_history_located(const struct history_locate_reply *reply, void *arg)
{
	struct logsource *source = arg;

	source->history_call = NULL;
	if (reply->err == 0)
		database_open(source, reply->offset);
	else if (reply->err == -ENOENT)
		database_open(source, 0); /* nothing of it is there yet */
	else
		source_end(source, 0, -ENOTCONN, reply->message);
}

/* Whether a record begins where the reader wants to begin: it is told before anything is sent. */
static void on_history_checked(const struct history_locate_reply *reply, void *arg)
{
	struct logsource *source = arg;

	source->history_call = NULL;
	if (reply->err == 0 && reply->offset == (uint64_t)source->wanted)
		database_open(source, reply->offset);
	else if (reply->err == 0)
		source_end(source, MSG_END_SHORTENED, -EINVAL, "no record begins at this offset");
	else
		source_end(source, 0, -ENOTCONN, reply->message);
}

/* The offset lies behind what the database has. */
static void source_end_beyond(struct logsource *source)
{
	if (source->agent_away && !source->complete)
		source_end(source, 0, -ECONNRESET, "this part of the log is with the agent");
	else
		source_end(source, MSG_END_SHORTENED, -EINVAL, "the log is shorter than that");
}

static void on_history_run(const struct history_get_reply *reply, void *arg)
{
	struct logsource *source = arg;

	source->history_call = NULL;
	if (reply->err == -ENOENT) {
		source_end(source, 0, source->agent_away ? -ENOTCONN : -ENOENT,
			source->agent_away ? "the agent cannot be asked" : "there is no such run");
		return;
	}
	if (reply->err != 0) {
		source_end(source, 0, -ENOTCONN, "neither agent nor database can be asked");
		return;
	}
	source->uuid = reply->run.id;
	source->complete = reply->run.complete;
	source->size = reply->run.complete ? reply->run.size : reply->run.archived_offset;
	if (!source->opened && source->wanted > 0 && (uint64_t)source->wanted > source->size) {
		source_end_beyond(source);
		return;
	}
	source->document = xstrndup(reply->run.json.data, reply->run.json.len);
	if (!source->opened && source->wanted > 0 && (uint64_t)source->wanted < source->size)
		source->history_call = history_locate(source->server->pool, &source->uuid,
			MSG_LOCATE_OFFSET, (uint64_t)source->wanted, on_history_checked, source);
	else if (source->wanted >= 0)
		database_open(source, (uint64_t)source->wanted);
	else
		source->history_call =
			history_locate(source->server->pool, &source->uuid, MSG_LOCATE_BEFORE_END,
				(uint64_t)-source->wanted, on_history_located, source);
}

static void ask_database(struct logsource *source)
{
	source->history_call =
		history_get(source->server->pool, source->run, on_history_run, source);
}

/* --- for everybody --- */

static void begin_at_agent(struct logsource *source, struct host *host)
{
	struct msg_run_locate locate = {.kind = MSG_LOCATE_BEFORE_END};
	uint8_t fields[128];
	int n;

	if (source->wanted >= 0) {
		ask_agent(source, (uint64_t)source->wanted);
		return;
	}
	locate.run = wire_str_of(source->run);
	locate.value = (uint64_t)-source->wanted;
	n = msg_run_locate_encode(&locate, fields, sizeof(fields));
	assert(n > 0);
	source->locate = link_request(host->link, MSG_RUN_LOCATE,
		&(struct wire_str){(const char *)fields, (uint32_t)n}, 0, on_located, source);
}

/* It is known whose run it is. Nothing may be called back from here: it may be in the call that
 * opens the source. */
static void source_found(struct logsource *source, const struct runfind_reply *reply)
{
	if (reply->run != source->run)
		snprintf(source->run, sizeof(source->run), "%s", reply->run);
	if (reply->host == NULL) {
		ask_database(source);
		return;
	}
	source->is_here = true;
	snprintf(source->host, sizeof(source->host), "%s", host_name(reply->host));
	begin_at_agent(source, reply->host);
}

/* Whose run it is, at once or later. */
static void on_found(const struct runfind_reply *reply, void *arg)
{
	struct logsource *source = arg;

	source->find = NULL;
	/* Closing is said by the database, later. */
	if (reply->err == 0 || reply->err == -ECANCELED)
		source_found(source, reply);
	else if (reply->err == -ENOENT)
		source_end(source, 0, -ENOENT, "there is no such run");
	else if (reply->err == -ENOTUNIQ)
		source_end(source, 0, -ENOTUNIQ, "several hosts have a run of this number");
	else if (reply->err == -EEXIST)
		source_end(source, 0, -EEXIST, RUNFIND_CONTESTED);
	else
		source_end(source, 0, -ENOTCONN, "not every agent can be asked for it");
}

struct logsource *logsource_open(struct server *server, const char *run, int64_t offset,
	const struct logsource_callbacks *callbacks, void *arg)
{
	struct logsource *source = xcalloc(1, sizeof(*source));

	assert(strlen(run) < sizeof(source->run));
	memcpy(source->run, run, strlen(run) + 1);
	source->server = server;
	source->wanted = offset;
	source->balance = FRAME_INITIAL_CREDIT;
	source->callbacks = *callbacks;
	source->arg = arg;
	buf_init(&source->chunk, FRAME_MAX_PAYLOAD);
	source->find = runfind_start(server, source->run, "", on_found, source);
	return source;
}

void logsource_credit(struct logsource *source, uint32_t bytes)
{
	if (source->ended || source->closed)
		return;
	source->balance += bytes;
	if (source->stream != NULL)
		link_credit(source->stream, bytes);
	database_pull(source);
}

void logsource_close(struct logsource *source)
{
	if (source == NULL || source->ended || source->closed)
		return;
	runfind_forget(source->find);
	link_call_forget(source->locate);
	link_close_stream(source->stream);
	history_forget(source->history_call);
	history_log_close(source->log);
	source->log = NULL;
	source->closed = true;
	if (!source->calling)
		source_free(source);
}
