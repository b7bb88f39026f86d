#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/app/auth/throttle.h"
#include "core/app/limits.h"
#include "core/base/clock.h"

static const uint8_t home[ADDRESS_BYTES] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1};
static const uint8_t away[ADDRESS_BYTES] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 2};

static const uint64_t start = 1000 * CLOCK_SECOND_US;

static void fail_times(
	struct throttle *t, const uint8_t *addr, bool known, unsigned n, uint64_t now)
{
	while (n-- > 0)
		throttle_charge(t, addr, known, now);
}

static void nobody_waits_for_two_mistakes(void **state)
{
	struct throttle *t = throttle_new();

	(void)state;
	fail_times(t, home, false, 2, start);
	assert_int_equal(throttle_wait_s(t, home, false, start), 0);
	throttle_free(t);
}

static void the_delay_doubles_and_is_capped(void **state)
{
	static const unsigned expected[] = {1, 2, 4, 8, 16, 30, 30, 30};
	struct throttle *t = throttle_new();

	(void)state;
	fail_times(t, home, false, 2, start);
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		throttle_charge(t, home, false, start);
		assert_int_equal(throttle_wait_s(t, home, false, start), expected[i]);
	}
	fail_times(t, home, false, 5000, start);
	assert_int_equal(throttle_wait_s(t, home, false, start), LIMIT_LOGIN_DELAY_S);
	throttle_free(t);
}

static void waiting_is_enough(void **state)
{
	struct throttle *t = throttle_new();

	(void)state;
	fail_times(t, home, false, 4, start);
	assert_int_equal(throttle_wait_s(t, home, false, start + CLOCK_SECOND_US), 1);
	assert_int_equal(throttle_wait_s(t, home, false, start + 2 * CLOCK_SECOND_US), 0);
	throttle_free(t);
}

static void failures_elsewhere_delay_the_account_but_not_a_known_device(void **state)
{
	struct throttle *t = throttle_new();

	(void)state;
	fail_times(t, away, false, 10, start);
	assert_int_equal(throttle_wait_s(t, home, false, start), LIMIT_LOGIN_DELAY_S);
	assert_int_equal(throttle_wait_s(t, home, true, start), 0);
	throttle_free(t);
}

static void a_known_device_that_fails_waits_by_its_address(void **state)
{
	struct throttle *t = throttle_new();

	(void)state;
	fail_times(t, home, true, 4, start);
	assert_int_equal(throttle_wait_s(t, home, true, start), 2);
	assert_int_equal(throttle_wait_s(t, away, false, start), 0);
	throttle_free(t);
}

static void success_starts_afresh(void **state)
{
	struct throttle *t = throttle_new();

	(void)state;
	fail_times(t, home, false, 6, start);
	throttle_absolve(t, home, false);
	assert_int_equal(throttle_wait_s(t, home, false, start), 0);
	throttle_free(t);
}

static void failures_are_forgotten_in_time(void **state)
{
	struct throttle *t = throttle_new();
	uint64_t later = start + (LIMIT_LOGIN_FORGET_S + 1) * CLOCK_SECOND_US;

	(void)state;
	fail_times(t, home, false, 8, start);
	throttle_charge(t, home, false, later);
	assert_int_equal(throttle_wait_s(t, home, false, later), 0);
	throttle_free(t);
}

static void addresses_of_one_ipv6_site_count_as_one(void **state)
{
	uint8_t one[ADDRESS_BYTES] = {0x20, 1, 0x0d, 0xb8, 0, 0, 0, 7, 1}, two[ADDRESS_BYTES];
	struct throttle *t = throttle_new();

	(void)state;
	memcpy(two, one, sizeof(two));
	two[15] = 99;
	fail_times(t, one, true, 4, start);
	assert_int_equal(throttle_wait_s(t, two, true, start), 2);
	throttle_free(t);
}

static void a_flood_of_addresses_does_not_grow_the_table(void **state)
{
	struct throttle *t = throttle_new();

	(void)state;
	for (uint32_t i = 0; i < 5000; i++) {
		uint8_t addr[ADDRESS_BYTES] = {[10] = 0xff, [11] = 0xff};

		memcpy(addr + 12, &i, 4);
		throttle_charge(t, addr, true, start + i);
	}
	fail_times(t, home, true, 4, start + 6000);
	assert_int_equal(throttle_wait_s(t, home, true, start + 6000), 2);
	throttle_free(t);
}

static void what_was_not_tried_is_refunded(void **state)
{
	struct throttle *t = throttle_new();

	(void)state;
	fail_times(t, home, false, 3, start);
	throttle_refund(t, home, false);
	assert_int_equal(throttle_wait_s(t, home, false, start), 0);
	throttle_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_waits_for_two_mistakes),
		cmocka_unit_test(the_delay_doubles_and_is_capped),
		cmocka_unit_test(waiting_is_enough),
		cmocka_unit_test(failures_elsewhere_delay_the_account_but_not_a_known_device),
		cmocka_unit_test(a_known_device_that_fails_waits_by_its_address),
		cmocka_unit_test(success_starts_afresh),
		cmocka_unit_test(failures_are_forgotten_in_time),
		cmocka_unit_test(addresses_of_one_ipv6_site_count_as_one),
		cmocka_unit_test(a_flood_of_addresses_does_not_grow_the_table),
		cmocka_unit_test(what_was_not_tried_is_refunded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
