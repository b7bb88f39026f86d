#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/crypto.h"
#include "core/base/hex.h"
#include "proto/record.h"
#include "vectors.h"

static void reads_and_writes_the_vectors(void **state)
{
	json_t *root = vectors_load("records"), *item;
	size_t i;

	(void)state;
	json_array_foreach(vectors_array(root, "records"), i, item)
	{
		const char *name = vectors_str(item, "name");
		size_t len;
		uint8_t *bytes = vectors_bytes(item, "hex", &len);
		uint8_t header[RECORD_HEADER_BYTES];
		struct record rec = {0};

		assert_int_equal(record_decode(bytes, len, &rec), len);
		assert_true(rec.time_us == vectors_uint(item, "time_us"));
		assert_int_equal(rec.line, vectors_uint(item, "line"));
		assert_int_equal(rec.step, vectors_uint(item, "step"));
		assert_int_equal(rec.kind, vectors_uint(item, "kind"));
		assert_int_equal(rec.flags, vectors_uint(item, "flags"));
		assert_int_equal(rec.length, vectors_uint(item, "length"));
		vectors_assert_bytes(item, "payload_hex", rec.payload, rec.length, name);
		rec.crc = 0;
		record_encode_header(&rec, header);
		assert_memory_equal(header, bytes, RECORD_HEADER_BYTES);
		free(bytes);
	}
	json_decref(root);
}

static void refuses_what_no_writer_makes(void **state)
{
	json_t *root = vectors_load("records"), *item;
	size_t i;

	(void)state;
	json_array_foreach(vectors_array(root, "refused"), i, item)
	{
		bool damaged = strcmp(vectors_str(item, "why"), "damaged") == 0;
		size_t len;
		uint8_t *bytes = vectors_bytes(item, "hex", &len);
		struct record rec = {.line = 77};

		if (record_decode(bytes, len, &rec) != (damaged ? -EBADMSG : -EAGAIN))
			fail_msg("'%s' is not refused", vectors_str(item, "name"));
		assert_int_equal(rec.line, 77); /* untouched */
		free(bytes);
	}
	json_decref(root);
}

/* What a client does: walk, verify, count lines, and recompute the digest of run.finished. */
static void walks_a_journal_to_its_digest(void **state)
{
	json_t *root = vectors_load("records");
	json_t *item = json_array_get(vectors_array(root, "journals"), 0);
	json_t *offsets = vectors_array(item, "offsets");
	size_t len, at = 0, n = 0;
	uint8_t *bytes = vectors_bytes(item, "hex", &len);
	uint8_t digest[CRYPTO_SHA256_BYTES];
	char hex[2 * CRYPTO_SHA256_BYTES + 1];
	struct crypto_sha256 ctx;
	uint32_t lines = 0;

	(void)state;
	crypto_sha256_init(&ctx);
	while (at < len) {
		struct record rec;
		int size = record_decode(bytes + at, len - at, &rec);

		assert_true(size > 0);
		assert_int_equal(
			strtoull(json_string_value(json_array_get(offsets, n)), NULL, 10), at);
		assert_int_equal(rec.line, lines);
		if (rec.kind != RECORD_EVENT)
			lines += record_count_newlines(rec.payload, rec.length);
		at += (size_t)size;
		n++;
		if (at < len)
			crypto_sha256_update(&ctx, bytes + at - (size_t)size, RECORD_HEADER_BYTES);
	}
	crypto_sha256_final(&ctx, digest);
	hex_encode(digest, sizeof(digest), hex);
	assert_string_equal(hex, vectors_str(item, "digest"));
	assert_int_equal(lines, vectors_uint(item, "lines"));
	assert_int_equal(n, json_array_size(offsets));
	free(bytes);
	json_decref(root);
}

static void any_single_flipped_bit_is_found(void **state)
{
	static const char text[] = "pg_dump: 1234 rows\n";
	uint8_t bytes[RECORD_HEADER_BYTES + sizeof(text)];
	struct record rec = {.time_us = 1795474800000000,
		.line = 3,
		.step = 2,
		.kind = RECORD_STDOUT,
		.length = sizeof(text),
		.payload = (const uint8_t *)text};

	(void)state;
	record_encode_header(&rec, bytes);
	memcpy(bytes + RECORD_HEADER_BYTES, text, sizeof(text));
	assert_int_equal(record_decode(bytes, sizeof(bytes), &rec), sizeof(bytes));
	for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		assert_true(record_decode(bytes, sizeof(bytes), &rec) < 0);
		bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
}

static void the_largest_payload_passes(void **state)
{
	uint8_t *bytes = malloc(RECORD_MAX_BYTES);
	struct record rec = {.kind = RECORD_STDERR,
		.length = RECORD_MAX_PAYLOAD,
		.payload = bytes + RECORD_HEADER_BYTES};

	(void)state;
	memset(bytes, 'x', RECORD_MAX_BYTES);
	record_encode_header(&rec, bytes);
	assert_int_equal(record_decode(bytes, RECORD_MAX_BYTES, &rec), RECORD_MAX_BYTES);
	assert_int_equal(record_decode(bytes, RECORD_MAX_BYTES - 1, &rec), -EAGAIN);
	free(bytes);
}

static void a_header_alone_is_read_without_its_checksum(void **state)
{
	uint8_t bytes[RECORD_HEADER_BYTES];
	struct record rec = {
		.kind = RECORD_STDOUT, .length = 4, .payload = (const uint8_t *)"abcd"};

	(void)state;
	record_encode_header(&rec, bytes);
	bytes[4] ^= 1;
	rec.payload = NULL;
	assert_int_equal(record_decode_header(bytes, sizeof(bytes), &rec), 0);
	assert_int_equal(rec.length, 4);
	assert_null(rec.payload);
	assert_int_equal(record_decode_header(bytes, sizeof(bytes) - 1, &rec), -EAGAIN);
}

/* Lengths around every vector size and the point where byte counters would overflow. */
static void counts_newlines_like_a_plain_loop(void **state)
{
	size_t max = 3 * 64 * 255 + 100;
	uint8_t *bytes = malloc(max);

	(void)state;
	for (size_t i = 0; i < max; i++)
		bytes[i] = (i * 2654435761u) % 7 == 0 ? '\n' : (uint8_t)i;
	for (size_t n = 0; n < max; n += n < 300 ? 1 : 977) {
		size_t align = n % 5;
		uint32_t expected = 0;

		for (size_t i = align; i < n; i++)
			expected += bytes[i] == '\n';
		if (n >= align)
			assert_int_equal(record_count_newlines(bytes + align, n - align), expected);
	}
	memset(bytes, '\n', max);
	assert_int_equal(record_count_newlines(bytes, max), max);
	assert_int_equal(record_count_newlines(NULL, 0), 0);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_writes_the_vectors),
		cmocka_unit_test(refuses_what_no_writer_makes),
		cmocka_unit_test(walks_a_journal_to_its_digest),
		cmocka_unit_test(any_single_flipped_bit_is_found),
		cmocka_unit_test(the_largest_payload_passes),
		cmocka_unit_test(a_header_alone_is_read_without_its_checksum),
		cmocka_unit_test(counts_newlines_like_a_plain_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
