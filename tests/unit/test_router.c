#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/web/route.h"

static void handle(struct request *req)
{
	(void)req;
}

static const struct route routes[] = {
	{.method = "GET", .pattern = "/", .handle = handle},
	{.method = "GET", .pattern = "/runs", .handle = handle},
	{.method = "POST", .pattern = "/runs", .handle = handle},
	{.method = "GET", .pattern = "/runs/{id}", .handle = handle},
	{.method = "DELETE", .pattern = "/runs/{id}", .handle = handle},
	{.method = "GET", .pattern = "/runs/latest", .handle = handle},
	{.method = "GET", .pattern = "/{kind}/latest", .handle = handle},
	{.method = "GET", .pattern = "/runs/{id}/steps/{step}", .handle = handle},
};

static struct router *router;

static struct route_match find(const char *method, const char *path)
{
	static char copy[128];
	const char *segments[WEB_MAX_SEGMENTS + 1];
	struct route_match match;
	size_t n = 0;

	strcpy(copy, path);
	for (char *s = copy; *s == '/' && s[1] != '\0';) {
		*s++ = '\0';
		segments[n++] = s;
		s += strcspn(s, "/");
	}
	router_find(router, method, segments, n, &match);
	return match;
}

static const char *pattern(const char *method, const char *path)
{
	struct route_match match = find(method, path);

	return match.route != NULL ? match.route->pattern : "";
}

static void finds_literals_before_parameters(void **state)
{
	(void)state;
	assert_string_equal(pattern("GET", "/"), "/");
	assert_string_equal(pattern("GET", "/runs"), "/runs");
	assert_string_equal(pattern("GET", "/runs/latest"), "/runs/latest");
	assert_string_equal(pattern("GET", "/runs/12"), "/runs/{id}");
	assert_string_equal(pattern("GET", "/x/latest"), "/{kind}/latest");
	assert_string_equal(pattern("HEAD", "/runs/12"), "/runs/{id}");
	assert_string_equal(pattern("GET", "/runs/"), "");
	assert_string_equal(pattern("GET", "/runs/12/x"), "");
	assert_string_equal(pattern("GET", "/run"), "");
	assert_string_equal(pattern("GET", "/runsx"), "");
	assert_string_equal(pattern("GET", "/Runs"), "");
}

static void names_parameters(void **state)
{
	struct route_match match = find("GET", "/runs/12/steps/3");

	(void)state;
	assert_int_equal(match.n_params, 2);
	assert_int_equal(match.params[0].name_len, 2);
	assert_memory_equal(match.params[0].name, "id", 2);
	assert_int_equal(match.params[0].segment, 1);
	assert_memory_equal(match.params[1].name, "step", 4);
	assert_int_equal(match.params[1].segment, 3);
}

static void tells_allowed_methods(void **state)
{
	(void)state;
	assert_string_equal(find("PUT", "/runs").allowed, "GET, HEAD, POST");
	assert_string_equal(find("POST", "/runs/latest").allowed, "GET, HEAD, DELETE");
	assert_string_equal(find("GET", "/nothing").allowed, "");
	assert_null(find("PUT", "/runs").route);
}

static void refuses_wrong_tables(void **state)
{
	static const struct route bad[] = {
		{.method = "GOT", .pattern = "/", .handle = handle},
		{.method = "HEAD", .pattern = "/", .handle = handle},
		{.method = "GET", .pattern = "x", .handle = handle},
		{.method = "GET", .pattern = "/a//b", .handle = handle},
		{.method = "GET", .pattern = "/a/", .handle = handle},
		{.method = "GET", .pattern = "/{a", .handle = handle},
		{.method = "GET", .pattern = "/{}", .handle = handle},
		{.method = "GET", .pattern = "/a{b}", .handle = handle},
		{.method = "GET", .pattern = "/{a}/{b}/{c}/{d}/{e}", .handle = handle},
		{.method = "GET", .pattern = "/1/2/3/4/5/6/7/8/9/10/11/12/13", .handle = handle},
		{.method = "GET", .pattern = "/a"},
		{.method = "POST", .pattern = "/a", .flags = ROUTE_WEBSOCKET, .handle = handle},
	};
	static const struct route twice[] = {
		{.method = "GET", .pattern = "/a/{x}", .handle = handle},
		{.method = "GET", .pattern = "/a/{y}", .handle = handle},
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		err.msg[0] = '\0';
		assert_null(router_new(&bad[i], 1, &err));
		assert_string_not_equal(err.msg, "");
	}
	assert_null(router_new(twice, 2, &err));
	assert_string_equal(err.msg, "route GET /a/{y} stands twice");
}

static int set_up(void **state)
{
	struct err err;

	(void)state;
	router = router_new(routes, ARRAY_LEN(routes), &err);
	return router == NULL;
}

static int tear_down(void **state)
{
	(void)state;
	router_free(router);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_literals_before_parameters),
		cmocka_unit_test(names_parameters),
		cmocka_unit_test(tells_allowed_methods),
		cmocka_unit_test(refuses_wrong_tables),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
