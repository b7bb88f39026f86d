/*
 * Owns the PGconn, the uv_poll_t that watches its socket, two timers and, while looking up, a
 * lookup. This file moves the states and runs batches; pg_connect.c gets from a name to a set-up
 * session.
 *
 * Happy path: LOOKUP → CONNECTING → SETUP → IDLE ⇄ BUSY. After every poll event: consume what came,
 * send what still goes out, set what to wait for, take the results, become idle, call back.
 *
 * A batch is one libpq pipeline with one sync at its end, so PostgreSQL makes it one transaction.
 * The next statement is given to libpq only when the one before has left for the kernel: libpq's
 * own buffer never holds more than about one statement. It is done when the sync's answer is there,
 * not before: an error at commit comes last.
 *
 * Failure modes: any trouble with the connection goes through pg_down(), once: libpq is finished,
 * the batch gets its error and the owner is told, both from the `soon` timer. A statement that the
 * server refuses is no such trouble; a FATAL message is (the outcome of a commit on its way is
 * unknown then). The `deadline` timer bounds LOOKUP to SETUP together, and each batch.
 *
 * States: every one → DOWN (pg_down) → CLOSING (pg_close); DOWN and CLOSING have no PGconn.
 */
#include "core/db/pg.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/db/pg_internal.h"

void pg_set_state(struct pg *pg, enum pg_state state)
{
	static const unsigned allowed[] = {
		[PG_LOOKUP] = 1u << PG_CONNECTING | 1u << PG_DOWN | 1u << PG_CLOSING,
		[PG_CONNECTING] = 1u << PG_SETUP | 1u << PG_DOWN | 1u << PG_CLOSING,
		[PG_SETUP] = 1u << PG_IDLE | 1u << PG_DOWN | 1u << PG_CLOSING,
		[PG_IDLE] = 1u << PG_BUSY | 1u << PG_DOWN | 1u << PG_CLOSING,
		[PG_BUSY] = 1u << PG_IDLE | 1u << PG_DOWN | 1u << PG_CLOSING,
		[PG_DOWN] = 1u << PG_CLOSING,
		[PG_CLOSING] = 0,
	};
	assert((allowed[pg->state] & 1u << state) != 0);
	pg->state = state;
}

/* Watching the socket. libpq may close its socket and open another of the same number, so the watch
 * is dropped before anything that may do that, and before PQfinish(). */

static void on_poll_closed(uv_handle_t *handle)
{
	struct pg_poll *poll = container_of((uv_poll_t *)handle, struct pg_poll, handle);
	struct pg *pg = poll->pg;
	free(poll);
	pg_handle_closed(pg);
}

void pg_poll_drop(struct pg *pg)
{
	if (pg->poll == NULL)
		return;
	uv_poll_stop(&pg->poll->handle);
	uv_close((uv_handle_t *)&pg->poll->handle, on_poll_closed);
	pg->poll = NULL;
}

int pg_poll_set(struct pg *pg, int events, uv_poll_cb cb)
{
	if (pg->poll == NULL) {
		struct pg_poll *poll = xcalloc(1, sizeof(*poll));
		int rc = uv_poll_init(pg->loop, &poll->handle, PQsocket(pg->conn));
		if (rc != 0) {
			free(poll);
			return rc;
		}
		poll->pg = pg;
		pg->poll = poll;
		pg->n_handles++;
	} else if (pg->poll->events == events) {
		return 0;
	}
	pg->poll->events = events;
	return uv_poll_start(&pg->poll->handle, events, cb);
}

struct pg *pg_of_poll(uv_poll_t *handle)
{
	return container_of(handle, struct pg_poll, handle)->pg;
}

static void pg_drop_conn(struct pg *pg)
{
	pg_poll_drop(pg);
	if (pg->conn != NULL) {
		PQfinish(pg->conn);
		pg->conn = NULL;
	}
	uv_timer_stop(&pg->deadline);
}

/* Ends the running batch: forgets it first, then tells. */
static void pg_finish_job(struct pg *pg, const struct pg_reply *reply)
{
	struct pg_job job = pg->job;
	pg->job = (struct pg_job){0};
	if (job.cb != NULL)
		job.cb(reply, job.arg);
	for (size_t i = 0; i < job.n_results; i++)
		PQclear(job.results[i]);
	free(job.results);
	pg_batch_free(job.batch);
}

