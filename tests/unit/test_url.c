#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/probes/url.h"

static void takes_addresses_apart(void **state)
{
	struct url url;

	(void)state;
	assert_int_equal(url_parse("https://a.example/x?y=1#z", &url), 0);
	assert_true(url.tls);
	assert_int_equal(url.port, 443);
	assert_string_equal(url.host, "a.example");
	assert_string_equal(url.path, "/x?y=1");
	assert_int_equal(url_parse("http://[::1]:8080", &url), 0);
	assert_false(url.tls);
	assert_string_equal(url.host, "::1");
	assert_int_equal(url.port, 8080);
	assert_string_equal(url.path, "/");
	assert_int_equal(url_parse("http://a?b", &url), 0);
	assert_string_equal(url.path, "/?b");
}

static void refuses_what_is_no_address(void **state)
{
	static const char *const bad[] = {"", "ftp://a/", "http://", "http:///x", "http://a:0/",
		"http://a:65536/", "http://a:x/", "http://user@a/", "http://[::1/",
		"http://a:80x/"};
	static char text[3000];
	struct url url;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(url_parse(bad[i], &url), -EINVAL);
	memset(text, 'a', sizeof(text) - 1);
	memcpy(text, "http://", 7);
	assert_int_equal(url_parse(text, &url), -EINVAL);
	text[10] = '/';
	assert_int_equal(url_parse(text, &url), -EINVAL);
}

static void reads_a_status(void **state)
{
	(void)state;
	assert_int_equal(url_status("HTTP/1.1 204 No Content\r\n", 25), 204);
	assert_int_equal(url_status("HTTP/1.0 404", 12), 404);
	assert_int_equal(url_status("HTTP/1.1 2", 10), 0);
	assert_int_equal(url_status("HTTP/1.1 2x4", 12), 0);
	assert_int_equal(url_status("HTTP/1.1 099", 12), 0);
	assert_int_equal(url_status("SSH-2.0-Open", 12), 0);
}

static bool holds(const char *answer, const char *text)
{
	char copy[512];
	size_t n = strlen(answer);

	assert_true(n < sizeof(copy));
	memcpy(copy, answer, n);
	return url_body_holds(copy, n, text);
}

static void finds_a_text_in_the_body_only(void **state)
{
	(void)state;
	assert_true(holds("HTTP/1.1 200 OK\r\nA: b\r\n\r\n<p>Welcome</p>", "Welcome"));
	assert_false(holds("HTTP/1.1 200 OK\r\nA: Welcome\r\n\r\n<p></p>", "Welcome"));
	assert_false(holds("HTTP/1.1 200 OK\r\nA: Welcome", "Welcome"));
	assert_false(holds("HTTP/1.1 200 OK\r\n\r\nWelcom", "Welcome"));
}

static void finds_a_text_that_chunks_split(void **state)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
	char text[512];

	(void)state;
	snprintf(text, sizeof(text), "%s3\r\nWel\r\n4;x=y\r\ncome\r\n0\r\n\r\n", head);
	assert_true(holds(text, "Welcome"));
	/* sizes that are none, or more than there is */
	snprintf(text, sizeof(text), "%sfffffff\r\nWelcome", head);
	assert_true(holds(text, "Welcome"));
	snprintf(text, sizeof(text), "%szz\r\nWelcome\r\n", head);
	assert_false(holds(text, "Welcome"));
	snprintf(text, sizeof(text), "%s7\r\n", head);
	assert_false(holds(text, "Welcome"));
	snprintf(text, sizeof(text), "%s", head);
	assert_false(holds(text, "Welcome"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_addresses_apart),
		cmocka_unit_test(refuses_what_is_no_address),
		cmocka_unit_test(reads_a_status),
		cmocka_unit_test(finds_a_text_in_the_body_only),
		cmocka_unit_test(finds_a_text_that_chunks_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
