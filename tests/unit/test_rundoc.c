#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/app/runs/rundoc.h"

#define ID "\"id\":\"0198f2a0-7c3b-7def-8a01-0123456789ab\""

static int read_doc(const char *text, json_t **ret_json, struct rundoc *ret_doc)
{
	*ret_json = json_loads(text, 0, NULL);
	return rundoc_read(*ret_json, ret_doc);
}

static void reads_what_is_there(void **state)
{
	struct rundoc doc;
	json_t *json;
	(void)state;
	assert_int_equal(
		read_doc("{" ID ",\"number\":1482,\"name\":\"backup\",\"status\":\"failed\","
			 "\"reason\":\"exit\",\"exit_code\":3,\"signal\":null,\"size\":100,"
			 "\"durable_offset\":40,\"truncated\":true}",
			&json, &doc),
		0);
	assert_int_equal(doc.number, 1482);
	assert_string_equal(doc.name, "backup");
	assert_string_equal(doc.reason, "exit");
	assert_int_equal(doc.exit_code, 3);
	assert_int_equal(doc.signal, RUNDOC_NONE);
	assert_int_equal(doc.started_us, RUNDOC_NONE);
	assert_string_equal(doc.actor, "");
	assert_true(doc.final);
	assert_true(doc.truncated);
	/* It has ended: all of it is durable. */
	assert_int_equal(doc.durable, 100);
	json_decref(json);
}

static void takes_of_a_running_run_only_what_is_durable(void **state)
{
	struct rundoc doc;
	json_t *json;
	(void)state;
	assert_int_equal(
		read_doc("{" ID ",\"status\":\"running\",\"size\":100,\"durable_offset\":40}",
			&json, &doc),
		0);
	assert_false(doc.final);
	assert_int_equal(doc.durable, 40);
	json_decref(json);
	/* An agent that does not say: nothing until it ends. */
	assert_int_equal(read_doc("{" ID ",\"status\":\"waiting\",\"size\":100}", &json, &doc), 0);
	assert_int_equal(doc.durable, 0);
	json_decref(json);
	assert_int_equal(
		read_doc("{" ID ",\"status\":\"running\",\"size\":10,\"durable_offset\":40}", &json,
			&doc),
		0);
	assert_int_equal(doc.durable, 10);
	json_decref(json);
}

static void refuses_what_names_no_run(void **state)
{
	static const char *const texts[] = {"{}", "[]", "{\"id\":7}", "{\"id\":\"x\"}", "null"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct rundoc doc;
		json_t *json;
		assert_int_equal(read_doc(texts[i], &json, &doc), -EINVAL);
		json_decref(json);
	}
	struct rundoc doc;
	assert_int_equal(rundoc_read(NULL, &doc), -EINVAL);
}

static void values_of_other_types_are_absent(void **state)
{
	struct rundoc doc;
	json_t *json;
	(void)state;
	assert_int_equal(
		read_doc("{" ID ",\"name\":7,\"number\":\"x\",\"size\":-5,\"truncated\":1}", &json,
			&doc),
		0);
	assert_string_equal(doc.name, "");
	assert_int_equal(doc.number, RUNDOC_NONE);
	assert_int_equal(doc.size, 0);
	assert_false(doc.truncated);
	assert_false(doc.final);
	json_decref(json);
}

static void jsonb_gets_no_nul(const char *in, const char *out)
{
	char *copy = xcalloc(1, strlen(in) + 1);
	size_t n = rundoc_for_jsonb(wire_str_of(in), copy);
	assert_int_equal(n, strlen(out));
	assert_memory_equal(copy, out, n);
	free(copy);
}

static void replaces_the_escape_that_jsonb_refuses(void **state)
{
	(void)state;
	jsonb_gets_no_nul("{\"a\":\"x\\u0000y\"}", "{\"a\":\"x\\ufffdy\"}");
	jsonb_gets_no_nul("\"\\u0000\\u0000\"", "\"\\ufffd\\ufffd\"");
	/* A backslash that is itself escaped begins no escape. */
	jsonb_gets_no_nul("\"\\\\u0000\"", "\"\\\\u0000\"");
	jsonb_gets_no_nul("\"\\\\\\u0000\"", "\"\\\\\\ufffd\"");
	jsonb_gets_no_nul("\"\\u0001\\n\"", "\"\\u0001\\n\"");
	jsonb_gets_no_nul("\\u000", "\\u000");
	jsonb_gets_no_nul("\\", "\\");
	jsonb_gets_no_nul("", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_is_there),
		cmocka_unit_test(takes_of_a_running_run_only_what_is_durable),
		cmocka_unit_test(refuses_what_names_no_run),
		cmocka_unit_test(values_of_other_types_are_absent),
		cmocka_unit_test(replaces_the_escape_that_jsonb_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
