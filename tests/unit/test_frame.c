#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "vectors.h"

static void reads_and_writes_the_vectors(void **state)
{
	json_t *root = vectors_load("frames"), *item;
	size_t i;

	(void)state;
	json_array_foreach(vectors_array(root, "frames"), i, item)
	{
		size_t len;
		uint8_t *bytes = vectors_bytes(item, "hex", &len);
		uint8_t header[FRAME_HEADER_BYTES];
		struct frame frame;

		assert_int_equal(frame_decode_header(bytes, len, &frame), 0);
		assert_int_equal(frame.type, vectors_uint(item, "type"));
		assert_int_equal(frame.stream, vectors_uint(item, "stream"));
		assert_int_equal(frame.length, vectors_uint(item, "length"));
		assert_int_equal(len, FRAME_HEADER_BYTES + frame.length);
		vectors_assert_bytes(item, "payload_hex", bytes + FRAME_HEADER_BYTES, frame.length,
			vectors_str(item, "name"));
		frame_encode_header(&frame, header);
		assert_memory_equal(header, bytes, FRAME_HEADER_BYTES);
		free(bytes);
	}
	json_decref(root);
}

static int error_of(const char *why)
{
	if (strcmp(why, "version") == 0)
		return -EPROTONOSUPPORT;
	if (strcmp(why, "too_large") == 0)
		return -EMSGSIZE;
	return strcmp(why, "incomplete") == 0 ? -EAGAIN : -EBADMSG;
}

static void refuses_headers_that_end_the_connection(void **state)
{
	json_t *root = vectors_load("frames"), *item;
	size_t i;

	(void)state;
	json_array_foreach(vectors_array(root, "refused"), i, item)
	{
		size_t len;
		uint8_t *bytes = vectors_bytes(item, "hex", &len);
		struct frame frame = {.stream = 77};
		int rc = frame_decode_header(bytes, len, &frame);

		if (rc != error_of(vectors_str(item, "why")))
			fail_msg("'%s' gives %d", vectors_str(item, "name"), rc);
		assert_int_equal(frame.stream, 77);
		free(bytes);
	}
	json_decref(root);
}

static void takes_lengths_up_to_the_maximum_of_the_type(void **state)
{
	struct frame frame = {.type = FRAME_CHUNK, .length = FRAME_MAX_PAYLOAD};
	uint8_t header[FRAME_HEADER_BYTES];

	(void)state;
	frame_encode_header(&frame, header);
	assert_int_equal(frame_decode_header(header, sizeof(header), &frame), 0);
	frame.length++;
	frame_encode_header(&frame, header);
	assert_int_equal(frame_decode_header(header, sizeof(header), &frame), -EMSGSIZE);
	frame = (struct frame){.type = FRAME_PONG, .length = FRAME_MAX_PING};
	frame_encode_header(&frame, header);
	assert_int_equal(frame_decode_header(header, sizeof(header), &frame), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_writes_the_vectors),
		cmocka_unit_test(refuses_headers_that_end_the_connection),
		cmocka_unit_test(takes_lengths_up_to_the_maximum_of_the_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
