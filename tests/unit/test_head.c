#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "core/web/head.h"

#define OK "GET / HTTP/1.1\r\nHost: a\r\n"

/* A head in memory of exactly its size, so that a sanitizer sees each read beyond it. */
static unsigned status_of_bytes(const char *text, size_t n)
{
	char *copy = malloc(n + 1);
	struct head head;
	struct head_error error = {0};
	unsigned status = 200;

	memcpy(copy, text, n);
	if (head_parse(copy, n, &head, &error) != 0) {
		assert_non_null(error.code);
		assert_non_null(error.detail);
		status = error.status;
	}
	free(copy);
	return status;
}

static unsigned status_of(const char *text)
{
	return status_of_bytes(text, strlen(text));
}

static struct head parsed(const char *text)
{
	struct head head;
	struct head_error error;

	assert_int_equal(head_parse(text, strlen(text), &head, &error), 0);
	return head;
}

static void assert_span(const char *text, struct head_span span, const char *expected)
{
	assert_int_equal(span.len, strlen(expected));
	assert_memory_equal(text + span.off, expected, span.len);
}

static void gives_method_target_and_fields(void **state)
{
	const char *text = "POST /runs?x=1 HTTP/1.1\r\nHost: ops.example:443\r\n"
			   "X-Empty:\r\nX-Wide: \t a b \t\r\nContent-Length: 12\r\n\r\n";
	struct head head = parsed(text);

	(void)state;
	assert_span(text, head.method, "POST");
	assert_span(text, head.target, "/runs?x=1");
	assert_span(text, head.host, "ops.example:443");
	assert_int_equal(head.n_fields, 4);
	assert_span(text, head.fields[1].value, "");
	assert_span(text, head.fields[2].name, "X-Wide");
	assert_span(text, head.fields[2].value, "a b");
	assert_int_equal(head.content_length, 12);
	assert_int_equal(head.flags, HEAD_HAS_LENGTH | HEAD_KEEP_ALIVE);
}

/* What smugglers send: every line must be refused with 400. */
static void refuses_smuggling_vectors(void **state)
{
	static const char *const heads[] = {
		/* lines and line ends */
		OK "X: a\nY: b\r\n\r\n",
		OK "X: a\rY: b\r\n\r\n",
		OK "X: a\r\r\n\r\n",
		OK " folded: x\r\n\r\n",
		OK "X: a\r\n folded\r\n\r\n",
		OK "X: a\r\n\tfolded\r\n\r\n",
		" GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n",
		/* names */
		OK "X : a\r\n\r\n",
		OK "X\t: a\r\n\r\n",
		OK ": a\r\n\r\n",
		OK "no colon\r\n\r\n",
		OK "X\x01: a\r\n\r\n",
		OK "X\xc3\xa9: a\r\n\r\n",
		OK "(X): a\r\n\r\n",
		/* values */
		OK "X: a\x01\r\n\r\n",
		OK "X: a\x7f\r\n\r\n",
		/* Transfer-Encoding */
		OK "Transfer-Encoding: ,chunked\r\n\r\n",
		OK "Transfer-Encoding: chunked,\r\n\r\n",
		OK "Transfer-Encoding: gzip, chunked\r\n\r\n",
		OK "Transfer-Encoding: chunked, chunked\r\n\r\n",
		OK "Transfer-Encoding: chunked, identity\r\n\r\n",
		OK "Transfer-Encoding: identity\r\n\r\n",
		OK "Transfer-Encoding: xchunked\r\n\r\n",
		OK "Transfer-Encoding: chunkedx\r\n\r\n",
		OK "Transfer-Encoding: \"chunked\"\r\n\r\n",
		OK "Transfer-Encoding: \x0b"
		   "chunked\r\n\r\n",
		OK "Transfer-Encoding:\r\n\r\n",
		OK "Transfer-Encoding : chunked\r\n\r\n",
		OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
		OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
		OK "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
		OK "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
		/* Content-Length */
		OK "Content-Length: 4\r\nContent-Length: 4\r\n\r\n",
		OK "Content-Length: 4\r\nContent-Length: 5\r\n\r\n",
		OK "Content-Length: 4, 4\r\n\r\n",
		OK "Content-Length: +4\r\n\r\n",
		OK "Content-Length: -1\r\n\r\n",
		OK "Content-Length: 0x4\r\n\r\n",
		OK "Content-Length: 4 4\r\n\r\n",
		OK "Content-Length: 4a\r\n\r\n",
		OK "Content-Length:\r\n\r\n",
		OK "Content-Length: 18446744073709551616\r\n\r\n",
		OK "Content-Length: 1000000000000000000\r\n\r\n",
		OK "content-length: 1\r\nContent-Length: 1\r\n\r\n",
		/* Host */
		"GET / HTTP/1.1\r\nX: a\r\n\r\n",
		OK "Host: a\r\n\r\n",
		OK "Host: b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost:\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a:\xc3\xa9\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a:123456\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: []\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a?b\r\n\r\n",
		/* the request line */
		"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
		"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / http/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1x\r\nHost: a\r\n\r\n",
		"GET / HTTP/11\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.\r\nHost: a\r\n\r\n",
		"GET / RTSP/1.0\r\nHost: a\r\n\r\n",
		"GET / ICE/1.0\r\nHost: a\r\n\r\n",
		"GET /\r\n\r\n",
		"GET / \r\nHost: a\r\n\r\n",
		"GET HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /#f HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET ftp://a/x HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET http://a?x HTTP/1.1\r\nHost: a\r\n\r\n",
		"G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
		"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		/* other singletons, and Connection */
		OK "Origin: https://a\r\nOrigin: https://b\r\n\r\n",
		OK "Authorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n",
		OK "Content-Type: a/b\r\nContent-Type: a/b\r\n\r\n",
		OK "Sec-WebSocket-Key: a\r\nSec-WebSocket-Key: b\r\n\r\n",
		OK "Connection: close; x\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		if (status_of(heads[i]) != 400)
			fail_msg("vector %zu is answered %u: %s", i, status_of(heads[i]), heads[i]);
	}
}

