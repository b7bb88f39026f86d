/*
 * A search of a run's log, streamed as NDJSON while it goes on.
 *
 * Owns: the pattern, the scan (logscan.h), the log's source, what of it was fetched and not looked
 * at, and what was found and not handed to the web server.
 *
 * Happy path: parameters -> source opened -> head of the answer -> records are collected in
 * `fetched` -> a job in the thread pool takes them as `batch` and scans for LOGSCAN_SLICE_US or
 * until it has written enough -> its lines are sent, the source gets credit for what is done -> …
 * -> the records up to the size the log had are done: summary, end.
 *
 * Bounds: the source is never more than its window ahead, so the two buffers hold that much each;
 * a job writes LOGSCAN_OUT_BYTES or little more, and the next one starts when the client has taken
 * them. LIMIT_SEARCHES at a time, so that sign-ins still find a thread.
 *
 * Failure modes: before the head a problem document; after it the connection is cut, so that half a
 * search is never taken for a whole one. The client leaves: the source is closed; a job that is
 * running ends soon by itself, and the search is freed behind it.
 */
#include "core/app/logs/search.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/hosts/runfind.h"
#include "core/app/http.h"
#include "core/app/limits.h"
#include "core/app/logs/logscan.h"
#include "core/app/logs/logsource.h"
#include "core/app/server.h"
#include "proto/frame.h"
#include "proto/record.h"

struct search {
	struct server *server;
	struct request *req; /* NULL: the client has left */
	struct logsource *source;
	struct pattern *pattern;
	struct logscan *scan;
	uv_work_t work;
	bool working, begun, blocked; /* blocked: the client has not taken what was found */
	bool ended;		      /* nothing more will be fetched */
	uint64_t next, stop;	      /* of the log: the next record to come, and where it ends */
	struct buf fetched, batch;
	uint64_t batch_offset; /* in the log, of batch */
	size_t done;	       /* bytes of batch */
	int err;	       /* of the job */
	struct buf out;
};

static void search_free(struct search *search)
{
	search->server->n_searches--;
	logsource_close(search->source);
	logscan_free(search->scan);
	pattern_free(search->pattern);
	buf_fini(&search->fetched);
	buf_fini(&search->batch);
	buf_fini(&search->out);
	free(search);
}

/* The request has ended, or is given up. */
static void search_end(struct search *search)
{
	logsource_close(search->source);
	search->source = NULL;
	search->req = NULL;
	if (!search->working)
		search_free(search);
}

static void search_fail(struct search *search)
{
	response_abandon(search->req);
	search_end(search);
}

static void search_go_on(struct search *search);

/* In a thread: touches nothing but the batch, the scan and out. */
static void on_work(uv_work_t *work)
{
	struct search *search = container_of(work, struct search, work);
	long n = logscan_feed(search->scan, search->batch_offset + search->done,
		search->batch.data + search->done, search->batch.len - search->done, &search->out);

	search->err = n < 0 ? (int)n : 0;
	search->done += n < 0 ? 0 : (size_t)n;
}

static void search_send(struct search *search)
{
	if (search->out.len > 0)
		response_write(search->req, search->out.data, search->out.len);
	else
		response_is_coming(search->req);
	buf_reset(&search->out);
}

/* A slice is done. */
static void on_work_done(uv_work_t *work, int status)
{
	struct search *search = container_of(work, struct search, work);

	search->working = false;
	if (search->req == NULL) {
		search_free(search);
		return;
	}
	if (status != 0 || search->err < 0 || buf_err(&search->out) < 0) {
		search_fail(search);
		return;
	}
	search_send(search);
	if (search->done == search->batch.len) {
		uint32_t credit = (uint32_t)search->batch.len;

		buf_reset(&search->batch);
		search->done = 0;
		if (search->source != NULL)
			logsource_credit(search->source, credit);
	}
	search_go_on(search);
}

static void search_finish(struct search *search)
{
	logscan_end(search->scan, &search->out);
	if (buf_err(&search->out) < 0) {
		search_fail(search);
		return;
	}
	search_send(search);
	response_end(search->req);
	search_end(search);
}

/* Starts the next slice, if there is something to look at and room for what it finds. */
static void search_go_on(struct search *search)
{
	if (search->working || !search->begun)
		return;
	search->blocked = response_is_full(search->req);
	if (search->blocked)
		return;
	if (search->batch.len == 0 && search->fetched.len > 0) {
		struct buf empty = search->batch;

		search->batch_offset = search->next - search->fetched.len;
		search->batch = search->fetched;
		search->fetched = empty;
	}
	if (search->batch.len == 0) {
		if (search->next >= search->stop)
			search_finish(search);
		return;
	}
	search->working = true;
	if (uv_queue_work(search->server->loop, &search->work, on_work, on_work_done) < 0)
		abort(); /* only for a missing function */
}

/* The client has taken what was queued. */
static void on_writable(struct request *req)
{
	struct search *search = request_arg(req);

	if (search->blocked)
		search_go_on(search);
}

/* The client has gone. */
static void on_abort(struct request *req)
{
	struct search *search = request_arg(req);

	response_abandon(req);
	search_end(search);
}

/* The log is there. */
static void on_opened(struct logsource *source, const struct logsource_opened *opened, void *arg)
{
	struct search *search = arg;

	(void)source;
	search->next = opened->offset;
	search->stop = MAX(opened->size, opened->offset);
	search->begun = true;
	response_begin(
		search->req, 200, "application/x-ndjson", RESPONSE_LENGTH_UNKNOWN, on_writable);
	if (request_is_head(search->req)) {
		response_end(search->req);
		search_end(search);
	} else if (search->next >= search->stop) {
		search_finish(search);
	}
}

