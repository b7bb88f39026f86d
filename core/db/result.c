#include "core/db/result.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/db/internal.h"

/* 25006: read_only_sql_transaction */
#define SQLSTATE_READ_ONLY "25006"

static const PGresult *pg_res(const struct pg_result *result)
{
	return (const PGresult *)(const void *)result;
}

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* Classes and codes of appendix A of PostgreSQL's manual. */
static bool sqlstate_is_temporary(const char *sqlstate)
{
	static const char *const prefixes[] = {
		"08", /* connection exceptions */
		"40", /* transaction rollback: serialization failure, deadlock */
		"53", /* insufficient resources: disk full, out of memory, too many connections */
		"57", /* operator intervention: shutdown, cannot connect now, query canceled */
		"58030", /* I/O error */
		"55P03", /* lock not available */
		"55006", /* object in use */
		"25P0",	 /* idle-in-transaction and transaction timeouts, failed transaction */
		SQLSTATE_READ_ONLY,
	};
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (starts_with(sqlstate, prefixes[i]))
			return true;
	return false;
}

bool pg_reply_is_temporary(const struct pg_reply *reply)
{
	switch (reply->err) {
	case -EREMOTEIO:
		return sqlstate_is_temporary(reply->sqlstate);
	case -ECONNRESET:
	case -ETIMEDOUT:
	case -ENOTCONN:
	case -ENOBUFS:
	case -ENOMEM:
		return true;
	default:
		return false;
	}
}

bool pg_reply_is_read_only(const struct pg_reply *reply)
{
	return reply->err == -EREMOTEIO && strcmp(reply->sqlstate, SQLSTATE_READ_ONLY) == 0;
}

size_t pg_rows(const struct pg_result *result)
{
	return (size_t)PQntuples(pg_res(result));
}

uint64_t pg_affected(const struct pg_result *result)
{
	/* PQcmdTuples() takes a non-const pointer but only reads. */
	const char *text = PQcmdTuples((PGresult *)(uintptr_t)(const void *)result);
	return strtoull(text, NULL, 10);
}

bool pg_is_null(const struct pg_result *result, size_t row, size_t col)
{
	return PQgetisnull(pg_res(result), (int)row, (int)col) != 0;
}

static const uint8_t *value_of(
	const struct pg_result *result, size_t row, size_t col, uint32_t type, size_t *ret_len)
{
	assert(row < pg_rows(result) && (int)col < PQnfields(pg_res(result)));
	assert(PQfformat(pg_res(result), (int)col) == 1);
	assert(PQftype(pg_res(result), (int)col) == type);
	*ret_len = (size_t)PQgetlength(pg_res(result), (int)row, (int)col);
	return (const uint8_t *)PQgetvalue(pg_res(result), (int)row, (int)col);
}

static uint64_t big_endian(const uint8_t *data, size_t n)
{
	uint64_t v = 0;
	for (size_t i = 0; i < n; i++)
		v = v << 8 | data[i];
	return v;
}

int64_t pg_get_i64(const struct pg_result *result, size_t row, size_t col)
{
	size_t len;
	if (PQftype(pg_res(result), (int)col) == PG_OID_INT4) {
		const uint8_t *data = value_of(result, row, col, PG_OID_INT4, &len);
		return len == 4 ? (int32_t)big_endian(data, 4) : 0;
	}
	const uint8_t *data = value_of(result, row, col, PG_OID_INT8, &len);
	return len == 8 ? (int64_t)big_endian(data, 8) : 0;
}

bool pg_get_bool(const struct pg_result *result, size_t row, size_t col)
{
	size_t len;
	const uint8_t *data = value_of(result, row, col, PG_OID_BOOL, &len);
	return len == 1 && data[0] != 0;
}

static struct pg_bytes_view view_of(
	const struct pg_result *result, size_t row, size_t col, uint32_t type)
{
	struct pg_bytes_view view;
	view.data = value_of(result, row, col, type, &view.len);
	return view;
}

struct pg_bytes_view pg_get_bytes(const struct pg_result *result, size_t row, size_t col)
{
	return view_of(result, row, col, PG_OID_BYTEA);
}

struct pg_bytes_view pg_get_text(const struct pg_result *result, size_t row, size_t col)
{
	return view_of(result, row, col, PG_OID_TEXT);
}

struct uuid pg_get_uuid(const struct pg_result *result, size_t row, size_t col)
{
	struct pg_bytes_view view = view_of(result, row, col, PG_OID_UUID);
	struct uuid uuid = {0};
	if (view.len == sizeof(uuid.bytes))
		memcpy(uuid.bytes, view.data, sizeof(uuid.bytes));
	return uuid;
}

void message_line(const char *message, char *out, size_t cap)
{
	size_t n = strcspn(message, "\r\n");
	while (n > 0 && (message[n - 1] == ' ' || message[n - 1] == '\t'))
		n--;
	snprintf(out, cap, "%.*s", (int)n, message);
}

static const char *meaning_of(int err)
{
	switch (err) {
	case 0:
		return "";
	case -ECONNRESET:
		return "the connection to PostgreSQL broke";
	case -ETIMEDOUT:
		return "PostgreSQL did not answer in time";
	case -ENOTCONN:
		return "there is no connection to PostgreSQL";
	case -ENOBUFS:
		return "too many queries wait for PostgreSQL";
	case -E2BIG:
		return "the query is too large";
	case -ENOMEM:
		return "out of memory";
	case -ECANCELED:
		return "the connection to PostgreSQL is being closed";
	default:
		return strerror(-err);
	}
}

void reply_set(struct pg_reply *reply, int err, const char *message)
{
	*reply = (struct pg_reply){.err = err};
	message_line(message != NULL ? message : meaning_of(err), reply->message,
		sizeof(reply->message));
}

void reply_set_refused(struct pg_reply *reply, const PGresult *res)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *primary = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	if (primary == NULL)
		primary = PQresultErrorMessage(res);
	*reply = (struct pg_reply){.err = -EREMOTEIO};
	snprintf(reply->sqlstate, sizeof(reply->sqlstate), "%s", state != NULL ? state : "");
	message_line(primary, reply->message, sizeof(reply->message));
}
