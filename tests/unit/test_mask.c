#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "agent/runner/mask.h"
#include "core/base/mem.h"
#include "mask_naive.h"

#define TEXT_BYTES 4096

static struct mask *mask_of(const char *secret, struct naive *naive)
{
	struct mask *mask = mask_new(&secret, 1);

	assert_non_null(mask);
	if (naive != NULL) {
		*naive = (struct naive){0};
		naive_add_secret(naive, secret);
	}
	return mask;
}

/* Brings n bytes in, in pieces that end at the given places; what is held back is as promised. */
static size_t feed(struct mask *mask, const struct naive *naive, const uint8_t *text, size_t n,
	const size_t *splits, size_t n_splits, uint8_t *out)
{
	struct mask_stream stream;
	bool masked = false;
	size_t at = 0, len = 0;

	assert_int_equal(mask_stream_init(&stream, mask, TEXT_BYTES), 0);
	for (size_t i = 0; i <= n_splits; i++) {
		size_t end = i < n_splits ? splits[i] : n;

		memcpy(mask_room(&stream), text + at, end - at);
		len += mask_take(&stream, end - at, out + len, &masked);
		at = end;
		if (naive != NULL)
			assert_int_equal(stream.held, naive_hold(naive, text, at));
	}
	len += mask_flush(&stream, out + len, &masked);
	mask_stream_fini(&stream);
	if (naive != NULL)
		assert_int_equal(masked, memmem(out, len, "***", 3) != NULL);
	return len;
}

static void expect(const char *secret, const char *text, const char *wanted)
{
	struct naive naive;
	struct mask *mask = mask_of(secret, &naive);
	size_t n = strlen(text), all[TEXT_BYTES];
	uint8_t out[TEXT_BYTES];

	for (size_t split = 0; split <= n; split++) {
		size_t len = feed(mask, &naive, (const uint8_t *)text, n, &split, 1, out);

		out[len] = '\0';
		assert_string_equal((const char *)out, wanted);
		all[split] = split;
	}
	out[feed(mask, &naive, (const uint8_t *)text, n, all, n + 1, out)] = '\0';
	assert_string_equal((const char *)out, wanted);
	mask_unref(mask);
}

static void a_secret_is_found_at_every_split(void **state)
{
	(void)state;
	expect("hunter2!", "hunter2!", "***");
	expect("hunter2!", "password is hunter2!, really", "password is ***, really");
	expect("hunter2!", "hunter2!hunter2!", "***");
	expect("hunter2!", "hunter2! hunter2!", "*** ***");
	expect("hunter2!", "hunterhunter2", "hunterhunter2");
	expect("hunter2!", "hunterhunter2!!", "hunter***!");
	expect("abababab", "xababababababx", "x***x");
	expect("abababab", "xabababa", "xabababa");
	expect("line one\nline two", "-line one\nline two-", "-***-");
}

static void encodings_are_found_at_every_split(void **state)
{
	(void)state;
	expect("p@ss word/1", "u=p%40ss%20word%2F1&", "u=***&");
	expect("p@ss word/1", "u=p%40ss%20word%2f1&", "u=***&");
	expect("p@ss word/1", "u=p%40ss+word%2F1&", "u=***&");
	/* admin:hunter2!x of a Basic header: two alignments off */
	expect("hunter2!x", "YWRtaW46aHVudGVyMiF4", "YWRtaW46***");
	expect("hunter2!x", "aHVudGVyMiF4", "***");
	expect("hunter2!x", "eGh1bnRlcjIheA==", "eG***A==");
	expect("hunter2!x", "eHhodW50ZXIyIXg=", "eHh***g=");
}

