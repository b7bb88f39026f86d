#include "agent/config/errand.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/passfd.h"

#define N_FDS 3

static const char words[ERRAND_BYTES + 1] = "probes 1"; /* name and version */

union control {
	struct cmsghdr align;
	char space[CMSG_SPACE(N_FDS * sizeof(int))];
};

int errand_seal(const void *data, size_t n, uint64_t modified_us)
{
	const struct timespec at = {.tv_sec = (time_t)(modified_us / 1000000)};
	const struct timespec times[2] = {at, at};
	int fd = memfd_create("ops-status", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int rc = fd >= 0 ? file_write_all(fd, data, n) : -errno;

	if (rc == 0 &&
		(lseek(fd, 0, SEEK_SET) != 0 || futimens(fd, times) != 0 ||
			fcntl(fd, F_ADD_SEALS,
				F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0))
		rc = -errno;
	if (rc == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return rc;
}

int errand_send(int fd, const struct errand *errand)
{
	const int fds[N_FDS] = {errand->status_fd, errand->worker_fd, errand->relay_fd};

	return passfd_send(fd, words, ERRAND_BYTES, fds, N_FDS);
}

int errand_hear(int fd, char *ret_byte, pid_t *ret_pid)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(struct ucred))];
	} control = {0};
	struct iovec iov = {.iov_base = ret_byte, .iov_len = 1};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);
	const struct cmsghdr *head = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	struct ucred from;

	if (n <= 0)
		return n == 0 ? -EPIPE : -errno;
	*ret_pid = 0;
	if (head != NULL && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_CREDENTIALS &&
		head->cmsg_len == CMSG_LEN(sizeof(from))) {
		memcpy(&from, CMSG_DATA(head), sizeof(from));
		*ret_pid = from.pid;
	}
	return 0;
}

/* How many descriptors came; all that did are in fds. */
static size_t take_fds(struct msghdr *msg, int fds[N_FDS])
{
	const struct cmsghdr *head = CMSG_FIRSTHDR(msg);
	size_t n;

	if (head == NULL || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
		return 0;
	n = MIN((head->cmsg_len - CMSG_LEN(0)) / sizeof(int), (size_t)N_FDS);
	memcpy(fds, CMSG_DATA(head), n * sizeof(int));
	return n;
}

int errand_receive(int fd, struct errand *ret_errand, struct err *err)
{
	char bytes[ERRAND_BYTES + 1];
	union control control;
	struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen =
			CMSG_LEN(N_FDS * sizeof(int)), /* and not for one in its padding */
	};
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	int fds[N_FDS];
	size_t n_fds;
	ssize_t n;

	if (poll(&ready, 1, ERRAND_WAIT_MS) == 0)
		return err_set(err, -ETIMEDOUT, "the monitor does not say what to look at");
	n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return err_set_errno(err, -errno, "cannot hear what to look at");
	n_fds = take_fds(&msg, fds);
	if (n == ERRAND_BYTES && memcmp(bytes, words, ERRAND_BYTES) == 0 && n_fds == N_FDS &&
		(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0) {
		*ret_errand = (struct errand){fds[0], fds[1], fds[2]};
		return 0;
	}
	while (n_fds > 0)
		close(fds[--n_fds]);
	if (n == 0)
		return err_set(err, -EPIPE, "the monitor is gone");
	return err_set(err, -EBADMSG,
		"this program and the agent that runs are not of one version: restart the agent");
}
