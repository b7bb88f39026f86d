/* What the modules of core/db share and nobody else includes. */
#ifndef OPS_CORE_DB_INTERNAL_H
#define OPS_CORE_DB_INTERNAL_H

#include <libpq-fe.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/db/batch.h"
#include "core/db/result.h"

/* pg_type.dat of PostgreSQL: these never change. */
#define PG_OID_BOOL 16
#define PG_OID_BYTEA 17
#define PG_OID_INT8 20
#define PG_OID_INT4 23
#define PG_OID_TEXT 25
#define PG_OID_UUID 2950

struct batch_value {
	uint32_t type;
	int32_t len;	 /* -1: NULL */
	const void *ref; /* not copied; NULL: at offset in copies */
	size_t offset;
};

struct batch_statement {
	const char *sql;
	struct batch_value *params;
	size_t n_params;
};

struct pg_batch {
	struct batch_statement *statements;
	size_t n, cap;
	size_t bytes; /* of all values */
	struct buf copies;
	void *block;   /* adopted */
	int err;       /* 0, -E2BIG or -ENOMEM */
	unsigned refs; /* pg_batch_free() that must still come */
};

/* Another one who will call pg_batch_free(). */
struct pg_batch *pg_batch_ref(struct pg_batch *batch);

/* Where the bytes of a value are now; NULL for SQL NULL. */
const void *batch_value_data(const struct pg_batch *batch, const struct batch_value *value);

/* A PGresult is the struct pg_result that others see. */
static inline const struct pg_result *result_of(const PGresult *res)
{
	return (const struct pg_result *)(const void *)res;
}

/* A reply without results: err, and the text for a person (NULL: one that says what err means). */
void reply_set(struct pg_reply *reply, int err, const char *message);
/* The reply to a statement that the server refused. */
void reply_set_refused(struct pg_reply *reply, const PGresult *res);
/* The first line of a libpq message, without white space at the end, into out. */
void message_line(const char *message, char *out, size_t cap);

#endif
