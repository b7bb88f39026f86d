#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/app/hooks/hook.h"

/* GitHub's own example: "Validating webhook deliveries", testing the webhook payload validation. */
#define SECRET "It's a Secret to Everybody"
#define BODY "Hello, World!"
#define MAC "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

static bool check(const char *hub, const char *forge, const char *secret)
{
	struct hook_head head = {.hub_signature = hub, .forge_signature = forge};

	return hook_signature_is_right(&head, secret, BODY, strlen(BODY));
}

static void takes_what_github_and_forgejo_sign(void **state)
{
	(void)state;
	assert_true(check("sha256=" MAC, NULL, SECRET));
	assert_true(check(NULL, MAC, SECRET));
	assert_true(check("sha256=" MAC, MAC, SECRET));
}

static void refuses_what_is_signed_otherwise_or_not(void **state)
{
	(void)state;
	assert_false(check(NULL, NULL, SECRET));
	assert_false(check("", NULL, SECRET));
	assert_false(check(MAC, NULL, SECRET));
	assert_false(check("sha256=", NULL, SECRET));
	assert_false(check("sha256=" MAC "00", NULL, SECRET));
	assert_false(check("sha1=" MAC, NULL, SECRET));
	assert_false(check("sha256=" MAC, NULL, "another secret"));
	assert_false(check("sha256=" MAC, NULL, NULL));
	assert_false(check(NULL, "sha256=" MAC, SECRET));
	/* one right signature does not make up for a wrong one */
	assert_false(check("sha256=" MAC, "", SECRET));
	assert_false(check("sha256=", MAC, SECRET));
}

/* The document and the pointers of RFC 6901, section 5. */
static void finds_what_the_rfc_finds(void **state)
{
	static const struct {
		const char *pointer;
		json_int_t value;
	} rows[] = {{"/", 0}, {"/a~1b", 1}, {"/c%d", 2}, {"/e^f", 3}, {"/g|h", 4}, {"/i\\j", 5},
		{"/k\"l", 6}, {"/ ", 7}, {"/m~0n", 8}};
	json_t *doc = json_loads(
		"{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,\"g|h\":4,"
		"\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8,\"01\":9}",
		0, NULL);

	(void)state;
	assert_ptr_equal(hook_pointer(doc, ""), doc);
	assert_string_equal(json_string_value(hook_pointer(doc, "/foo/0")), "bar");
	assert_string_equal(json_string_value(hook_pointer(doc, "/foo/1")), "baz");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(
			json_integer_value(hook_pointer(doc, rows[i].pointer)), rows[i].value);
	assert_int_equal(json_integer_value(hook_pointer(doc, "/01")), 9);
	json_decref(doc);
}

static void finds_nothing_where_nothing_is(void **state)
{
	static const char *const pointers[] = {"/foo/2", "/foo/-", "/foo/00", "/foo/01", "/foo/",
		"/foo/x", "/foo/0/x", "/bar", "/foo/99999999999", "/foo/1e0"};
	json_t *doc = json_loads("{\"foo\":[\"bar\",\"baz\"]}", 0, NULL);
	char longest[700];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pointers); i++)
		assert_null(hook_pointer(doc, pointers[i]));
	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	assert_null(hook_pointer(doc, longest));
	json_decref(doc);
}

static struct notify_hook a_hook(void)
{
	static char flow[] = "deploy", push[] = "push", refs[] = "refs/heads/*";

	return (struct notify_hook){
		.flow = flow, .events = {1, {push}}, .refs = {1, {refs}}, .n_inputs = 0};
}

static bool meant(const struct notify_hook *hook, const char *event, const char *text)
{
	struct hook_head head = {.event = event};
	json_t *doc = json_loads(text, 0, NULL);
	char reason[200] = "";
	bool is_meant = hook_is_meant(hook, &head, doc, reason, sizeof(reason));

	assert_true(is_meant == (reason[0] == '\0'));
	json_decref(doc);
	return is_meant;
}

static void is_meant_by_event_and_ref(void **state)
{
	struct notify_hook hook = a_hook(), any = {.n_inputs = 0};

	(void)state;
	assert_true(meant(&hook, "push", "{\"ref\":\"refs/heads/main\"}"));
	assert_false(meant(&hook, "ping", "{\"ref\":\"refs/heads/main\"}"));
	assert_false(meant(&hook, NULL, "{\"ref\":\"refs/heads/main\"}"));
	assert_false(meant(&hook, "push", "{\"ref\":\"refs/tags/v1\"}"));
	assert_false(meant(&hook, "push", "{\"ref\":7}"));
	assert_false(meant(&hook, "push", "{}"));
	assert_false(meant(&hook, "push", "{\"ref\":\"refs/heads/main\",\"deleted\":true}"));
	assert_true(meant(&any, NULL, "{}"));
	assert_true(meant(&any, "issues", "{}"));
	assert_false(meant(&any, "ping", "{}"));
}

static void inputs_are_fixed_picked_or_missed(void **state)
{
	static char a[] = "a", b[] = "b", c[] = "c", fixed[] = "fixed", at[] = "/x", away[] = "/y";
	struct notify_hook hook = {
		.n_inputs = 3, .inputs = {{a, NULL, fixed}, {b, at, NULL}, {c, away, fixed}}};
	json_t *doc = json_loads("{\"x\":3,\"y\":null,\"z\":[1]}", 0, NULL);
	struct hook_problem problem;
	json_t *inputs = hook_inputs(&hook, doc, &problem);

	(void)state;
	assert_string_equal(json_string_value(json_object_get(inputs, "a")), "fixed");
	assert_int_equal(json_integer_value(json_object_get(inputs, "b")), 3);
	assert_string_equal(json_string_value(json_object_get(inputs, "c")), "fixed");
	json_decref(inputs);
	hook.inputs[2].value = NULL;
	assert_null(hook_inputs(&hook, doc, &problem));
	assert_string_equal(problem.input, "c");
	memcpy(away, "/z", 3);
	assert_null(hook_inputs(&hook, doc, &problem));
	assert_non_null(strstr(problem.message, "no text, integer or boolean"));
	json_decref(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_what_github_and_forgejo_sign),
		cmocka_unit_test(refuses_what_is_signed_otherwise_or_not),
		cmocka_unit_test(finds_what_the_rfc_finds),
		cmocka_unit_test(finds_nothing_where_nothing_is),
		cmocka_unit_test(is_meant_by_event_and_ref),
		cmocka_unit_test(inputs_are_fixed_picked_or_missed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