/* The connection is over and its owner is to be told. */
static void on_down_soon(uv_timer_t *timer)
{
	struct pg *pg = container_of(timer, struct pg, soon);
	if (pg->job.active) {
		struct pg_reply reply;
		reply_set(&reply, pg->down_err, pg->reason);
		pg_finish_job(pg, &reply);
		/* The callee may have closed us; we are there until the handles are closed. */
		if (pg->state == PG_CLOSING)
			return;
	}
	pg->callbacks.on_down(pg, pg->reason, pg->arg);
}

void pg_down(struct pg *pg, int err, const char *reason)
{
	if (pg->state == PG_DOWN || pg->state == PG_CLOSING)
		return;
	/* Before the connection goes: reason may point into it. */
	message_line(reason, pg->reason, sizeof(pg->reason));
	if (pg->reason[0] == '\0')
		snprintf(pg->reason, sizeof(pg->reason), "the connection to PostgreSQL broke");
	log_debug(LOG_EV("db.down"), LOG_STR("reason", pg->reason));
	pg_set_state(pg, PG_DOWN);
	pg->down_err = err;
	pg_drop_conn(pg);
	if (pg->lookup != NULL)
		lookup_cancel(pg->lookup);
	uv_timer_start(&pg->soon, on_down_soon, 0, 0);
}

/* The time for connecting, or for the running batch, is over. */
static void on_deadline(uv_timer_t *timer)
{
	struct pg *pg = container_of(timer, struct pg, deadline);
	char reason[PG_MAX_MESSAGE];
	const char *what = pg->state == PG_LOOKUP	? "the host's name could not be looked up"
			   : pg->state == PG_CONNECTING ? "PostgreSQL did not accept the connection"
							: "PostgreSQL did not answer";
	snprintf(reason, sizeof(reason), "%s within %.1f s", what, pg->deadline_ms / 1000.0);
	pg_down(pg, -ETIMEDOUT, reason);
}

void pg_arm_deadline(struct pg *pg, unsigned deadline_ms)
{
	pg->deadline_ms = deadline_ms;
	uv_timer_start(&pg->deadline, on_deadline, deadline_ms, 0);
}

struct pg *pg_open(uv_loop_t *loop, const struct conninfo *info, unsigned attempt,
	const struct pg_callbacks *callbacks, void *arg)
{
	struct pg *pg = xcalloc(1, sizeof(*pg));
	pg->loop = loop;
	pg->info = info;
	pg->attempt = attempt;
	pg->callbacks = *callbacks;
	pg->arg = arg;
	uv_timer_init(loop, &pg->deadline);
	uv_timer_init(loop, &pg->soon);
	pg->n_handles = 2;
	pg_connect(pg);
	return pg;
}

void pg_handle_closed(struct pg *pg)
{
	assert(pg->n_handles > 0);
	pg->n_handles--;
	if (pg->state != PG_CLOSING || pg->n_handles > 0)
		return;
	if (pg->job.active) {
		struct pg_reply reply;
		reply_set(&reply, -ECANCELED, NULL);
		pg_finish_job(pg, &reply);
	}
	void (*on_closed)(void *) = pg->on_closed;
	void *arg = pg->closed_arg;
	free(pg);
	if (on_closed != NULL)
		on_closed(arg);
}

static void on_deadline_closed(uv_handle_t *handle)
{
	pg_handle_closed(container_of((uv_timer_t *)handle, struct pg, deadline));
}

static void on_soon_closed(uv_handle_t *handle)
{
	pg_handle_closed(container_of((uv_timer_t *)handle, struct pg, soon));
}

void pg_close(struct pg *pg, void (*on_closed)(void *arg), void *arg)
{
	assert(pg->state != PG_CLOSING);
	pg_set_state(pg, PG_CLOSING);
	pg->on_closed = on_closed;
	pg->closed_arg = arg;
	pg_drop_conn(pg);
	if (pg->lookup != NULL)
		lookup_cancel(pg->lookup);
	uv_close((uv_handle_t *)&pg->deadline, on_deadline_closed);
	uv_close((uv_handle_t *)&pg->soon, on_soon_closed);
}

