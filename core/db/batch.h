/*
 * What is sent to PostgreSQL in one go: statements with parameters, executed in order as one
 * transaction (one pipeline, one round trip). The first statement that fails undoes all of them.
 *
 * Values are always parameters, never part of the SQL text. SQL texts are constants of ours and are
 * not copied; parameters are, but for those of pg_bytes_ref().
 */
#ifndef OPS_CORE_DB_BATCH_H
#define OPS_CORE_DB_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/mem.h"
#include "core/base/uuid.h"

#define PG_MAX_STATEMENTS 128	      /* of one batch */
#define PG_MAX_PARAMS 24	      /* of one statement */
#define PG_MAX_BATCH_BYTES (8u << 20) /* of parameters, copied ones and others */

/* One value. Make it with the functions below; those that point elsewhere must stay valid until
 * pg_batch_add() returns. The SQL sees the type that is named. */
struct pg_param {
	uint32_t type; /* OID */
	int32_t len;   /* -1: NULL */
	bool by_ref;   /* not copied: lives as long as the batch */
	uint8_t num[8];
	const void *data; /* NULL: num */
};

struct pg_param pg_null(void);			      /* NULL of a type the server infers */
struct pg_param pg_text(const char *s);		      /* text; NULL is SQL NULL */
struct pg_param pg_textn(const void *s, size_t n);    /* text, valid UTF-8 without NUL */
struct pg_param pg_bytes(const void *data, size_t n); /* bytea */
struct pg_param pg_i64(int64_t v);		      /* bigint */
struct pg_param pg_u64(uint64_t v);		      /* bigint; above INT64_MAX: INT64_MAX */
struct pg_param pg_i32(int32_t v);		      /* integer */
struct pg_param pg_bool(bool v);
struct pg_param pg_uuid(const struct uuid *uuid);
/* bytea that is not copied: data must live as long as the batch, for example in a block handed to
 * pg_batch_adopt(). */
struct pg_param pg_bytes_ref(const void *data, size_t n);

struct pg_batch;

/* An empty batch. */
struct pg_batch *pg_batch_new(void);
/* Frees it and what it adopted. NULL is fine. */
void pg_batch_free(struct pg_batch *batch);
/* Appends a statement (one SQL command without a semicolon, $1… for the parameters). More than the
 * maxima above, or no memory, makes the batch unusable: it answers -E2BIG or -ENOMEM when run, so
 * callers need not check here. */
void pg_batch_add(
	struct pg_batch *batch, const char *sql, const struct pg_param *params, size_t n_params);
/* The batch frees this heap block when it is freed itself. At most one block a batch. */
void pg_batch_adopt(struct pg_batch *batch, void *block);
/* A batch of this one statement. */
struct pg_batch *pg_batch_one(const char *sql, const struct pg_param *params, size_t n_params);

#endif
