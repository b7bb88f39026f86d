/*
 * A run's log over HTTP.
 *
 * Owns: the log source, the formatter, and what is formatted and not yet handed to the web server.
 *
 * Happy path: parameters -> (Range: locate the record that holds its first byte) -> source opened
 * -> head of the answer -> records up to the size the log had when it was opened, formatted and
 * written; the source gets credit for what the client has taken -> end.
 *
 * With `limit` the answer is collected first, LIMIT_LOG_PAGE_BYTES of records at most, because
 * X-Next-Offset stands in its head.
 *
 * Failure modes: before the head: a problem document. After it: the connection is cut, so that a
 * short log cannot be taken for a whole one. The peer leaves: on_abort closes the source.
 *
 * Over 500 lines: one reader's steps share its state, and apart they would be harder to follow.
 */
#include "core/app/logs/logs.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/hosts/runfind.h"
#include "core/app/http.h"
#include "core/app/limits.h"
#include "core/app/logs/gzip.h"
#include "core/app/logs/locate.h"
#include "core/app/logs/logfmt.h"
#include "core/app/logs/logsource.h"
#include "core/app/server.h"
#include "core/base/json.h"
#include "core/web/negotiate.h"
#include "proto/record.h"

#define FLUSH_BYTES (64u << 10)
#define MAX_OUT (8u << 20)

struct reader {
	struct server *server;
	struct request *req;
	struct logsource *source;
	struct logfmt *fmt;
	struct logfmt_opts opts;
	bool download, begun, has_range;
	uint64_t offset;	  /* where records are read from */
	uint64_t next;		  /* of the next record */
	uint64_t stop;		  /* the log's end for this answer */
	uint64_t limit;		  /* bytes of records, 0: all */
	uint64_t first, last;	  /* Range, inclusive; last UINT64_MAX: to the end */
	char id[UUID_TEXT_BYTES]; /* what its source said of it; "": no id */
	uint64_t size;
	bool is_final;
	uint32_t owed; /* credit withheld while the client is slow */
	struct buf out;
	struct gzip *gzip; /* the client takes it compressed */
	struct buf packed;
};

static void reader_free(struct reader *reader)
{
	logsource_close(reader->source);
	logfmt_free(reader->fmt);
	if (reader->gzip != NULL)
		reader->server->n_gzipped--;
	gzip_free(reader->gzip);
	buf_fini(&reader->packed);
	buf_fini(&reader->out);
	free(reader);
}

/* The bytes to send for what is formatted. */
static struct buf *reader_pack(struct reader *reader, bool is_last)
{
	if (reader->gzip == NULL)
		return &reader->out;
	gzip_write(reader->gzip, reader->out.data, reader->out.len, &reader->packed);
	if (is_last)
		gzip_end(reader->gzip, &reader->packed);
	buf_reset(&reader->out);
	return &reader->packed;
}

static void reader_flush(struct reader *reader)
{
	struct buf *bytes = reader_pack(reader, false);

	if (bytes->len > 0)
		response_write(reader->req, bytes->data, bytes->len);
	else
		response_is_coming(reader->req);
	buf_reset(bytes);
}

/* The entity tag: that of a log which will not change any more is its run. */
static bool make_etag(const struct reader *reader, char *out, size_t size)
{
	if (reader->opts.kind != LOGFMT_RECORDS || !reader->is_final || reader->id[0] == '\0')
		return false;
	snprintf(out, size, "\"%s%s\"", reader->id, reader->gzip != NULL ? "-gz" : "");
	return true;
}

/* Only for an answer that is the log: a problem document is neither compressed nor kept for long.
 */
static void put_headers(struct reader *reader)
{
	struct request *req = reader->req;
	const char *id = request_param(req, "id");
	char text[160];

	if (reader->download) {
		snprintf(text, sizeof(text), "attachment; filename=\"run-%s.%s\"", id,
			logfmt_extension(reader->opts.kind));
		response_header(req, "Content-Disposition", text);
	}
	if (reader->opts.kind == LOGFMT_RAW)
		response_header(req, "Content-Security-Policy", "sandbox");
	if (reader->opts.kind == LOGFMT_RECORDS) {
		response_header(req, "Accept-Ranges", "bytes");
		if (reader->is_final)
			response_header(
				req, "Cache-Control", "private, max-age=31536000, immutable");
	}
	if (reader->gzip != NULL)
		response_header(req, "Content-Encoding", "gzip");
	if (!reader->has_range)
		response_header(req, "Vary", "Accept-Encoding");
	if (make_etag(reader, text, sizeof(text)))
		response_header(req, "ETag", text);
	snprintf(text, sizeof(text), "%" PRIu64, reader->size);
	response_header(req, "X-Log-Size", text);
}

