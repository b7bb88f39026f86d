#include "agent/monitor/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LOCK_TRIES 20 /* after the first, for two seconds */
#define LOCK_PAUSE_NS 100000000

/* Whether a process accepts connections at this address. */
static bool is_answered(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool answered;

	if (fd < 0)
		return true;
	answered = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 ||
		   errno != ECONNREFUSED;
	close(fd);
	return answered;
}

static int remove_stale(const struct sockaddr_un *addr, struct err *err)
{
	struct stat st;

	if (lstat(addr->sun_path, &st) != 0)
		return errno == ENOENT
			       ? 0
			       : err_set_errno(err, -errno, "cannot look at %s", addr->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(
			err, -EEXIST, "%s is not a socket; it stays as it is", addr->sun_path);
	if (st.st_uid != geteuid())
		return err_set(err, -EPERM, "%s belongs to uid %u; it stays as it is",
			addr->sun_path, st.st_uid);
	if (is_answered(addr))
		return err_set(err, -EADDRINUSE, "another process answers at %s", addr->sun_path);
	if (unlink(addr->sun_path) != 0)
		return err_set_errno(err, -errno, "cannot remove %s", addr->sun_path);
	return 0;
}

static int bind_and_listen(int fd, const struct sockaddr_un *addr, gid_t gid, struct err *err)
{
	/* no moment at which others could connect */
	mode_t mask = umask(0777 & ~LISTEN_MODE);
	int rc = bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 ? 0 : -errno;

	umask(mask);
	if (rc != 0)
		return err_set_errno(err, rc, "cannot bind %s", addr->sun_path);
	if (gid != (gid_t)-1 && lchown(addr->sun_path, (uid_t)-1, gid) != 0)
		return err_set_errno(err, -errno, "cannot give %s to its group", addr->sun_path);
	if (listen(fd, LISTEN_BACKLOG) != 0)
		return err_set_errno(err, -errno, "cannot listen on %s", addr->sun_path);
	return 0;
}

int listen_open(const char *path, gid_t gid, struct err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd, rc;

	if (strlen(path) >= sizeof(addr.sun_path))
		return err_set(err, -ENAMETOOLONG,
			"OPS_AGENT_SOCKET: a path of more than %zu bytes",
			sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, path, strlen(path));
	rc = remove_stale(&addr, err);
	if (rc != 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set_errno(err, -errno, "cannot make a socket");
	rc = bind_and_listen(fd, &addr, gid, err);
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

int listen_open_dir(int parent_fd, const char *path, gid_t gid, struct err *err)
{
	bool made = mkdirat(parent_fd, path, 0750) == 0;
	int fd;

	if (!made && errno != EEXIST)
		return err_set_errno(err, -errno, "cannot make %s", path);
	fd = openat(parent_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set_errno(err, -errno, "cannot open %s", path);
	if (made &&
		(fchmod(fd, 0750) != 0 || (gid != (gid_t)-1 && fchown(fd, (uid_t)-1, gid) != 0))) {
		int rc = -errno;

		close(fd);
		return err_set_errno(err, rc, "cannot set the rights of %s", path);
	}
	return fd;
}

int listen_lock(int state_dir_fd, struct err *err)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = openat(state_dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc;

	if (fd < 0)
		return err_set_errno(err, -errno, "cannot open the state folder's lock");
	/* What an agent that was killed had just forked holds a copy of the lock until it executes
	 * or ends, a moment later. */
	for (int tries = LOCK_TRIES;; tries--) {
		if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
			return fd;
		rc = errno == EACCES ? -EAGAIN : -errno;
		if (rc != -EAGAIN || tries == 0)
			break;
		nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_NS}, NULL);
	}
	close(fd);
	if (rc == -EAGAIN)
		return err_set(err, rc, "another agent runs on this state folder");
	return err_set_errno(err, rc, "cannot lock the state folder");
}
