#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/uuid.h"

static void new_ids_are_version_7_and_sort_in_the_order_made(void **state)
{
	char before[UUID_TEXT_BYTES] = "", text[UUID_TEXT_BYTES];
	uint64_t started_ms = clock_wall_us() / 1000;
	struct uuid uuid;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uuid_v7(&uuid);
		uuid_format(&uuid, text);
		assert_int_equal(text[14], '7');
		assert_non_null(strchr("89ab", text[19]));
		assert_true(strcmp(before, text) < 0);
		strcpy(before, text);
	}
	assert_true(uuid_time_ms(&uuid) >= started_ms);
}

/* RFC 9562, A.6. */
static void reads_and_writes_the_canonical_form(void **state)
{
	static const char example[] = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
	char text[UUID_TEXT_BYTES];
	struct uuid uuid;

	(void)state;
	assert_int_equal(uuid_parse(example, 36, &uuid), 0);
	assert_memory_equal(uuid.bytes, "\x01\x7f\x22\xe2\x79\xb0\x7c\xc3", 8);
	assert_true(uuid_time_ms(&uuid) == UINT64_C(1645557742000));
	uuid_format(&uuid, text);
	assert_string_equal(text, example);
}

static void refuses_every_other_form(void **state)
{
	static const char *const bad[] = {
		"",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398ff",
		"017F22E2-79B0-7CC3-98C4-DC0C0C07398F",
		"017f22e279b07cc398c4dc0c0c07398f",
		"017f22e2-79b0-7cc3-98c4_dc0c0c07398f",
		"017f22e-279b0-7cc3-98c4-dc0c0c07398f",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
		"{17f22e2-79b0-7cc3-98c4-dc0c0c07398}",
		"../f22e2-79b0-7cc3-98c4-dc0c0c07398f",
	};
	struct uuid uuid = {.bytes = {9}};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(uuid_parse(bad[i], strlen(bad[i]), &uuid), -EINVAL);
	assert_int_equal(uuid.bytes[0], 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_ids_are_version_7_and_sort_in_the_order_made),
		cmocka_unit_test(reads_and_writes_the_canonical_form),
		cmocka_unit_test(refuses_every_other_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
