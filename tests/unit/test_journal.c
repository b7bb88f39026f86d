#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>

#include "agent/run/event.h"
#include "agent/run/index.h"
#include "agent/run/journal.h"
#include "agent/run/lock.h"
#include "agent/run/meta.h"
#include "agent/run/rundir.h"
#include "core/base/file.h"
#include "run_fixture.h"

static void append_text(struct journal *journal, uint16_t step, const char *text)
{
	uint8_t *buf = xcalloc(1, RECORD_MAX_BYTES);

	memcpy(buf + RECORD_HEADER_BYTES, text, strlen(text));
	assert_int_equal(
		journal_append_output(journal, &(struct journal_output){step, RECORD_STDOUT, 0},
			buf, strlen(text)),
		0);
	free(buf);
}

static void append_json(struct journal *journal, const char *text)
{
	struct buf json;

	buf_init(&json, RECORD_MAX_PAYLOAD);
	buf_append_str(&json, text);
	assert_int_equal(journal_append_event(journal, RECORD_STEP_RUN, &json), 0);
	buf_fini(&json);
}

static void append_finished(struct journal *journal, enum run_status status)
{
	struct event_run_finished ev = {.status = status,
		.reason = REASON_EXIT,
		.exit_code = 3,
		.bytes = journal->totals.bytes,
		.lines = journal->totals.lines,
		.records = journal->totals.records};
	struct buf json;

	journal_digest(journal, ev.digest);
	buf_init(&json, RECORD_MAX_PAYLOAD);
	event_run_finished(&json, &ev);
	assert_int_equal(journal_append_event(journal, RECORD_STEP_RUN, &json), 0);
	buf_fini(&json);
}

static struct journal_walk walked(const struct fixture *fix, uint64_t verify_from)
{
	struct journal_walk walk;
	int fd = openat(fix->dir_fd, RUNDIR_JOURNAL, O_RDONLY | O_CLOEXEC);

	assert_int_equal(journal_walk(fd, verify_from, &walk), 0);
	close(fd);
	return walk;
}

/* RUN_DIR of a run whose runner is gone: two steps, the second one was running. */
static void make_dead_run(const struct fixture *fix, struct journal *journal)
{
	struct plan *plan = fixture_plan(3);
	struct run_state state;
	struct err err;
	struct buf buf;
	int fd = state_open(fix->dir_fd);

	buf_init(&buf, META_MAX_BYTES);
	assert_int_equal(meta_encode(plan, &buf), 0);
	assert_int_equal(file_replace(fix->dir_fd, RUNDIR_META, buf.data, buf.len, 0640, &err), 0);
	buf_fini(&buf);
	state_init(&state, plan);
	state.status = RUN_RUNNING;
	state.steps[0].status = STEP_SUCCEEDED;
	state.steps[1].status = STEP_RUNNING;
	state.steps[1].attempt = 2;
	state.steps[1].pid = 4242;
	assert_int_equal(state_write(fd, &state), 0);
	close(fd);
	plan_free(plan);
	assert_int_equal(journal_create(journal, fix->dir_fd, &err), 0);
}

static void a_walk_counts_what_was_written(void **arg)
{
	struct fixture *fix = *arg;
	struct journal journal;
	struct journal_walk walk;
	uint8_t digest[32];

	assert_int_equal(journal_create(&journal, fix->dir_fd, NULL), 0);
	append_json(&journal, "{}");
	append_text(&journal, 0, "one\ntwo\nthr");
	append_text(&journal, 1, "ee\n");
	journal_digest(&journal, digest);
	append_finished(&journal, RUN_SUCCEEDED);
	walk = walked(fix, 0);
	assert_true(walk.finished);
	assert_int_equal(walk.totals.records, 4);
	assert_int_equal(walk.totals.lines, 3);
	assert_int_equal(walk.totals.bytes, 14);
	assert_int_equal(walk.totals.size, walk.file_size);
	assert_memory_equal(walk.digest, digest, 32);
	/* Without looking into what was durable, the same comes out. */
	walk = walked(fix, UINT64_MAX);
	assert_true(walk.finished);
	assert_int_equal(walk.totals.lines, 3);
	assert_memory_equal(walk.digest, digest, 32);
	journal_fini(&journal);
}

