/* What the Docker engine may answer, as bytes: HTTP that is whole, cut, nonsense, or too much. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/probes/engine.h"

static struct buf body;
static struct err err;
static unsigned status;

static int keep(void *arg, const uint8_t *data, size_t n)
{
	(void)arg;
	buf_append(&body, data, n);
	return buf_err(&body);
}

/* Fed in pieces of this size, and then the end. What feed said last. */
static int feed(const char *text, size_t piece)
{
	struct engine_answer *answer = engine_answer_new(keep, NULL);
	size_t len = strlen(text);
	int rc = 0;

	buf_fini(&body);
	buf_init(&body, 64);
	err = (struct err){0};
	for (size_t at = 0; at < len && rc == 0; at += piece)
		rc = engine_answer_feed(
			answer, (const uint8_t *)text + at, MIN(piece, len - at), &err);
	if (rc == 0)
		rc = engine_answer_feed(answer, NULL, 0, &err);
	status = engine_answer_status(answer);
	engine_answer_free(answer);
	return rc;
}

static void expect_body(const char *text, const char *expected)
{
	for (size_t piece = 1; piece <= strlen(text); piece++) {
		assert_int_equal(feed(text, piece), 1);
		assert_int_equal(status, 200);
		assert_int_equal(body.len, strlen(expected));
		assert_memory_equal(body.data, expected, body.len);
	}
}

static void reads_answers_of_every_kind_in_pieces_of_every_size(void **state)
{
	(void)state;
	expect_body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[1,2]", "[1,2]");
	expect_body("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]HTTP/1.1 400 and more", "[]");
	expect_body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2;x=1\r\n2]"
		    "\r\n0\r\nTrailer: x\r\n\r\n",
		"[1,2]");
	expect_body("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[1,2]", "[1,2]");
	expect_body("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
		"{}");
}

static void tells_an_answer_that_is_cut(void **state)
{
	static const char *const cut[] = {
		"HTTP/1.1 200 OK\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[1,2",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cut); i++) {
		assert_int_equal(feed(cut[i], 7), -EPIPE);
		assert_non_null(strstr(err.msg, "ends in the middle"));
	}
	assert_int_equal(feed("", 1), -EPIPE);
	assert_non_null(strstr(err.msg, "without an answer"));
}

static void tells_what_is_no_http(void **state)
{
	static const char *const bad[] = {
		"[]",
		"SSH-2.0-OpenSSH_9.2\r\n",
		"HTTP/1.1 abc OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(feed(bad[i], 1), -EBADMSG);
		assert_non_null(strstr(err.msg, "is no HTTP"));
	}
}

static void tells_an_answer_that_is_too_long(void **state)
{
	(void)state;
	assert_int_equal(feed("HTTP/1.1 200 OK\r\n\r\n"
			      "0123456789012345678901234567890123456789"
			      "0123456789012345678901234567890123456789",
				 20),
		-EMSGSIZE);
	assert_non_null(strstr(err.msg, "longer than 8 MiB"));
}

static void explains_what_the_engine_says(void **state)
{
	static const char json[] = "{\"message\":\"No such container: \\u001b[31mx\\n\"}";

	(void)state;
	engine_explain(404, (const uint8_t *)json, strlen(json), &err);
	assert_string_equal(err.msg, "the Docker engine answers 404: No such container:  [31mx");
	engine_explain(502, (const uint8_t *)"/run/d.sock: Permission denied", 30, &err);
	assert_string_equal(
		err.msg, "the Docker engine is not reached: /run/d.sock: Permission denied");
	engine_explain(500, NULL, 0, &err);
	assert_string_equal(err.msg, "the Docker engine answers 500");
}

static int fini(void **state)
{
	(void)state;
	buf_fini(&body);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_answers_of_every_kind_in_pieces_of_every_size),
		cmocka_unit_test(tells_an_answer_that_is_cut),
		cmocka_unit_test(tells_what_is_no_http),
		cmocka_unit_test(tells_an_answer_that_is_too_long),
		cmocka_unit_test(explains_what_the_engine_says),
	};

	return cmocka_run_group_tests(tests, NULL, fini);
}
