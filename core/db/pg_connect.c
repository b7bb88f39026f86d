/*
 * Gets a connection from names to a session that is set up.
 *
 * Happy path: lookup (own module), PQconnectStartParams() with the addresses, then PQconnectPoll()
 * each time the socket is ready, then one batch of session settings, then on_ready.
 *
 * Traps met here: while connecting, libuv reports a refusal as an error of the poll handle, and
 * only PQconnectPoll() knows whether another host is left to try, so the callback's status is
 * ignored; libpq may close its socket and get the same number for the next one, so the watch is
 * dropped before each call and made anew after it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/log.h"
#include "core/db/pg_internal.h"

/* The server gets limits of its own, so that work we gave up on ends there as well. */
#define SETUP_SQL                                                                                  \
	"SELECT pg_catalog.set_config('statement_timeout', $1, false),"                            \
	" pg_catalog.set_config('lock_timeout', $2, false),"                                       \
	" pg_catalog.set_config('idle_in_transaction_session_timeout', $1, false),"                \
	" pg_catalog.set_config('search_path', 'pg_catalog', false),"                              \
	" pg_catalog.set_config('TimeZone', 'UTC', false)"
#define READ_ONLY_SQL                                                                              \
	"SELECT pg_catalog.pg_is_in_recovery()"                                                    \
	" OR pg_catalog.current_setting('transaction_read_only')::boolean"

/* libpq would print notices; they are of no interest but while hunting a bug. */
static void on_notice(void *arg, const char *message)
{
	char line[PG_MAX_MESSAGE];
	(void)arg;
	message_line(message, line, sizeof(line));
	log_debug(LOG_EV("db.notice"), LOG_STR("message", line));
}

/* The settings were answered. */
static void on_setup(const struct pg_reply *reply, void *arg)
{
	struct pg *pg = arg;
	if (pg->state != PG_SETUP)
		return; /* it broke, or is being closed: told elsewhere */
	if (reply->err != 0) {
		pg_down(pg, reply->err, reply->message);
		return;
	}
	pg->read_only = pg_get_bool(reply->results[1], 0, 0);
	pg_set_state(pg, PG_IDLE);
	pg->callbacks.on_ready(pg, pg->arg);
}

static void pg_setup(struct pg *pg)
{
	char statement_ms[16], lock_ms[16];

	pg_set_state(pg, PG_SETUP);
	if (PQsetnonblocking(pg->conn, 1) != 0) {
		pg_down(pg, -ECONNRESET, PQerrorMessage(pg->conn));
		return;
	}
	snprintf(statement_ms, sizeof(statement_ms), "%d", PG_STATEMENT_TIMEOUT_MS);
	snprintf(lock_ms, sizeof(lock_ms), "%d", PG_LOCK_TIMEOUT_MS);
	const struct pg_param params[] = {pg_text(statement_ms), pg_text(lock_ms)};
	struct pg_batch *batch = pg_batch_new();
	pg_batch_add(batch, SETUP_SQL, params, ARRAY_LEN(params));
	pg_batch_add(batch, READ_ONLY_SQL, NULL, 0);
	pg_start_job(pg, batch, NULL, on_setup, pg);
}

/* libpq puts what it was about first ("connection to server at … failed: "), so the line is kept.
 */
static void pg_connect_failed(struct pg *pg)
{
	pg_down(pg, -ECONNRESET, PQerrorMessage(pg->conn));
}

static void on_connect_poll(uv_poll_t *handle, int status, int events);

static void pg_connect_wait(struct pg *pg, int events)
{
	int rc = pg_poll_set(pg, events, on_connect_poll);
	if (rc != 0)
		pg_down(pg, -ECONNRESET, uv_strerror(rc));
}

/* The socket of a connection that is being made is ready, or failed: PQconnectPoll() finds out. */
static void on_connect_poll(uv_poll_t *handle, int status, int events)
{
	struct pg *pg = pg_of_poll(handle);

	(void)status;
	(void)events;
	pg_poll_drop(pg);
	switch (PQconnectPoll(pg->conn)) {
	case PGRES_POLLING_READING:
		pg_connect_wait(pg, UV_READABLE);
		break;
	case PGRES_POLLING_WRITING:
		pg_connect_wait(pg, UV_WRITABLE);
		break;
	case PGRES_POLLING_OK:
		pg_setup(pg);
		break;
	default:
		pg_connect_failed(pg);
		break;
	}
}

/* Starts with another address than the attempt before did. */
static void rotate(
	struct conninfo_address *out, const struct conninfo_address *in, size_t n, unsigned by)
{
	for (size_t i = 0; i < n; i++)
		out[i] = in[(i + by) % n];
}

/* The addresses of the hosts are known, or that there are none. */
static void on_lookup(
	const struct err *err, const struct conninfo_address *addresses, size_t n, void *arg)
{
	struct pg *pg = arg;
	struct conninfo_address rotated[CONNINFO_MAX_ADDRESSES];
	struct conninfo_params params;

	pg->lookup = NULL;
	if (pg->state != PG_LOOKUP) {
		pg_handle_closed(pg);
		return;
	}
	pg->n_handles--; /* the timers are still there */
	if (err->code != 0) {
		pg_down(pg, -ECONNRESET, err->msg);
		return;
	}
	pg_set_state(pg, PG_CONNECTING);
	rotate(rotated, addresses, n, pg->attempt);
	conninfo_params_init(&params, pg->info, rotated, n);
	pg->conn = PQconnectStartParams(params.keywords, params.values, 0);
	conninfo_params_fini(&params);
	if (pg->conn == NULL) {
		pg_down(pg, -ENOMEM, "out of memory");
		return;
	}
	PQsetNoticeProcessor(pg->conn, on_notice, NULL);
	if (PQstatus(pg->conn) == CONNECTION_BAD) {
		pg_connect_failed(pg);
		return;
	}
	pg_connect_wait(pg, UV_WRITABLE);
}

void pg_connect(struct pg *pg)
{
	pg_arm_deadline(pg, PG_CONNECT_TIMEOUT_MS);
	pg->n_handles++; /* the lookup */
	pg->lookup = lookup_start(pg->loop, pg->info, on_lookup, pg);
}
