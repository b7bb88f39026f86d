/*
 * What PostgreSQL answered. Replies and results belong to the connection and are valid during the
 * callback that brings them.
 */
#ifndef OPS_CORE_DB_RESULT_H
#define OPS_CORE_DB_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/mem.h"
#include "core/base/uuid.h"

#define PG_MAX_MESSAGE 256

/* Bytes inside a result; text is not NUL-terminated. */
struct pg_bytes_view {
	const uint8_t *data;
	size_t len;
};

struct pg_result;

/*
 * err: 0, or
 *	-EREMOTEIO	the server refused: sqlstate and message say why; nothing was changed
 *	-ECONNRESET	the connection broke while the answer was awaited: it may be committed or
 *not -ETIMEDOUT	the deadline passed; if it had been sent, it may be committed or not
 *	-ENOTCONN	there is no connection; nothing was sent
 *	-ENOBUFS	too many wait; nothing was sent
 *	-E2BIG, -ENOMEM	the batch was too large; nothing was sent
 *	-ECANCELED	the pool is closing; it may be committed or not
 */
struct pg_reply {
	int err;
	char sqlstate[6];	      /* of -EREMOTEIO; "" otherwise */
	char message[PG_MAX_MESSAGE]; /* for a person, one line; "" when err is 0 */
	size_t n_results;	      /* one per statement when err is 0, else 0 */
	const struct pg_result *const *results;
};

/* Whether the same batch may well succeed later although nothing about it changes: serialization
 * failure, deadlock, no connection, shutdown, read-only server, no room, timeout. */
bool pg_reply_is_temporary(const struct pg_reply *reply);
/* Whether the server said that it takes no writes (a standby, or default_transaction_read_only). */
bool pg_reply_is_read_only(const struct pg_reply *reply);

size_t pg_rows(const struct pg_result *result);
/* Rows inserted, updated or deleted by a statement that returns none. */
uint64_t pg_affected(const struct pg_result *result);
bool pg_is_null(const struct pg_result *result, size_t row, size_t col);
/* Getters abort when the column has another type (our SQL names its types) and return 0, false or
 * no bytes for NULL. */
int64_t pg_get_i64(const struct pg_result *result, size_t row, size_t col); /* bigint, integer */
bool pg_get_bool(const struct pg_result *result, size_t row, size_t col);
struct pg_bytes_view pg_get_bytes(const struct pg_result *result, size_t row, size_t col);
struct pg_bytes_view pg_get_text(const struct pg_result *result, size_t row, size_t col);
struct uuid pg_get_uuid(const struct pg_result *result, size_t row, size_t col);

#endif