static void a_walk_stops_at_any_damage(void **arg)
{
	struct fixture *fix = *arg;
	struct journal journal;
	struct journal_walk walk;
	uint64_t second;

	assert_int_equal(journal_create(&journal, fix->dir_fd, NULL), 0);
	append_text(&journal, 0, "first\n");
	second = journal.totals.size;
	append_text(&journal, 0, "second\n");
	journal_trim(&journal);
	for (uint64_t at = second; at < journal.totals.size; at++) {
		uint8_t byte, damaged;
		int fd = openat(fix->dir_fd, RUNDIR_JOURNAL, O_RDWR | O_CLOEXEC);

		assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
		damaged = byte ^ 0x55;
		assert_int_equal(pwrite(fd, &damaged, 1, (off_t)at), 1);
		walk = walked(fix, 0);
		assert_int_equal(walk.totals.size, second);
		assert_int_equal(walk.totals.lines, 1);
		assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
		close(fd);
	}
	journal_fini(&journal);
}

static void a_journal_with_records_is_not_begun_again(void **arg)
{
	struct fixture *fix = *arg;
	struct journal journal, again;
	struct err err;

	assert_int_equal(journal_create(&journal, fix->dir_fd, &err), 0);
	append_text(&journal, 0, "x");
	assert_int_equal(journal_create(&again, fix->dir_fd, &err), -EEXIST);
	journal_fini(&journal);
}

static void a_dead_run_ends_as_lost(void **arg)
{
	struct fixture *fix = *arg;
	struct journal journal;
	struct journal_walk walk;
	struct run_state state;
	struct err err = {0};
	uint64_t good;
	int fd, rc;

	make_dead_run(fix, &journal);
	append_json(&journal, "{\"event\":\"run.created\"}");
	append_text(&journal, 1, "some output\nand mo");
	good = journal.totals.size;
	append_text(&journal, 1, "torn away");
	assert_int_equal(ftruncate(journal.fd, (off_t)journal.totals.size - 3), 0);
	journal_fini(&journal);
	rc = journal_append_lost(fix->dir_fd, REASON_RUNNER_DIED, &state, &err);
	assert_int_equal(rc, 0);
	walk = walked(fix, 0);
	assert_true(walk.finished);
	assert_int_equal(walk.totals.size, walk.file_size);
	assert_int_equal(walk.totals.records, 4); /* created, output, step.finished, run.finished */
	assert_int_equal(walk.totals.bytes, 18);
	assert_true(walk.finished_offset > good);
	assert_int_equal(state.status, RUN_LOST);
	assert_int_equal(state.reason, REASON_RUNNER_DIED);
	assert_memory_equal(state.digest, walk.digest, 32);
	assert_int_equal(state.steps[0].status, STEP_SUCCEEDED);
	assert_int_equal(state.steps[1].status, STEP_LOST);
	assert_int_equal(state.steps[1].pid, 0);
	assert_int_equal(state.steps[2].status, STEP_SKIPPED);
	assert_int_equal(state.size, walk.file_size);
	assert_int_equal(state_read(fix->dir_fd, &state), 0);
	assert_int_equal(state.status, RUN_LOST);
	/* Once is enough. */
	assert_int_equal(
		journal_append_lost(fix->dir_fd, REASON_RUNNER_DIED, NULL, &err), -EALREADY);
	fd = openat(fix->dir_fd, RUNDIR_JOURNAL, O_RDONLY | O_CLOEXEC);
	assert_int_equal(lseek(fd, 0, SEEK_END), (off_t)walk.file_size);
	close(fd);
}

static void a_run_that_never_began_gets_a_whole_journal(void **arg)
{
	struct fixture *fix = *arg;
	struct journal journal;
	struct journal_walk walk;
	struct run_state state;
	uint8_t *bytes = xcalloc(1, RECORD_MAX_BYTES);
	struct record rec;
	int fd;

	make_dead_run(fix, &journal);
	journal_fini(&journal);
	unlinkat(fix->dir_fd, RUNDIR_JOURNAL, 0);
	unlinkat(fix->dir_fd, RUNDIR_STATE, 0);
	assert_int_equal(journal_append_lost(fix->dir_fd, REASON_HOST_RESTARTED, &state, NULL), 0);
	walk = walked(fix, 0);
	assert_true(walk.finished);
	assert_int_equal(walk.totals.records, 2);
	assert_int_equal(state.reason, REASON_HOST_RESTARTED);
	fd = openat(fix->dir_fd, RUNDIR_JOURNAL, O_RDONLY | O_CLOEXEC);
	assert_true(record_decode(bytes, (size_t)read(fd, bytes, RECORD_MAX_BYTES), &rec) > 0);
	assert_non_null(memmem(rec.payload, rec.length, "run.created", 11));
	assert_null(memmem(rec.payload, rec.length, "hunter22", 8));
	close(fd);
	free(bytes);
}

