/* The golden vectors of every message: decoding gives the listed fields, encoding those fields
 * gives the listed bytes, and what is listed as refused is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/msg.h"
#include "proto/msg_fields.h"
#include "vectors.h"

#define MAX_BYTES 65536

/* --- fields, compared with the JSON object that lists them --- */

static void check_uint(const json_t *fields, const char *name, uint64_t value)
{
	if (value != vectors_uint(fields, name))
		fail_msg("%s is %llu", name, (unsigned long long)value);
}

static void check_str(const json_t *fields, const char *name, struct wire_str value)
{
	const char *expected = vectors_str(fields, name);

	if (!wire_str_eq(value, expected))
		fail_msg("%s is '%.*s', not '%s'", name, (int)value.len, value.data, expected);
}

static void check_pairs(const json_t *array, const struct msg_pair *pairs, uint16_t n)
{
	json_t *item;
	size_t i;

	assert_int_equal(json_array_size(array), n);
	json_array_foreach(array, i, item)
	{
		check_str(item, "name", pairs[i].name);
		check_str(item, "value", pairs[i].value);
	}
}

#define check_u8(fields, name, value) check_uint(fields, name, value)
#define check_u16(fields, name, value) check_uint(fields, name, value)
#define check_u32(fields, name, value) check_uint(fields, name, value)
#define check_u64(fields, name, value) check_uint(fields, name, value)
#define CHECK(type, name) check_##type(fields, #name, m->name);
#define CHECK_BOUND(type, name, min, max) check_##type(fields, #name, m->name);
#define DEFINE_CHECK(x)                                                                            \
	static void check_##x(const json_t *fields, const struct msg_##x *m)                       \
	{                                                                                          \
		FIELDS_##x(CHECK, CHECK_BOUND);                                                    \
	}

MSG_EACH_PLAIN(DEFINE_CHECK)

static void check_request(const json_t *fields, const struct msg_request *m)
{
	check_uint(fields, "method", m->method);
	check_str(fields, "authorization", m->authorization);
	vectors_assert_bytes(fields, "fields_hex", m->fields, m->fields_len, "fields");
}

static void check_response(const json_t *fields, const struct msg_response *m)
{
	check_uint(fields, "status", m->status);
	check_str(fields, "message", m->message);
	vectors_assert_bytes(fields, "fields_hex", m->fields, m->fields_len, "fields");
}

static void check_problems(const json_t *fields, const struct msg_problems *m)
{
	check_uint(fields, "n", m->n);
	check_pairs(vectors_array(fields, "items"), m->items, m->n);
}

static void check_run_start(const json_t *fields, const struct msg_run_start *m)
{
	check_uint(fields, "kind", m->kind);
	check_uint(fields, "flags", m->flags);
	check_str(fields, "id", m->id);
	check_str(fields, "actor", m->actor);
	check_str(fields, "trigger", m->trigger);
	check_str(fields, "idempotency_key", m->idempotency_key);
	check_uint(fields, "n_inputs", m->n_inputs);
	check_pairs(vectors_array(fields, "inputs"), m->inputs, m->n_inputs);
}

static void check_chunk(const json_t *fields, const struct msg_chunk *m)
{
	check_uint(fields, "offset", m->offset);
	vectors_assert_bytes(fields, "records_hex", m->records, m->records_len, "records");
}

/* --- every message through the same tests --- */

