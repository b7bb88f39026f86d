#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/app/archive/projection.h"
#include "core/base/hex.h"
#include "proto/record.h"

struct journal {
	uint8_t bytes[1 << 16];
	size_t len;
	uint64_t time_us;
	struct crypto_sha256 headers;
};

static void put(struct journal *j, uint16_t step, uint8_t kind, const char *payload)
{
	uint8_t *at = j->bytes + j->len;
	struct record rec = {.time_us = ++j->time_us,
		.length = (uint32_t)strlen(payload),
		.step = step,
		.kind = kind,
		.payload = (const uint8_t *)payload};
	record_encode_header(&rec, at);
	memcpy(at + RECORD_HEADER_BYTES, payload, rec.length);
	crypto_sha256_update(&j->headers, at, RECORD_HEADER_BYTES);
	j->len += RECORD_HEADER_BYTES + rec.length;
}

static void event(struct journal *j, uint16_t step, const char *json)
{
	put(j, step, RECORD_EVENT, json);
}

static void finish(struct journal *j, const char *digest)
{
	uint8_t sum[32];
	char hex[65], json[300];
	struct crypto_sha256 headers = j->headers;
	crypto_sha256_final(&headers, sum);
	hex_encode(sum, 32, hex);
	snprintf(json, sizeof(json),
		"{\"event\":\"run.finished\",\"status\":\"failed\",\"reason\":\"exit\",\"exit_"
		"code\":3,"
		"\"signal\":null,\"bytes\":5,\"lines\":1,\"truncated\":true,\"digest\":\"%s\"}",
		digest != NULL ? digest : hex);
	event(j, RECORD_STEP_RUN, json);
}

static struct journal *begin(void)
{
	struct journal *j = xcalloc(1, sizeof(*j));
	crypto_sha256_init(&j->headers);
	event(j, RECORD_STEP_RUN,
		"{\"event\":\"run.created\",\"steps\":[{\"id\":\"dump\",\"uses\":\"pg.dump\","
		"\"title\":\"Dump\","
		"\"phase\":\"main\"},{\"id\":\"finally.1\",\"uses\":\"tmp.clean\",\"phase\":"
		"\"finally\"}]}");
	return j;
}

static void feed(struct projection *p, const struct journal *j)
{
	while (p->offset < j->len)
		assert_true(projection_feed(p, j->bytes + p->offset, j->len - p->offset) > 0);
}

static char *changed(struct projection *p)
{
	struct buf buf;
	buf_init(&buf, 1 << 16);
	char *text = projection_take_changed(p, &buf) ? buf_take_str(&buf) : NULL;
	buf_fini(&buf);
	return text;
}

static void follows_a_run_from_its_first_to_its_last_record(void **state)
{
	struct journal *j = begin();
	struct projection p;
	(void)state;
	projection_init(&p);
	assert_int_equal(j->len, 174); /* where the step begins */
	event(j, 0, "{\"event\":\"step.started\",\"step_id\":\"dump\",\"attempt\":1}");
	put(j, 0, RECORD_STDOUT, "hello");
	event(j, 0,
		"{\"event\":\"step.finished\",\"step_id\":\"dump\",\"attempt\":1,\"status\":"
		"\"failed\","
		"\"reason\":\"exit\",\"exit_code\":3,\"signal\":null}");
	feed(&p, j);
	assert_false(p.finished);
	char *json = changed(&p);
	assert_string_equal(json,
		"[{\"step\":0,\"step_id\":\"dump\",\"uses\":\"pg.dump\",\"title\":\"Dump\","
		"\"phase\":\"main\","
		"\"status\":\"failed\",\"reason\":\"exit\",\"attempt\":1,\"exit_code\":3,"
		"\"signal\":null,"
		"\"started_us\":2,\"finished_us\":4,\"start_offset\":174},"
		"{\"step\":1,\"step_id\":\"finally.1\",\"uses\":\"tmp.clean\",\"title\":\"\","
		"\"phase\":\"finally\","
		"\"status\":\"pending\",\"reason\":null,\"attempt\":0,\"exit_code\":null,"
		"\"signal\":null,"
		"\"started_us\":null,\"finished_us\":null,\"start_offset\":null}]");
	free(json);
	assert_null(changed(&p));
	finish(j, NULL);
	feed(&p, j);
	assert_true(p.finished);
	assert_true(p.digest_matches);
	assert_string_equal(p.status, "failed");
	assert_string_equal(p.reason, "exit");
	assert_int_equal(p.exit_code, 3);
	assert_int_equal(p.signal, PROJECTION_NONE);
	assert_true(p.truncated);
	assert_int_equal(p.bytes, 5);
	assert_int_equal(p.started_us, 2);
	assert_int_equal(p.finished_us, 5);
	projection_fini(&p);
	free(j);
}

