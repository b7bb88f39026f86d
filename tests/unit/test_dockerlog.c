/* The log of a container as a real engine sent it (tests/vectors/docker/logs.http), in pieces of
 * every size, and what is no log. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/probes/dockerlog.h"
#include "agent/probes/engine.h"
#include "core/base/file.h"

#define EXPECTED                                                                                   \
	"<2 1795698958744868>err\n"                                                                \
	"<1 1795698958744909>out\n"                                                                \
	"<2 1795698959803131>err\n"                                                                \
	"<1 1795698959803149>out\n"

static struct buf text; /* "1 TIME text", one stream's pieces joined */
static uint64_t last_time;
static int last_kind;

static void on_output(
	void *arg, enum record_kind kind, uint64_t time_us, const uint8_t *data, size_t n)
{
	(void)arg;
	assert_true(n > 0);
	if ((int)kind != last_kind || time_us != last_time)
		buf_printf(&text, "<%d %llu>", (int)kind, (unsigned long long)time_us);
	last_kind = (int)kind;
	last_time = time_us;
	buf_append(&text, data, n);
}

static void begin(struct dockerlog *log)
{
	dockerlog_init(log, on_output, NULL);
	buf_fini(&text);
	buf_init(&text, 1u << 20);
	last_kind = 0;
	last_time = 0;
}

/* In pieces; what feed said last. */
static int feed(const void *data, size_t n, size_t piece)
{
	const uint8_t *bytes = data;
	struct dockerlog log;
	int rc = 0;

	begin(&log);
	for (size_t at = 0; at < n && rc == 0; at += piece)
		rc = dockerlog_feed(&log, bytes + at, MIN(piece, n - at));
	buf_append_byte(&text, '\0');
	return rc;
}

static int on_body(void *arg, const uint8_t *data, size_t n)
{
	return dockerlog_feed(arg, data, n);
}

static void reads_what_an_engine_sent(void **state)
{
	char path[512];
	struct buf answer;

	(void)state;
	snprintf(path, sizeof(path), "%s/tests/vectors/docker/logs.http", OPS_SOURCE_ROOT);
	buf_init(&answer, 65536);
	assert_int_equal(file_read(AT_FDCWD, path, &answer, NULL), 0);
	for (size_t piece = 1; piece <= answer.len; piece++) {
		struct dockerlog log;
		struct engine_answer *http = engine_answer_new(on_body, &log);
		int rc = 0;

		begin(&log);
		for (size_t at = 0; at < answer.len && rc == 0; at += piece)
			rc = engine_answer_feed(
				http, answer.data + at, MIN(piece, answer.len - at), NULL);
		assert_int_equal(rc, 1);
		buf_append_byte(&text, '\0');
		assert_string_equal((char *)text.data, EXPECTED);
		engine_answer_free(http);
	}
	buf_fini(&answer);
}

static void takes_frames_of_every_length(void **state)
{
	static const char frames[] = "\1\0\0\0\0\0\0\0" /* empty */
				     "\2\0\0\0\0\0\0\x24"
				     "2026-11-26T13:03:57.376967956Z hello" /* no newline */
				     "\1\0\0\0\0\0\0\x1f"
				     "2026-11-26T13:03:57.376967956Z " /* only a time */
				     "\1\0\0\0\0\0\0\x04"
				     "a b\n" /* none */
				     "\3\0\0\0\0\0\0\x2e"
				     "0123456789012345678901234567890123456789 later";

	(void)state;
	for (size_t piece = 1; piece < sizeof(frames); piece++) {
		assert_int_equal(feed(frames, sizeof(frames) - 1, piece), 0);
		assert_string_equal((char *)text.data,
			"<2 1795698237376967>hello<1 0>a b\n"
			"<2 0>0123456789012345678901234567890123456789 later");
	}
}

static void refuses_what_are_no_frames(void **state)
{
	(void)state;
	assert_int_equal(feed("hello world, this is text", 25, 3), -EBADMSG);
	assert_int_equal(feed("\4\0\0\0\0\0\0\1a", 9, 1), -EBADMSG);
	assert_int_equal(feed("\1\0\1\0\0\0\0\1a", 9, 9), -EBADMSG);
}

static int fini(void **state)
{
	(void)state;
	buf_fini(&text);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_an_engine_sent),
		cmocka_unit_test(takes_frames_of_every_length),
		cmocka_unit_test(refuses_what_are_no_frames),
	};

	return cmocka_run_group_tests(tests, NULL, fini);
}
