#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "core/web/limits.h"
#include "core/web/uri.h"

static int decode_path(const char *path, char *out)
{
	/* Exactly the room that is promised to be enough. */
	char *room = malloc(strlen(path) + 1);
	int r = uri_decode_path(path, strlen(path), room);

	if (r == 0)
		strcpy(out, room);
	free(room);
	return r;
}

static void decodes_a_path(void **state)
{
	char out[64];

	(void)state;
	assert_int_equal(decode_path("/a%20b/%c3%A9/..x/x..", out), 0);
	assert_string_equal(out, "/a b/\xc3\xa9/..x/x..");
	assert_int_equal(decode_path("/a+b", out), 0);
	assert_string_equal(out, "/a+b");
	assert_int_equal(decode_path("/", out), 0);
	assert_string_equal(out, "/");
}

static void refuses_bad_paths(void **state)
{
	static const char *const paths[] = {"/%", "/%4", "/%4g", "/%zz", "/%%20", "/a%2fb",
		"/a%2Fb", "/%00", "/a%0ab", "/%7f", "/%ff", "/%c3", "/%ed%a0%80", "/%c0%af", "/.",
		"/..", "/../x", "/x/..", "/x/../y", "/x/./y", "/%2e%2e/x", "/.%2e", "/x/%2e"};
	char out[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		if (decode_path(paths[i], out) != -EBADMSG)
			fail_msg("path %zu was not refused: %s", i, paths[i]);
	}
}

static int decode_query(const char *query, char *room, struct uri_pair *pairs, size_t max)
{
	return uri_decode_query(query, strlen(query), room, pairs, max);
}

static void decodes_a_query(void **state)
{
	const char *query = "a=1&b=x+y%26z&&c&=v&d=&a=2=3&%61=4";
	char *room = malloc(strlen(query) + 1);
	struct uri_pair pairs[8];

	(void)state;
	assert_int_equal(decode_query(query, room, pairs, 8), 7);
	assert_string_equal(pairs[0].name, "a");
	assert_string_equal(pairs[0].value, "1");
	assert_string_equal(pairs[1].value, "x y&z");
	assert_string_equal(pairs[2].name, "c");
	assert_string_equal(pairs[2].value, "");
	assert_string_equal(pairs[3].name, "");
	assert_string_equal(pairs[4].value, "");
	assert_string_equal(pairs[5].value, "2=3");
	assert_string_equal(pairs[6].name, "a");
	free(room);
}

static void refuses_bad_queries(void **state)
{
	static const char *const queries[] = {
		"a=%", "%=1", "a=%0", "a=%00", "a=%ff", "%c3=1", "a=1&b=%g0"};
	struct uri_pair pairs[8];
	char room[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(queries); i++)
		assert_int_equal(decode_query(queries[i], room, pairs, 8), -EBADMSG);
	assert_int_equal(decode_query("a&b&c", room, pairs, 2), -E2BIG);
	assert_int_equal(decode_query("a&b", room, pairs, 2), 2);
	assert_int_equal(decode_query("", room, pairs, 2), 0);
	assert_int_equal(decode_query("&&&", room, pairs, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_a_path),
		cmocka_unit_test(refuses_bad_paths),
		cmocka_unit_test(decodes_a_query),
		cmocka_unit_test(refuses_bad_queries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
