#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/app/auth/sessions.h"
#include "core/app/limits.h"
#include "core/base/clock.h"

/* A store in a folder of its own, and sessions on it. */
struct test {
	uv_loop_t loop;
	struct cookie_keys keys;
	char dir[64];
	struct store *store;
	struct sessions *sessions;
	unsigned n_stored, n_closed, n_over, n_events;
	int stored_err;
	struct session_tie tie;
};

static uint64_t now_s(void)
{
	return clock_wall_us() / CLOCK_SECOND_US;
}

static bool on_event(const char *json, size_t len, void *arg)
{
	struct test *t = arg;

	t->n_events++;
	return sessions_on_stored_event(t->sessions, json, len);
}

static void on_closed(void *arg)
{
	((struct test *)arg)->n_closed++;
}

static void on_stored(int err, void *arg)
{
	struct test *t = arg;

	t->n_stored++;
	t->stored_err = err;
}

static void on_over(struct session_tie *tie)
{
	container_of(tie, struct test, tie)->n_over++;
}

static void start(struct test *t)
{
	struct err err = {0};

	t->sessions = sessions_new(&t->loop, &t->keys);
	t->store = store_open(&t->loop, t->dir, STORE_FILE, on_event, t, &err);
	if (t->store == NULL)
		fail_msg("%s", err.msg);
}

static void stop(struct test *t)
{
	t->n_closed = 0;
	sessions_close(t->sessions, on_closed, t);
	store_close(t->store, on_closed, t);
	uv_run(&t->loop, UV_RUN_DEFAULT);
	assert_int_equal(t->n_closed, 2);
}

static int setup(void **state)
{
	struct test *t = xcalloc(1, sizeof(*t));

	uv_loop_init(&t->loop);
	strcpy(t->dir, "/tmp/ops-store-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	memset(&t->keys, 7, sizeof(t->keys));
	t->tie.on_over = on_over;
	list_init(&t->tie.link);
	start(t);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;
	char path[96];

	stop(t);
	assert_int_equal(uv_loop_close(&t->loop), 0);
	snprintf(path, sizeof(path), "%s/" STORE_FILE, t->dir);
	unlink(path);
	assert_int_equal(rmdir(t->dir), 0);
	free(t);
	return 0;
}

/* The cookie that a browser holds for this session. */
static void cookie_of(const struct test *t, session_ref ref, char text[COOKIE_TEXT_BYTES])
{
	struct cookie_session cookie;

	assert_true(sessions_get(t->sessions, ref, &cookie));
	cookie_seal_session(&t->keys, &cookie, text);
}

static void a_session_is_found_by_its_cookie(void **state)
{
	struct test *t = *state;
	session_ref ref = sessions_create(t->sessions, now_s()), found;
	char text[COOKIE_TEXT_BYTES];

	cookie_of(t, ref, text);
	assert_int_equal(sessions_open(t->sessions, text, now_s(), &found), 0);
	assert_true(found == ref);
	assert_int_equal(sessions_open(t->sessions, "nonsense", now_s(), &found), -EACCES);
	assert_true(found == 0);
}

/* Opened once, a cookie is recognised; that must not make another one good, or a late one. */
static void a_cookie_that_was_good_is_judged_again_each_time(void **state)
{
	struct test *t = *state;
	uint64_t now = now_s();
	session_ref ref = sessions_create(t->sessions, now), found;
	char text[COOKIE_TEXT_BYTES], other[COOKIE_TEXT_BYTES + 8];

	cookie_of(t, ref, text);
	for (int i = 0; i < 2; i++)
		assert_int_equal(sessions_open(t->sessions, text, now, &found), 0);
	for (size_t i = 0; text[i] != '\0'; i++) {
		strcpy(other, text);
		other[i] = other[i] == '0' ? '1' : '0';
		assert_int_equal(sessions_open(t->sessions, other, now, &found), -EACCES);
		strcpy(other, text);
		other[i] = '\0';
		assert_int_equal(sessions_open(t->sessions, other, now, &found), -EACCES);
	}
	snprintf(other, sizeof(other), "%s0", text);
	assert_int_equal(sessions_open(t->sessions, other, now, &found), -EACCES);
	assert_int_equal(
		sessions_open(t->sessions, text, now + LIMIT_SESSION_IDLE_S + 1, &found), -ETIME);
	assert_true(found == 0);
	assert_int_equal(sessions_open(t->sessions, text, now, &found), 0);
	assert_true(found == ref);
	assert_int_equal(sessions_revoke(t->sessions, t->store, ref, NULL, NULL), 0);
	assert_int_equal(sessions_open(t->sessions, text, now, &found), -EACCES);
}

/* The browser may still send the one before, or one with an earlier password. */
static void an_older_cookie_of_the_session_stays_good(void **state)
{
	struct test *t = *state;
	uint64_t now = now_s();
	session_ref ref = sessions_create(t->sessions, now - 1000), found;
	char before[COOKIE_TEXT_BYTES], after[COOKIE_TEXT_BYTES];

	cookie_of(t, ref, before);
	sessions_set_reauth(t->sessions, ref, now);
	cookie_of(t, ref, after);
	assert_string_not_equal(before, after);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sessions_open(t->sessions, after, now, &found), 0);
		assert_true(found == ref);
		assert_int_equal(sessions_open(t->sessions, before, now, &found), 0);
		assert_true(found == ref);
		assert_true(sessions_is_reauthed(t->sessions, ref, now));
	}
}

