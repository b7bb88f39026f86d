#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/runner/syncer.h"

/* No thread for anybody: this one is found before libc's. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
	(void)thread;
	(void)attr;
	(void)start;
	(void)arg;
	return EAGAIN;
}

static void syncs_without_a_thread(void **state)
{
	int dir_fd = open("/tmp", O_RDONLY | O_DIRECTORY);
	int fd = open("/tmp", O_RDWR | O_TMPFILE, 0600);
	struct syncer syncer;
	struct pollfd pfd;
	uint64_t offset;

	(void)state;
	assert_true(dir_fd >= 0 && fd >= 0);
	assert_int_equal(syncer_init(&syncer, fd, dir_fd), 0);
	syncer_request(&syncer, 4711);
	pfd = (struct pollfd){.fd = syncer.wake_fd, .events = POLLIN};
	assert_int_equal(poll(&pfd, 1, 0), 1);
	assert_int_equal(syncer_result(&syncer, &offset), 0);
	assert_int_equal(offset, 4711);
	syncer_fini(&syncer);
	close(fd);
	close(dir_fd);
}

static void a_failed_sync_sticks(void **state)
{
	int dir_fd = open("/tmp", O_RDONLY | O_DIRECTORY);
	int pair[2];
	struct syncer syncer;
	uint64_t offset;

	(void)state;
	assert_int_equal(pipe(pair), 0);
	/* a pipe cannot be synced */
	assert_int_equal(syncer_init(&syncer, pair[1], dir_fd), 0);
	syncer_request(&syncer, 1);
	assert_int_equal(syncer_result(&syncer, &offset), -EINVAL);
	syncer.fd = dir_fd;
	syncer_request(&syncer, 2);
	assert_int_equal(syncer_result(&syncer, &offset), -EINVAL);
	assert_int_equal(offset, 0);
	syncer_fini(&syncer);
	close(pair[0]);
	close(pair[1]);
	close(dir_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(syncs_without_a_thread),
		cmocka_unit_test(a_failed_sync_sticks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
