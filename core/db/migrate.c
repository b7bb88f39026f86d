/*
 * Owns nothing but a timer; borrows an idle connection until it is done.
 *
 * Happy path: TABLE (is there an ops.migrations?) → APPLIED (read it). Nothing to do: done, without
 * having asked for a lock or written anything, so that a read-only server is fine. Else LOCK (try,
 * again and again: a waiting statement would hold a snapshot), read again, then APPLY one after the
 * other, each a transaction that ends with its own row in ops.migrations, then UNLOCK.
 *
 * Failure modes: another's migrations (a newer program's, or changed ones) end it before anything
 * is written. A statement that fails undoes its migration; those before it stay. The lock is the
 * session's: whoever started us closes the connection after an error, which gives the lock back.
 */
#include "core/db/migrate.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/crypto.h"
#include "core/base/hex.h"

#define MIGRATE_QUERY_MS 15000
#define MIGRATE_LOCK_AGAIN_MS 250
/* "ops" and "migr" in ASCII: any constant that nobody else uses in this database. */
#define MIGRATE_LOCK_SQL "SELECT pg_catalog.pg_try_advisory_lock(x'6f70736d69677200'::bigint)"
#define MIGRATE_UNLOCK_SQL "SELECT pg_catalog.pg_advisory_unlock(x'6f70736d69677200'::bigint)"
#define MIGRATE_TABLE_SQL "SELECT pg_catalog.to_regclass('ops.migrations') IS NOT NULL"
#define MIGRATE_APPLIED_SQL                                                                        \
	"SELECT number::integer, name::text, checksum::text, suits::text FROM ops.migrations"      \
	" ORDER BY number"

struct migrate {
	struct pg *pg;
	uv_timer_t timer; /* the next try for the lock */
	unsigned waited_ms;
	bool running; /* a query is out */
	bool cancelled;
	bool locked;
	int at; /* number of applied ones that are ours */
	int applied;
	char *script;
	struct err err;
	migrate_done_fn cb;
	void *arg;
};

static void on_lock_time(uv_timer_t *timer);

static void on_timer_closed(uv_handle_t *handle)
{
	struct migrate *m = container_of((uv_timer_t *)handle, struct migrate, timer);
	if (!m->cancelled)
		m->cb(&m->err, m->applied, m->arg);
	free(m->script);
	free(m);
}

static void migrate_end(struct migrate *m)
{
	uv_close((uv_handle_t *)&m->timer, on_timer_closed);
}

/* Every answer comes here first. False when it is the end, because of an error or a cancel. */
static bool migrate_goes_on(struct migrate *m, const struct pg_reply *reply, const char *what)
{
	m->running = false;
	if (reply->err == 0 && !m->cancelled)
		return true;
	err_set(&m->err, reply->err, "%s: %s", what, reply->message);
	migrate_end(m);
	return false;
}

static void migrate_query(struct migrate *m, const char *sql, pg_done_fn cb)
{
	m->running = true;
	pg_run(m->pg, pg_batch_one(sql, NULL, 0), MIGRATE_QUERY_MS, cb, m);
}

int migrate_version_at_least(const char *a, const char *b, bool *ret_yes)
{
	unsigned va[3], vb[3];
	char rest;
	if (sscanf(a, "%u.%u.%u%c", &va[0], &va[1], &va[2], &rest) != 3 ||
		sscanf(b, "%u.%u.%u%c", &vb[0], &vb[1], &vb[2], &rest) != 3)
		return -EINVAL;
	for (size_t i = 0; i < 3; i++) {
		if (va[i] != vb[i]) {
			*ret_yes = va[i] > vb[i];
			return 0;
		}
	}
	*ret_yes = true;
	return 0;
}

void migrate_checksum(const struct migration *migration, char out[65])
{
	uint8_t digest[CRYPTO_SHA256_BYTES];
	crypto_sha256(migration->sql, strlen(migration->sql), digest);
	hex_encode(digest, sizeof(digest), out);
}

int migrate_check(const struct migration *ours, const struct migrate_row *row, const char *program,
	struct err *err)
{
	char checksum[65];
	bool suits = false;

	if (ours->number != 0) {
		migrate_checksum(ours, checksum);
		if (row->number == ours->number && strcmp(row->name, ours->name) == 0 &&
			strcmp(row->checksum, checksum) == 0)
			return 0;
		return err_set(err, -EINVAL,
			"the database's migration %04d '%s' is not the '%s' of this program: "
			"is this the database of another Ops Dashboard?",
			row->number, row->name, ours->name);
	}
	if (migrate_version_at_least(program, row->suits, &suits) == 0 && suits)
		return 0;
	return err_set(err, -EINVAL,
		"the database is newer than this program: its migration '%s' needs Ops Dashboard "
		"%s "
		"or later, this is %s",
		row->name, row->suits, program);
}

static void copy_text(const struct pg_result *result, size_t row, size_t col, char *out, size_t cap)
{
	struct pg_bytes_view view = pg_get_text(result, row, col);
	snprintf(out, cap, "%.*s", (int)view.len, (const char *)view.data);
}

