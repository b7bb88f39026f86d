#include "agent/monitor/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"

void child_init(struct child *child)
{
	*child = (struct child){.fd = -1, .backoff_ms = CHILD_BACKOFF_MIN_MS};
}

int child_fork(struct child *child, int *ret_worker_fd, struct err *err)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
		return err_set_errno(err, -errno, "cannot make the worker's socket pair");
	pid = fork();
	if (pid < 0) {
		int rc = -errno;

		close(pair[0]);
		close(pair[1]);
		return err_set_errno(err, rc, "cannot fork the worker");
	}
	if (pid == 0) {
		close(pair[0]);
		*ret_worker_fd = pair[1];
		return 0;
	}
	close(pair[1]);
	*ret_worker_fd = -1;
	child->pid = pid;
	child->fd = pair[0];
	child->started_us = clock_mono_us();
	return 0;
}

void child_gone(struct child *child)
{
	uint64_t now = clock_mono_us();

	if (child->fd >= 0)
		close(child->fd);
	child->fd = -1;
	child->pid = 0;
	child->kill_us = 0;
	if (now - child->started_us > CHILD_STEADY_US)
		child->backoff_ms = CHILD_BACKOFF_MIN_MS;
	child->respawn_us = now + child->backoff_ms * UINT64_C(1000);
	child->backoff_ms = MIN(2 * child->backoff_ms, (unsigned)CHILD_BACKOFF_MAX_MS);
}

void child_send(struct child *child, const struct imsg *msg)
{
	uint8_t bytes[IMSG_MAX_BYTES];
	uint64_t until = clock_mono_us() + CHILD_SEND_MS * UINT64_C(1000);
	int n = imsg_encode(msg, bytes, sizeof(bytes));

	if (child->fd < 0 || n < 0)
		return;
	for (;;) {
		struct pollfd pfd = {.fd = child->fd, .events = POLLOUT};
		uint64_t now = clock_mono_us();

		if (send(child->fd, bytes, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) == n)
			return;
		if (errno != EAGAIN && errno != EINTR)
			return; /* it is dying; its exit will be seen */
		if (now >= until)
			break;
		(void)poll(&pfd, 1, (int)((until - now) / 1000 + 1));
	}
	log_error(LOG_EV("worker.stuck"), LOG_INT("pid", child->pid));
	kill(child->pid, SIGKILL);
}

int child_receive(struct child *child, uint8_t *buf, struct imsg *ret_msg)
{
	ssize_t n = recv(child->fd, buf, IMSG_MAX_BYTES, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -EPIPE;
	return imsg_decode(buf, (size_t)n, ret_msg) == 0 ? 1 : -EBADMSG;
}
