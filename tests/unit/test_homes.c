#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/app/hosts/homes.h"
#include "core/app/limits.h"

/* What is known of a host here is that it is another one. */
static char some[3];
#define WEB1 ((struct host *)(void *)&some[0])
#define DB1 ((struct host *)(void *)&some[1])

static struct uuid run_of(uint32_t n)
{
	struct uuid run = {{0}};

	memcpy(run.bytes + sizeof(run.bytes) - sizeof(n), &n, sizeof(n));
	return run;
}

static void expect(
	struct homes *homes, const struct uuid *run, enum home_kind kind, const struct host *host)
{
	struct home home = homes_get(homes, run, 1000);

	assert_int_equal(home.kind, kind);
	assert_ptr_equal(home.host, host);
}

static void what_two_claim_is_nobodys(void **state)
{
	struct homes *homes = homes_new();
	struct uuid run = run_of(7);
	struct host *other = NULL;

	(void)state;
	expect(homes, &run, HOME_UNKNOWN, NULL);
	assert_true(homes_claim(homes, &run, WEB1, &other));
	assert_true(homes_claim(homes, &run, WEB1, &other));
	expect(homes, &run, HOME_CLAIMED, WEB1);
	homes_alone(homes, &run, WEB1, 2000);
	expect(homes, &run, HOME_ALONE, WEB1);
	assert_false(homes_claim(homes, &run, DB1, &other));
	assert_ptr_equal(other, WEB1);
	expect(homes, &run, HOME_CONTESTED, NULL);
	assert_false(homes_claim(homes, &run, WEB1, &other));
	assert_null(other);
	homes_alone(homes, &run, WEB1, 2000);
	expect(homes, &run, HOME_CONTESTED, NULL);
	homes_free(homes);
}

static void postgresql_wins_over_whoever_came_first(void **state)
{
	struct homes *homes = homes_new();
	struct uuid run = run_of(7);
	struct host *other = NULL;

	(void)state;
	assert_true(homes_claim(homes, &run, WEB1, &other));
	assert_ptr_equal(homes_settle(homes, &run, DB1), WEB1);
	assert_null(homes_settle(homes, &run, DB1));
	expect(homes, &run, HOME_SURE, DB1);
	assert_false(homes_claim(homes, &run, WEB1, &other));
	assert_null(other);
	homes_alone(homes, &run, WEB1, 2000);
	homes_alone(homes, &run, DB1, 2000);
	expect(homes, &run, HOME_SURE, DB1);
	assert_true(homes_claim(homes, &run, DB1, &other));
	/* and over who comes after it */
	run = run_of(9);
	assert_null(homes_settle(homes, &run, DB1));
	assert_false(homes_claim(homes, &run, WEB1, &other));
	assert_ptr_equal(other, DB1);
	/* and over two of them */
	run = run_of(8);
	assert_true(homes_claim(homes, &run, WEB1, &other));
	assert_false(homes_claim(homes, &run, DB1, &other));
	assert_null(homes_settle(homes, &run, DB1));
	expect(homes, &run, HOME_SURE, DB1);
	homes_free(homes);
}

static void to_be_alone_ends(void **state)
{
	struct homes *homes = homes_new();
	struct uuid run = run_of(7);

	(void)state;
	homes_alone(homes, &run, WEB1, 1000);
	expect(homes, &run, HOME_CLAIMED, WEB1);
	homes_free(homes);
}

static void forgets_what_was_a_hosts_and_what_was_in_dispute(void **state)
{
	struct homes *homes = homes_new();
	struct uuid mine = run_of(1), theirs = run_of(2), both = run_of(3);
	struct host *other;

	(void)state;
	assert_null(homes_settle(homes, &mine, WEB1));
	assert_null(homes_settle(homes, &theirs, DB1));
	assert_true(homes_claim(homes, &both, WEB1, &other));
	assert_false(homes_claim(homes, &both, DB1, &other));
	homes_forget(homes, WEB1);
	expect(homes, &mine, HOME_UNKNOWN, NULL);
	expect(homes, &theirs, HOME_SURE, DB1);
	expect(homes, &both, HOME_UNKNOWN, NULL);
	homes_free(homes);
}

static void a_newer_run_takes_the_place_of_an_older(void **state)
{
	struct homes *homes = homes_new();
	struct uuid older = run_of(5), newer = run_of(5 + LIMIT_HOST_RUNS);
	struct host *other;

	(void)state;
	assert_null(homes_settle(homes, &older, WEB1));
	assert_true(homes_claim(homes, &newer, DB1, &other));
	expect(homes, &older, HOME_UNKNOWN, NULL);
	expect(homes, &newer, HOME_CLAIMED, DB1);
	homes_free(homes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_two_claim_is_nobodys),
		cmocka_unit_test(postgresql_wins_over_whoever_came_first),
		cmocka_unit_test(to_be_alone_ends),
		cmocka_unit_test(forgets_what_was_a_hosts_and_what_was_in_dispute),
		cmocka_unit_test(a_newer_run_takes_the_place_of_an_older),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
