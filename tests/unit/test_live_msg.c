#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/app/limits.h"
#include "core/app/live/live_msg.h"

#define RUN "0193aaaa-bbbb-7ccc-8ddd-eeeeffff0000"

static struct live_msg msg;
static const char *fault;

static int parse(const char *text)
{
	return live_msg_parse(text, strlen(text), &msg, &fault);
}

static void reads_a_subscription(void **state)
{
	(void)state;
	assert_int_equal(parse("{\"op\":\"subscribe\",\"topic\":\"run/" RUN
			       "/log\",\"offset\":-65536,\"id\":7}"),
		0);
	assert_int_equal(msg.op, LIVE_SUBSCRIBE);
	assert_int_equal(msg.topic, TOPIC_RUN_LOG);
	assert_string_equal(msg.run, RUN);
	assert_int_equal(msg.offset, -65536);
	assert_int_equal(msg.id, 7);
}

static void knows_every_topic(void **state)
{
	static const struct {
		const char *topic;
		enum live_topic expected;
	} rows[] = {
		{"runs", TOPIC_RUNS},
		{"run/" RUN, TOPIC_RUN},
		{"run/1482", TOPIC_RUN},
		{"run/1482/log", TOPIC_RUN_LOG},
		{"catalog", TOPIC_CATALOG},
		{"system", TOPIC_SYSTEM},
		{"status", TOPIC_STATUS},
		{"tail/docker/web-1", TOPIC_TAIL_DOCKER},
		{"tail/unit/getty@tty1.service", TOPIC_TAIL_UNIT},
		{"tail/other/x", TOPIC_UNSUPPORTED},
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(text, sizeof(text), "{\"op\":\"subscribe\",\"topic\":\"%s\",\"id\":1}",
			rows[i].topic);
		assert_int_equal(parse(text), 0);
		assert_int_equal(msg.topic, rows[i].expected);
		assert_int_equal(msg.offset, 0);
	}
}

static void reads_credit_and_unsubscribe(void **state)
{
	(void)state;
	assert_int_equal(parse("{\"op\":\"credit\",\"id\":3,\"bytes\":65536}"), 0);
	assert_int_equal(msg.op, LIVE_CREDIT);
	assert_int_equal(msg.bytes, 65536);
	assert_int_equal(parse("{\"op\":\"unsubscribe\",\"id\":4294967295}"), 0);
	assert_int_equal(msg.op, LIVE_UNSUBSCRIBE);
	assert_int_equal(msg.id, 4294967295u);
	assert_int_equal(parse("{\"op\":\"hush\",\"id\":7}"), 0);
	assert_int_equal(msg.op, LIVE_HUSH);
	assert_int_equal(msg.id, 7);
}

static void refuses_what_is_malformed_and_says_why(void **state)
{
	static const char *const rows[] = {
		"",
		"nonsense",
		"[]",
		"\"x\"",
		"{}",
		"{\"op\":\"subscribe\",\"topic\":\"runs\"}",
		"{\"op\":\"subscribe\",\"topic\":\"runs\",\"id\":0}",
		"{\"op\":\"subscribe\",\"topic\":\"runs\",\"id\":4294967296}",
		"{\"op\":\"subscribe\",\"topic\":\"runs\",\"id\":\"1\"}",
		"{\"op\":\"subscribe\",\"topic\":\"runs\",\"id\":1,\"id\":2}",
		"{\"op\":\"subscribe\",\"topic\":7,\"id\":1}",
		"{\"op\":\"subscribe\",\"topic\":\"\",\"id\":1}",
		"{\"op\":\"subscribe\",\"topic\":\"run/../etc\",\"id\":1}",
		"{\"op\":\"subscribe\",\"topic\":\"run/1/2\",\"id\":1}",
		"{\"op\":\"subscribe\",\"topic\":\"runs\",\"id\":1,\"offset\":1.5}",
		"{\"op\":\"credit\",\"id\":1}",
		"{\"op\":\"credit\",\"id\":1,\"bytes\":0}",
		"{\"op\":\"credit\",\"id\":1,\"bytes\":1,\"x\":2}",
		"{\"op\":\"shout\",\"id\":1}",
		"{\"id\":1}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(parse(rows[i]), -EINVAL);
		assert_non_null(fault);
	}
}

static void keeps_the_id_of_a_message_it_refuses(void **state)
{
	(void)state;
	assert_int_equal(parse("{\"op\":\"shout\",\"id\":12}"), -EINVAL);
	assert_int_equal(msg.id, 12);
}

static void refuses_a_message_that_is_too_long(void **state)
{
	static char text[LIMIT_MESSAGE_BYTES + 64];
	int n = snprintf(text, sizeof(text), "{\"op\":\"unsubscribe\",\"id\":1}");

	(void)state;
	memset(text + n, ' ', sizeof(text) - (size_t)n);
	assert_int_equal(live_msg_parse(text, LIMIT_MESSAGE_BYTES, &msg, &fault), 0);
	assert_int_equal(live_msg_parse(text, LIMIT_MESSAGE_BYTES + 1, &msg, &fault), -EINVAL);
}

static void reads_the_host_of_a_subscription(void **state)
{
	static const char *const bad[] = {"\"\"", "\"*\"", "\"a b\"", "7", "null", "[]",
		"\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""};
	char text[256];

	(void)state;
	assert_int_equal(parse("{\"op\":\"subscribe\",\"topic\":\"status\",\"id\":1}"), 0);
	assert_string_equal(msg.host, "");
	assert_int_equal(
		parse("{\"op\":\"subscribe\",\"topic\":\"status\",\"id\":1,\"host\":\"db-1.x\"}"),
		0);
	assert_string_equal(msg.host, "db-1.x");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(text, sizeof(text),
			"{\"op\":\"subscribe\",\"topic\":\"status\",\"id\":1,\"host\":%s}", bad[i]);
		assert_int_equal(parse(text), -EINVAL);
		assert_non_null(strstr(fault, "host"));
	}
}

static void survives_deep_nesting(void **state)
{
	static char text[LIMIT_MESSAGE_BYTES];

	(void)state;
	memset(text, '[', sizeof(text));
	assert_int_equal(live_msg_parse(text, sizeof(text), &msg, &fault), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_subscription),
		cmocka_unit_test(knows_every_topic),
		cmocka_unit_test(reads_credit_and_unsubscribe),
		cmocka_unit_test(refuses_what_is_malformed_and_says_why),
		cmocka_unit_test(keeps_the_id_of_a_message_it_refuses),
		cmocka_unit_test(refuses_a_message_that_is_too_long),
		cmocka_unit_test(reads_the_host_of_a_subscription),
		cmocka_unit_test(survives_deep_nesting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