static void a_second_attempt_keeps_the_first_start(void **state)
{
	struct journal *j = begin();
	struct projection p;
	(void)state;
	projection_init(&p);
	event(j, 0, "{\"event\":\"step.started\",\"attempt\":1}");
	event(j, 0,
		"{\"event\":\"step.finished\",\"attempt\":1,\"status\":\"failed\",\"exit_code\":"
		"1}");
	event(j, 0, "{\"event\":\"step.retrying\",\"attempt\":1}");
	feed(&p, j);
	assert_string_equal(p.steps[0].status, "retrying");
	event(j, 0, "{\"event\":\"step.started\",\"attempt\":2}");
	feed(&p, j);
	assert_string_equal(p.steps[0].status, "running");
	assert_int_equal(p.steps[0].attempt, 2);
	assert_int_equal(p.steps[0].started_us, 2);
	assert_int_equal(p.steps[0].exit_code, PROJECTION_NONE);
	projection_fini(&p);
	free(j);
}

static void notices_a_digest_that_does_not_match(void **state)
{
	struct journal *j = begin();
	struct projection p;
	(void)state;
	projection_init(&p);
	finish(j, "00");
	feed(&p, j);
	assert_true(p.finished);
	assert_false(p.digest_matches);
	projection_fini(&p);
	free(j);
}

static void refuses_damaged_and_late_records_and_waits_for_the_rest(void **state)
{
	struct journal *j = begin();
	struct projection p;
	(void)state;
	projection_init(&p);
	size_t first = j->len;
	assert_int_equal(projection_feed(&p, j->bytes, first - 1), -EAGAIN);
	j->bytes[first - 1] ^= 1;
	assert_int_equal(projection_feed(&p, j->bytes, first), -EBADMSG);
	j->bytes[first - 1] ^= 1;
	finish(j, NULL);
	feed(&p, j);
	put(j, 0, RECORD_STDOUT, "late");
	assert_int_equal(projection_feed(&p, j->bytes + p.offset, j->len - p.offset), -EBADMSG);
	projection_fini(&p);
	free(j);
}

static void events_that_cannot_be_understood_are_bytes(void **state)
{
	static const char *const texts[] = {"", "{", "[]", "{\"event\":7}",
		"{\"event\":\"step.started\",\"attempt\":{}}",
		"{\"event\":\"run.created\",\"steps\":{\"a\":1}}",
		"{\"event\":\"later.added\",\"x\":[1]}"};
	struct journal *j = begin();
	struct projection p;
	(void)state;
	projection_init(&p);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		event(j, RECORD_STEP_RUN, texts[i]);
		event(j, 60000, texts[i]);
	}
	finish(j, NULL);
	feed(&p, j);
	assert_true(p.digest_matches);
	assert_int_equal(p.n_steps, 2);
	projection_fini(&p);
	free(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_a_run_from_its_first_to_its_last_record),
		cmocka_unit_test(a_second_attempt_keeps_the_first_start),
		cmocka_unit_test(notices_a_digest_that_does_not_match),
		cmocka_unit_test(refuses_damaged_and_late_records_and_waits_for_the_rest),
		cmocka_unit_test(events_that_cannot_be_understood_are_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
