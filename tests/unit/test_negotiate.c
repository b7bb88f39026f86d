#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "core/web/cookie.h"
#include "core/web/limits.h"
#include "core/web/negotiate.h"

#define ALL (1u << ENCODING_GZIP | 1u << ENCODING_BR)

static void chooses_an_encoding(void **state)
{
	static const struct {
		const char *accept;
		enum encoding expected;
	} rows[] = {
		{NULL, ENCODING_IDENTITY},
		{"", ENCODING_IDENTITY},
		{"gzip, deflate, br, zstd", ENCODING_BR},
		{"gzip", ENCODING_GZIP},
		{"GZIP", ENCODING_GZIP},
		{"x-gzip", ENCODING_GZIP},
		{"br;q=0.5, gzip;q=0.9", ENCODING_GZIP},
		{"br;q=0.9,gzip;q=0.9", ENCODING_BR},
		{"br;q=0, gzip;q=0", ENCODING_IDENTITY},
		{"br ; q=0.001", ENCODING_IDENTITY + 2},
		{"*", ENCODING_BR},
		{"*;q=0", ENCODING_IDENTITY},
		{"br;q=0, *", ENCODING_GZIP},
		{"identity;q=1, br;q=0.5", ENCODING_IDENTITY},
		{"br;q=1.5", ENCODING_IDENTITY},
		{"br;q=abc", ENCODING_IDENTITY},
		{"brotli, gzipped", ENCODING_IDENTITY},
		{", ,br", ENCODING_BR},
		{";;;,;q=1", ENCODING_IDENTITY},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (negotiate_encoding(rows[i].accept, ALL) != rows[i].expected)
			fail_msg("row %zu: %s", i, rows[i].accept);
	}
	assert_int_equal(negotiate_encoding("br, gzip", 1u << ENCODING_GZIP), ENCODING_GZIP);
	assert_int_equal(negotiate_encoding("br, gzip", 0), ENCODING_IDENTITY);
}

static void knows_who_wants_a_page(void **state)
{
	(void)state;
	assert_true(negotiate_accepts_html("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"));
	assert_true(negotiate_accepts_html("application/json, TEXT/HTML"));
	assert_false(negotiate_accepts_html("*/*"));
	assert_false(negotiate_accepts_html("text/html;q=0"));
	assert_false(negotiate_accepts_html("text/htmlx"));
	assert_false(negotiate_accepts_html(NULL));
}

static void compares_entity_tags(void **state)
{
	(void)state;
	assert_true(negotiate_etag_matches("\"ab\"", "\"ab\""));
	assert_true(negotiate_etag_matches("W/\"ab\"", "\"ab\""));
	assert_true(negotiate_etag_matches("\"x\", \"ab\"", "\"ab\""));
	assert_true(negotiate_etag_matches("*", "\"ab\""));
	assert_false(negotiate_etag_matches("\"abc\"", "\"ab\""));
	assert_false(negotiate_etag_matches("ab", "\"ab\""));
	assert_false(negotiate_etag_matches("\"ab", "\"ab\""));
	assert_false(negotiate_etag_matches("\"x,\"ab\"", "\"ab\""));
	assert_false(negotiate_etag_matches(NULL, "\"ab\""));
}

static void compares_media_types(void **state)
{
	(void)state;
	assert_true(negotiate_is_type("application/json", "application/json"));
	assert_true(negotiate_is_type("Application/JSON; charset=utf-8", "application/json"));
	assert_false(negotiate_is_type("application/jsonp", "application/json"));
	assert_false(negotiate_is_type("application/jso", "application/json"));
	assert_false(negotiate_is_type(NULL, "application/json"));
}

static void reads_one_range(void **state)
{
	static const struct {
		const char *range;
		uint64_t size;
		int expected;
		uint64_t first, last;
	} rows[] = {
		{"bytes=0-0", 10, 0, 0, 0},
		{"bytes=2-", 10, 0, 2, 9},
		{"bytes=2-100", 10, 0, 2, 9},
		{"bytes=-3", 10, 0, 7, 9},
		{"bytes=-30", 10, 0, 0, 9},
		{"BYTES=1-2", 10, 0, 1, 2},
		{"bytes=10-", 10, -ERANGE, 0, 0},
		{"bytes=-0", 10, -ERANGE, 0, 0},
		{"bytes=-1", 0, -ERANGE, 0, 0},
		{"bytes=0-", 0, -ERANGE, 0, 0},
		{"bytes=3-2", 10, -ENOENT, 0, 0},
		{"bytes=0-1,3-4", 10, -ENOENT, 0, 0},
		{"bytes=", 10, -ENOENT, 0, 0},
		{"bytes=-", 10, -ENOENT, 0, 0},
		{"bytes=a-b", 10, -ENOENT, 0, 0},
		{"bytes=1 -2", 10, -ENOENT, 0, 0},
		{"bytes=99999999999999999999-", 10, -ENOENT, 0, 0},
		{"lines=0-1", 10, -ENOENT, 0, 0},
		{NULL, 10, -ENOENT, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t first = 0, last = 0;
		int r = negotiate_range(rows[i].range, rows[i].size, &first, &last);

		if (r != rows[i].expected || first != rows[i].first || last != rows[i].last)
			fail_msg("row %zu: %s", i, rows[i].range);
	}
}

static struct cookie_hit cookie(const char *header, const char *name)
{
	struct cookie_hit hit = {0};

	cookie_find(header, name, &hit);
	return hit;
}

static void assert_cookie(const char *header, const char *expected)
{
	struct cookie_hit hit = cookie(header, "s");

	assert_int_equal(hit.count, 1);
	assert_int_equal(hit.len, strlen(expected));
	assert_memory_equal(hit.value, expected, hit.len);
}

static void finds_a_cookie_by_its_exact_name(void **state)
{
	(void)state;
	assert_cookie("s=1", "1");
	assert_cookie("a=b; s=1; c=d", "1");
	assert_cookie("ss=2; s=1", "1");
	assert_cookie("S=2;s=1", "1");
	assert_cookie("s=", "");
	assert_cookie("s=\"quoted\"", "quoted");
	assert_cookie("s=a=b", "a=b");
	assert_cookie("s=1  ; x", "1");
	assert_int_equal(cookie("x=s=1", "s").count, 0);
	assert_int_equal(cookie("s", "s").count, 0);
	assert_int_equal(cookie("", "s").count, 0);
	assert_int_equal(cookie(";;;", "s").count, 0);
}

static void counts_doubled_cookies(void **state)
{
	char many[WEB_MAX_COOKIES * 5 + 20] = "";

	(void)state;
	assert_int_equal(cookie("s=1; s=2", "s").count, 2);
	for (size_t i = 0; i <= WEB_MAX_COOKIES; i++)
		strcat(many, "a=b;");
	assert_true(cookie(many, "s").count > 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chooses_an_encoding),
		cmocka_unit_test(knows_who_wants_a_page),
		cmocka_unit_test(compares_entity_tags),
		cmocka_unit_test(compares_media_types),
		cmocka_unit_test(reads_one_range),
		cmocka_unit_test(finds_a_cookie_by_its_exact_name),
		cmocka_unit_test(counts_doubled_cookies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
