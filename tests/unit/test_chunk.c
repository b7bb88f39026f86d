#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "core/web/body.h"
#include "core/web/chunk.h"
#include "core/web/limits.h"

static int scan(const char *text, size_t *ret_used)
{
	struct chunk_scan s = {0};

	*ret_used = 0;
	return chunk_scan(&s, text, strlen(text), ret_used);
}

static void accepts_a_body_and_stops_behind_it(void **state)
{
	size_t used;

	(void)state;
	assert_int_equal(scan("0\r\n\r\nGET", &used), 1);
	assert_int_equal(used, 5);
	assert_int_equal(scan("5\r\nhello\r\n1;a;b=c\r\nx\r\n000\r\n\r\n", &used), 1);
	assert_int_equal(scan("2;a\r\nxx\r\n2;a=b\r\nxx\r\n0;a;b;c=d\r\n\r\n", &used), 1);
	assert_int_equal(scan("A\r\n0123456789\r\n0\r\n\r\n", &used), 1);
	assert_int_equal(scan("5\r\nhel", &used), 0);
	assert_int_equal(scan("", &used), 0);
}

static void refuses_malformed_framing(void **state)
{
	static const char *const bodies[] = {"\r\n", "g\r\n", "-1\r\n", "+1\r\n", " 5\r\n",
		"5 \r\n", "5\t\r\n", "0x5\r\n", "5\n", "5\rhello", "5\r\rhello", "5\r\nhelloX\r\n",
		"5\r\nhello\n", "5\r\nhello\r\r", "123456789\r\n", "5;a b\r\n", "5;\"x\"\r\n",
		"5;\n", "5;\r\n", "5;;a\r\n", "5;a;\r\n", "5;=b\r\n", "5;a=\r\n", "5;a=b=c\r\n",
		"5;a=;b\r\n", "5;a=b;c\r\n", "0;\r\n\r\n", "0\r\n\n", "0\r\nX: y\r\n\r\n",
		"0\r\n\rX", ";a\r\n", "5\r\nhello0\r\n\r\n"};
	size_t used;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		if (scan(bodies[i], &used) != -EBADMSG)
			fail_msg("body %zu was not refused: %s", i, bodies[i]);
	}
}

static void bounds_extensions_and_chunks(void **state)
{
	char ext[WEB_MAX_CHUNK_EXT + 10] = "5;";
	struct chunk_scan s = {0};
	size_t used;
	int r = 0;
	unsigned n = 0;

	(void)state;
	memset(ext + 2, 'a', WEB_MAX_CHUNK_EXT);
	memcpy(ext + 2 + WEB_MAX_CHUNK_EXT, "\r\n", 3);
	assert_int_equal(scan(ext, &used), 0);
	memcpy(ext + 2 + WEB_MAX_CHUNK_EXT, "a\r\n", 4);
	assert_int_equal(scan(ext, &used), -EBADMSG);
	while (r == 0 && n++ <= WEB_MAX_CHUNKS)
		r = chunk_scan(&s, "1\r\nx\r\n", 6, &used);
	assert_int_equal(r, -EBADMSG);
	assert_int_equal(n, WEB_MAX_CHUNKS + 1);
}

struct sink {
	struct body body;
	char data[64];
	size_t len;
};

static int on_data(struct body *body, const char *data, size_t n)
{
	struct sink *sink = container_of(body, struct sink, body);

	if (sink->len + n > sizeof(sink->data))
		return -EMSGSIZE;
	memcpy(sink->data + sink->len, data, n);
	sink->len += n;
	return 0;
}

static void gives_the_same_body_at_any_split(void **state)
{
	const char *head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
	const char *text = "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\nGET ";
	size_t n = strlen(text) - 4;

	(void)state;
	for (size_t cut = 0; cut <= n; cut++) {
		struct sink sink = {.len = 0};
		size_t used = 0, more = 0;
		int r;

		assert_int_equal(body_begin(&sink.body, head, strlen(head), true, 0, on_data), 0);
		r = body_feed(&sink.body, text, cut, &used);
		assert_int_equal(r, cut == n);
		assert_int_equal(used, cut);
		if (r == 0)
			assert_int_equal(
				body_feed(&sink.body, text + cut, strlen(text) - cut, &more), 1);
		assert_int_equal(used + more, n);
		assert_int_equal(sink.len, 11);
		assert_memory_equal(sink.data, "hello world", 11);
	}
}

static void ends_a_body_at_its_length(void **state)
{
	const char *head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
	struct sink sink = {.len = 0};
	size_t used;

	(void)state;
	assert_int_equal(body_begin(&sink.body, head, strlen(head), false, 5, on_data), 0);
	assert_int_equal(body_feed(&sink.body, "he", 2, &used), 0);
	assert_int_equal(body_feed(&sink.body, "lloGET / ", 9, &used), 1);
	assert_int_equal(used, 3);
	assert_memory_equal(sink.data, "hello", 5);
}

static void ends_with_the_head_when_there_is_no_body(void **state)
{
	static const char *const heads[] = {"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "GET / HTTP/1.0\r\n\r\n",
		"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
		"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		struct sink sink = {.len = 0};

		if (body_begin(&sink.body, heads[i], strlen(heads[i]), false, 0, on_data) != 1)
			fail_msg("head %zu does not end: %s", i, heads[i]);
	}
}

static void stops_when_the_sink_is_full(void **state)
{
	const char *head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n";
	struct sink sink = {.len = 0};
	char data[100] = {0};
	size_t used;

	(void)state;
	assert_int_equal(body_begin(&sink.body, head, strlen(head), false, 100, on_data), 0);
	assert_int_equal(body_feed(&sink.body, data, 100, &used), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_a_body_and_stops_behind_it),
		cmocka_unit_test(refuses_malformed_framing),
		cmocka_unit_test(bounds_extensions_and_chunks),
		cmocka_unit_test(gives_the_same_body_at_any_split),
		cmocka_unit_test(ends_a_body_at_its_length),
		cmocka_unit_test(ends_with_the_head_when_there_is_no_body),
		cmocka_unit_test(stops_when_the_sink_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
