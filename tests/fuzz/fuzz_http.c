/* The input as what a peer sends on one connection: heads and bodies, one after the other, each
 * looked at twice, in one piece and cut in two: both must see the same. */
#include <string.h>

#include "core/web/body.h"
#include "core/web/cookie.h"
#include "core/web/head.h"
#include "core/web/negotiate.h"
#include "core/web/uri.h"
#include "fuzz.h"

#define MAX_PAIRS 32

static uint64_t body_bytes;

static int on_data(struct body *body, const char *data, size_t n)
{
	(void)body;
	(void)data;
	body_bytes += n;
	return 0;
}

static void check_span(struct head_span span, size_t n)
{
	FUZZ_CHECK((size_t)span.off + span.len < n);
}

static void check_value(const char *data, struct head_span span)
{
	char *value = malloc(span.len + 1u);
	struct cookie_hit hit = {0};
	uint64_t first = 0, last = 0;

	FUZZ_CHECK(value != NULL);
	memcpy(value, data + span.off, span.len);
	value[span.len] = '\0';
	FUZZ_CHECK(strlen(value) == span.len);
	FUZZ_CHECK(value[strcspn(value, "\r\n")] == '\0');
	negotiate_encoding(value, 6);
	negotiate_accepts_html(value);
	negotiate_etag_matches(value, "\"a\"");
	if (negotiate_range(value, 100, &first, &last) == 0)
		FUZZ_CHECK(first <= last && last < 100);
	cookie_find(value, "a", &hit);
	FUZZ_CHECK(hit.count == 0 || hit.value == NULL || hit.value + hit.len <= value + span.len);
	free(value);
}

static void check_target(const char *data, struct head_span span)
{
	const char *target = data + span.off, *mark = memchr(target, '?', span.len);
	size_t path_len = mark != NULL ? (size_t)(mark - target) : span.len;
	struct uri_pair pairs[MAX_PAIRS];
	char *out = malloc(span.len + 1u);

	FUZZ_CHECK(out != NULL);
	if (uri_decode_path(target, path_len, out) == 0)
		FUZZ_CHECK(strlen(out) <= path_len && strstr(out, "/../") == NULL);
	if (mark != NULL) {
		int n = uri_decode_query(mark + 1, span.len - path_len - 1, out, pairs, MAX_PAIRS);

		for (int i = 0; i < n; i++)
			FUZZ_CHECK(strlen(pairs[i].name) + strlen(pairs[i].value) < span.len);
	}
	free(out);
}

/* The body behind a head; returns how much of it was used, or -1 when the connection must end. */
static long check_body(
	const char *head, size_t head_len, const struct head *parsed, const char *data, size_t n)
{
	bool chunked = (parsed->flags & HEAD_CHUNKED) != 0;
	size_t used = 0, first = 0, second = 0, cut = n / 2;
	uint64_t bytes;
	struct body body;
	int r, again;

	r = body_begin(&body, head, head_len, chunked, parsed->content_length, on_data);
	if (r != 0)
		return r == 1 ? 0 : -1;
	body_bytes = 0;
	r = body_feed(&body, data, n, &used);
	bytes = body_bytes;
	FUZZ_CHECK(used <= n && bytes <= used);
	FUZZ_CHECK(
		body_begin(&body, head, head_len, chunked, parsed->content_length, on_data) == 0);
	body_bytes = 0;
	again = body_feed(&body, data, cut, &first);
	if (again == 0)
		again = body_feed(&body, data + cut, n - cut, &second);
	FUZZ_CHECK(again == r);
	if (r >= 0)
		FUZZ_CHECK(first + second == used && body_bytes == bytes);
	return r == 1 ? (long)used : -1;
}

static long check_find(const char *data, size_t n)
{
	struct head_error error = {0};
	size_t scanned = 0, again = 0;
	long len = head_find_end(data, n, &scanned, &error), cut;

	FUZZ_CHECK(len >= 0 || error.status >= 400);
	FUZZ_CHECK(len <= (long)n && len <= (long)WEB_MAX_HEAD);
	cut = head_find_end(data, n / 2, &again, &error);
	if (cut == 0)
		cut = head_find_end(data, n, &again, &error);
	/* Cut in two, what is too long may show a little earlier or later; nothing else may. */
	if (n <= WEB_MAX_HEAD)
		FUZZ_CHECK(cut == len);
	return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *data = (const char *)bytes;

	while (size > 0) {
		struct head_error error = {0};
		struct head head;
		long len = check_find(data, size), used;

		if (len <= 0)
			break;
		if (head_parse(data, (size_t)len, &head, &error) != 0) {
			FUZZ_CHECK(error.status >= 400 && error.status < 600);
			break;
		}
		check_span(head.target, (size_t)len);
		check_target(data, head.target);
		for (size_t i = 0; i < head.n_fields; i++) {
			check_span(head.fields[i].name, (size_t)len);
			check_span(head.fields[i].value, (size_t)len);
			check_value(data, head.fields[i].value);
		}
		used = check_body(data, (size_t)len, &head, data + len, size - (size_t)len);
		if (used < 0)
			break;
		data += len + used;
		size -= (size_t)(len + used);
	}
	return 0;
}
