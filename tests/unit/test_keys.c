#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/monitor/keys.h"
#include "core/base/mem.h"

#define NOW UINT64_C(1795476443000000)

struct folder {
	char path[64];
	int fd;
};

static int setup(void **state)
{
	struct folder *folder = xcalloc(1, sizeof(*folder));

	snprintf(folder->path, sizeof(folder->path), "/tmp/ops-keys-XXXXXX");
	assert_non_null(mkdtemp(folder->path));
	folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = folder;
	return 0;
}

static int teardown(void **state)
{
	struct folder *folder = *state;

	unlinkat(folder->fd, KEYS_FILE, 0);
	close(folder->fd);
	rmdir(folder->path);
	free(folder);
	return 0;
}

static struct key some_key(const char *actor, const char *key, const char *value)
{
	struct msg_run_start start = {.kind = MSG_KIND_COMMAND,
		.id = wire_str_of("pg.dump"),
		.actor = wire_str_of(actor),
		.idempotency_key = wire_str_of(key),
		.n_inputs = 1,
		.inputs = {{wire_str_of("db"), wire_str_of(value)}}};
	struct key made;

	key_of(&start, &made);
	return made;
}

static struct keys *must_open(const struct folder *folder, uint64_t now_us)
{
	struct err err = {0};
	struct keys *keys = keys_open(folder->fd, now_us, &err);

	assert_non_null(keys);
	return keys;
}

static void a_key_finds_its_run_also_after_reopening(void **state)
{
	struct key key = some_key("user:anna", "k1", "app");
	struct uuid run, found;
	struct keys *keys = must_open(*state, NOW);

	uuid_v7(&run);
	assert_int_equal(keys_find(keys, &key, NOW, &found), -ENOENT);
	assert_int_equal(keys_add(keys, &key, NOW, &run), 0);
	assert_int_equal(keys_find(keys, &key, NOW, &found), 0);
	keys_close(keys);
	keys = must_open(*state, NOW + 1000000);
	assert_int_equal(keys_find(keys, &key, NOW + 1000000, &found), 0);
	assert_memory_equal(&found, &run, sizeof(run));
	keys_close(keys);
}

static void the_same_key_for_another_request_is_told_apart(void **state)
{
	struct key key = some_key("user:anna", "k1", "app");
	struct key other = some_key("user:anna", "k1", "ops");
	struct uuid run, found;
	struct keys *keys = must_open(*state, NOW);

	uuid_v7(&run);
	assert_int_equal(keys_add(keys, &key, NOW, &run), 0);
	assert_int_equal(keys_find(keys, &other, NOW, &found), -EEXIST);
	keys_close(keys);
}

static void keys_of_different_actors_do_not_meet(void **state)
{
	struct key key = some_key("user:anna", "k1", "app");
	struct key other = some_key("user:bert", "k1", "app");
	struct uuid run, found;
	struct keys *keys = must_open(*state, NOW);

	uuid_v7(&run);
	assert_int_equal(keys_add(keys, &key, NOW, &run), 0);
	assert_int_equal(keys_find(keys, &other, NOW, &found), -ENOENT);
	keys_close(keys);
}

static void a_key_is_forgotten_after_a_day(void **state)
{
	struct key key = some_key("user:anna", "k1", "app");
	struct uuid run, found;
	struct keys *keys = must_open(*state, NOW);

	uuid_v7(&run);
	assert_int_equal(keys_add(keys, &key, NOW, &run), 0);
	assert_int_equal(keys_find(keys, &key, NOW + KEYS_KEEP_US, &found), 0);
	assert_int_equal(keys_find(keys, &key, NOW + KEYS_KEEP_US + 1, &found), -ENOENT);
	keys_close(keys);
}

static void a_damaged_entry_costs_only_itself(void **state)
{
	struct folder *folder = *state;
	struct key a = some_key("user:anna", "a", "app"), b = some_key("user:anna", "b", "app");
	struct uuid run, found;
	struct keys *keys = must_open(folder, NOW);
	int fd;

	uuid_v7(&run);
	assert_int_equal(keys_add(keys, &a, NOW, &run), 0);
	assert_int_equal(keys_add(keys, &b, NOW, &run), 0);
	keys_close(keys);
	fd = openat(folder->fd, KEYS_FILE, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "x", 1, 20), 1);
	close(fd);
	keys = must_open(folder, NOW);
	assert_int_equal(keys_find(keys, &a, NOW, &found), -ENOENT);
	assert_int_equal(keys_find(keys, &b, NOW, &found), 0);
	keys_close(keys);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_key_finds_its_run_also_after_reopening),
		T(the_same_key_for_another_request_is_told_apart),
		T(keys_of_different_actors_do_not_meet),
		T(a_key_is_forgotten_after_a_day),
		T(a_damaged_entry_costs_only_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