static void a_session_survives_a_restart(void **state)
{
	struct test *t = *state;
	session_ref found;
	char text[COOKIE_TEXT_BYTES];

	cookie_of(t, sessions_create(t->sessions, now_s()), text);
	stop(t);
	start(t);
	assert_int_equal(sessions_open(t->sessions, text, now_s(), &found), 0);
}

static void a_revoked_session_is_refused_also_after_a_restart(void **state)
{
	struct test *t = *state;
	session_ref ref = sessions_create(t->sessions, now_s()), found;
	char text[COOKIE_TEXT_BYTES];

	cookie_of(t, ref, text);
	assert_int_equal(sessions_tie(t->sessions, ref, &t->tie), 0);
	assert_int_equal(sessions_revoke(t->sessions, t->store, ref, on_stored, t), 0);
	assert_int_equal(t->n_over, 1);
	assert_int_equal(sessions_open(t->sessions, text, now_s(), &found), -EACCES);
	while (t->n_stored == 0)
		uv_run(&t->loop, UV_RUN_ONCE);
	assert_int_equal(t->stored_err, 0);
	stop(t);
	start(t);
	assert_int_equal(t->n_events, 1);
	assert_int_equal(sessions_open(t->sessions, text, now_s(), &found), -EACCES);
}

static void an_old_reference_finds_nothing(void **state)
{
	struct test *t = *state;
	session_ref ref = sessions_create(t->sessions, now_s());
	struct cookie_session cookie;

	assert_int_equal(sessions_revoke(t->sessions, t->store, ref, NULL, NULL), 0);
	sessions_create(t->sessions, now_s());
	assert_false(sessions_get(t->sessions, ref, &cookie));
	assert_int_equal(sessions_tie(t->sessions, ref, &t->tie), -ENOENT);
	assert_false(sessions_get(t->sessions, 0, &cookie));
	assert_int_equal(sessions_revoke(t->sessions, t->store, ref, NULL, NULL), -ENOENT);
}

static void a_full_table_drops_who_was_seen_longest_ago_and_takes_him_in_again(void **state)
{
	struct test *t = *state;
	uint64_t now = now_s();
	session_ref first = sessions_create(t->sessions, now - 100), found;
	struct cookie_session cookie;
	char text[COOKIE_TEXT_BYTES];

	cookie_of(t, first, text);
	for (int i = 0; i < LIMIT_SESSIONS; i++)
		assert_true(sessions_create(t->sessions, now) != 0);
	assert_false(sessions_get(t->sessions, first, &cookie));
	assert_int_equal(sessions_open(t->sessions, text, now, &found), 0);
}

static void the_password_counts_for_five_minutes(void **state)
{
	struct test *t = *state;
	uint64_t now = now_s();
	session_ref ref = sessions_create(t->sessions, now);

	assert_true(sessions_is_reauthed(t->sessions, ref, now + LIMIT_REAUTH_S));
	assert_false(sessions_is_reauthed(t->sessions, ref, now + LIMIT_REAUTH_S + 1));
	sessions_set_reauth(t->sessions, ref, now + 1000);
	assert_true(sessions_is_reauthed(t->sessions, ref, now + 1000 + LIMIT_REAUTH_S));
	assert_false(sessions_is_reauthed(t->sessions, 0, now));
}