/* Decodes, compares (fields not NULL) and encodes again. Returns what decoding said. */
#define DEFINE_TEST(x)                                                                             \
	static int test_##x(const uint8_t *data, size_t n, const json_t *fields)                   \
	{                                                                                          \
		struct msg_##x *m = malloc(sizeof(*m));                                            \
		uint8_t *out = malloc(MAX_BYTES);                                                  \
		int rc = msg_##x##_decode(data, n, m);                                             \
                                                                                                   \
		if (rc == 0) {                                                                     \
			if (fields != NULL)                                                        \
				check_##x(fields, m);                                              \
			assert_int_equal(msg_##x##_encode(m, out, MAX_BYTES), n);                  \
			assert_memory_equal(out, data, n);                                         \
			if (n > 0)                                                                 \
				assert_int_equal(msg_##x##_encode(m, out, n - 1), -EMSGSIZE);      \
		}                                                                                  \
		free(out);                                                                         \
		free(m);                                                                           \
		return rc;                                                                         \
	}

MSG_EACH_STRUCT(DEFINE_TEST)

struct message {
	const char *name;
	int (*test)(const uint8_t *data, size_t n, const json_t *fields);
};

#define ROW(x) {#x, test_##x},
static const struct message messages[] = {MSG_EACH_STRUCT(ROW)};
#define N_MESSAGES (sizeof(messages) / sizeof(messages[0]))

static const struct message *find(const char *name)
{
	size_t i = 0;

	while (i + 1 < N_MESSAGES && strcmp(messages[i].name, name) != 0)
		i++;
	assert_string_equal(messages[i].name, name);
	return &messages[i];
}

static void reads_and_writes_the_vectors(void **state)
{
	json_t *root = vectors_load("messages"), *item;
	size_t i;

	(void)state;
	json_array_foreach(vectors_array(root, "messages"), i, item)
	{
		const struct message *message = find(vectors_str(item, "name"));
		size_t len;
		uint8_t *bytes = vectors_bytes(item, "hex", &len);

		if (message->test(bytes, len, json_object_get(item, "fields")) != 0)
			fail_msg("%s '%s' is refused", message->name, vectors_str(item, "case"));
		free(bytes);
	}
	json_decref(root);
}

static void refuses_the_vectors_that_are_damaged(void **state)
{
	json_t *root = vectors_load("messages"), *item;
	size_t i;

	(void)state;
	json_array_foreach(vectors_array(root, "refused"), i, item)
	{
		const struct message *message = find(vectors_str(item, "name"));
		size_t len;
		uint8_t *bytes = vectors_bytes(item, "hex", &len);

		if (message->test(bytes, len, NULL) != -EBADMSG)
			fail_msg("%s with '%s' is accepted", message->name,
				vectors_str(item, "why"));
		free(bytes);
	}
	json_decref(root);
}

static void every_message_has_a_vector(void **state)
{
	json_t *root = vectors_load("messages"), *item;

	(void)state;
	for (size_t k = 0; k < N_MESSAGES; k++) {
		bool found = false;
		size_t i;

		json_array_foreach(vectors_array(root, "messages"), i, item) found |=
			strcmp(vectors_str(item, "name"), messages[k].name) == 0;
		if (!found)
			fail_msg("no vector for msg_%s", messages[k].name);
	}
	json_decref(root);
}

/* A message cut anywhere is refused, unless its last field is open-ended. */
static void refuses_every_prefix(void **state)
{
	json_t *root = vectors_load("messages"), *item;
	size_t i;

	(void)state;
	json_array_foreach(vectors_array(root, "messages"), i, item)
	{
		const char *name = vectors_str(item, "name");
		size_t len;
		uint8_t *bytes = vectors_bytes(item, "hex", &len);

		for (size_t n = 0; n < len; n++) {
			uint8_t *prefix = malloc(n > 0 ? n : 1);

			memcpy(prefix, bytes, n);
			if (find(name)->test(prefix, n, NULL) == 0 &&
				strcmp(name, "request") != 0 && strcmp(name, "response") != 0 &&
				strcmp(name, "chunk") != 0)
				fail_msg("%s cut to %zu bytes is accepted", name, n);
			free(prefix);
		}
		free(bytes);
	}
	json_decref(root);
}

static void run_start_is_bounded_as_a_whole(void **state)
{
	static char value[MSG_MAX_START_BYTES];
	struct msg_run_start m = {.kind = MSG_KIND_COMMAND, .n_inputs = 1};
	static uint8_t out[2 * MSG_MAX_START_BYTES];
	int n;

	(void)state;
	memset(value, 'v', sizeof(value));
	m.id = m.actor = m.trigger = m.idempotency_key = wire_str_of("");
	m.inputs[0].name = wire_str_of("note");
	m.inputs[0].value = (struct wire_str){value, MSG_MAX_START_BYTES - 32};
	n = msg_run_start_encode(&m, out, sizeof(out));
	assert_int_equal(n, MSG_MAX_START_BYTES);
	assert_int_equal(msg_run_start_decode(out, (size_t)n, &m), 0);
	m.inputs[0].value.len++;
	assert_int_equal(msg_run_start_encode(&m, out, sizeof(out)), -EMSGSIZE);
	m.inputs[0].value.len--;
	m.n_inputs = MSG_MAX_INPUTS + 1;
	assert_int_equal(msg_run_start_encode(&m, out, sizeof(out)), -EMSGSIZE);
	memset(out, 0, sizeof(out));
	assert_int_equal(msg_run_start_decode(out, MSG_MAX_START_BYTES + 1, &m), -EBADMSG);
}

static void methods_and_statuses_have_names(void **state)
{
	(void)state;
	for (uint16_t i = MSG_HELLO; i <= MSG_RUN_STOP; i++)
		assert_non_null(msg_method_name(i));
	assert_null(msg_method_name(0));
	assert_null(msg_method_name(MSG_RUN_STOP + 1));
	assert_null(msg_method_name(UINT16_MAX));
	assert_string_equal(msg_method_name(MSG_RUN_CANCEL_ALL), "run.cancel_all");
	for (uint16_t i = MSG_OK; i <= MSG_UNSUPPORTED; i++)
		assert_string_not_equal(msg_status_name(i), "unknown");
	assert_string_equal(msg_status_name(MSG_BAD_OFFSET), "bad_offset");
	assert_string_equal(msg_status_name(MSG_UNSUPPORTED + 1), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_writes_the_vectors),
		cmocka_unit_test(refuses_the_vectors_that_are_damaged),
		cmocka_unit_test(every_message_has_a_vector),
		cmocka_unit_test(refuses_every_prefix),
		cmocka_unit_test(run_start_is_bounded_as_a_whole),
		cmocka_unit_test(methods_and_statuses_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
