#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/web/handshake.h"
#include "core/web/security.h"
#include "core/web/ws_frame.h"

static void assert_header(uint64_t len, const char *expected, size_t n)
{
	uint8_t out[WS_FRAME_HEADER_MAX];

	assert_int_equal(ws_frame_header(2, len, out), n);
	assert_int_equal(ws_frame_header_len(len), n);
	assert_memory_equal(out, expected, n);
}

static void writes_the_shortest_header(void **state)
{
	(void)state;
	assert_header(0, "\x82\x00", 2);
	assert_header(125, "\x82\x7d", 2);
	assert_header(126, "\x82\x7e\x00\x7e", 4);
	assert_header(65535, "\x82\x7e\xff\xff", 4);
	assert_header(65536, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10);
	assert_header(0x0102030405060708, "\x82\x7f\x01\x02\x03\x04\x05\x06\x07\x08", 10);
}

static void writes_close_frames(void **state)
{
	uint8_t out[2 + WS_FRAME_CLOSE_MAX];
	char reason[200];

	(void)state;
	assert_int_equal(ws_frame_close(0, "ignored", out), 2);
	assert_memory_equal(out, "\x88\x00", 2);
	assert_int_equal(ws_frame_close(1000, NULL, out), 4);
	assert_memory_equal(out, "\x88\x02\x03\xe8", 4);
	assert_int_equal(ws_frame_close(4401, "bye", out), 7);
	assert_memory_equal(out,
		"\x88\x05\x11\x31"
		"bye",
		7);
	memset(reason, 'a', sizeof(reason));
	reason[199] = '\0';
	assert_int_equal(ws_frame_close(1000, reason, out), 2 + WS_FRAME_CLOSE_MAX);
	/* Not within a character. */
	memcpy(reason + 122, "\xc3\xa9", 3);
	assert_int_equal(ws_frame_close(1000, reason, out), 2 + WS_FRAME_CLOSE_MAX - 1);
	assert_int_equal(ws_frame_close(1000, "a\xff", out), 5);
}

static void answers_the_key_of_the_standard(void **state)
{
	char accept[HANDSHAKE_ACCEPT_BYTES];

	(void)state;
	handshake_accept("dGhlIHNhbXBsZSBub25jZQ==", accept);
	assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void checks_keys(void **state)
{
	(void)state;
	assert_true(handshake_is_key("dGhlIHNhbXBsZSBub25jZQ=="));
	assert_true(handshake_is_key("AAAAAAAAAAAAAAAAAAAAAA=="));
	assert_false(handshake_is_key(""));
	assert_false(handshake_is_key("dGhlIHNhbXBsZSBub25jZQ="));
	assert_false(handshake_is_key("dGhlIHNhbXBsZSBub25jZR=="));
	assert_false(handshake_is_key("dGhlIHNhbXBsZSBub25jZ==="));
	assert_false(handshake_is_key("dGhlIHNhbXBsZSBub25j Q=="));
	assert_false(handshake_is_key("dGhlIHNhbXBsZSBub25jZQ==x"));
}

static void looks_into_lists(void **state)
{
	(void)state;
	assert_true(handshake_list_has("ops.v1", "ops.v1", true));
	assert_true(handshake_list_has("a, ops.v1 ,b", "ops.v1", true));
	assert_false(handshake_list_has("OPS.v1", "ops.v1", true));
	assert_true(handshake_list_has("h2c, WebSocket", "websocket", false));
	assert_false(handshake_list_has("websockets", "websocket", false));
	assert_false(handshake_list_has("", "websocket", false));
	assert_false(handshake_list_has(NULL, "websocket", false));
}

static void builds_security_headers_from_the_origin(void **state)
{
	struct security s = {0};

	(void)state;
	assert_int_equal(security_init(&s, "https://ops.example.org", NULL), 0);
	assert_non_null(strstr(s.common, "Strict-Transport-Security: max-age="));
	assert_non_null(strstr(s.common, "X-Content-Type-Options: nosniff\r\n"));
	assert_non_null(strstr(s.page_csp, "connect-src 'self' wss://ops.example.org;"));
	assert_non_null(strstr(s.page_csp, "require-trusted-types-for 'script'"));
	assert_null(strstr(s.page_csp, "unsafe"));
	security_fini(&s);
	assert_int_equal(security_init(&s, "http://127.0.0.1:3001", NULL), 0);
	assert_null(strstr(s.common, "Strict-Transport-Security"));
	assert_non_null(strstr(s.page_csp, "connect-src 'self' ws://127.0.0.1:3001;"));
	security_fini(&s);
}

static void refuses_what_is_no_origin(void **state)
{
	static const char *const origins[] = {NULL, "", "ops.example.org", "https://", "ftp://a",
		"https://a/", "https://a b", "https://a;x", "https://a\r\nX: y", "https://A",
		"HTTPS://a", "https://u@a", "https://a?x", "https://'self'"};
	struct security s = {0};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(origins); i++) {
		assert_int_not_equal(security_init(&s, origins[i], &err), 0);
		assert_string_not_equal(err.msg, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_the_shortest_header),
		cmocka_unit_test(writes_close_frames),
		cmocka_unit_test(answers_the_key_of_the_standard),
		cmocka_unit_test(checks_keys),
		cmocka_unit_test(looks_into_lists),
		cmocka_unit_test(builds_security_headers_from_the_origin),
		cmocka_unit_test(refuses_what_is_no_origin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
