#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>

#include "agent/run/lock.h"
#include "agent/run/rundir.h"
#include "agent/run/state.h"
#include "run_fixture.h"

static struct run_state sample(void)
{
	struct run_state state = {.seq = 7,
		.status = RUN_FAILED,
		.reason = REASON_SIGNAL,
		.exit_code = -1,
		.signal = 9,
		.disk_full = true,
		.cancel_requested = true,
		.runner_pid = 4711,
		.runner_start_ticks = 99,
		.written_boot_us = 5,
		.started_us = 6,
		.finished_us = 7,
		.bytes = 8,
		.lines = 9,
		.records = 10,
		.size = 11,
		.durable_offset = 12,
		.n_steps = PLAN_MAX_STEPS};

	memset(state.digest, 0xab, sizeof(state.digest));
	memset(state.boot_id, 0xcd, sizeof(state.boot_id));
	for (uint16_t i = 0; i < PLAN_MAX_STEPS; i++)
		state.steps[i] = (struct step_state){.status = STEP_RUNNING,
			.reason = REASON_EXIT,
			.attempt = i,
			.exit_code = (int16_t)(i - 1),
			.signal = i,
			.started_us = i,
			.finished_us = 2 * i,
			.offset = UINT64_MAX - i,
			.pid = i};
	return state;
}

static void a_full_block_comes_back_as_it_was(void **unused)
{
	struct run_state state = sample(), back;
	uint8_t block[STATE_BYTES];

	(void)unused;
	state_encode(&state, block);
	assert_int_equal(state_decode(block, &back), 0);
	assert_int_equal(back.seq, 7);
	assert_int_equal(back.exit_code, -1);
	assert_true(back.disk_full && back.cancel_requested && !back.truncated);
	assert_int_equal(back.durable_offset, 12);
	assert_memory_equal(back.digest, state.digest, 32);
	assert_memory_equal(back.boot_id, state.boot_id, 16);
	for (size_t i = 0; i < PLAN_MAX_STEPS; i++) {
		assert_int_equal(back.steps[i].exit_code, state.steps[i].exit_code);
		assert_true(back.steps[i].offset == state.steps[i].offset);
		assert_int_equal(back.steps[i].pid, state.steps[i].pid);
	}
}

static void refuses_a_torn_block(void **unused)
{
	struct run_state old = sample(), new = sample(), back = {.seq = 1};
	uint8_t a[STATE_BYTES], b[STATE_BYTES], torn[STATE_BYTES];

	(void)unused;
	new.seq = 8;
	new.size = 1000;
	state_encode(&old, a);
	state_encode(&new, b);
	for (size_t cut = 1; cut < 200; cut++) {
		memcpy(torn, b, cut);
		memcpy(torn + cut, a + cut, STATE_BYTES - cut);
		if (memcmp(torn, a, STATE_BYTES) == 0 || memcmp(torn, b, STATE_BYTES) == 0)
			continue;
		assert_int_equal(state_decode(torn, &back), -EBADMSG);
	}
	assert_int_equal(back.seq, 1);
}

static void refuses_zeroes_and_values_nobody_writes(void **unused)
{
	uint8_t block[STATE_BYTES] = {0};
	struct run_state state = sample(), back;

	(void)unused;
	assert_int_equal(state_decode(block, &back), -EBADMSG);
	state.status = RUN_SKIPPED + 1;
	state_encode(&state, block);
	assert_int_equal(state_decode(block, &back), -EBADMSG);
}

static void every_write_is_a_new_one(void **arg)
{
	struct fixture *fix = *arg;
	struct plan *plan = fixture_plan(3);
	struct run_state state, back;
	int fd = state_open(fix->dir_fd);

	assert_true(fd >= 0);
	assert_int_equal(state_read(fix->dir_fd, &back), -EBADMSG);
	state_init(&state, plan);
	assert_int_equal(state_write(fd, &state), 0);
	assert_int_equal(state_write(fd, &state), 0);
	assert_int_equal(state_read(fix->dir_fd, &back), 0);
	assert_int_equal(back.seq, 2);
	assert_int_equal(back.status, RUN_QUEUED);
	assert_int_equal(back.n_steps, 3);
	assert_true(back.steps[2].offset == UINT64_MAX);
	assert_true(back.written_boot_us != 0);
	close(fd);
	plan_free(plan);
}

static void a_folder_without_state_says_so(void **arg)
{
	struct fixture *fix = *arg;
	struct run_state back;

	assert_int_equal(state_read(fix->dir_fd, &back), -ENOENT);
}

static void names_go_both_ways(void **unused)
{
	enum run_status status;
	enum run_reason reason;

	(void)unused;
	assert_int_equal(run_status_parse("timed_out", 9, &status), 0);
	assert_int_equal(status, RUN_TIMED_OUT);
	assert_int_equal(run_status_parse("timed_ou", 8, &status), -EINVAL);
	assert_int_equal(run_reason_parse("host_restarted", 14, &reason), 0);
	assert_int_equal(reason, REASON_HOST_RESTARTED);
	assert_int_equal(run_reason_parse("", 0, &reason), -EINVAL);
	assert_null(run_reason_name(REASON_NONE));
	assert_false(run_status_is_final(RUN_WAITING));
	assert_true(run_status_is_final(RUN_LOST));
	assert_false(step_status_is_final(STEP_RETRYING));
	assert_true(step_status_is_final(STEP_SKIPPED));
}

static void a_lock_is_held_until_its_descriptor_is_closed(void **arg)
{
	struct fixture *fix = *arg;
	int fd;

	assert_int_equal(lock_test(fix->dir_fd), 0);
	fd = lock_take(fix->dir_fd);
	assert_true(fd >= 0);
	assert_int_equal(lock_test(fix->dir_fd), 1);
	assert_int_equal(lock_take(fix->dir_fd), -EAGAIN);
	assert_int_equal(lock_test(fix->dir_fd), 1);
	close(fd);
	assert_int_equal(lock_test(fix->dir_fd), 0);
}

static void never_follows_a_link_in_the_folder(void **arg)
{
	struct fixture *fix = *arg;

	assert_int_equal(symlinkat("/etc/passwd", fix->dir_fd, RUNDIR_LOCK), 0);
	assert_int_equal(lock_take(fix->dir_fd), -ELOOP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_block_comes_back_as_it_was),
		cmocka_unit_test(refuses_a_torn_block),
		cmocka_unit_test(refuses_zeroes_and_values_nobody_writes),
		cmocka_unit_test_setup_teardown(
			every_write_is_a_new_one, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			a_folder_without_state_says_so, fixture_setup, fixture_teardown),
		cmocka_unit_test(names_go_both_ways),
		cmocka_unit_test_setup_teardown(a_lock_is_held_until_its_descriptor_is_closed,
			fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			never_follows_a_link_in_the_folder, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