bool pg_is_idle(const struct pg *pg)
{
	return pg->state == PG_IDLE;
}

bool pg_is_read_only(const struct pg *pg)
{
	return pg->read_only;
}

/* The answer is whole. */
static void pg_job_done(struct pg *pg)
{
	struct pg_reply reply;
	struct pg_job *job = &pg->job;

	uv_timer_stop(&pg->deadline);
	if (PQpipelineStatus(pg->conn) != PQ_PIPELINE_OFF && PQexitPipelineMode(pg->conn) == 0) {
		pg_down(pg, -ECONNRESET, PQerrorMessage(pg->conn));
		return;
	}
	if (job->failed) {
		reply = job->refusal;
	} else {
		reply_set(&reply, 0, NULL);
		reply.n_results = job->n_results;
		reply.results = (const struct pg_result *const *)(const void *)job->results;
	}
	if (pg->state == PG_BUSY)
		pg_set_state(pg, PG_IDLE);
	pg_finish_job(pg, &reply);
}

/* Files one result away. Returns false when the connection went down. */
static bool pg_take_result(struct pg *pg, PGresult *res)
{
	struct pg_job *job = &pg->job;

	switch (PQresultStatus(res)) {
	case PGRES_TUPLES_OK:
	case PGRES_COMMAND_OK:
		if (job->batch == NULL || job->n_results == job->batch->n) {
			PQclear(res); /* a script's results are of no use */
			return true;
		}
		job->results[job->n_results++] = res;
		return true;
	case PGRES_PIPELINE_SYNC:
		job->synced = true;
		break;
	case PGRES_PIPELINE_ABORTED:
	case PGRES_EMPTY_QUERY:
		break;
	default: {
		const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
		if (PQstatus(pg->conn) != CONNECTION_OK || severity == NULL ||
			strcmp(severity, "ERROR") != 0) {
			struct pg_reply refusal;
			reply_set_refused(&refusal, res);
			pg_down(pg, -ECONNRESET, refusal.message);
			PQclear(res);
			return false;
		}
		if (!job->failed) {
			job->failed = true;
			reply_set_refused(&job->refusal, res);
		}
	}
	}
	PQclear(res);
	return true;
}

/* Gives libpq statements while the kernel takes them. 0, 1 (wait until writable), or -1 (broken).
 */
static int pg_send_some(struct pg *pg)
{
	struct pg_job *job = &pg->job;
	int waiting = PQflush(pg->conn);

	while (waiting == 0 && job->active && job->batch != NULL && !job->sent) {
		if (job->n_sent == job->batch->n) {
			if (PQpipelineSync(pg->conn) == 0)
				return -1;
			job->sent = true;
		} else {
			const struct batch_statement *s = &job->batch->statements[job->n_sent++];
			Oid types[PG_MAX_PARAMS];
			const char *values[PG_MAX_PARAMS];
			int lengths[PG_MAX_PARAMS], formats[PG_MAX_PARAMS];
			for (size_t i = 0; i < s->n_params; i++) {
				types[i] = s->params[i].type;
				values[i] = batch_value_data(job->batch, &s->params[i]);
				lengths[i] = s->params[i].len;
				formats[i] = 1;
			}
			if (PQsendQueryParams(pg->conn, s->sql, (int)s->n_params, types, values,
				    lengths, formats, 1) == 0)
				return -1;
		}
		waiting = PQflush(pg->conn);
	}
	return waiting;
}

/* Takes the results that are there. */
static void pg_drain(struct pg *pg)
{
	bool after_null = false;
	while (pg->job.active && !PQisBusy(pg->conn)) {
		PGresult *res = PQgetResult(pg->conn);
		if (res != NULL) {
			after_null = false;
			if (!pg_take_result(pg, res))
				return;
		} else if (pg->job.batch == NULL) {
			pg->job.synced = true; /* a script ends so */
		} else if (after_null) {
			return; /* nothing more until more is sent */
		} else {
			after_null = true; /* the end of one statement's results */
		}
		if (pg->job.synced) {
			pg_job_done(pg);
			return;
		}
	}
	if (!pg->job.active) {
		/* Nobody asked: a message that the server is going away, once it is taken apart. */
		(void)PQisBusy(pg->conn);
		if (PQstatus(pg->conn) != CONNECTION_OK)
			pg_down(pg, -ECONNRESET, PQerrorMessage(pg->conn));
	}
}

