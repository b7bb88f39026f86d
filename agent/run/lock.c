#include "agent/run/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/run/rundir.h"

static struct flock whole_file(void)
{
	return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
}

int lock_take(int run_dir_fd)
{
	struct flock lock = whole_file();
	int fd = rundir_create(run_dir_fd, RUNDIR_LOCK, O_RDWR);
	int rc;

	if (fd < 0)
		return fd;
	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return fd;
	rc = errno == EACCES ? -EAGAIN : -errno;
	close(fd);
	return rc;
}

int lock_inherit(int run_dir_fd, int fd)
{
	struct flock lock = whole_file();
	struct stat ours, theirs;
	int copy, rc;

	if (fstat(fd, &theirs) != 0 ||
		fstatat(run_dir_fd, RUNDIR_LOCK, &ours, AT_SYMLINK_NOFOLLOW) != 0 ||
		!S_ISREG(ours.st_mode) || ours.st_dev != theirs.st_dev ||
		ours.st_ino != theirs.st_ino)
		return -ENOENT;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (copy < 0)
		return -errno;
	/* what this open file holds already it may take again */
	if (fcntl(copy, F_OFD_SETLK, &lock) == 0)
		return copy;
	rc = errno == EACCES ? -EAGAIN : -errno;
	close(copy);
	return rc;
}

int lock_test(int run_dir_fd)
{
	struct flock lock = whole_file();
	int fd = openat(run_dir_fd, RUNDIR_LOCK, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	int rc;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	rc = fcntl(fd, F_OFD_GETLK, &lock) != 0 ? -errno : lock.l_type != F_UNLCK;
	close(fd);
	return rc;
}