/* How many of the n bytes of records lie before the log's end as it was at first. */
static size_t within(const struct search *search, const uint8_t *records, size_t n)
{
	size_t used = 0;
	struct record rec;

	if (search->next + n <= search->stop)
		return n;
	while (search->next + used < search->stop &&
		record_decode_header(records + used, n - used, &rec) == 0)
		used += RECORD_HEADER_BYTES + rec.length;
	return MIN(used, n);
}

/* Records have come. */
static void on_chunk(struct logsource *source, const uint8_t *payload, size_t len, void *arg)
{
	struct search *search = arg;
	const uint8_t *records = payload + MSG_CHUNK_PREFIX_BYTES;
	size_t n = within(search, records, len - MSG_CHUNK_PREFIX_BYTES);

	(void)source;
	buf_append(&search->fetched, records, n);
	search->next += n;
	if (buf_err(&search->fetched) < 0) {
		search_fail(search);
		return;
	}
	if (search->next >= search->stop) {
		logsource_close(search->source);
		search->source = NULL;
	}
	search_go_on(search);
}

static void refuse(struct search *search, const struct logsource_end *end)
{
	if (end->err == -ENOENT)
		response_problem(search->req, 404, "not_found", "There is no such run.");
	else
		response_problem(search->req, 503, "log_unavailable", end->message);
	search_end(search);
}

/* The source has no more, or failed. */
static void on_end(struct logsource *source, const struct logsource_end *end, void *arg)
{
	struct search *search = arg;

	(void)source;
	search->source = NULL;
	if (!search->begun)
		refuse(search, end);
	else if (search->next < search->stop)
		search_fail(search);
	else
		search_go_on(search);
}

static bool flag_of(struct request *req, const char *name)
{
	const char *text = request_query(req, name);

	return text != NULL && (strcmp(text, "1") == 0 || strcmp(text, "true") == 0);
}

/* NULL: answered. */
static struct pattern *read_pattern(struct request *req)
{
	const char *q = request_query(req, "q"), *preset = request_query(req, "preset");
	struct pattern *pattern = NULL;
	struct err err = {0};

	if ((q == NULL) == (preset == NULL) || (preset != NULL && strcmp(preset, "errors") != 0)) {
		response_problem(req, 400, "bad_parameter", "Give either q or preset=errors.");
		return NULL;
	}
	if (preset != NULL)
		return pattern_new_errors();
	pattern = pattern_new(q, flag_of(req, "regex"), flag_of(req, "case"), &err);
	if (pattern == NULL)
		response_problem(req, 400, "bad_pattern", err.msg);
	return pattern;
}

/* False: answered. */
static bool read_options(struct request *req, struct logscan_opts *opts)
{
	const char *stream = request_query(req, "stream");
	uint64_t before, after, step;

	if (!http_query_number(
		    req, "limit", LIMIT_SEARCH_DEFAULT, LIMIT_SEARCH_MATCHES, &opts->limit) ||
		!http_query_number(
			req, "before", LIMIT_SEARCH_CONTEXT, LOGSCAN_MAX_CONTEXT, &before) ||
		!http_query_number(
			req, "after", LIMIT_SEARCH_CONTEXT, LOGSCAN_MAX_CONTEXT, &after) ||
		!http_query_number(req, "step", 0, RECORD_STEP_RUN, &step))
		return false;
	opts->before = (unsigned)before;
	opts->after = (unsigned)after;
	opts->step = request_query(req, "step") != NULL ? (int)step : -1;
	if (stream == NULL)
		return true;
	opts->stream = strcmp(stream, "stdout") == 0   ? RECORD_STDOUT
		       : strcmp(stream, "stderr") == 0 ? RECORD_STDERR
						       : 0;
	if (opts->stream == 0)
		response_problem(req, 400, "bad_parameter", "stream is stdout or stderr.");
	return opts->stream != 0;
}

static void search_in(struct request *req, struct host *host)
{
	static const struct logsource_callbacks callbacks = {
		.on_opened = on_opened,
		.on_chunk = on_chunk,
		.on_end = on_end,
	};
	struct server *server = server_of(req);
	struct logscan_opts opts = {0};
	struct search *search;
	struct pattern *pattern;

	(void)host; /* logsource.h finds it by the run */
	if (!read_options(req, &opts) || (pattern = read_pattern(req)) == NULL)
		return;
	if (server->n_searches == LIMIT_SEARCHES) {
		pattern_free(pattern);
		response_header(req, "Retry-After", "1");
		response_problem(req, 429, "too_many_searches", "Other searches are going on.");
		return;
	}
	server->n_searches++;
	search = xcalloc(1, sizeof(*search));
	search->server = server;
	search->req = req;
	search->pattern = pattern;
	opts.pattern = pattern;
	search->scan = logscan_new(&opts);
	buf_init(&search->fetched, LIMIT_SEARCH_HELD_BYTES);
	buf_init(&search->batch, LIMIT_SEARCH_HELD_BYTES);
	buf_init(&search->out, LIMIT_SEARCH_HELD_BYTES);
	request_set_arg(req, search);
	request_on_abort(req, on_abort);
	search->source = logsource_open(server, caller_run(req), 0, &callbacks, search);
}

void search_get(struct request *req)
{
	runfind_request(req, search_in);
}
