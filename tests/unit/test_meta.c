#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>

#include "agent/run/meta.h"
#include "agent/run/rundir.h"
#include "core/base/file.h"
#include "proto/crc32c.h"
#include "run_fixture.h"

static struct buf encoded(const struct plan *plan)
{
	struct buf buf;

	buf_init(&buf, META_MAX_BYTES);
	assert_int_equal(meta_encode(plan, &buf), 0);
	return buf;
}

static void the_public_part_comes_back(void **arg)
{
	struct fixture *fix = *arg;
	struct plan *plan = fixture_plan(3), *back;
	struct err err = {0};
	struct buf buf;

	plan->steps[1].approve = (struct plan_approve){xstrdup("Sure?"), 5000, true};
	buf = encoded(plan);
	assert_int_equal(file_replace(fix->dir_fd, RUNDIR_META, buf.data, buf.len, 0640, &err), 0);
	back = meta_read(fix->dir_fd, &err);
	assert_non_null(back);
	assert_memory_equal(&back->id, &plan->id, sizeof(plan->id));
	assert_int_equal(back->number, 1482);
	assert_true(back->is_flow);
	assert_string_equal(back->title, plan->title);
	assert_string_equal(back->inputs[0].value, "app");
	assert_true(back->inputs[1].secret);
	assert_int_equal(back->n_steps, 3);
	assert_int_equal(back->steps[2].needs[0], 1);
	assert_string_equal(back->steps[1].outputs[1], "bytes");
	assert_string_equal(back->steps[1].user, "ops-run");
	assert_string_equal(back->steps[1].approve.prompt, "Sure?");
	assert_int_equal(back->steps[1].approve.timeout_us, 5000);
	assert_true(back->steps[1].approve.on_timeout);
	assert_null(back->steps[2].approve.prompt);
	meta_free(back);
	buf_fini(&buf);
	plan_free(plan);
}

static void holds_no_secret(void **unused)
{
	struct plan *plan = fixture_plan(1), *back;
	struct buf buf = encoded(plan);

	(void)unused;
	assert_null(memmem(buf.data, buf.len, "hunter22", 8));
	back = meta_decode(buf.data, buf.len, NULL);
	assert_string_equal(back->inputs[1].value, META_MASK);
	meta_free(back);
	buf_fini(&buf);
	plan_free(plan);
}

static void refuses_every_cut_and_every_changed_byte(void **unused)
{
	struct plan *plan = fixture_plan(2);
	struct buf buf = encoded(plan);
	struct err err;

	(void)unused;
	for (size_t n = 0; n < buf.len; n++)
		assert_null(meta_decode(buf.data, n, &err));
	for (size_t i = 0; i < buf.len; i++) {
		buf.data[i] ^= 0x20;
		assert_null(meta_decode(buf.data, buf.len, &err));
		buf.data[i] ^= 0x20;
	}
	buf_append_byte(&buf, 0);
	assert_null(meta_decode(buf.data, buf.len, &err));
	buf_fini(&buf);
	plan_free(plan);
}

/* What an agent wrote that knew no approvals: each step ended with cwd. */
static void a_run_of_an_older_agent_is_read(void **unused)
{
	struct plan *plan = fixture_plan(1), *back;
	struct buf buf = encoded(plan);
	uint32_t crc;

	(void)unused;
	buf.len -= 1 + 4 + 8 + 1;
	memcpy(buf.data, "OPSMETA1", 8);
	crc = crc32c(0, buf.data + 12, buf.len - 12);
	for (size_t i = 0; i < 4; i++)
		buf.data[8 + i] = (uint8_t)(crc >> (8 * i));
	back = meta_decode(buf.data, buf.len, NULL);
	assert_non_null(back);
	assert_string_equal(back->steps[0].cwd, "/");
	assert_null(back->steps[0].approve.prompt);
	meta_free(back);
	buf_fini(&buf);
	plan_free(plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			the_public_part_comes_back, fixture_setup, fixture_teardown),
		cmocka_unit_test(holds_no_secret),
		cmocka_unit_test(refuses_every_cut_and_every_changed_byte),
		cmocka_unit_test(a_run_of_an_older_agent_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