/* How many of ours are applied, or that the database does not suit. */
static int migrate_compare(struct migrate *m, const struct pg_result *result)
{
	const struct migration *ours = migrate_all();
	m->at = 0;
	for (size_t i = 0; i < pg_rows(result); i++) {
		struct migrate_row row = {.number = (int)pg_get_i64(result, i, 0)};
		copy_text(result, i, 1, row.name, sizeof(row.name));
		copy_text(result, i, 2, row.checksum, sizeof(row.checksum));
		copy_text(result, i, 3, row.suits, sizeof(row.suits));
		int rc = migrate_check(&ours[m->at], &row, OPS_VERSION, &m->err);
		if (rc != 0)
			return rc;
		m->at += ours[m->at].number != 0;
	}
	return 0;
}

/* The lock was given back. */
static void on_unlocked(const struct pg_reply *reply, void *arg)
{
	struct migrate *m = arg;
	if (!migrate_goes_on(m, reply, "cannot end the migrations"))
		return;
	migrate_end(m);
}

static void migrate_next(struct migrate *m);

/* One migration has run. */
static void on_applied(const struct pg_reply *reply, void *arg)
{
	struct migrate *m = arg;
	char what[128];
	snprintf(what, sizeof(what), "migration %s failed", migrate_all()[m->at].name);
	if (!migrate_goes_on(m, reply, what))
		return;
	m->at++;
	m->applied++;
	migrate_next(m);
}

static void migrate_next(struct migrate *m)
{
	const struct migration *next = &migrate_all()[m->at];
	char checksum[65];

	if (next->number == 0) {
		migrate_query(m, MIGRATE_UNLOCK_SQL, on_unlocked);
		return;
	}
	migrate_checksum(next, checksum);
	free(m->script);
	/* Names, versions and digests of ours hold no quote: the build checks the first two. */
	m->script = xasprintf("SET LOCAL statement_timeout = %d;\n%s\n;"
			      "INSERT INTO ops.migrations (number, name, checksum, suits, program)"
			      " VALUES (%d, '%s', '%s', '%s', '%s')",
		MIGRATE_DEADLINE_MS, next->sql, next->number, next->name, checksum, next->suits,
		OPS_VERSION);
	m->running = true;
	pg_run_script(m->pg, m->script, MIGRATE_DEADLINE_MS, on_applied, m);
}

/* ops.migrations was read. */
static void on_read(const struct pg_reply *reply, void *arg)
{
	struct migrate *m = arg;
	if (!migrate_goes_on(m, reply, "cannot read ops.migrations"))
		return;
	if (migrate_compare(m, reply->results[0]) != 0) {
		migrate_end(m);
		return;
	}
	if (m->locked)
		migrate_next(m);
	else if (migrate_all()[m->at].number == 0)
		migrate_end(m);
	else
		uv_timer_start(&m->timer, on_lock_time, 0, 0);
}

/* Whether there is an ops.migrations is known. */
static void on_table(const struct pg_reply *reply, void *arg)
{
	struct migrate *m = arg;
	if (!migrate_goes_on(m, reply, "cannot look for ops.migrations"))
		return;
	if (pg_get_bool(reply->results[0], 0, 0)) {
		migrate_query(m, MIGRATE_APPLIED_SQL, on_read);
		return;
	}
	m->at = 0;
	if (m->locked)
		migrate_next(m);
	else
		uv_timer_start(&m->timer, on_lock_time, 0, 0);
}

static void migrate_read(struct migrate *m)
{
	migrate_query(m, MIGRATE_TABLE_SQL, on_table);
}

/* The lock was asked for. */
static void on_lock(const struct pg_reply *reply, void *arg)
{
	struct migrate *m = arg;
	if (!migrate_goes_on(m, reply, "cannot ask for the migrations' lock"))
		return;
	m->locked = pg_get_bool(reply->results[0], 0, 0);
	if (m->locked) {
		migrate_read(m); /* another dashboard may have done it meanwhile */
		return;
	}
	m->waited_ms += MIGRATE_LOCK_AGAIN_MS;
	if (m->waited_ms > MIGRATE_LOCK_WAIT_MS) {
		err_set(&m->err, -EBUSY,
			"another dashboard has been migrating this database for "
			"more than %d s",
			MIGRATE_LOCK_WAIT_MS / 1000);
		migrate_end(m);
		return;
	}
	uv_timer_start(&m->timer, on_lock_time, MIGRATE_LOCK_AGAIN_MS, 0);
}

/* Time to try for the lock. */
static void on_lock_time(uv_timer_t *timer)
{
	struct migrate *m = container_of(timer, struct migrate, timer);
	if (!pg_is_idle(m->pg)) {
		err_set(&m->err, -ECONNRESET, "the connection to PostgreSQL broke");
		migrate_end(m);
		return;
	}
	migrate_query(m, MIGRATE_LOCK_SQL, on_lock);
}

struct migrate *migrate_start(uv_loop_t *loop, struct pg *pg, migrate_done_fn cb, void *arg)
{
	struct migrate *m = xcalloc(1, sizeof(*m));
	m->pg = pg;
	m->cb = cb;
	m->arg = arg;
	uv_timer_init(loop, &m->timer);
	migrate_read(m);
	return m;
}

void migrate_cancel(struct migrate *m)
{
	m->cancelled = true;
	/* A query that is out is answered when the connection is closed. */
	if (!m->running && !uv_is_closing((uv_handle_t *)&m->timer))
		migrate_end(m);
}