static void a_cookie_is_renewed_now_and_then(void **state)
{
	struct test *t = *state;
	uint64_t now = now_s();
	session_ref ref = sessions_create(t->sessions, now);

	assert_false(sessions_needs_cookie(t->sessions, ref, now + LIMIT_SESSION_REFRESH_S - 1));
	assert_true(sessions_needs_cookie(t->sessions, ref, now + LIMIT_SESSION_REFRESH_S));
	assert_false(sessions_needs_cookie(t->sessions, ref, now + LIMIT_SESSION_REFRESH_S + 1));
}

static void sockets_of_a_session_are_limited(void **state)
{
	struct test *t = *state;
	session_ref ref = sessions_create(t->sessions, now_s());
	struct session_tie ties[LIMIT_SOCKETS_PER_SESSION];

	for (size_t i = 0; i < ARRAY_LEN(ties); i++)
		assert_int_equal(sessions_tie(t->sessions, ref, &ties[i]), 0);
	assert_int_equal(sessions_tie(t->sessions, ref, &t->tie), -ENOBUFS);
	for (size_t i = 0; i < ARRAY_LEN(ties); i++)
		sessions_untie(t->sessions, ref, &ties[i]);
	assert_int_equal(sessions_tie(t->sessions, ref, &t->tie), 0);
	sessions_untie(t->sessions, ref, &t->tie);
}

static void store_path(const struct test *t, char path[96])
{
	snprintf(path, 96, "%s/" STORE_FILE, t->dir);
}

static void a_torn_tail_is_cut_off(void **state)
{
	struct test *t = *state;
	struct stat before, after;
	char path[96];
	int fd;

	store_path(t, path);
	assert_int_equal(sessions_revoke(t->sessions, t->store,
				 sessions_create(t->sessions, now_s()), on_stored, t),
		0);
	stop(t);
	assert_int_equal(t->n_stored, 1);
	assert_int_equal(stat(path, &before), 0);
	fd = open(path, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "half a record", 13), 13);
	close(fd);
	start(t);
	assert_int_equal(t->n_events, 1);
	assert_int_equal(stat(path, &after), 0);
	assert_true(before.st_size == after.st_size);
	assert_int_equal(after.st_mode & 0777, 0600);
}

static void a_second_dashboard_is_refused(void **state)
{
	struct test *t = *state;
	struct err err = {0};

	assert_null(store_open(&t->loop, t->dir, STORE_FILE, on_event, t, &err));
	assert_non_null(strstr(err.msg, "another ops-dashboard"));
}

static void closing_writes_what_is_pending(void **state)
{
	struct test *t = *state;

	for (int i = 0; i < 100; i++)
		assert_int_equal(store_append(t->store, "{\"event\":\"x\"}", 13, on_stored, t), 0);
	stop(t);
	assert_int_equal(t->n_stored, 100);
	start(t);
	assert_int_equal(t->n_events, 100);
}

static void the_queue_is_bounded(void **state)
{
	struct test *t = *state;
	static char big[STORE_MAX_EVENT_BYTES + 1];
	int rc = 0;

	for (int i = 0; i <= STORE_MAX_PENDING && rc == 0; i++)
		rc = store_append(t->store, "{}", 2, NULL, NULL);
	assert_int_equal(rc, -ENOBUFS);
	assert_int_equal(store_append(t->store, big, sizeof(big), NULL, NULL), -EMSGSIZE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_session_is_found_by_its_cookie),
		TEST(a_cookie_that_was_good_is_judged_again_each_time),
		TEST(an_older_cookie_of_the_session_stays_good),
		TEST(a_session_survives_a_restart),
		TEST(a_revoked_session_is_refused_also_after_a_restart),
		TEST(an_old_reference_finds_nothing),
		TEST(a_full_table_drops_who_was_seen_longest_ago_and_takes_him_in_again),
		TEST(the_password_counts_for_five_minutes),
		TEST(a_cookie_is_renewed_now_and_then),
		TEST(sockets_of_a_session_are_limited),
		TEST(a_torn_tail_is_cut_off),
		TEST(a_second_dashboard_is_refused),
		TEST(closing_writes_what_is_pending),
		TEST(the_queue_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
