/* PROTOCOL.md keeps its word: each of its hex blocks decodes to what its first line says and
 * encodes to the same bytes, and every frame type, message, method and status is in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/hex.h"
#include "proto/frame.h"
#include "proto/msg.h"
#include "proto/record.h"
#include "vectors.h"

#define FENCE "```hex "
#define MAX_BYTES 4096

/* --- messages by name --- */

#define DEFINE_CHECK(x)                                                                            \
	static bool check_##x(const uint8_t *data, size_t n)                                       \
	{                                                                                          \
		static struct msg_##x m;                                                           \
		uint8_t out[MAX_BYTES];                                                            \
                                                                                                   \
		return msg_##x##_decode(data, n, &m) == 0 &&                                       \
		       msg_##x##_encode(&m, out, sizeof(out)) == (int)n &&                         \
		       memcmp(out, data, n) == 0;                                                  \
	}

MSG_EACH_STRUCT(DEFINE_CHECK)

static struct message {
	const char *name;
	bool (*check)(const uint8_t *data, size_t n);
	bool seen;
} messages[] = {
#define ROW(x) {#x, check_##x, false},
	MSG_EACH_STRUCT(ROW)};
#define N_MESSAGES (sizeof(messages) / sizeof(messages[0]))

static void check_message(const char *name, const uint8_t *data, size_t n, const char *block)
{
	for (size_t i = 0; i < N_MESSAGES; i++) {
		if (strcmp(messages[i].name, name) != 0)
			continue;
		messages[i].seen = true;
		if (!messages[i].check(data, n))
			fail_msg("this is no %s:\n%s", name, block);
		return;
	}
	fail_msg("there is no message '%s':\n%s", name, block);
}

/* --- frames by name; the message that each carries as a whole --- */

static struct type {
	const char *name, *payload;
	bool seen;
} types[] = {
	[FRAME_REQUEST] = {"REQUEST", "request", false},
	[FRAME_RESPONSE] = {"RESPONSE", "response", false},
	[FRAME_CHUNK] = {"CHUNK", "chunk", false},
	[FRAME_CREDIT] = {"CREDIT", "credit", false},
	[FRAME_EVENT] = {"EVENT", "document", false},
	[FRAME_END] = {"END", "end", false},
	[FRAME_CLOSE] = {"CLOSE", NULL, false},
	[FRAME_PING] = {"PING", NULL, false},
	[FRAME_PONG] = {"PONG", NULL, false},
	[FRAME_GOAWAY] = {"GOAWAY", "goaway", false},
};

static void check_records(const uint8_t *data, size_t n, const char *block)
{
	for (size_t at = 0; at < n;) {
		struct record rec;
		int size = record_decode(data + at, n - at, &rec);

		if (size <= 0) {
			fail_msg("no record at byte %zu of:\n%s", at, block);
			return;
		}
		at += (size_t)size;
	}
}

/* What is inside: the method's fields, or records. */
static void check_inside(
	uint8_t type, const char *inner, const uint8_t *payload, size_t n, const char *block)
{
	struct msg_request request;
	struct msg_response response;
	struct msg_chunk chunk;

	if (type == FRAME_REQUEST) {
		assert_int_equal(msg_request_decode(payload, n, &request), 0);
		assert_memory_equal(request.authorization.data, "Bearer ", 7);
		assert_non_null(msg_method_name(request.method));
		check_message(inner, request.fields, request.fields_len, block);
	} else if (type == FRAME_RESPONSE) {
		assert_int_equal(msg_response_decode(payload, n, &response), 0);
		assert_string_not_equal(msg_status_name(response.status), "unknown");
		if (inner[0] != '\0')
			check_message(inner, response.fields, response.fields_len, block);
		else
			assert_int_equal(response.fields_len, 0);
	} else if (type == FRAME_CHUNK) {
		assert_int_equal(msg_chunk_decode(payload, n, &chunk), 0);
		check_records(chunk.records, chunk.records_len, block);
	}
}