static void refuses_nul_anywhere(void **state)
{
	const char text[] = OK "X: ab\r\n\r\n";

	(void)state;
	for (size_t i = 0; i + 4 < sizeof(text) - 1; i++) {
		char copy[sizeof(text)];

		memcpy(copy, text, sizeof(text));
		copy[i] = '\0';
		assert_int_not_equal(status_of_bytes(copy, sizeof(copy) - 1), 200);
	}
}

/* The table of byte kinds against the rules it was made from. */
static void knows_every_byte(void **state)
{
	(void)state;
	for (int c = 1; c < 256; c++) {
		char name[] = OK "X?: a\r\n\r\n", value[] = OK "X: a?b\r\n\r\n";
		char target[] = "GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n",
		     host[] = "GET / HTTP/1.1\r\nHost: a?b\r\n\r\n";
		bool alnum =
			(c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		bool token = alnum || (c < 128 && strchr("!#$%&'*+-.^_`|~", c) != NULL);

		name[sizeof(OK)] = (char)c;
		value[sizeof(OK) + 3] = (char)c;
		target[6] = (char)c;
		host[strlen("GET / HTTP/1.1\r\nHost: a")] = (char)c;
		assert_int_equal(head_is_token_char((unsigned char)c), token);
		if (c != ':')
			assert_int_equal(status_of(name) == 200, token);
		assert_int_equal(status_of(value) == 200, c == '\t' || (c >= ' ' && c != 0x7f));
		if (c != ' ')
			assert_int_equal(status_of(target) == 200, c > ' ' && c < 0x7f && c != '#');
		assert_int_equal(status_of(host) == 200, alnum || c == '.' || c == '-' || c == '_');
	}
}

static void answers_each_fault_with_its_status(void **state)
{
	char many[100 + WEB_MAX_HEADERS * 8], longest[WEB_MAX_TARGET + 100];

	(void)state;
	assert_int_equal(status_of("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
	assert_int_equal(status_of("GET / HTTP/1.2\r\nHost: a\r\n\r\n"), 505);
	assert_int_equal(status_of("GET / HTTP/0.9\r\nHost: a\r\n\r\n"), 505);
	assert_int_equal(status_of("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"), 501);
	assert_int_equal(status_of("get / HTTP/1.1\r\nHost: a\r\n\r\n"), 501);
	assert_int_equal(status_of("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"), 501);
	assert_int_equal(status_of(OK "Expect: 200-ok\r\n\r\n"), 417);
	strcpy(many, OK);
	for (size_t i = 1; i < WEB_MAX_HEADERS; i++)
		strcat(many, "X: a\r\n");
	strcat(many, "\r\n");
	assert_int_equal(status_of(many), 200);
	many[strlen(many) - 2] = '\0';
	strcat(many, "X: a\r\n\r\n");
	assert_int_equal(status_of(many), 431);
	memset(longest, 'a', sizeof(longest));
	memcpy(longest, "GET /", 5);
	strcpy(longest + 4 + WEB_MAX_TARGET, " HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(status_of(longest), 200);
	strcpy(longest + 4 + WEB_MAX_TARGET, "a HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(status_of(longest), 414);
}

static void keeps_alive_by_version_and_connection(void **state)
{
	(void)state;
	assert_true(parsed(OK "\r\n").flags & HEAD_KEEP_ALIVE);
	assert_false(parsed(OK "Connection: close\r\n\r\n").flags & HEAD_KEEP_ALIVE);
	assert_false(parsed(OK "Connection: x ,CLOSE\r\n\r\n").flags & HEAD_KEEP_ALIVE);
	assert_false(
		parsed(OK "Connection: x\r\nConnection: close\r\n\r\n").flags & HEAD_KEEP_ALIVE);
	assert_false(parsed("GET / HTTP/1.0\r\n\r\n").flags & HEAD_KEEP_ALIVE);
	assert_true(
		parsed("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").flags & HEAD_KEEP_ALIVE);
	assert_true(parsed(OK "Connection: keep-alive, Upgrade\r\n\r\n").flags &
		    HEAD_CONNECTION_UPGRADE);
	assert_true(parsed(OK "Expect: 100-Continue\r\n\r\n").flags & HEAD_EXPECT_CONTINUE);
	assert_false(parsed("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").flags &
		     HEAD_EXPECT_CONTINUE);
}

static void takes_absolute_and_asterisk_targets(void **state)
{
	const char *absolute = "GET http://A:1/x?y HTTP/1.1\r\nHost: a:1\r\n\r\n";
	const char *bare = "GET HTTPS://a HTTP/1.1\r\nHost: a\r\n\r\n";
	const char *old = "GET http://a/ HTTP/1.0\r\n\r\n";
	struct head head = parsed(absolute);

	(void)state;
	assert_span(absolute, head.target, "/x?y");
	assert_span(absolute, head.host, "a:1");
	head = parsed(bare);
	assert_span(bare, head.target, "");
	head = parsed(old);
	assert_span(old, head.host, "a");
	assert_true(parsed("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").flags & HEAD_ASTERISK);
	assert_span("\r\n" OK "\r\n", parsed("\r\n" OK "\r\n").target, "/");
}

static void takes_hosts_of_every_kind(void **state)
{
	static const char *const hosts[] = {"a", "ops.example.org", "ops.example.org:443",
		"127.0.0.1:3001", "[::1]", "[::1]:3001", "a:"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		char text[200] = "GET / HTTP/1.1\r\nHost: ";

		strcat(strcat(text, hosts[i]), "\r\n\r\n");
		assert_int_equal(status_of(text), 200);
	}
}

static void finds_the_end_at_any_split(void **state)
{
	const char *text = OK "X: a\r\n\r\nGET";
	size_t end = strlen(text) - 3;
	struct head_error error;

	(void)state;
	for (size_t first = 0; first <= strlen(text); first++) {
		for (size_t second = first; second <= strlen(text); second++) {
			size_t scanned = 0;
			long found = head_find_end(text, first, &scanned, &error);

			assert_int_equal(found, first >= end ? (long)end : 0);
			if (found != 0)
				continue;
			found = head_find_end(text, second, &scanned, &error);
			assert_int_equal(found, second >= end ? (long)end : 0);
		}
	}
}

static long find(const char *text, size_t n, unsigned *ret_status)
{
	char *copy = malloc(n + 1);
	struct head_error error = {0};
	size_t scanned = 0;
	long r;

	memcpy(copy, text, n);
	r = head_find_end(copy, n, &scanned, &error);
	*ret_status = error.status;
	free(copy);
	return r;
}

static void refuses_early_what_can_never_be_a_head(void **state)
{
	static char big[WEB_MAX_HEAD + 100];
	unsigned status;

	(void)state;
	assert_int_equal(find("\x16\x03\x01", 3, &status), -1);
	assert_int_equal(status, 400);
	assert_int_equal(find("\n", 1, &status), -1);
	assert_int_equal(find("\r\n\n", 3, &status), -1);
	assert_int_equal(find("\r\n\r\n", 4, &status), -1);
	assert_int_equal(find("GET / HTTP/1.1\n", 15, &status), -1);
	assert_int_equal(status, 400);
	assert_int_equal(find("\r", 1, &status), 0);
	assert_int_equal(find("", 0, &status), 0);
	memset(big, 'A', sizeof(big));
	assert_int_equal(find(big, WEB_MAX_HEAD, &status), 0);
	assert_int_equal(find(big, WEB_MAX_HEAD + 1, &status), -1);
	assert_int_equal(status, 414);
	memcpy(big, "GET / HTTP/1.1\r\n", 16);
	assert_int_equal(find(big, WEB_MAX_HEAD + 1, &status), -1);
	assert_int_equal(status, 431);
	memcpy(big + WEB_MAX_HEAD - 3, "\r\n\r\n", 4);
	assert_int_equal(find(big, sizeof(big), &status), -1);
	assert_int_equal(status, 431);
	memcpy(big + WEB_MAX_HEAD - 4, "\r\n\r\n", 4);
	assert_int_equal(find(big, sizeof(big), &status), WEB_MAX_HEAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_method_target_and_fields),
		cmocka_unit_test(refuses_smuggling_vectors),
		cmocka_unit_test(refuses_nul_anywhere),
		cmocka_unit_test(knows_every_byte),
		cmocka_unit_test(answers_each_fault_with_its_status),
		cmocka_unit_test(keeps_alive_by_version_and_connection),
		cmocka_unit_test(takes_absolute_and_asterisk_targets),
		cmocka_unit_test(takes_hosts_of_every_kind),
		cmocka_unit_test(finds_the_end_at_any_split),
		cmocka_unit_test(refuses_early_what_can_never_be_a_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
