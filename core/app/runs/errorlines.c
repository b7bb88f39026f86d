/*
 * Owns the lines that are remembered, one question to the database at a time, one log that is being
 * read with its scan, one lease, one timer.
 *
 * Happy path: kick -> LEASE (of several dashboards one looks) -> NEXT (the newest run that nobody
 * has looked at, and its step that went wrong) -> READ (the log from there, row by row; each is
 * looked through in the thread pool) -> SAVE (into ops.runs, others are notified) -> the run is
 * told anew to whoever watches -> NEXT … until there is none.
 *
 * Failure modes: the database away: the pass is over, the next begins when it is back. A log that
 * cannot be read: the run counts as looked at (once `verify` has copied it again it is not). The
 * server refuses something of one run: the pass goes on with those behind it. Another dashboard has
 * the lease, or a question failed: tried again after ERRORLINES_RETRY_MS. Two that look at the same
 * run find the same.
 *
 * Over 500 lines: one pass, whose steps follow each other over the same state.
 */
#include "core/app/runs/errorlines.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "core/app/archive/archive_batch.h"
#include "core/app/archive/history.h"
#include "core/app/server.h"
#include "core/base/json.h"
#include "core/base/log.h"

#define MAX_RECORDS_BYTES (ARCHIVE_ROW_BYTES + RECORD_MAX_BYTES) /* of a row */
#define NOTIFY "run.error"
#define LEASE_KEY 0x6f70732e77687900 /* "ops.why" */
#define NEXT_SQL                                                                                   \
	"SELECT id, s.step, s.start_offset FROM ops.runs LEFT JOIN LATERAL (SELECT step,"          \
	" start_offset FROM ops.run_steps WHERE run_id = id AND status IN " ERRORLINE_STATUSES     \
	" ORDER BY step LIMIT 1) s ON true WHERE complete AND error_line IS NULL"                  \
	" AND status IN " ERRORLINE_STATUSES " AND ($1::uuid IS NULL OR id < $1)"                  \
	" ORDER BY id DESC LIMIT 1"
#define SAVE_SQL                                                                                   \
	"UPDATE ops.runs SET error_line = $2, error_text = $3"                                     \
	" WHERE id = $1 AND complete AND error_line IS NULL"
#define NOTIFY_SQL "SELECT pg_catalog.pg_notify('" CHANNEL_NAME "', '" NOTIFY " ' || $1::text)"
#define GET_SQL                                                                                    \
	"SELECT id, error_line, error_text, document::text FROM ops.runs"                          \
	" WHERE id = $1 AND error_line > 0"
#define LOAD_SQL                                                                                   \
	"SELECT id, error_line, error_text FROM ops.runs WHERE status IN " ERRORLINE_STATUSES      \
	" AND id >= ops.uuid_floor((now() AT TIME ZONE 'UTC') - make_interval(days => "            \
	"$1::integer))"                                                                            \
	" AND error_line > 0 ORDER BY id DESC LIMIT $2"

struct known {
	struct uuid run;
	uint64_t line;
	char text[]; /* ended by NUL */
};

struct errorlines {
	struct server *server;
	struct pool_watch pool_watch;
	struct channel_watch channel_watch;
	struct known *known[ERRORLINES_SETS][ERRORLINES_WAYS]; /* NULL: a free place */

	bool busy, again; /* a pass is going on; another is due behind it */
	struct lease *lease;
	struct pool_call *call; /* of the pass */
	struct pool_call *load;
	struct uuid run;    /* that is being looked at */
	bool skipped;	    /* of this pass a run is left for the next one: it is about … */
	struct uuid before; /* … those behind it */
	struct history_log *log;
	struct errorline_scan *scan;
	struct errorline line;
	struct buf records; /* that the thread looks through */
	int found;	    /* what it says */
	bool working;
	uv_work_t work;
	uv_timer_t retry;
	void (*on_closed)(void *arg);
	void *arg;
};

/* ---- what is known ---- */

/* The random half of an id. */
static struct known **set_of(const struct errorlines *e, const struct uuid *run)
{
	size_t i = ((size_t)run->bytes[14] << 8 | run->bytes[15]) % ERRORLINES_SETS;

	return (struct known **)(uintptr_t)e->known[i];
}

static const struct known *find(const struct errorlines *e, const struct uuid *run)
{
	struct known **set = set_of(e, run);

	for (size_t i = 0; i < ERRORLINES_WAYS; i++) {
		if (set[i] != NULL && memcmp(&set[i]->run, run, sizeof(*run)) == 0)
			return set[i];
	}
	return NULL;
}

void errorlines_learn(
	struct errorlines *e, const struct uuid *run, uint64_t line, struct wire_str text)
{
	struct known **set, **place, *known;

