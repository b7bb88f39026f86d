#include "core/base/json.h"

#include <assert.h>
#include <string.h>

#include "core/base/utf8.h"

void json_init(struct json *json, struct buf *buf)
{
	*json = (struct json){.buf = buf};
}

static void before_value(struct json *json)
{
	if (json->after_key) {
		json->after_key = false;
		return;
	}
	if (json->has_items[json->depth])
		buf_append_byte(json->buf, ',');
	json->has_items[json->depth] = true;
}

static void open_with(struct json *json, uint8_t c)
{
	before_value(json);
	buf_append_byte(json->buf, c);
	assert(json->depth < JSON_MAX_DEPTH);
	json->has_items[++json->depth] = false;
}

static void close_with(struct json *json, uint8_t c)
{
	assert(json->depth > 0 && !json->after_key);
	json->depth--;
	buf_append_byte(json->buf, c);
}

void json_open_object(struct json *json)
{
	open_with(json, '{');
}

void json_close_object(struct json *json)
{
	close_with(json, '}');
}

void json_open_array(struct json *json)
{
	open_with(json, '[');
}

void json_close_array(struct json *json)
{
	close_with(json, ']');
}

/* Printable ASCII that stands for itself. */
static bool is_plain(uint8_t c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void write_text(struct buf *buf, const uint8_t *p, size_t n)
{
	size_t plain = 0; /* start of what can be copied as it is */
	size_t at = 0;

	buf_append_byte(buf, '"');
	while (at < n) {
		size_t len;

		if (is_plain(p[at])) {
			at++;
			continue;
		}
		len = utf8_sequence(p + at, n - at);
		if (len > 1) {
			at += len;
			continue;
		}
		buf_append(buf, p + plain, at - plain);
		if (len == 0)
			buf_append_str(buf, "\xef\xbf\xbd");
		else if (p[at] == '"' || p[at] == '\\')
			buf_printf(buf, "\\%c", p[at]);
		else if (p[at] == '\n')
			buf_append_str(buf, "\\n");
		else
			buf_printf(buf, "\\u%04x", p[at]);
		plain = ++at;
	}
	buf_append(buf, p + plain, n - plain);
	buf_append_byte(buf, '"');
}

void json_key(struct json *json, const char *key)
{
	assert(!json->after_key);
	before_value(json);
	write_text(json->buf, (const uint8_t *)key, strlen(key));
	buf_append_byte(json->buf, ':');
	json->after_key = true;
}

void json_strn(struct json *json, const void *s, size_t n)
{
	before_value(json);
	write_text(json->buf, s, n);
}

void json_str(struct json *json, const char *s)
{
	if (s == NULL)
		json_nil(json);
	else
		json_strn(json, s, strlen(s));
}

void json_int(struct json *json, int64_t v)
{
	before_value(json);
	buf_append_int(json->buf, v);
}

void json_uint(struct json *json, uint64_t v)
{
	before_value(json);
	buf_append_uint(json->buf, v);
}

void json_bool(struct json *json, bool v)
{
	before_value(json);
	buf_append_str(json->buf, v ? "true" : "false");
}

void json_nil(struct json *json)
{
	before_value(json);
	buf_append_str(json->buf, "null");
}

void json_raw(struct json *json, const void *text, size_t n)
{
	before_value(json);
	buf_append(json->buf, text, n);
}

void json_kv_str(struct json *json, const char *key, const char *s)
{
	json_key(json, key);
	json_str(json, s);
}

void json_kv_int(struct json *json, const char *key, int64_t v)
{
	json_key(json, key);
	json_int(json, v);
}

void json_kv_uint(struct json *json, const char *key, uint64_t v)
{
	json_key(json, key);
	json_uint(json, v);
}

void json_kv_bool(struct json *json, const char *key, bool v)
{
	json_key(json, key);
	json_bool(json, v);
}

void json_kv_null(struct json *json, const char *key)
{
	json_key(json, key);
	json_nil(json);
}