/* All that was asked for is formatted. */
static void reader_finish(struct reader *reader)
{
	struct request *req = reader->req;
	struct buf *bytes;
	char next[32];
	int err;

	logfmt_end(reader->fmt, &reader->out);
	err = buf_err(&reader->out);
	bytes = reader_pack(reader, true);
	if (err < 0 || buf_err(bytes) < 0) {
		response_abandon(req);
	} else if (reader->begun) {
		response_write(req, bytes->data, bytes->len);
		response_end(req);
	} else {
		put_headers(reader);
		snprintf(next, sizeof(next), "%" PRIu64, reader->next);
		response_header(req, "X-Next-Offset", next);
		response_send(req, 200, logfmt_mime(reader->opts.kind), bytes->data, bytes->len);
	}
	reader_free(reader);
}

/* The client has taken what was queued. */
static void on_writable(struct request *req)
{
	struct reader *reader = request_arg(req);
	uint32_t owed = reader->owed;

	reader->owed = 0;
	logsource_credit(reader->source, owed);
}

static void begin_range(struct reader *reader, uint64_t size)
{
	char text[96];

	reader->last = MIN(reader->last, size - 1);
	reader->stop = reader->last + 1;
	snprintf(text, sizeof(text), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, reader->first,
		reader->last, size);
	response_header(reader->req, "Content-Range", text);
	response_begin(reader->req, 206, logfmt_mime(reader->opts.kind),
		reader->stop - reader->first, on_writable);
}

static void begin(struct reader *reader)
{
	uint64_t length = RESPONSE_LENGTH_UNKNOWN;
	char text[32];

	reader->begun = true;
	put_headers(reader);
	if (reader->has_range) {
		begin_range(reader, reader->size);
		return;
	}
	snprintf(text, sizeof(text), "%" PRIu64, reader->size);
	response_header(reader->req, "X-Next-Offset", text);
	if (reader->opts.kind == LOGFMT_RECORDS && reader->gzip == NULL)
		length = reader->size - reader->offset;
	response_begin(reader->req, 200, logfmt_mime(reader->opts.kind), length, on_writable);
}

/* The log is there. */
static void on_opened(struct logsource *source, const struct logsource_opened *opened, void *arg)
{
	struct reader *reader = arg;
	char etag[80], range[48];

	(void)source;
	reader->stop = MAX(opened->size, opened->offset);
	reader->next = opened->offset;
	if (reader->has_range && reader->first >= opened->size) {
		snprintf(range, sizeof(range), "bytes */%" PRIu64, opened->size);
		response_header(reader->req, "Content-Range", range);
		response_problem(reader->req, 416, "bad_range", "The log is shorter than that.");
		reader_free(reader);
		return;
	}
	snprintf(reader->id, sizeof(reader->id), "%s", opened->id);
	reader->size = opened->size;
	reader->is_final = opened->is_final;
	if (make_etag(reader, etag, sizeof(etag)) &&
		negotiate_etag_matches(request_header(reader->req, "If-None-Match"), etag)) {
		put_headers(reader);
		response_empty(reader->req, 304);
		reader_free(reader);
		return;
	}
	if (reader->limit == 0)
		begin(reader);
	if (reader->next >= reader->stop || (reader->begun && request_is_head(reader->req)))
		reader_finish(reader);
}

/* One record: formatted, or for a range its bytes as far as they are within. */
static int reader_take(struct reader *reader, uint64_t offset, const uint8_t *at, size_t n)
{
	uint64_t from, to;
	int size;

	if (!reader->has_range)
		return logfmt_record(reader->fmt, offset, at, n, &reader->out);
	size = record_decode(at, n, &(struct record){0});
	if (size < 0)
		return size;
	from = MAX(offset, reader->first);
	to = MIN(offset + (uint64_t)size, reader->stop);
	if (from < to)
		buf_append(&reader->out, at + (from - offset), to - from);
	return size;
}

/* Whether the record at at would go past the limit; the first one never does. */
static bool is_past_limit(const struct reader *reader, const uint8_t *at, size_t n)
{
	struct record rec;

	if (reader->limit == 0 || reader->next == reader->offset ||
		record_decode_header(at, n, &rec) < 0)
		return false;
	return reader->next + RECORD_HEADER_BYTES + rec.length - reader->offset > reader->limit;
}