static void a_run_that_ended_gets_its_state_from_its_journal(void **arg)
{
	struct fixture *fix = *arg;
	struct journal journal;
	struct run_state state;
	struct err err = {0};
	uint64_t size;

	make_dead_run(fix, &journal);
	append_json(&journal, "{\"event\":\"run.created\"}");
	append_finished(&journal, RUN_FAILED);
	size = journal.totals.size;
	journal_fini(&journal);
	assert_int_equal(journal_append_lost(fix->dir_fd, REASON_RUNNER_DIED, &state, &err), 0);
	assert_int_equal(state.status, RUN_FAILED);
	assert_int_equal(state.reason, REASON_EXIT);
	assert_int_equal(state.exit_code, 3);
	assert_int_equal(state.size, size);
	assert_int_equal(walked(fix, 0).file_size, size);
}

static void a_living_runner_is_left_alone(void **arg)
{
	struct fixture *fix = *arg;
	struct journal journal;
	struct err err;
	int lock;

	make_dead_run(fix, &journal);
	lock = lock_take(fix->dir_fd);
	assert_int_equal(journal_append_lost(fix->dir_fd, REASON_RUNNER_DIED, NULL, &err), -EAGAIN);
	assert_int_equal(walked(fix, 0).file_size, 0);
	close(lock);
	journal_fini(&journal);
}

static void the_index_finds_lines_times_and_offsets(void **arg)
{
	struct fixture *fix = *arg;
	struct journal journal;
	struct index_entry found;
	uint64_t offsets[2000], size;
	char text[600];

	assert_int_equal(journal_create(&journal, fix->dir_fd, NULL), 0);
	append_json(&journal, "{}");
	for (int i = 0; i < 2000; i++) {
		offsets[i] = journal.totals.size;
		snprintf(text, sizeof(text), "%0500d\n", i);
		append_text(&journal, 0, text);
		if (i % 100 == 0)
			append_json(&journal, "{}");
	}
	size = journal.totals.size;
	for (int with_index = 1; with_index >= 0; with_index--) {
		int index_fd =
			with_index ? openat(fix->dir_fd, RUNDIR_INDEX, O_RDONLY | O_CLOEXEC) : -1;

		for (unsigned i = 0; i < 2000; i += 37) {
			assert_int_equal(
				index_locate(journal.fd, index_fd, size, INDEX_BY_LINE, i, &found),
				0);
			assert_int_equal(found.offset, offsets[i]);
			assert_int_equal(found.line, i);
			assert_int_equal(index_locate(journal.fd, index_fd, size, INDEX_BY_OFFSET,
						 offsets[i] + 30, &found),
				0);
			assert_int_equal(found.offset, offsets[i]);
			assert_int_equal(index_locate(journal.fd, index_fd, size,
						 INDEX_BY_BEFORE_END, size - offsets[i], &found),
				0);
			assert_int_equal(found.offset, offsets[i]);
		}
		assert_int_equal(
			index_locate(journal.fd, index_fd, size, INDEX_BY_LINE, 2000, &found), 0);
		assert_int_equal(found.offset, size);
		assert_int_equal(found.line, 2000);
		assert_int_equal(
			index_locate(journal.fd, index_fd, size, INDEX_BY_TIME, 0, &found), 0);
		assert_int_equal(found.offset, 0);
		assert_int_equal(
			index_locate(journal.fd, index_fd, size, INDEX_BY_TIME, UINT64_MAX, &found),
			0);
		assert_int_equal(found.offset, size);
		if (index_fd >= 0)
			close(index_fd);
	}
	journal_fini(&journal);
}

