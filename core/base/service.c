#include "core/base/service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void service_tell(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	size_t len = path != NULL ? strlen(path) : 0;
	int fd;

	if (len == 0 || len >= sizeof(addr.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(addr.sun_path, path, len);
	if (path[0] == '@')
		addr.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	/* nobody to tell when the service manager does not listen */
	(void)!sendto(fd, state, strlen(state), MSG_DONTWAIT | MSG_NOSIGNAL,
		(const struct sockaddr *)&addr,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	close(fd);
}

/* Digits and nothing else. */
static bool read_number(const char *text, uint64_t max, uint64_t *ret_value)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*ret_value = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' && *ret_value <= max;
}

/* What was meant for another process was only inherited. */
static bool is_for_us(const char *name)
{
	const char *text = getenv(name);
	uint64_t pid;

	return text != NULL && read_number(text, INT32_MAX, &pid) && (pid_t)pid == getpid();
}

uint64_t service_watchdog_us(void)
{
	const char *text = getenv("WATCHDOG_USEC");
	uint64_t us;

	if (text == NULL || !read_number(text, UINT64_MAX, &us))
		return 0;
	return getenv("WATCHDOG_PID") == NULL || is_for_us("WATCHDOG_PID") ? us / 2 : 0;
}

int service_take_sockets(void)
{
	const char *text = getenv("LISTEN_FDS");
	uint64_t n = 0;
	int r = 0;

	if (text == NULL || !is_for_us("LISTEN_PID"))
		return 0;
	if (!read_number(text, SERVICE_MAX_SOCKETS, &n))
		r = -EINVAL;
	for (int fd = SERVICE_FIRST_FD; r == 0 && fd < SERVICE_FIRST_FD + (int)n; fd++) {
		int flags = fcntl(fd, F_GETFD);

		if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0)
			r = -errno;
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return r < 0 ? r : (int)n;
}