/* Records have come. */
static void on_chunk(struct logsource *source, const uint8_t *payload, size_t len, void *arg)
{
	struct reader *reader = arg;
	const uint8_t *at = payload + MSG_CHUNK_PREFIX_BYTES;
	size_t n = len - MSG_CHUNK_PREFIX_BYTES;
	uint32_t owed;
	int size;

	while (n > 0 && reader->next < reader->stop) {
		if (is_past_limit(reader, at, n)) {
			reader->stop = reader->next;
			break;
		}
		size = reader_take(reader, reader->next, at, n);
		if (size < 0) {
			response_abandon(reader->req);
			reader_free(reader);
			return;
		}
		reader->next += (uint64_t)size;
		at += size;
		n -= (size_t)size;
		if (reader->begun && reader->out.len >= FLUSH_BYTES)
			reader_flush(reader);
	}
	if (reader->next >= reader->stop) {
		reader_finish(reader);
		return;
	}
	if (reader->begun)
		reader_flush(reader);
	reader->owed += (uint32_t)(len - MSG_CHUNK_PREFIX_BYTES);
	if (reader->begun && response_is_full(reader->req))
		return;
	owed = reader->owed;
	reader->owed = 0;
	logsource_credit(source, owed);
}

static void refuse(struct reader *reader, const struct logsource_end *end)
{
	struct request *req = reader->req;

	if (end->err == -ENOENT)
		response_problem(req, 404, "not_found", "There is no such run.");
	else if (end->err == -EINVAL)
		response_problem(req, 400, "bad_offset",
			"The offset is not the beginning of a record of this log.");
	else
		response_problem(req, 503, "log_unavailable", end->message);
}

/* The source has no more, or failed. */
static void on_end(struct logsource *source, const struct logsource_end *end, void *arg)
{
	struct reader *reader = arg;

	(void)source;
	reader->source = NULL;
	if (reader->next >= reader->stop && reader->stop != 0) {
		reader_finish(reader);
		return;
	}
	if (reader->begun || (reader->limit != 0 && reader->stop != 0))
		response_abandon(reader->req);
	else
		refuse(reader, end);
	reader_free(reader);
}

/* The client has gone. */
static void on_abort(struct request *req)
{
	struct reader *reader = request_arg(req);

	reader_free(reader);
	response_abandon(req);
}

static void reader_open(struct reader *reader)
{
	static const struct logsource_callbacks callbacks = {
		.on_opened = on_opened,
		.on_chunk = on_chunk,
		.on_end = on_end,
	};
	struct request *req = reader->req;

	request_set_arg(req, reader);
	request_on_abort(req, on_abort);
	reader->fmt = logfmt_new(&reader->opts);
	reader->source = logsource_open(
		server_of(req), caller_run(req), (int64_t)reader->offset, &callbacks, reader);
}

/* The record that holds the range's first byte is known. */
static void on_range_located(int err, uint64_t offset, uint64_t line, uint64_t time_us, void *arg)
{
	struct reader *reader = arg;

	(void)line;
	(void)time_us;
	if (request_is_aborted(reader->req)) {
		response_abandon(reader->req);
		reader_free(reader);
		return;
	}
	if (err != 0 && err != -ERANGE) {
		response_problem(reader->req, err == -ENOENT ? 404 : 503,
			err == -ENOENT ? "not_found" : "log_unavailable",
			"There is no such place in this log.");
		reader_free(reader);
		return;
	}
	/* Behind the end: on_opened() learns the size, and refuses. */
	reader->offset = err == 0 ? offset : 0;
	reader_open(reader);
}

/* "bytes=A-B" or "bytes=A-"; anything else is ignored, as RFC 9110 allows. */
static void read_range(struct reader *reader)
{
	const char *text = request_header(reader->req, "Range");
	const char *id = request_param(reader->req, "id");
	const char *if_range = request_header(reader->req, "If-Range");
	unsigned long long first, last = UINT64_MAX;
	int used = 0;

	if (text == NULL || reader->opts.kind != LOGFMT_RECORDS || reader->limit != 0 ||
		reader->offset != 0)
		return;
	/* Of a log that still grows, or asked for by number, the whole is sent again: allowed. */
	if (if_range != NULL && (strlen(if_range) != strlen(id) + 2 || if_range[0] != '"' ||
					strncmp(if_range + 1, id, strlen(id)) != 0 ||
					if_range[strlen(id) + 1] != '"'))
		return;
	if (sscanf(text, "bytes=%18llu-%n", &first, &used) != 1 || used == 0)
		return;
	if (text[used] != '\0' && (sscanf(text + used, "%18llu", &last) != 1 || last < first ||
					  strspn(text + used, "0123456789") != strlen(text + used)))
		return;
	reader->has_range = true;
	reader->first = first;
	reader->last = last;
}

