#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "agent/probes/report.h"

static void make(struct report *report)
{
	struct finding *f;

	report_init(report);
	f = report_begin(report, "a", "First");
	f->rise = 3;
	finding_tenths(f, "pct", -15);
	finding_raise(f, LEVEL_WARN, "nearly_so", "nearly %d", 9);
	finding_raise(f, LEVEL_WARN, "not_told", "not told: the first of its level is");
	report_end(report);
	f = report_begin(report, "b", "Second");
	report_end(report);
}

static void returns_the_findings(void **state)
{
	struct report report;
	struct finding f;
	size_t at = 0;

	(void)state;
	make(&report);
	assert_int_equal(report_next(report.bytes.data, report.bytes.len, &at, &f), 1);
	assert_string_equal(f.id, "a");
	assert_string_equal(f.title, "First");
	assert_string_equal(f.message, "nearly 9");
	assert_string_equal(f.code, "nearly_so");
	assert_string_equal(f.params, "[\"9\"]");
	assert_int_equal(f.level, LEVEL_WARN);
	assert_int_equal(f.rise, 3);
	assert_int_equal(f.values.len, strlen("{\"pct\":-1.5}"));
	assert_memory_equal(f.values.data, "{\"pct\":-1.5}", f.values.len);
	buf_fini(&f.values);
	assert_int_equal(report_next(report.bytes.data, report.bytes.len, &at, &f), 1);
	assert_string_equal(f.id, "b");
	buf_fini(&f.values);
	assert_int_equal(report_next(report.bytes.data, report.bytes.len, &at, &f), 0);
	report_fini(&report);
}

/* What a broken process may write instead: no byte of it is taken for granted. */
static void refuses_damaged_reports(void **state)
{
	struct report report;
	struct finding f;
	size_t at, first = 0;

	(void)state;
	make(&report);
	assert_int_equal(report_next(report.bytes.data, report.bytes.len, &first, &f), 1);
	buf_fini(&f.values);
	for (size_t n = 1; n < first; n++) {
		at = 0;
		assert_int_equal(report_next(report.bytes.data, n, &at, &f), -EBADMSG);
	}
	for (size_t i = 0; i < first; i++) {
		uint8_t old = report.bytes.data[i];

		report.bytes.data[i] = 0xff;
		at = 0;
		if (report_next(report.bytes.data, report.bytes.len, &at, &f) == 1)
			buf_fini(&f.values);
		report.bytes.data[i] = old;
	}
	report_fini(&report);
}

static void leaves_out_a_finding_that_is_too_large(void **state)
{
	struct report report;
	struct finding *f, found;
	size_t at = 0;

	(void)state;
	report_init(&report);
	f = report_begin(&report, "large", "Large");
	for (int i = 0; i < 20000; i++)
		json_kv_str(&f->json, "again", "and again");
	report_end(&report);
	(void)report_begin(&report, "small", "Small");
	report_end(&report);
	assert_int_equal(report_next(report.bytes.data, report.bytes.len, &at, &found), 1);
	assert_string_equal(found.id, "small");
	buf_fini(&found.values);
	report_fini(&report);
}

/* They become part of the document: no text may add items to it, or break it. */
static void refuses_values_that_are_not_one_object(void **state)
{
	static const char *const inside[] = {"\"a\":1},{\"id\":\"other\",\"level\":\"ok\"",
		"\"a\":}", "\"a\":\"\xff\"", "]", "\"a\""};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(inside); i++) {
		struct report report;
		struct finding *f, found;
		size_t at = 0;

		report_init(&report);
		f = report_begin(&report, "a", "First");
		json_raw(&f->json, inside[i], strlen(inside[i]));
		report_end(&report);
		assert_int_equal(
			report_next(report.bytes.data, report.bytes.len, &at, &found), -EBADMSG);
		report_fini(&report);
	}
}

static void takes_the_largest_numbers(void **state)
{
	struct report report;
	struct finding *f, found;
	size_t at = 0;

	(void)state;
	report_init(&report);
	f = report_begin(&report, "a", "First");
	json_kv_uint(&f->json, "n", UINT64_MAX);
	json_kv_int(&f->json, "m", INT64_MIN);
	report_end(&report);
	assert_int_equal(report_next(report.bytes.data, report.bytes.len, &at, &found), 1);
	buf_fini(&found.values);
	report_fini(&report);
}

static void params_are_what_was_filled_in(void **state)
{
	static char name[REPORT_MAX_MESSAGE * 2];
	struct report report;
	struct finding *f;

	(void)state;
	report_init(&report);
	f = report_begin(&report, "a", "First");
	finding_raise(f, LEVEL_WARN, "of_all_kinds", "%d %% %u|%ld|%lu|%lld|%llu|%zu|%s|%.2s|%.*s",
		-1, 2u, -3L, 4UL, -5LL, 6ULL, (size_t)7, "a \"b\"", "cdef", 3, "ghijk");
	assert_string_equal(f->message, "-1 % 2|-3|4|-5|6|7|a \"b\"|cd|ghi");
	assert_string_equal(f->params,
		"[\"-1\",\"2\",\"-3\",\"4\",\"-5\",\"6\",\"7\",\"a \\\"b\\\"\",\"cd\",\"ghi\"]");
	finding_raise(f, LEVEL_BAD, NULL, "%s", "a sentence of its own");
	assert_string_equal(f->code, "");
	assert_string_equal(f->params, "");
	report_end(&report);
	/* What does not fit is not told in part. */
	f = report_begin(&report, "b", "Second");
	memset(name, '\n', sizeof(name) - 1);
	finding_raise(f, LEVEL_BAD, "too_long", "%s", name);
	assert_string_equal(f->code, "");
	assert_string_equal(f->params, "");
	assert_int_equal(strlen(f->message), REPORT_MAX_MESSAGE - 1);
	report_end(&report);
	report_fini(&report);
}

static void refuses_params_that_are_no_list_of_texts(void **state)
{
	static const struct {
		const char *code, *params;
	} cases[] = {{"a_code", "{}"}, {"a_code", "[]]"}, {"a_code", ""}, {"", "[]"},
		{"a_code", "[\"\xff\"]"}, {"a_code", "[1]"}, {"a_code", "[\"a\",null]"},
		{"a_code", "[99999999999999999999]"}, {"a_code", "[{\"a\":\"b\"}]"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct report report;
		struct finding *f, found;
		size_t at = 0;

		report_init(&report);
		f = report_begin(&report, "a", "First");
		finding_raise(f, LEVEL_BAD, NULL, "it is so");
		strcpy(f->code, cases[i].code);
		strcpy(f->params, cases[i].params);
		report_end(&report);
		assert_int_equal(
			report_next(report.bytes.data, report.bytes.len, &at, &found), -EBADMSG);
		report_fini(&report);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(returns_the_findings),
		cmocka_unit_test(refuses_damaged_reports),
		cmocka_unit_test(leaves_out_a_finding_that_is_too_large),
		cmocka_unit_test(refuses_values_that_are_not_one_object),
		cmocka_unit_test(takes_the_largest_numbers),
		cmocka_unit_test(params_are_what_was_filled_in),
		cmocka_unit_test(refuses_params_that_are_no_list_of_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