	if (e == NULL || line == 0)
		return;
	set = set_of(e, run);
	place = &set[0];
	/* Its own place, else a free one, else that of the oldest run. */
	for (size_t i = 0; i < ERRORLINES_WAYS; i++) {
		if (set[i] == NULL || memcmp(&set[i]->run, run, sizeof(*run)) == 0) {
			place = &set[i];
			break;
		}
		if (memcmp(&set[i]->run, &(*place)->run, sizeof(*run)) < 0)
			place = &set[i];
	}
	if (*place != NULL && memcmp(run, &(*place)->run, sizeof(*run)) < 0)
		return; /* all of them are newer */
	known = xcalloc(1, sizeof(*known) + text.len + 1);
	known->run = *run;
	known->line = line;
	if (text.len > 0)
		memcpy(known->text, text.data, text.len);
	free(*place);
	*place = known;
}

/* What is known of the run that a document is of. */
static const struct known *known_of(const struct errorlines *e, const json_t *run)
{
	const char *id = json_string_value(json_object_get(run, "id"));
	const char *status = json_string_value(json_object_get(run, "status"));
	struct uuid uuid;

	if (e == NULL || id == NULL || status == NULL || !errorline_is_asked(status) ||
		uuid_parse(id, strlen(id), &uuid) != 0)
		return NULL;
	return find(e, &uuid);
}

void errorlines_put(const struct errorlines *e, json_t *run)
{
	const struct known *known = known_of(e, run);

	if (known != NULL)
		json_object_set_new(run, "first_error",
			json_pack("{s:I, s:s}", "line", (json_int_t)known->line, "text",
				known->text));
}