static bool flag_of(struct request *req, const char *name)
{
	const char *text = request_query(req, name);

	return text != NULL && (strcmp(text, "1") == 0 || strcmp(text, "true") == 0);
}

/* The query's parameters; false: answered. */
static bool read_query(struct reader *reader)
{
	struct request *req = reader->req;
	const char *format = request_query(req, "format"), *stream = request_query(req, "stream");
	uint64_t step = 0;

	reader->opts = (struct logfmt_opts){.kind = LOGFMT_TEXT, .step = -1};
	if (!http_query_number(req, "offset", 0, INT64_MAX, &reader->offset) ||
		!http_query_number(req, "limit", 0, INT64_MAX, &reader->limit) ||
		!http_query_number(req, "step", 0, RECORD_STEP_RUN, &step))
		return false;
	reader->limit = MIN(reader->limit, (uint64_t)LIMIT_LOG_PAGE_BYTES);
	if (request_query(req, "step") != NULL)
		reader->opts.step = (int)step;
	if (stream != NULL && strcmp(stream, "stdout") == 0)
		reader->opts.stream = RECORD_STDOUT;
	else if (stream != NULL && strcmp(stream, "stderr") == 0)
		reader->opts.stream = RECORD_STDERR;
	if ((stream != NULL && reader->opts.stream == 0) ||
		(format != NULL && logfmt_parse_kind(format, &reader->opts.kind) < 0)) {
		response_problem(req, 400, "bad_parameter",
			"format is records, raw, text or ndjson; stream is stdout or stderr.");
		return false;
	}
	if (reader->opts.kind == LOGFMT_RECORDS &&
		(reader->opts.step >= 0 || reader->opts.stream != 0)) {
		response_problem(req, 400, "bad_parameter",
			"step and stream cannot be combined with format=records.");
		return false;
	}
	reader->opts.times = flag_of(req, "times");
	reader->download = flag_of(req, "download");
	return true;
}

static void choose_encoding(struct reader *reader)
{
	if (reader->server->n_gzipped == LIMIT_GZIPPED || request_is_head(reader->req) ||
		negotiate_encoding(request_header(reader->req, "Accept-Encoding"),
			1u << ENCODING_IDENTITY | 1u << ENCODING_GZIP) != ENCODING_GZIP)
		return;
	reader->gzip = gzip_new();
	reader->server->n_gzipped += reader->gzip != NULL;
}

/* Whose run it is, is known. */
static void get_log(struct request *req, struct host *host)
{
	struct reader *reader = xcalloc(1, sizeof(*reader));

	reader->server = server_of(req);
	reader->req = req;
	buf_init(&reader->out, MAX_OUT);
	buf_init(&reader->packed, MAX_OUT);
	if (!read_query(reader)) {
		reader_free(reader);
		return;
	}
	read_range(reader);
	if (!reader->has_range)
		choose_encoding(reader);
	if (reader->has_range)
		locate_start(server_of(req), host, caller_run(req), MSG_LOCATE_OFFSET,
			reader->first, on_range_located, reader);
	else
		reader_open(reader);
}

void logs_get(struct request *req)
{
	runfind_request(req, get_log);
}

static void on_located(int err, uint64_t offset, uint64_t line, uint64_t time_us, void *arg)
{
	struct request *req = arg;
	struct json json;
	struct buf buf;

	if (err != 0) {
		response_problem(req, err == -ENOTCONN ? 503 : 404,
			err == -ENOTCONN ? "log_unavailable" : "not_found",
			err == -ENOTCONN ? "Neither agent nor database can be asked now."
			: err == -ENOENT ? "There is no such run."
					 : "There is no such place in this log.");
		return;
	}
	buf_init(&buf, 256);
	json_init(&json, &buf);
	json_open_object(&json);
	json_kv_uint(&json, "offset", offset);
	json_kv_uint(&json, "line", line);
	json_kv_uint(&json, "time", time_us);
	json_close_object(&json);
	response_json(req, 200, &buf);
	buf_fini(&buf);
}

static void locate_in(struct request *req, struct host *host)
{
	bool by_line = request_query(req, "line") != NULL;
	uint64_t value;

	if (by_line == (request_query(req, "time") != NULL)) {
		response_problem(req, 400, "bad_parameter", "Give either line or time.");
		return;
	}
	if (!http_query_number(req, by_line ? "line" : "time", 0, INT64_MAX, &value))
		return;
	locate_start(server_of(req), host, caller_run(req),
		by_line ? MSG_LOCATE_LINE : MSG_LOCATE_TIME, value, on_located, req);
}

void logs_locate(struct request *req)
{
	runfind_request(req, locate_in);
}
