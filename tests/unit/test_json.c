#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"

/* What was written, as a text; also read by a parser of another origin. */
static char *take(struct buf *buf)
{
	json_error_t error;
	json_t *value = json_loadb((const char *)buf->data, buf->len,
		JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);

	if (value == NULL)
		fail_msg("%s in %.*s", error.text, (int)buf->len, buf->data);
	json_decref(value);
	return buf_take_str(buf);
}

static void puts_commas_where_they_belong(void **state)
{
	struct buf buf;
	struct json json;
	char *text;

	(void)state;
	buf_init(&buf, 4096);
	json_init(&json, &buf);
	json_open_object(&json);
	json_kv_str(&json, "s", "text");
	json_kv_str(&json, "nothing", NULL);
	json_kv_int(&json, "i", INT64_MIN);
	json_kv_uint(&json, "u", UINT64_C(9223372036854775807));
	json_kv_bool(&json, "b", true);
	json_kv_null(&json, "n");
	json_key(&json, "list");
	json_open_array(&json);
	json_int(&json, -1);
	json_open_array(&json);
	json_close_array(&json);
	json_open_object(&json);
	json_close_object(&json);
	json_bool(&json, false);
	json_raw(&json, "{\"raw\":1}", 9);
	json_strn(&json, "ab", 1);
	json_close_array(&json);
	json_kv_int(&json, "last", 0);
	json_close_object(&json);
	assert_int_equal(buf_err(&buf), 0);
	text = take(&buf);
	assert_string_equal(text, "{\"s\":\"text\",\"nothing\":null,\"i\":-9223372036854775808,"
				  "\"u\":9223372036854775807,\"b\":true,\"n\":null,"
				  "\"list\":[-1,[],{},false,{\"raw\":1},\"a\"],\"last\":0}");
	free(text);
}

static char *written(const void *bytes, size_t n)
{
	struct buf buf;
	struct json json;

	buf_init(&buf, 4096);
	json_init(&json, &buf);
	json_strn(&json, bytes, n);
	assert_int_equal(buf_err(&buf), 0);
	return take(&buf);
}

static void escapes_what_a_text_may_not_hold(void **state)
{
	char *text = written("a\"b\\c\n\t\x01\x7f\0/", 11);

	(void)state;
	assert_string_equal(text, "\"a\\\"b\\\\c\\n\\u0009\\u0001\\u007f\\u0000/\"");
	free(text);
}

static void invalid_utf8_becomes_the_replacement_character(void **state)
{
	char *text = written("Z\xc3\xbc\xff\xe2\x82z\xed\xa0\x80", 10);

	(void)state;
	assert_string_equal(text, "\"Z\xc3\xbc\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef"
				  "\xbf\xbd\xef\xbf\xbd"
				  "\"");
	free(text);
}

static void any_bytes_give_valid_json(void **state)
{
	uint8_t bytes[256];

	(void)state;
	for (unsigned seed = 1; seed < 200; seed++) {
		uint32_t x = seed * 2654435761u;

		for (size_t i = 0; i < sizeof(bytes); i++) {
			x = x * 1664525u + 1013904223u;
			bytes[i] = (uint8_t)(x >> 24);
		}
		free(written(bytes, sizeof(bytes)));
	}
}

static void too_much_is_the_buffers_error(void **state)
{
	struct buf buf;
	struct json json;

	(void)state;
	buf_init(&buf, 10);
	json_init(&json, &buf);
	json_open_array(&json);
	json_str(&json, "0123456789");
	json_close_array(&json);
	assert_int_equal(buf_err(&buf), -EMSGSIZE);
	buf_fini(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(puts_commas_where_they_belong),
		cmocka_unit_test(escapes_what_a_text_may_not_hold),
		cmocka_unit_test(invalid_utf8_becomes_the_replacement_character),
		cmocka_unit_test(any_bytes_give_valid_json),
		cmocka_unit_test(too_much_is_the_buffers_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