/* Bytes that 'secret' base64-encodes within anything must not be there afterwards. */
static void random_texts_come_out_as_the_obvious_way_makes_them(void **state)
{
	unsigned seed = 4711;
	uint8_t text[200], out[TEXT_BYTES], wanted[TEXT_BYTES];

	(void)state;
	for (int round = 0; round < 3000; round++) {
		char secret[13] = "";
		size_t n = 8 + (size_t)rand_r(&seed) % 5, n_splits = 0, splits[200];
		unsigned letters = 1 + (unsigned)rand_r(&seed) % 3;
		struct naive naive;
		struct mask *mask;

		for (size_t i = 0; i < n; i++)
			secret[i] = "a%A"[(unsigned)rand_r(&seed) % letters];
		mask = mask_of(secret, &naive);
		for (size_t i = 0; i < sizeof(text); i++) {
			const char *pattern = naive.patterns[(size_t)rand_r(&seed) % naive.n];

			text[i] = rand_r(&seed) % 4 == 0
					  ? (uint8_t) "a%A25"[(unsigned)rand_r(&seed) % 5]
					  : (uint8_t)pattern[i % n];
		}
		for (size_t i = 1; i < sizeof(text); i++) {
			if (rand_r(&seed) % 8 == 0)
				splits[n_splits++] = i;
		}
		assert_int_equal(feed(mask, &naive, text, sizeof(text), splits, n_splits, out),
			naive_mask(&naive, text, sizeof(text), wanted));
		assert_memory_equal(out, wanted, naive_mask(&naive, text, sizeof(text), wanted));
		mask_unref(mask);
	}
}

static void a_prompt_leaves_at_once(void **state)
{
	struct mask *mask = mask_of("hunter2!", NULL);
	struct mask_stream stream;
	uint8_t out[64];
	bool masked = false;

	(void)state;
	assert_int_equal(mask_stream_init(&stream, mask, 64), 0);
	memcpy(mask_room(&stream), "Password: ", 10);
	assert_int_equal(mask_take(&stream, 10, out, &masked), 10);
	memcpy(mask_room(&stream), "hunter2", 7);
	assert_int_equal(mask_take(&stream, 7, out, &masked), 0);
	memcpy(mask_room(&stream), "!", 1);
	assert_false(masked);
	assert_int_equal(mask_take(&stream, 1, out, &masked), 3);
	assert_true(masked);
	assert_int_equal(stream.held, 0);
	mask_stream_fini(&stream);
	mask_unref(mask);
}

static void several_secrets_and_their_limits(void **state)
{
	static const char *const two[] = {"first-secret", "second-secret"};
	char *most[MASK_MAX_SECRETS];
	struct mask *mask = mask_new(two, 2);
	char *text = mask_text(mask, "a second-secret and a first-secret");

	(void)state;
	assert_string_equal(text, "a *** and a ***");
	free(text);
	mask_unref(mask);
	text = mask_text(NULL, "as it was");
	assert_string_equal(text, "as it was");
	free(text);
	for (size_t i = 0; i < MASK_MAX_SECRETS; i++) {
		most[i] = xcalloc(1, MASK_MAX_SECRET + 1);
		memset(most[i], '%', MASK_MAX_SECRET);
		for (size_t k = 0; k < MASK_MAX_SECRET; k += 7)
			most[i][k] = (char)('A' + (i / 26 * k + i + k) % 26);
	}
	mask = mask_new((const char *const *)most, 1);
	assert_non_null(mask);
	assert_true(mask_longest(mask) <= MASK_MAX_PATTERN);
	mask_unref(mask);
	assert_null(mask_new((const char *const *)most, MASK_MAX_SECRETS)); /* too many nodes */
	for (size_t i = 0; i < MASK_MAX_SECRETS; i++)
		free(most[i]);
}

/* 64 KiB that match everywhere take time in their length, not in its square: else this would take
 * minutes. */
static void a_hostile_text_costs_no_more(void **state)
{
	size_t n = 1 << 16;
	char *secret = xcalloc(1, MASK_MAX_SECRET + 1);
	struct mask_stream stream;
	struct mask *mask;
	uint8_t *out = xcalloc(2, n);
	bool masked = false;

	(void)state;
	memset(secret, 'a', MASK_MAX_SECRET);
	mask = mask_of(secret, NULL);
	assert_int_equal(mask_stream_init(&stream, mask, n), 0);
	for (int i = 0; i < 64; i++) {
		memset(mask_room(&stream), 'a', n);
		assert_int_equal(mask_take(&stream, n, out, &masked), i == 0 ? 3 : 0);
	}
	mask_stream_fini(&stream);
	mask_unref(mask);
	free(secret);
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_secret_is_found_at_every_split),
		cmocka_unit_test(encodings_are_found_at_every_split),
		cmocka_unit_test(random_texts_come_out_as_the_obvious_way_makes_them),
		cmocka_unit_test(a_prompt_leaves_at_once),
		cmocka_unit_test(several_secrets_and_their_limits),
		cmocka_unit_test(a_hostile_text_costs_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
