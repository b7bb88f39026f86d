#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/config/errand.h"
#include "agent/config/status.h"
#include "core/base/err.h"

static int pair[2];

static int open_pair(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair);
}

static int close_pair(void **state)
{
	(void)state;
	close(pair[1]);
	return 0; /* the first end is closed by the tests */
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* The lowest descriptor that is free: whether something stayed open. */
static int lowest(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

static void what_is_sent_arrives_after_the_sender_has_closed(void **state)
{
	struct errand sent = {.status_fd = errand_seal("version: 1\n", 11, 1795698237000000)},
		      got = {-1, -1, -1};
	char text[32] = "";
	int ends[2];
	struct stat st;
	struct err err;

	(void)state;
	assert_true(sent.status_fd >= 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	sent.worker_fd = ends[0];
	sent.relay_fd = ends[1];
	assert_int_equal(errand_send(pair[0], &sent), 0);
	close(pair[0]);
	assert_int_equal(errand_receive(pair[1], &got, &err), 0);
	assert_true(same_file(got.worker_fd, ends[0]));
	assert_true(same_file(got.relay_fd, ends[1]));
	assert_int_equal(pread(got.status_fd, text, sizeof(text), 0), 11);
	assert_string_equal(text, "version: 1\n");
	assert_int_equal(fstat(got.status_fd, &st), 0);
	assert_int_equal(st.st_mtim.tv_sec, 1795698237);
	assert_int_equal(write(got.status_fd, "x", 1), -1); /* sealed */
	assert_int_equal(fcntl(got.status_fd, F_GETFD), FD_CLOEXEC);
	close(got.status_fd);
	close(got.worker_fd);
	close(got.relay_fd);
	close(sent.status_fd);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(errand_receive(pair[1], &got, &err), -EPIPE);
}

static void send_with(const void *bytes, size_t n, size_t n_fds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	const int fds[4] = {0, 0, 0, 0};

	if (n_fds > 0) {
		struct cmsghdr *head;

		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		head = CMSG_FIRSTHDR(&msg);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(head), fds, n_fds * sizeof(int));
	}
	assert_int_equal(sendmsg(pair[0], &msg, 0), n);
}

static void anything_else_is_refused_and_nothing_of_it_stays_open(void **state)
{
	struct errand got;
	struct err err;
	int before = lowest();

	(void)state;
	send_with("probes 1", 8, 0);
	send_with("probes 1", 8, 2);
	send_with("probes 1", 8, 4);
	send_with("probes 2", 8, 3);
	send_with("probes", 6, 3);
	send_with("probes 1 and more", 17, 3);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(errand_receive(pair[1], &got, &err), -EBADMSG);
		assert_non_null(strstr(err.msg, "restart the agent"));
		assert_int_equal(lowest(), before);
	}
	close(pair[0]);
}

static void the_text_of_a_status_file_is_enough(void **state)
{
	static const char text[] = "version: 1\ninterval: 7s\nactions: { host: not.here }\n"
				   "backups:\n  - { name: B, glob: /b/*, verified_by: a.flow }\n";
	static const char wrong[] = "version: 1\nintervall: 7s\n";
	struct status_config *config = NULL;
	struct config_errors errors;

	(void)state;
	assert_int_equal(status_config_load(text, sizeof(text) - 1, &config, &errors), 0);
	assert_int_equal(config->interval_us, 7000000);
	assert_string_equal(config->actions[STATUS_HOST], "not.here");
	assert_string_equal(config->backups[0].verified_by, "a.flow");
	status_config_free(config);
	config = NULL;
	assert_int_equal(status_config_load(wrong, sizeof(wrong) - 1, &config, &errors), -EINVAL);
	assert_null(config);
	assert_non_null(strstr(errors.lines[0], "status.yml"));
	assert_int_equal(status_config_load("", 0, &config, &errors), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_is_sent_arrives_after_the_sender_has_closed, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(
			anything_else_is_refused_and_nothing_of_it_stays_open, open_pair,
			close_pair),
		cmocka_unit_test(the_text_of_a_status_file_is_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
