#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>

#include "agent/run/outputs.h"
#include "run_fixture.h"

struct parsed {
	struct outputs outputs;
	struct err err;
	int rc;
};

static struct parsed parse(const void *text, size_t n)
{
	struct plan *plan = fixture_plan(1);
	struct parsed p = {0};

	outputs_init(&p.outputs);
	p.rc = outputs_parse(&plan->steps[0], 4, 1, text, n, &p.outputs, &p.err);
	plan_free(plan);
	return p;
}

static void takes_lines_and_the_last_of_a_name(void **unused)
{
	static const char text[] = "path=/a\n\nbytes=12=13\npath=/b";
	struct parsed p = parse(text, sizeof(text) - 1);

	(void)unused;
	assert_int_equal(p.rc, 0);
	assert_int_equal(p.outputs.n, 2);
	assert_string_equal(outputs_get(&p.outputs, 4, "path"), "/b");
	assert_string_equal(outputs_get(&p.outputs, 4, "bytes"), "12=13");
	assert_null(outputs_get(&p.outputs, 3, "path"));
	outputs_fini(&p.outputs);
}

static void names_the_first_line_it_does_not_take_and_takes_the_others(void **unused)
{
	static const struct {
		const char *text;
		const char *says;
	} cases[] = {
		{"path=1\nevil=2\nbytes=3\n", "line 2: sets 'evil'"},
		{"path=1\nnothing\nbytes=3\n", "line 2: is not name=value"},
		{"path=1\n=x\nbytes=3\n", "line 2: is not name=value"},
		{"path=1\npath=\xff\xfe\nbytes=3\n", "line 2: the value of 'path' is not valid"},
		{"path=1\npath=a\tb\nbytes=3\n", "line 2: the value of 'path' has control"},
		{"path=1\npath=a\r\nbytes=3\n", "line 2: the value of 'path' has control"},
		{"path=1\npath\x01=a\nbytes=3\n", "line 2: is not name=value"},
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct parsed p = parse(cases[i].text, strlen(cases[i].text));

		assert_int_equal(p.rc, -EINVAL);
		assert_non_null(strstr(p.err.msg, cases[i].says));
		assert_string_equal(outputs_get(&p.outputs, 4, "path"), "1");
		assert_string_equal(outputs_get(&p.outputs, 4, "bytes"), "3");
		outputs_fini(&p.outputs);
	}
}

static void refuses_nul_and_too_much(void **unused)
{
	struct parsed p = parse("path=a\0b\n", 9);
	char *big = xcalloc(1, OUTPUTS_MAX_FILE_BYTES + 1);

	(void)unused;
	assert_int_equal(p.rc, -EINVAL);
	assert_int_equal(p.outputs.n, 0);
	memset(big, 'x', OUTPUTS_MAX_FILE_BYTES + 1);
	memcpy(big, "path=", 5);
	p = parse(big, OUTPUTS_MAX_FILE_BYTES + 1);
	assert_int_equal(p.rc, -EMSGSIZE);
	p = parse(big, OUTPUTS_MAX_VALUE_BYTES + 6);
	assert_int_equal(p.rc, -EINVAL);
	p = parse(NULL, 0);
	assert_int_equal(p.rc, 0);
	free(big);
}

static void what_is_stored_comes_back_and_a_cut_end_is_ignored(void **unused)
{
	struct parsed p = parse("path=/a\nbytes=1\n", 16);
	struct outputs back;
	struct buf buf;

	(void)unused;
	buf_init(&buf, 1000);
	assert_int_equal(outputs_encode(&p.outputs, 0, &buf), 0);
	for (size_t n = 0; n <= buf.len; n++) {
		outputs_init(&back);
		assert_int_equal(outputs_decode(buf.data, n, &back), 0);
		assert_int_equal(back.n, n == buf.len ? 2 : n >= buf.len / 2 + 1 ? 1 : back.n);
		assert_true(back.n <= 2);
		outputs_fini(&back);
	}
	outputs_fini(&p.outputs);
	buf_fini(&buf);
}

static void the_latest_attempt_counts(void **unused)
{
	struct plan *plan = fixture_plan(1);
	struct outputs outputs;

	(void)unused;
	outputs_init(&outputs);
	assert_int_equal(outputs_parse(&plan->steps[0], 0, 2, (const uint8_t *)"path=new", 8,
				 &outputs, NULL),
		0);
	assert_int_equal(outputs_parse(&plan->steps[0], 0, 1, (const uint8_t *)"path=old", 8,
				 &outputs, NULL),
		0);
	assert_string_equal(outputs_get(&outputs, 0, "path"), "new");
	outputs_fini(&outputs);
	plan_free(plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_lines_and_the_last_of_a_name),
		cmocka_unit_test(names_the_first_line_it_does_not_take_and_takes_the_others),
		cmocka_unit_test(refuses_nul_and_too_much),
		cmocka_unit_test(what_is_stored_comes_back_and_a_cut_end_is_ignored),
		cmocka_unit_test(the_latest_attempt_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
