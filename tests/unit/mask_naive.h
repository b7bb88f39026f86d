/* What agent/runner/mask.h promises, the slow and obvious way: for its unit test and its fuzzer. */
#ifndef OPS_TESTS_MASK_NAIVE_H
#define OPS_TESTS_MASK_NAIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAIVE_MAX 32 /* patterns */
#define NAIVE_BYTES 512

struct naive {
	char patterns[NAIVE_MAX][NAIVE_BYTES];
	size_t len[NAIVE_MAX];
	size_t n;
};

static inline void naive_add(struct naive *naive, const char *text, size_t n)
{
	if (naive->n == NAIVE_MAX || n >= NAIVE_BYTES)
		abort();
	memcpy(naive->patterns[naive->n], text, n);
	naive->len[naive->n++] = n;
}

/* RFC 4648, with padding. */
static inline size_t naive_base64(
	const uint8_t *data, size_t n, const char *alphabet, char out[NAIVE_BYTES])
{
	size_t len = 0;

	for (size_t i = 0; i < n; i += 3) {
		uint32_t group = (uint32_t)data[i] << 16;

		if (i + 1 < n)
			group |= (uint32_t)data[i + 1] << 8;
		if (i + 2 < n)
			group |= data[i + 2];
		for (size_t k = 0; k < 4; k++)
			out[len++] = i + k > n ? '=' : alphabet[group >> (18 - 6 * k) & 63];
	}
	return len;
}

/* The characters that are the same whatever stands around the secret. */
static inline void naive_add_base64(
	struct naive *naive, const char *secret, size_t before, const char *alphabet)
{
	uint8_t zeros[NAIVE_BYTES / 2] = {0}, ones[NAIVE_BYTES / 2];
	char a[NAIVE_BYTES], b[NAIVE_BYTES];
	size_t n = strlen(secret), total = (before + n + 5) / 3 * 3, len, first = 0, end;

	memset(ones, 0xff, sizeof(ones));
	memcpy(zeros + before, secret, n);
	memcpy(ones + before, secret, n);
	len = naive_base64(zeros, total, alphabet, a);
	naive_base64(ones, total, alphabet, b);
	while (a[first] != b[first])
		first++;
	end = first;
	while (end < len && a[end] == b[end])
		end++;
	naive_add(naive, a + first, end - first);
}

static inline void naive_add_secret(struct naive *naive, const char *secret)
{
	char text[NAIVE_BYTES];

	naive_add(naive, secret, strlen(secret));
	for (size_t f = 0; f < 4; f++) {
		size_t len = 0;

		for (const char *c = secret; *c != '\0'; c++) {
			bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
				     (*c >= '0' && *c <= '9') || strchr("-._~", *c) != NULL;

			if (plain || (*c == ' ' && f >= 2))
				text[len++] = *c == ' ' ? '+' : *c;
			else if (f % 2 == 0)
				len += (size_t)snprintf(text + len, 4, "%%%02X", (uint8_t)*c);
			else
				len += (size_t)snprintf(text + len, 4, "%%%02x", (uint8_t)*c);
		}
		naive_add(naive, text, len);
	}
	for (size_t before = 0; before < 3; before++) {
		naive_add_base64(naive, secret, before,
			"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
		naive_add_base64(naive, secret, before,
			"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
	}
}

/* The masked text; at most n bytes (a run has at least eight). */
static inline size_t naive_mask(
	const struct naive *naive, const uint8_t *text, size_t n, uint8_t *out)
{
	uint8_t *covered = calloc(n + 1, 1);
	size_t len = 0;

	for (size_t p = 0; p < naive->n; p++) {
		for (size_t i = 0; i + naive->len[p] <= n; i++) {
			if (memcmp(text + i, naive->patterns[p], naive->len[p]) == 0)
				memset(covered + i, 1, naive->len[p]);
		}
	}
	for (size_t i = 0; i < n; i++) {
		if (!covered[i])
			out[len++] = text[i];
		else if (i == 0 || !covered[i - 1])
			len += (size_t)sprintf((char *)out + len, "***");
	}
	free(covered);
	return len;
}

/* Bytes of the longest tail that is a proper prefix of a pattern. */
static inline size_t naive_hold(const struct naive *naive, const uint8_t *text, size_t n)
{
	size_t longest = 0;

	for (size_t p = 0; p < naive->n; p++) {
		for (size_t k = longest + 1; k < naive->len[p] && k <= n; k++) {
			if (memcmp(text + n - k, naive->patterns[p], k) == 0)
				longest = k;
		}
	}
	return longest;
}

#endif
