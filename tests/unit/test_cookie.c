#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "core/app/auth/cookie.h"
#include "core/app/limits.h"

#define NOW 1700000000u

static char secret[] = "0123456789abcdef0123456789abcdef";
static char hash[] = "$y$j9T$abc$def";
static char user[] = "admin";

static struct cookie_keys keys_of(const char *password_hash)
{
	struct config cfg = {.auth_secret = secret, .auth_user = user};
	char copy[64];
	struct cookie_keys keys;

	strncpy(copy, password_hash, sizeof(copy) - 1);
	copy[sizeof(copy) - 1] = '\0';
	cfg.auth_password_hash = copy;
	cookie_derive_keys(&cfg, &keys);
	return keys;
}

static struct cookie_session sample(void)
{
	return (struct cookie_session){{1, 2, 3}, NOW, NOW + 10, NOW + 5};
}

static void opens_what_it_sealed(void **state)
{
	struct cookie_keys keys = keys_of(hash);
	struct cookie_session in = sample(), out;
	char text[COOKIE_TEXT_BYTES];

	(void)state;
	cookie_seal_session(&keys, &in, text);
	assert_int_equal(cookie_open_session(&keys, text, NOW + 20, &out), 0);
	assert_memory_equal(in.id, out.id, sizeof(in.id));
	assert_int_equal(out.created_s, NOW);
	assert_int_equal(out.seen_s, NOW + 10);
	assert_int_equal(out.reauth_s, NOW + 5);
}

static void refuses_every_changed_character(void **state)
{
	struct cookie_keys keys = keys_of(hash);
	struct cookie_session in = sample(), out;
	char text[COOKIE_TEXT_BYTES];

	(void)state;
	cookie_seal_session(&keys, &in, text);
	for (size_t i = 0; text[i] != '\0'; i++) {
		char before = text[i];

		text[i] = before == '0' ? '1' : '0';
		assert_int_equal(cookie_open_session(&keys, text, NOW, &out), -EACCES);
		text[i] = before;
	}
	text[strlen(text) - 1] = '\0';
	assert_int_equal(cookie_open_session(&keys, text, NOW, &out), -EACCES);
	assert_int_equal(cookie_open_session(&keys, "", NOW, &out), -EACCES);
}

static void a_new_password_ends_every_session(void **state)
{
	struct cookie_keys before = keys_of(hash), after = keys_of("$y$j9T$abc$other");
	struct cookie_session in = sample(), out;
	char text[COOKIE_TEXT_BYTES];

	(void)state;
	cookie_seal_session(&before, &in, text);
	assert_int_equal(cookie_open_session(&after, text, NOW, &out), -EACCES);
}

static void expires_when_idle_and_when_old(void **state)
{
	struct cookie_keys keys = keys_of(hash);
	struct cookie_session in = sample(), out;
	char text[COOKIE_TEXT_BYTES];

	(void)state;
	cookie_seal_session(&keys, &in, text);
	assert_int_equal(
		cookie_open_session(&keys, text, NOW + 10 + LIMIT_SESSION_IDLE_S, &out), 0);
	assert_int_equal(
		cookie_open_session(&keys, text, NOW + 11 + LIMIT_SESSION_IDLE_S, &out), -ETIME);
	in.seen_s = NOW + LIMIT_SESSION_AGE_S;
	cookie_seal_session(&keys, &in, text);
	assert_int_equal(cookie_open_session(&keys, text, NOW + LIMIT_SESSION_AGE_S, &out), 0);
	assert_int_equal(
		cookie_open_session(&keys, text, NOW + LIMIT_SESSION_AGE_S + 1, &out), -ETIME);
}

static void survives_a_clock_that_was_set_back_a_little(void **state)
{
	struct cookie_keys keys = keys_of(hash);
	struct cookie_session in = sample(), out;
	char text[COOKIE_TEXT_BYTES];

	(void)state;
	cookie_seal_session(&keys, &in, text);
	assert_int_equal(cookie_open_session(&keys, text, NOW - 3600, &out), 0);
	assert_int_equal(cookie_open_session(&keys, text, NOW - 10 * 86400, &out), -ETIME);
}

static void a_device_cookie_is_no_session(void **state)
{
	struct cookie_keys keys = keys_of(hash);
	struct cookie_session out;
	char text[COOKIE_TEXT_BYTES];

	(void)state;
	cookie_seal_device(&keys, NOW, text);
	assert_int_equal(cookie_open_device(&keys, text, NOW + 100), 0);
	assert_int_equal(cookie_open_device(&keys, text, NOW + LIMIT_DEVICE_AGE_S + 1), -ETIME);
	assert_int_equal(cookie_open_session(&keys, text, NOW, &out), -EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_what_it_sealed),
		cmocka_unit_test(refuses_every_changed_character),
		cmocka_unit_test(a_new_password_ends_every_session),
		cmocka_unit_test(expires_when_idle_and_when_old),
		cmocka_unit_test(survives_a_clock_that_was_set_back_a_little),
		cmocka_unit_test(a_device_cookie_is_no_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
