#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"

static char folder[] = "/tmp/ops-test-file-XXXXXX";
static int dir_fd;

static int set_up(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir_fd < 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlinkat(dir_fd, "a", 0);
	unlinkat(dir_fd, "big", 0);
	close(dir_fd);
	return rmdir(folder);
}

static void what_is_replaced_is_read_back(void **state)
{
	struct err err = {0};
	struct buf buf;
	struct stat st;

	(void)state;
	assert_int_equal(file_replace(dir_fd, "a", "first", 5, 0640, &err), 0);
	assert_int_equal(file_replace(dir_fd, "a", "sec\0nd", 6, 0600, &err), 0);
	buf_init(&buf, 100);
	buf_append_str(&buf, "> ");
	assert_int_equal(file_read(dir_fd, "a", &buf, &err), 0);
	assert_int_equal(buf.len, 8);
	assert_memory_equal(buf.data, "> sec\0nd", 8);
	assert_int_equal(fstatat(dir_fd, "a", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(fstatat(dir_fd, "a.new", &st, 0), -1); /* nothing is left beside it */
	buf_fini(&buf);
}

static void takes_absolute_paths(void **state)
{
	char path[sizeof(folder) + 8];
	struct err err = {0};
	struct buf buf;

	(void)state;
	snprintf(path, sizeof(path), "%s/a", folder);
	assert_int_equal(file_replace(AT_FDCWD, path, "x", 1, 0600, &err), 0);
	buf_init(&buf, 1);
	assert_int_equal(file_read(AT_FDCWD, path, &buf, &err), 0);
	assert_memory_equal(buf.data, "x", 1);
	buf_fini(&buf);
}

static void a_file_may_be_exactly_as_large_as_allowed(void **state)
{
	size_t n = 40000;
	char *bytes = malloc(n);
	struct err err = {0};
	struct buf buf;

	(void)state;
	memset(bytes, 'b', n);
	assert_int_equal(file_replace(dir_fd, "big", bytes, n, 0600, &err), 0);
	buf_init(&buf, n);
	assert_int_equal(file_read(dir_fd, "big", &buf, &err), 0);
	assert_int_equal(buf.len, n);
	buf_fini(&buf);
	buf_init(&buf, n - 1);
	assert_int_equal(file_read(dir_fd, "big", &buf, &err), -EMSGSIZE);
	assert_string_equal(err.msg, "big is larger than 39999 bytes");
	buf_fini(&buf);
	free(bytes);
}

static void says_which_file_and_why(void **state)
{
	struct err err = {0};
	struct buf buf;

	(void)state;
	buf_init(&buf, 10);
	assert_int_equal(file_read(dir_fd, "missing", &buf, &err), -ENOENT);
	assert_string_equal(err.msg, "cannot open missing: No such file or directory");
	assert_int_equal(file_read(dir_fd, ".", &buf, &err), -EISDIR);
	assert_int_equal(file_replace(dir_fd, "no/such/folder", "x", 1, 0600, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "cannot write no/such/folder"));
	buf_fini(&buf);
}

static void a_link_beside_the_file_is_not_followed(void **state)
{
	struct err err = {0};
	struct stat st;

	(void)state;
	assert_int_equal(symlinkat("elsewhere", dir_fd, "a.new"), 0);
	assert_int_equal(file_replace(dir_fd, "a", "x", 1, 0600, &err), -ELOOP);
	assert_int_equal(fstatat(dir_fd, "elsewhere", &st, AT_SYMLINK_NOFOLLOW), -1);
	unlinkat(dir_fd, "a.new", 0);
}

static void writes_all_or_says_why_not(void **state)
{
	int fds[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(file_write_all(fds[1], "abc", 3), 0);
	assert_int_equal(file_write_all(fds[1], NULL, 0), 0);
	close(fds[0]);
	assert_int_equal(file_write_all(fds[1], "abc", 3), -EPIPE);
	close(fds[1]);
	assert_int_equal(file_write_all(fds[1], "abc", 3), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_replaced_is_read_back),
		cmocka_unit_test(takes_absolute_paths),
		cmocka_unit_test(a_file_may_be_exactly_as_large_as_allowed),
		cmocka_unit_test(says_which_file_and_why),
		cmocka_unit_test(a_link_beside_the_file_is_not_followed),
		cmocka_unit_test(writes_all_or_says_why_not),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
