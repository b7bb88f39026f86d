/*
 * A JSON writer (RFC 8259) onto a struct buf. It puts the commas; the caller opens and closes in
 * pairs and names keys inside objects. Invalid UTF-8 in text becomes U+FFFD, so the result is
 * always valid JSON. Errors are those of the buffer: check buf_err() at the end.
 */
#ifndef OPS_BASE_JSON_H
#define OPS_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"

#define JSON_MAX_DEPTH 16

struct json {
	struct buf *buf;
	unsigned depth;
	bool has_items[JSON_MAX_DEPTH + 1];
	bool after_key;
};

void json_init(struct json *json, struct buf *buf);

void json_open_object(struct json *json);
void json_close_object(struct json *json);
void json_open_array(struct json *json);
void json_close_array(struct json *json);
/* The next value's name. */
void json_key(struct json *json, const char *key);

void json_str(struct json *json, const char *s); /* NULL writes null */
void json_strn(struct json *json, const void *s, size_t n);
void json_int(struct json *json, int64_t v);
void json_uint(struct json *json, uint64_t v);
void json_bool(struct json *json, bool v);
void json_nil(struct json *json); /* writes null; the plain name is jansson's */
/* A piece of JSON text that is already valid, copied as it is. */
void json_raw(struct json *json, const void *text, size_t n);

/* key and value in one go */
void json_kv_str(struct json *json, const char *key, const char *s);
void json_kv_int(struct json *json, const char *key, int64_t v);
void json_kv_uint(struct json *json, const char *key, uint64_t v);
void json_kv_bool(struct json *json, const char *key, bool v);
void json_kv_null(struct json *json, const char *key);

#endif
