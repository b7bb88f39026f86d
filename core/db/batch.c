#include "core/db/batch.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/db/internal.h"

static struct pg_param param_of(uint32_t type, const void *data, size_t n)
{
	/* Longer than any batch may be: pg_batch_add() refuses it by its length. */
	int32_t len = n > INT32_MAX ? INT32_MAX : (int32_t)n;
	return (struct pg_param){.type = type, .len = len, .data = data};
}

static struct pg_param param_of_num(uint32_t type, uint64_t v, size_t n)
{
	struct pg_param param = {.type = type, .len = (int32_t)n};
	for (size_t i = 0; i < n; i++)
		param.num[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
	return param;
}

struct pg_param pg_null(void)
{
	return (struct pg_param){.len = -1};
}

struct pg_param pg_text(const char *s)
{
	if (s == NULL)
		return (struct pg_param){.type = PG_OID_TEXT, .len = -1};
	return param_of(PG_OID_TEXT, s, strlen(s));
}

struct pg_param pg_textn(const void *s, size_t n)
{
	return param_of(PG_OID_TEXT, n > 0 ? s : "", n);
}

struct pg_param pg_bytes(const void *data, size_t n)
{
	return param_of(PG_OID_BYTEA, n > 0 ? data : "", n);
}

struct pg_param pg_bytes_ref(const void *data, size_t n)
{
	struct pg_param param = pg_bytes(data, n);
	param.by_ref = true;
	return param;
}

struct pg_param pg_i64(int64_t v)
{
	return param_of_num(PG_OID_INT8, (uint64_t)v, 8);
}

struct pg_param pg_u64(uint64_t v)
{
	return param_of_num(PG_OID_INT8, v > INT64_MAX ? INT64_MAX : v, 8);
}

struct pg_param pg_i32(int32_t v)
{
	return param_of_num(PG_OID_INT4, (uint32_t)v, 4);
}

struct pg_param pg_bool(bool v)
{
	return param_of_num(PG_OID_BOOL, v, 1);
}

struct pg_param pg_uuid(const struct uuid *uuid)
{
	return param_of(PG_OID_UUID, uuid->bytes, sizeof(uuid->bytes));
}

struct pg_batch *pg_batch_new(void)
{
	struct pg_batch *batch = xcalloc(1, sizeof(*batch));
	buf_init(&batch->copies, PG_MAX_BATCH_BYTES);
	batch->refs = 1;
	return batch;
}

struct pg_batch *pg_batch_ref(struct pg_batch *batch)
{
	batch->refs++;
	return batch;
}

void pg_batch_free(struct pg_batch *batch)
{
	if (batch == NULL || --batch->refs > 0)
		return;
	for (size_t i = 0; i < batch->n; i++)
		free(batch->statements[i].params);
	free(batch->statements);
	buf_fini(&batch->copies);
	free(batch->block);
	free(batch);
}

void pg_batch_adopt(struct pg_batch *batch, void *block)
{
	assert(batch->block == NULL);
	batch->block = block;
}

static int batch_fail(struct pg_batch *batch, int err)
{
	if (batch->err == 0)
		batch->err = err;
	return err;
}

/* Copies move when the buffer grows, so what was copied is kept as an offset until it is sent. */
static int batch_keep(
	struct pg_batch *batch, const struct pg_param *param, struct batch_value *value)
{
	value->type = param->type;
	value->len = param->len;
	if (param->len < 0)
		return 0;
	batch->bytes += (size_t)param->len;
	if (batch->bytes > PG_MAX_BATCH_BYTES)
		return -E2BIG;
	if (param->by_ref) {
		value->ref = param->data;
		return 0;
	}
	value->offset = batch->copies.len;
	buf_append(
		&batch->copies, param->data != NULL ? param->data : param->num, (size_t)param->len);
	return buf_err(&batch->copies) == -EMSGSIZE ? -E2BIG : buf_err(&batch->copies);
}

void pg_batch_add(
	struct pg_batch *batch, const char *sql, const struct pg_param *params, size_t n_params)
{
	if (batch->err != 0)
		return;
	if (batch->n == PG_MAX_STATEMENTS || n_params > PG_MAX_PARAMS) {
		batch_fail(batch, -E2BIG);
		return;
	}
	if (batch->n == batch->cap) {
		size_t cap = batch->cap == 0 ? 4 : batch->cap * 2;
		struct batch_statement *grown =
			realloc(batch->statements, cap * sizeof(*batch->statements));
		if (grown == NULL) {
			batch_fail(batch, -ENOMEM);
			return;
		}
		batch->statements = grown;
		batch->cap = cap;
	}
	struct batch_statement *statement = &batch->statements[batch->n++];
	*statement = (struct batch_statement){.sql = sql, .n_params = n_params};
	if (n_params > 0)
		statement->params = xcalloc(n_params, sizeof(*statement->params));
	for (size_t i = 0; i < n_params; i++) {
		int err = batch_keep(batch, &params[i], &statement->params[i]);
		if (err != 0) {
			batch_fail(batch, err);
			return;
		}
	}
}

struct pg_batch *pg_batch_one(const char *sql, const struct pg_param *params, size_t n_params)
{
	struct pg_batch *batch = pg_batch_new();
	pg_batch_add(batch, sql, params, n_params);
	return batch;
}

const void *batch_value_data(const struct pg_batch *batch, const struct batch_value *value)
{
	if (value->len < 0)
		return NULL;
	/* libpq takes a NULL pointer for SQL NULL, so an empty value needs one too. */
	if (value->len == 0)
		return "";
	return value->ref != NULL ? value->ref : batch->copies.data + value->offset;
}
