#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/monitor/ledger.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "proto/record.h"

struct folder {
	char path[64];
	int fd;
};

static int setup(void **state)
{
	struct folder *folder = xcalloc(1, sizeof(*folder));

	snprintf(folder->path, sizeof(folder->path), "/tmp/ops-ledger-XXXXXX");
	assert_non_null(mkdtemp(folder->path));
	folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = folder;
	return 0;
}

static int teardown(void **state)
{
	struct folder *folder = *state;

	unlinkat(folder->fd, LEDGER_FILE, 0);
	close(folder->fd);
	rmdir(folder->path);
	free(folder);
	return 0;
}

static struct ledger *must_open(const struct folder *folder)
{
	struct err err = {0};
	struct ledger *ledger = ledger_open(folder->fd, (gid_t)-1, &err);

	assert_non_null(ledger);
	return ledger;
}

static void add(struct ledger *ledger, const char *event, int64_t n)
{
	struct json *json = ledger_begin(ledger, event);
	struct err err = {0};

	json_kv_int(json, "n", n);
	assert_int_equal(ledger_commit(ledger, &err), 0);
}

static uint64_t make(const struct folder *folder, int events)
{
	struct ledger *ledger = must_open(folder);
	uint64_t position;

	for (int i = 0; i < events; i++)
		add(ledger, "test.event", i);
	position = ledger_position(ledger);
	ledger_close(ledger);
	return position;
}

static void flip(const struct folder *folder, off_t offset)
{
	int fd = openat(folder->fd, LEDGER_FILE, O_RDWR | O_CLOEXEC);
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, offset), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
	close(fd);
}

static void cut(const struct folder *folder, uint64_t size)
{
	int fd = openat(folder->fd, LEDGER_FILE, O_RDWR | O_CLOEXEC);

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

static void chain_holds_over_reopening(void **state)
{
	struct folder *folder = *state;
	struct ledger_walk walk = {0};
	struct err err = {0};
	uint64_t end;

	make(folder, 3);
	end = make(folder, 2);
	assert_int_equal(ledger_verify(folder->fd, &walk, &err), 0);
	assert_int_equal(walk.events, 5);
	assert_int_equal(walk.offset, end);
}

static void events_are_records_that_name_the_one_before(void **state)
{
	struct folder *folder = *state;
	struct record first, second;
	struct buf file;
	int size;

	make(folder, 2);
	buf_init(&file, 1 << 16);
	assert_int_equal(file_read(folder->fd, LEDGER_FILE, &file, NULL), 0);
	size = record_decode(file.data, file.len, &first);
	assert_true(size > 0);
	assert_int_equal(first.kind, RECORD_EVENT);
	assert_memory_equal(first.payload, "{\"event\":\"test.event\",\"n\":0,\"prev\":\"0000", 40);
	assert_true(record_decode(file.data + size, file.len - (size_t)size, &second) > 0);
	assert_memory_not_equal(second.payload + 29, "\"prev\":\"0000", 12);
	buf_fini(&file);
}

static void verify_finds_a_changed_byte(void **state)
{
	struct folder *folder = *state;
	struct ledger_walk walk = {0};
	struct err err = {0};

	make(folder, 3);
	flip(folder, RECORD_HEADER_BYTES + 12);
	assert_int_equal(ledger_verify(folder->fd, &walk, &err), -EBADMSG);
	assert_non_null(strstr(err.msg, "byte 0"));
}

static void verify_finds_a_removed_event(void **state)
{
	struct folder *folder = *state;
	struct ledger_walk walk = {0};
	uint64_t first;
	struct err err = {0};
	struct buf file;

	first = make(folder, 1);
	make(folder, 3);
	buf_init(&file, 1 << 16);
	assert_int_equal(file_read(folder->fd, LEDGER_FILE, &file, NULL), 0);
	buf_consume(&file, first); /* every checksum is right, but the beginning is missing */
	assert_int_equal(file_replace(folder->fd, LEDGER_FILE, file.data, file.len, 0600, NULL), 0);
	buf_fini(&file);
	assert_int_equal(ledger_verify(folder->fd, &walk, &err), -EBADMSG);
	assert_non_null(strstr(err.msg, "chain"));
}

static void a_torn_tail_is_cut_and_told(void **state)
{
	struct folder *folder = *state;
	struct ledger_walk walk = {0};
	uint64_t two, three;
	struct ledger *ledger;
	struct err err = {0};

	two = make(folder, 2);
	three = make(folder, 1);
	cut(folder, three - 5);
	ledger = must_open(folder);
	assert_true(ledger_position(ledger) > two); /* ledger.cut was added behind the second */
	ledger_close(ledger);
	assert_int_equal(ledger_verify(folder->fd, &walk, &err), 0);
	assert_int_equal(walk.events, 3);
}

static void refuses_to_open_what_no_power_cut_leaves(void **state)
{
	struct folder *folder = *state;
	struct err err = {0};

	make(folder, 800); /* more than one record's worth behind the damage */
	flip(folder, RECORD_HEADER_BYTES + 12);
	assert_null(ledger_open(folder->fd, (gid_t)-1, &err));
	assert_non_null(strstr(err.msg, "damaged at byte 0"));
}

static void an_event_too_large_leaves_the_ledger_as_it_was(void **state)
{
	struct folder *folder = *state;
	struct ledger *ledger = must_open(folder);
	char *big = xcalloc(1, LEDGER_MAX_EVENT_BYTES + 1);
	struct err err = {0};
	struct json *json;
	struct ledger_walk walk = {0};
	uint64_t before;

	add(ledger, "test.event", 1);
	before = ledger_position(ledger);
	memset(big, 'x', LEDGER_MAX_EVENT_BYTES);
	json = ledger_begin(ledger, "test.big");
	json_kv_str(json, "text", big);
	assert_int_equal(ledger_commit(ledger, &err), -EMSGSIZE);
	assert_int_equal(ledger_position(ledger), before);
	add(ledger, "test.event", 2);
	ledger_close(ledger);
	free(big);
	assert_int_equal(ledger_verify(folder->fd, &walk, &err), 0);
	assert_int_equal(walk.events, 2);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(chain_holds_over_reopening),
		T(events_are_records_that_name_the_one_before),
		T(verify_finds_a_changed_byte),
		T(verify_finds_a_removed_event),
		T(a_torn_tail_is_cut_and_told),
		T(refuses_to_open_what_no_power_cut_leaves),
		T(an_event_too_large_leaves_the_ledger_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