static void a_line_that_starts_inside_a_record_is_found_there(void **arg)
{
	struct fixture *fix = *arg;
	struct journal journal;
	struct index_entry found;
	uint64_t at[4];

	assert_int_equal(journal_create(&journal, fix->dir_fd, NULL), 0);
	at[0] = journal.totals.size;
	append_text(&journal, 0, "zero");
	at[1] = journal.totals.size;
	append_text(&journal, 0, " more\none\ntw");
	append_json(&journal, "{}");
	at[2] = journal.totals.size;
	append_text(&journal, 0, "o\n");
	at[3] = journal.totals.size;
	append_text(&journal, 0, "three");
	for (unsigned line = 0; line < 4; line++) {
		static const unsigned holds[4] = {0, 1, 1, 3};

		assert_int_equal(index_locate(journal.fd, -1, journal.totals.size, INDEX_BY_LINE,
					 line, &found),
			0);
		assert_int_equal(found.offset, at[holds[line]]);
	}
	assert_int_equal(
		index_locate(journal.fd, -1, journal.totals.size, INDEX_BY_LINE, 4, &found), 0);
	assert_int_equal(found.offset, journal.totals.size);
	journal_fini(&journal);
}

static void a_wrong_index_is_not_believed_and_can_be_rebuilt(void **arg)
{
	struct fixture *fix = *arg;
	struct journal journal;
	struct index_entry found;
	struct stat st;
	uint8_t *block = xcalloc(1, RECORD_MAX_BYTES);
	int fd;

	assert_int_equal(journal_create(&journal, fix->dir_fd, NULL), 0);
	for (int i = 0; i < 40; i++) {
		memset(block + RECORD_HEADER_BYTES, '\n', 60000);
		assert_int_equal(
			journal_append_output(&journal,
				&(struct journal_output){0, RECORD_STDOUT, 0}, block, 60000),
			0);
	}
	fd = openat(fix->dir_fd, RUNDIR_INDEX, O_RDWR | O_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_size >= 7 * INDEX_ENTRY_BYTES);
	assert_int_equal(pwrite(fd, "\x11\x22\x33\0\0\0\0\0", 8, 3 * INDEX_ENTRY_BYTES), 8);
	for (unsigned i = 1; i < 40; i++) {
		assert_int_equal(index_locate(journal.fd, fd, journal.totals.size, INDEX_BY_LINE,
					 i * 60000, &found),
			0);
		assert_int_equal(found.offset, i * (60000 + RECORD_HEADER_BYTES));
	}
	assert_int_equal(index_rebuild(journal.fd, journal.totals.size, fd), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), st.st_size);
	close(fd);
	free(block);
	journal_fini(&journal);
}

static void a_piece_is_cut_at_a_record(void **arg)
{
	struct fixture *fix = *arg;
	struct journal journal;
	uint8_t bytes[256] = {0};
	ssize_t n;

	assert_int_equal(journal_create(&journal, fix->dir_fd, NULL), 0);
	append_text(&journal, 0, "first");
	append_text(&journal, 0, "second");
	n = pread(journal.fd, bytes, sizeof(bytes), 0);
	assert_int_equal(n, 2 * RECORD_HEADER_BYTES + 11);
	assert_int_equal(journal_cut(bytes, (size_t)n), n);
	assert_int_equal(journal_cut(bytes, (size_t)n - 1), RECORD_HEADER_BYTES + 5);
	assert_int_equal(journal_cut(bytes, RECORD_HEADER_BYTES + 4), 0);
	assert_int_equal(journal_cut(bytes, 3), 0);
	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(journal_cut(bytes, sizeof(bytes)), -EBADMSG);
	journal_fini(&journal);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(a_walk_counts_what_was_written),
		IN_FOLDER(a_walk_stops_at_any_damage),
		IN_FOLDER(a_journal_with_records_is_not_begun_again),
		IN_FOLDER(a_dead_run_ends_as_lost),
		IN_FOLDER(a_run_that_never_began_gets_a_whole_journal),
		IN_FOLDER(a_run_that_ended_gets_its_state_from_its_journal),
		IN_FOLDER(a_living_runner_is_left_alone),
		IN_FOLDER(the_index_finds_lines_times_and_offsets),
		IN_FOLDER(a_line_that_starts_inside_a_record_is_found_there),
		IN_FOLDER(a_wrong_index_is_not_believed_and_can_be_rebuilt),
		IN_FOLDER(a_piece_is_cut_at_a_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