void errorlines_append(const struct errorlines *e, struct wire_str document, struct buf *out)
{
	json_t *run = json_loadb(
		document.data, document.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	const struct known *known = known_of(e, run);
	struct json json;

	if (known != NULL && json_object_get(run, "first_error") == NULL) {
		/* The text stays the agent's, but for its last brace. */
		uint32_t n = document.len;

		while (document.data[n - 1] != '}')
			n--;
		buf_append(out, document.data, n - 1);
		buf_append_str(out, ",\"first_error\":");
		json_init(&json, out);
		json_open_object(&json);
		json_kv_uint(&json, "line", known->line);
		json_kv_str(&json, "text", known->text);
		json_close_object(&json);
		buf_append_byte(out, '}');
	} else {
		buf_append(out, document.data, document.len);
	}
	json_decref(run);
}

/* ---- a pass ---- */

static void look(struct errorlines *e);

/* A while after a pass that did not come to its end. */
static void on_retry(uv_timer_t *timer)
{
	errorlines_kick(timer->data);
}

static void drop_log(struct errorlines *e)
{
	history_log_close(e->log);
	e->log = NULL;
	errorline_scan_free(e->scan);
	e->scan = NULL;
}

/* The pass is over: all was looked at (retry_ms 0), or something is to be tried again. */
static void pass_end(struct errorlines *e, unsigned retry_ms)
{
	drop_log(e);
	lease_release(e->lease);
	e->lease = NULL;
	e->busy = false;
	if (retry_ms > 0)
		uv_timer_start(&e->retry, on_retry, retry_ms, 0);
	else if (e->again)
		errorlines_kick(e);
}

/* Something of the run failed. What the server refuses it may refuse each time, of this run. */
static void run_failed(struct errorlines *e, int err, const char *message)
{
	char run[UUID_TEXT_BYTES];

	uuid_format(&e->run, run);
	log_warn(LOG_EV("errorlines.failed"), LOG_STR("run", run), LOG_STR("reason", message));
	if (err != -EREMOTEIO) {
		pass_end(e, ERRORLINES_RETRY_MS);
		return;
	}
	drop_log(e);
	e->skipped = true;
	e->before = e->run;
	look(e);
}

/* id, error_line, error_text */
static void learn_row(struct errorlines *e, const struct pg_result *rows, size_t i)
{
	struct uuid run = pg_get_uuid(rows, i, 0);
	struct pg_bytes_view text = pg_get_text(rows, i, 2);

	errorlines_learn(e, &run, (uint64_t)pg_get_i64(rows, i, 1),
		(struct wire_str){(const char *)text.data, (uint32_t)text.len});
}

/* The documents of runs whose line is known now: they are told anew. */
static void tell(struct errorlines *e, const struct pg_result *rows)
{
	for (size_t i = 0; i < pg_rows(rows); i++) {
		struct pg_bytes_view document = pg_get_text(rows, i, 3);
		json_t *doc = json_loadb((const char *)document.data, document.len,
			JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);

		learn_row(e, rows, i);
		live_on_run(e->server->live, doc);
		json_decref(doc);
	}
}

/* The line is in the database. */
static void on_saved(const struct pg_reply *reply, void *arg)
{
	struct errorlines *e = arg;

	e->call = NULL;
	if (reply->err != 0) {
		run_failed(e, reply->err, reply->message);
		return;
	}
	tell(e, reply->results[2]);
	look(e);
}

/* All that was needed of the log was looked at. */
static void save(struct errorlines *e)
{
	const struct pg_param params[] = {
		pg_uuid(&e->run),
		pg_u64(e->line.line),
		pg_text(e->line.line > 0 ? e->line.text : NULL),
	};
	struct pg_batch *sql = pg_batch_one(SAVE_SQL, params, ARRAY_LEN(params));

	drop_log(e);
	pg_batch_add(sql, NOTIFY_SQL, params, 1);
	pg_batch_add(sql, GET_SQL, params, 1);
	e->call = pool_run(e->server->pool, sql, POOL_IDEMPOTENT | POOL_BACKGROUND,
		ERRORLINES_DEADLINE_MS, on_saved, e);
}

/* In a thread: touches nothing but the scan and the records. */
static void on_work(uv_work_t *work)
{
	struct errorlines *e = container_of(work, struct errorlines, work);

	e->found = errorline_scan_feed(e->scan, e->records.data, e->records.len);
}

static void close_now(struct errorlines *e);

/* A row of the log was looked through. */
static void on_work_done(uv_work_t *work, int status)
{
	struct errorlines *e = container_of(work, struct errorlines, work);

	e->working = false;
	buf_reset(&e->records);
	if (e->on_closed != NULL) {
		close_now(e);
	} else if (status == 0 && e->found == 0) {
		history_log_more(e->log);
	} else {
		errorline_scan_end(e->scan, &e->line);
		save(e);
	}
}

/* A row of the log has come. */
static void on_records(
	struct history_log *log, uint64_t offset, const uint8_t *records, size_t len, void *arg)
{
	struct errorlines *e = arg;

	(void)log;
	(void)offset;
	buf_append(&e->records, records, len);
	if (buf_err(&e->records) != 0) {
		buf_fini(&e->records);
		buf_init(&e->records, MAX_RECORDS_BYTES);
		pass_end(e, ERRORLINES_RETRY_MS);
		return;
	}
	e->working = true;
	if (uv_queue_work(e->server->loop, &e->work, on_work, on_work_done) < 0)
		abort(); /* only for a missing function */
}

/* The log is over, or cannot be read. */
static void on_log_end(
	struct history_log *log, int err, const char *message, uint64_t offset, void *arg)
{
	struct errorlines *e = arg;
	char run[UUID_TEXT_BYTES];

	(void)log;
	(void)offset;
	uuid_format(&e->run, run);
	if (err != 0 && err != -EIO && err != -EINVAL && err != -ENOENT) {
		run_failed(e, err, message);
		return;
	}
	if (err != 0)
		log_warn(LOG_EV("errorlines.unreadable"), LOG_STR("run", run),
			LOG_STR("reason", message));
	errorline_scan_end(e->scan, &e->line);
	save(e);
}

/* With a run, the step of it that went wrong and where that begins, if one did. */
static void begin(struct errorlines *e, const struct pg_result *row)
{
	static const struct history_log_callbacks callbacks = {
		.on_records = on_records, .on_end = on_log_end};
	bool any = pg_is_null(row, 0, 1);

	e->run = pg_get_uuid(row, 0, 0);
	e->line = (struct errorline){0};
	e->scan = errorline_scan_new(any ? ERRORLINE_ANY_STEP : (int)pg_get_i64(row, 0, 1));
	e->log = history_log_open(
		e->server->pool, &e->run, (uint64_t)pg_get_i64(row, 0, 2), &callbacks, e);
	history_log_more(e->log);
}

/* The next run, if there is one. */
static void on_next(const struct pg_reply *reply, void *arg)
{
	struct errorlines *e = arg;

	e->call = NULL;
	if (reply->err != 0 || pg_rows(reply->results[0]) == 0) {
		pass_end(e, reply->err != 0 || e->skipped ? ERRORLINES_RETRY_MS : 0);
		return;
	}
	begin(e, reply->results[0]);
}

static void look(struct errorlines *e)
{
	const struct pg_param before = e->skipped ? pg_uuid(&e->before) : pg_null();

	e->again = false;
	e->call = pool_run(e->server->pool, pg_batch_one(NEXT_SQL, &before, 1),
		POOL_IDEMPOTENT | POOL_BACKGROUND, ERRORLINES_DEADLINE_MS, on_next, e);
}

/* Whether it is for this dashboard to look is known. */
static void on_lease(enum lease_answer answer, void *arg)
{
	struct errorlines *e = arg;

	if (answer == LEASE_TAKEN)
		pass_end(e, ERRORLINES_RETRY_MS);
	else
		look(e); /* LEASE_AWAY: at worst two look at the same */
}

void errorlines_kick(struct errorlines *e)
{
	struct pool_info info;

	if (e == NULL)
		return;
	pool_get_info(e->server->pool, &info);
	e->again = true;
	if (e->busy || e->on_closed != NULL || info.state != POOL_READY || info.read_only)
		return;
	uv_timer_stop(&e->retry);
	e->busy = true;
	e->skipped = false;
	e->lease = channel_lease(e->server->channel, LEASE_KEY, on_lease, e);
}

/* ---- what others tell, and what is there at the start ---- */

static void on_loaded(const struct pg_reply *reply, void *arg)
{
	struct errorlines *e = arg;
	const struct pg_result *rows;

	e->load = NULL;
	if (reply->err != 0)
		return; /* it will be ready again */
	rows = reply->results[0];
	for (size_t i = 0; i < pg_rows(rows); i++)
		learn_row(e, rows, i);
}

static void on_pool_state(struct pool_watch *watch, const struct pool_info *info)
{
	struct errorlines *e = container_of(watch, struct errorlines, pool_watch);
	const struct pg_param params[] = {pg_i64(ERRORLINES_DAYS), pg_i64(ERRORLINES_LOADED)};

	if (info->state != POOL_READY)
		return;
	if (e->load == NULL)
		e->load = pool_run(e->server->pool,
			pg_batch_one(LOAD_SQL, params, ARRAY_LEN(params)),
			POOL_IDEMPOTENT | POOL_BACKGROUND, ERRORLINES_DEADLINE_MS, on_loaded, e);
	errorlines_kick(e);
}

/* What another dashboard found. The server is asked for us: we may be gone. */
static void on_told(const struct pg_reply *reply, void *arg)
{
	const struct server *server = arg;

	if (reply->err == 0 && server->errorlines != NULL)
		tell(server->errorlines, reply->results[0]);
}

/* A run was archived wholly, or its line was found; maybe by ourselves. */
static void on_notify(struct channel_watch *watch, const char *text)
{
	struct errorlines *e = container_of(watch, struct errorlines, channel_watch);
	struct uuid run;

	if (strncmp(text, ARCHIVE_NOTIFY " ", sizeof(ARCHIVE_NOTIFY)) == 0) {
		errorlines_kick(e);
		return;
	}
	if (strncmp(text, NOTIFY " ", sizeof(NOTIFY)) != 0 ||
		uuid_parse(text + sizeof(NOTIFY), strlen(text + sizeof(NOTIFY)), &run) != 0 ||
		find(e, &run) != NULL)
		return;
	const struct pg_param param = pg_uuid(&run);
	pool_run(e->server->pool, pg_batch_one(GET_SQL, &param, 1),
		POOL_IDEMPOTENT | POOL_BACKGROUND, ERRORLINES_DEADLINE_MS, on_told, e->server);
}

struct errorlines *errorlines_open(struct server *server)
{
	struct errorlines *e = xcalloc(1, sizeof(*e));

	e->server = server;
	buf_init(&e->records, MAX_RECORDS_BYTES);
	uv_timer_init(server->loop, &e->retry);
	e->retry.data = e;
	e->pool_watch.on_state = on_pool_state;
	e->channel_watch.on_notify = on_notify;
	pool_watch_add(server->pool, &e->pool_watch);
	channel_watch_add(server->channel, &e->channel_watch);
	return e;
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct errorlines *e = handle->data;
	void (*on_closed)(void *) = e->on_closed;
	void *arg = e->arg;

	for (size_t i = 0; i < ERRORLINES_SETS; i++) {
		for (size_t j = 0; j < ERRORLINES_WAYS; j++)
			free(e->known[i][j]);
	}
	free(e);
	on_closed(arg);
}

static void close_now(struct errorlines *e)
{
	drop_log(e);
	buf_fini(&e->records);
	uv_close((uv_handle_t *)&e->retry, on_timer_closed);
}

void errorlines_close(struct errorlines *e, void (*on_closed)(void *arg), void *arg)
{
	assert(e->on_closed == NULL && on_closed != NULL);
	e->on_closed = on_closed;
	e->arg = arg;
	pool_watch_remove(&e->pool_watch);
	channel_watch_remove(&e->channel_watch);
	pool_call_forget(e->call);
	pool_call_forget(e->load);
	lease_release(e->lease);
	e->lease = NULL;
	if (!e->working)
		close_now(e);
}
