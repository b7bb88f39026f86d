/*
 * LD_PRELOAD for tests of what POSIX allows and nobody ever sees: reads and writes of files, pipes
 * and stream sockets take SHORT_IO bytes at most, and every seventh is interrupted by a signal
 * (EINTR) before it has done anything.
 */
/* What is defined here would be the header's inline function. */
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define EVERY 7

static unsigned calls;

static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

/* Where any number of bytes may be taken; a datagram or an event is whole or not at all. */
static bool may_be_short(int fd)
{
	socklen_t len = sizeof(int);
	struct stat st;
	int type;

	if (fstat(fd, &st) != 0)
		return false;
	if (S_ISSOCK(st.st_mode))
		return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
	return S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode);
}

/* How many of n bytes; 0: interrupted. */
static size_t some(int fd, size_t n)
{
	const char *text = getenv("SHORT_IO");
	size_t most = text != NULL ? (size_t)strtoul(text, NULL, 10) : 0;

	if (most == 0 || n == 0 || !may_be_short(fd))
		return n;
	if (++calls % EVERY == 0) {
		errno = EINTR;
		return 0;
	}
	return n < most ? n : most;
}

ssize_t write(int fd, const void *data, size_t n)
{
	static ssize_t (*real)(int, const void *, size_t);
	void *found = real == NULL ? next("write") : NULL;
	size_t take = some(fd, n);

	if (found != NULL)
		memcpy(&real, &found, sizeof(real));
	return take == 0 && n != 0 ? -1 : real(fd, data, take);
}

ssize_t read(int fd, void *data, size_t n)
{
	static ssize_t (*real)(int, void *, size_t);
	void *found = real == NULL ? next("read") : NULL;
	size_t take = some(fd, n);

	if (found != NULL)
		memcpy(&real, &found, sizeof(real));
	return take == 0 && n != 0 ? -1 : real(fd, data, take);
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
	for (int i = 0; i < n; i++) {
		if (parts[i].iov_len != 0)
			return write(fd, parts[i].iov_base, parts[i].iov_len);
	}
	return 0;
}
