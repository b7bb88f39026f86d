#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/monitor/imsg.h"
#include "core/base/mem.h"

static const struct uuid some_run = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static struct imsg full(uint8_t type)
{
	return (struct imsg){
		.type = type,
		.seq = type == IMSG_BAD_SECRET || type == IMSG_BAD_PEER || type == IMSG_CONFIG ||
				       type == IMSG_SHUTDOWN
			       ? 0
			       : 7,
		.peer = {.uid = 1000, .pid = 42},
		.run = some_run,
		.created = true,
		.status = 5,
		.message = wire_str_of("a message"),
		.config_digest = wire_str_of("c0ffee"),
		.digest = wire_str_of("d1"),
		.actor = wire_str_of("user:anna"),
		.reason = wire_str_of("because"),
		.fields = wire_str_of("fields"),
		.step = wire_str_of("gate"),
		.approve = true,
	};
}

static void every_type_comes_back_as_it_was(void **state)
{
	(void)state;
	for (uint8_t type = IMSG_START; type <= IMSG_APPROVE; type++) {
		struct imsg msg = full(type), back;
		uint8_t bytes[512], again[512];
		int n = imsg_encode(&msg, bytes, sizeof(bytes));

		assert_true(n > 0);
		assert_int_equal(imsg_decode(bytes, (size_t)n, &back), 0);
		assert_int_equal(back.type, type);
		assert_int_equal(imsg_encode(&back, again, sizeof(again)), n);
		assert_memory_equal(bytes, again, (size_t)n);
	}
}

static void start_carries_peer_digest_and_fields(void **state)
{
	struct imsg msg = full(IMSG_START), back;
	uint8_t bytes[512];
	int n = imsg_encode(&msg, bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(imsg_decode(bytes, (size_t)n, &back), 0);
	assert_int_equal(back.seq, 7);
	assert_int_equal(back.peer.uid, 1000);
	assert_int_equal(back.peer.pid, 42);
	assert_true(wire_str_eq(back.config_digest, "c0ffee"));
	assert_true(wire_str_eq(back.fields, "fields"));
	assert_int_equal(back.actor.len, 0);
}

static void refuses_every_truncation_and_any_trailing_byte(void **state)
{
	(void)state;
	for (uint8_t type = IMSG_START; type <= IMSG_APPROVE; type++) {
		struct imsg msg = full(type), back;
		uint8_t bytes[512] = {0};
		int n = imsg_encode(&msg, bytes, sizeof(bytes));

		for (int cut = 0; cut < n; cut++)
			assert_int_equal(imsg_decode(bytes, (size_t)cut, &back), -EBADMSG);
		assert_int_equal(imsg_decode(bytes, (size_t)n + 1, &back), -EBADMSG);
	}
}

static void refuses_unknown_types_and_wrong_sequence_numbers(void **state)
{
	struct imsg msg = full(IMSG_CANCEL), back;
	uint8_t bytes[512];
	int n = imsg_encode(&msg, bytes, sizeof(bytes));

	(void)state;
	bytes[0] = 0;
	assert_int_equal(imsg_decode(bytes, (size_t)n, &back), -EBADMSG);
	bytes[0] = IMSG_APPROVE + 1;
	assert_int_equal(imsg_decode(bytes, (size_t)n, &back), -EBADMSG);
	bytes[0] = IMSG_CANCEL;
	memset(bytes + 1, 0, 4); /* a question without a number */
	assert_int_equal(imsg_decode(bytes, (size_t)n, &back), -EBADMSG);
	msg = full(IMSG_CONFIG);
	msg.seq = 9; /* a notice with one */
	n = imsg_encode(&msg, bytes, sizeof(bytes));
	assert_int_equal(imsg_decode(bytes, (size_t)n, &back), -EBADMSG);
}

static void refuses_to_encode_what_does_not_fit(void **state)
{
	static char big[IMSG_MAX_BYTES];
	static uint8_t bytes[2 * IMSG_MAX_BYTES];
	struct imsg msg = full(IMSG_START);

	(void)state;
	memset(big, 'x', sizeof(big));
	msg.fields = (struct wire_str){big, sizeof(big)};
	assert_int_equal(imsg_encode(&msg, bytes, sizeof(bytes)), -EMSGSIZE);
}

static void an_actor_is_one_of_five_kinds(void **state)
{
	static const char *const good[] = {"user:anna", "token:ci", "schedule:backup", "hook:gitea",
		"opsctl:1000", "user:J\xc3\xb6rg"};
	static const char *const bad[] = {"", "anna", "user:", "root:x", "opsctl:0", "opsctl:01000",
		"opsctl:1000 ", "user:a\nb", "user:\xff", "USER:anna"};
	char longest[IMSG_MAX_ACTOR + 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(imsg_actor_is_valid(wire_str_of(good[i]), 1000));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(imsg_actor_is_valid(wire_str_of(bad[i]), 1000));
	memset(longest, 'a', sizeof(longest));
	memcpy(longest, "user:", 5);
	assert_true(imsg_actor_is_valid((struct wire_str){longest, IMSG_MAX_ACTOR}, 0));
	assert_false(imsg_actor_is_valid((struct wire_str){longest, IMSG_MAX_ACTOR + 1}, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_comes_back_as_it_was),
		cmocka_unit_test(start_carries_peer_digest_and_fields),
		cmocka_unit_test(refuses_every_truncation_and_any_trailing_byte),
		cmocka_unit_test(refuses_unknown_types_and_wrong_sequence_numbers),
		cmocka_unit_test(refuses_to_encode_what_does_not_fit),
		cmocka_unit_test(an_actor_is_one_of_five_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
