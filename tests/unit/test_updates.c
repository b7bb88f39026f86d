#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agent/probes/updates.h"

static void counts_what_is_installed_in_an_older_version(void **state)
{
	struct updates updates;

	(void)state;
	updates_parse(
		"Reading package lists...\n"
		"The following packages will be upgraded:\n  curl zip\n"
		"Inst curl [7.88.1-10] (7.88.1-11 Debian-Security:12/stable-security [amd64])\n"
		"Inst zip [3.0-12] (3.0-13 Debian:12.5/stable [amd64]) []\n"
		"Inst linux-image-6.1.0-40 (6.1.153-1 Debian-Security:12 [amd64])\n"
		"Conf curl (7.88.1-11 Debian-Security:12/stable-security [amd64])\n"
		"Inst jq [1.6-2] (1.6-2.1 Debian:12.5/stable, Debian-Security:12 [amd64])",
		&updates);
	assert_int_equal(updates.pending, 3);
	assert_int_equal(updates.security, 2);
}

static void finds_none_in_anything_else(void **state)
{
	static const char *const texts[] = {"", "\n\n", "Inst", "Inst \n", "Inst x ] (",
		"Inst x (y [z])", "Inst x\n[1] (security)\n"};
	struct updates updates;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		updates_parse(texts[i], &updates);
		assert_int_equal(updates.pending, 0);
		assert_int_equal(updates.security, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_what_is_installed_in_an_older_version),
		cmocka_unit_test(finds_none_in_anything_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
