#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/db/migrate.h"

static const struct migration ours = {
	.number = 1, .name = "0001_schema", .suits = "0.1.0", .sql = "SELECT 1"};
static const struct migration none;

static struct migrate_row row_of(const struct migration *migration)
{
	struct migrate_row row = {.number = migration->number};
	snprintf(row.name, sizeof(row.name), "%s", migration->name);
	snprintf(row.suits, sizeof(row.suits), "%s", migration->suits);
	migrate_checksum(migration, row.checksum);
	return row;
}

static void migrations_are_numbered_from_one_without_gaps(void **state)
{
	(void)state;
	const struct migration *all = migrate_all();
	int n = 0;
	for (; all[n].number != 0; n++) {
		char prefix[16];
		bool suits = false;
		snprintf(prefix, sizeof(prefix), "%04d_", n + 1);
		assert_int_equal(all[n].number, n + 1);
		assert_int_equal(strncmp(all[n].name, prefix, 5), 0);
		assert_int_equal(migrate_version_at_least(OPS_VERSION, all[n].suits, &suits), 0);
		assert_true(suits);
	}
	assert_true(n >= 1);
}

static void takes_a_database_that_holds_ours(void **state)
{
	(void)state;
	struct migrate_row row = row_of(&ours);
	struct err err = {0};
	assert_int_equal(migrate_check(&ours, &row, "0.1.0", &err), 0);
}

static void refuses_a_migration_whose_text_differs(void **state)
{
	(void)state;
	struct migrate_row row = row_of(&ours);
	struct err err = {0};
	row.checksum[0] ^= 1;
	assert_int_equal(migrate_check(&ours, &row, "0.1.0", &err), -EINVAL);
	assert_non_null(strstr(err.msg, "migration 0001 '0001_schema' is not the '0001_schema'"));
}

static void takes_a_newer_database_that_this_program_suits(void **state)
{
	(void)state;
	struct migrate_row row = {.number = 2, .name = "0002_more", .suits = "0.1.0"};
	struct err err = {0};
	assert_int_equal(migrate_check(&none, &row, "0.1.0", &err), 0);
	assert_int_equal(migrate_check(&none, &row, "0.2.0", &err), 0);
}

static void refuses_a_database_that_needs_a_newer_program(void **state)
{
	(void)state;
	struct migrate_row row = {.number = 2, .name = "0002_more", .suits = "0.10.0"};
	struct err err = {0};
	assert_int_equal(migrate_check(&none, &row, "0.9.9", &err), -EINVAL);
	assert_non_null(strstr(err.msg, "needs Ops Dashboard 0.10.0 or later, this is 0.9.9"));
	/* What cannot be compared does not suit. */
	snprintf(row.suits, sizeof(row.suits), "soon");
	assert_int_equal(migrate_check(&none, &row, "9.9.9", &err), -EINVAL);
}

static void compares_versions_by_their_numbers(void **state)
{
	bool yes = false;
	(void)state;
	assert_int_equal(migrate_version_at_least("1.10.0", "1.9.12", &yes), 0);
	assert_true(yes);
	assert_int_equal(migrate_version_at_least("1.9.12", "1.10.0", &yes), 0);
	assert_false(yes);
	assert_int_equal(migrate_version_at_least("1.2.3", "1.2.3", &yes), 0);
	assert_true(yes);
	assert_int_equal(migrate_version_at_least("1.2", "1.2.3", &yes), -EINVAL);
	assert_int_equal(migrate_version_at_least("1.2.3", "1.2.3-rc1", &yes), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(migrations_are_numbered_from_one_without_gaps),
		cmocka_unit_test(takes_a_database_that_holds_ours),
		cmocka_unit_test(refuses_a_migration_whose_text_differs),
		cmocka_unit_test(takes_a_newer_database_that_this_program_suits),
		cmocka_unit_test(refuses_a_database_that_needs_a_newer_program),
		cmocka_unit_test(compares_versions_by_their_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