static void check_frame(
	const char *name, const char *inner, const uint8_t *data, size_t n, const char *block)
{
	struct frame frame = {0};

	if (frame_decode_header(data, n, &frame) != 0 ||
		n != FRAME_HEADER_BYTES + (size_t)frame.length)
		fail_msg("this is no whole frame:\n%s", block);
	assert_string_equal(types[frame.type].name, name);
	types[frame.type].seen = true;
	if (types[frame.type].payload != NULL)
		check_message(
			types[frame.type].payload, data + FRAME_HEADER_BYTES, frame.length, block);
	check_inside(frame.type, inner, data + FRAME_HEADER_BYTES, frame.length, block);
}

/* --- the page --- */

/* The bytes of the lines from text to end, without blanks and comments. */
static size_t read_hex(const char *text, const char *end, uint8_t *out)
{
	size_t n = 0;

	while (text < end) {
		if (*text == '#') {
			text = memchr(text, '\n', (size_t)(end - text));
			assert_non_null(text);
		} else if (isspace((unsigned char)*text)) {
			text++;
		} else {
			assert_true(n < MAX_BYTES && end - text >= 2);
			assert_int_equal(hex_decode(text, 2, out + n, 1), 0);
			n++;
			text += 2;
		}
	}
	return n;
}

/* One block: "kind name inner", then the hex. */
static void check_block(const char *text, const char *end)
{
	char kind[16] = "", name[32] = "", inner[32] = "", line[128];
	const char *body = strchr(text, '\n') + 1;
	char *block = strndup(text, (size_t)(end - text));
	uint8_t bytes[MAX_BYTES];
	size_t n = read_hex(body, end, bytes);

	snprintf(line, sizeof(line), "%.*s", (int)(body - text - 1), text);
	sscanf(line, "%15s %31s %31s", kind, name, inner);
	if (strcmp(kind, "record") == 0)
		check_records(bytes, n, block);
	else if (strcmp(kind, "frame") == 0)
		check_frame(name, inner, bytes, n, block);
	else if (strcmp(kind, "fields") == 0)
		check_message(name, bytes, n, block);
	else
		fail_msg("a hex block of unknown kind:\n%s", block);
	free(block);
}

static void every_hex_block_decodes(void **state)
{
	size_t len;
	char *text = vectors_read_text("proto/PROTOCOL.md", &len), *at = text;
	unsigned n = 0;

	(void)state;
	while ((at = strstr(at, FENCE)) != NULL) {
		char *end = strstr(at + strlen(FENCE), "\n```");

		assert_non_null(end);
		check_block(at + strlen(FENCE), end + 1);
		at = end + 4;
		n++;
	}
	assert_true(n > 40);
	free(text);
}

static void every_message_and_frame_has_an_example(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_MESSAGES; i++) {
		if (!messages[i].seen)
			fail_msg("no example of msg_%s", messages[i].name);
	}
	for (size_t i = FRAME_REQUEST; i <= FRAME_GOAWAY; i++) {
		if (!types[i].seen)
			fail_msg("no example of %s", types[i].name);
	}
}

static void assert_has_row(const char *text, unsigned number, const char *name)
{
	char row[128];

	snprintf(row, sizeof(row), "\n| %u | `%s` |", number, name);
	if (strstr(text, row) == NULL)
		fail_msg("no table row%s", row);
}

static void every_method_and_status_has_its_row_and_number(void **state)
{
	size_t len;
	char *text = vectors_read_text("proto/PROTOCOL.md", &len);
	char heading[64];

	(void)state;
	for (uint16_t i = 0; msg_method_name(i) != NULL || i == 0; i++) {
		if (i == 0)
			continue;
		assert_has_row(text, i, msg_method_name(i));
		snprintf(heading, sizeof(heading), "\n### %u %s\n", i, msg_method_name(i));
		if (strstr(text, heading) == NULL)
			fail_msg("no section%s", heading);
	}
	for (uint16_t i = MSG_OK; i <= MSG_UNSUPPORTED; i++)
		assert_has_row(text, i, msg_status_name(i));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_hex_block_decodes),
		cmocka_unit_test(every_message_and_frame_has_an_example),
		cmocka_unit_test(every_method_and_status_has_its_row_and_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