/* Hands on the notifications that have come; libpq finds them among other answers. */
static void pg_take_notifies(struct pg *pg)
{
	PGnotify *notify;
	while (pg->conn != NULL && (notify = PQnotifies(pg->conn)) != NULL) {
		if (pg->callbacks.on_notify != NULL && pg->state != PG_SETUP)
			pg->callbacks.on_notify(pg, notify->extra, pg->arg);
		PQfreemem(notify);
	}
}

/* The socket of a set-up connection is readable or writable (or broken: libpq finds that out). */
static void on_poll(uv_poll_t *handle, int status, int events)
{
	struct pg *pg = pg_of_poll(handle);

	(void)status;
	if ((events & UV_READABLE) != 0 || status < 0) {
		if (PQconsumeInput(pg->conn) == 0) {
			/* What came before the end may hold the server's own words. */
			pg_drain(pg);
			if (pg->conn != NULL)
				pg_down(pg, -ECONNRESET, PQerrorMessage(pg->conn));
			return;
		}
	}
	pg_pump(pg);
	/* Still there: it is freed from the loop only. */
	pg_take_notifies(pg);
}

void pg_pump(struct pg *pg)
{
	int waiting = pg_send_some(pg);
	if (waiting < 0) {
		pg_down(pg, -ECONNRESET, PQerrorMessage(pg->conn));
		return;
	}
	int rc = pg_poll_set(pg, UV_READABLE | (waiting > 0 ? UV_WRITABLE : 0), on_poll);
	if (rc != 0) {
		pg_down(pg, -ECONNRESET, uv_strerror(rc));
		return;
	}
	pg_drain(pg);
}

/* The batch could not be sent at all. */
static void on_unsendable(uv_timer_t *timer)
{
	struct pg *pg = container_of(timer, struct pg, soon);
	struct pg_reply reply;
	reply_set(&reply, pg->job.batch->err, NULL);
	pg_set_state(pg, PG_IDLE);
	pg_finish_job(pg, &reply);
}

void pg_start_job(
	struct pg *pg, struct pg_batch *batch, const char *script, pg_done_fn cb, void *arg)
{
	assert(!pg->job.active);
	pg->job = (struct pg_job){.active = true, .batch = batch, .cb = cb, .arg = arg};
	if (batch != NULL && batch->err == 0 && batch->n == 0)
		batch->err = -EINVAL;
	if (batch != NULL && batch->err != 0) {
		uv_timer_start(&pg->soon, on_unsendable, 0, 0);
		return;
	}
	if (batch != NULL)
		pg->job.results = xcalloc(batch->n, sizeof(*pg->job.results));
	int ok = batch != NULL ? PQenterPipelineMode(pg->conn) : PQsendQuery(pg->conn, script);
	int waiting = ok != 0 ? pg_send_some(pg) : -1;
	int rc = waiting < 0
			 ? 0
			 : pg_poll_set(pg, UV_READABLE | (waiting > 0 ? UV_WRITABLE : 0), on_poll);
	if (waiting < 0 || rc != 0)
		pg_down(pg, -ECONNRESET, rc != 0 ? uv_strerror(rc) : PQerrorMessage(pg->conn));
}

void pg_run(struct pg *pg, struct pg_batch *batch, unsigned deadline_ms, pg_done_fn cb, void *arg)
{
	assert(deadline_ms > 0);
	pg_set_state(pg, PG_BUSY);
	pg_arm_deadline(pg, deadline_ms);
	pg_start_job(pg, batch, NULL, cb, arg);
}

void pg_run_script(struct pg *pg, const char *sql, unsigned deadline_ms, pg_done_fn cb, void *arg)
{
	assert(deadline_ms > 0);
	pg_set_state(pg, PG_BUSY);
	pg_arm_deadline(pg, deadline_ms);
	pg_start_job(pg, NULL, sql, cb, arg);
}
