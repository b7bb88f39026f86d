#include "agent/run/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int rundir_create(int run_dir_fd, const char *name, int flags)
{
	struct stat dir, file;
	int fd = openat(run_dir_fd, name, flags | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY,
		RUNDIR_FILE_MODE);
	int rc;

	if (fd < 0)
		return -errno;
	if (fstat(run_dir_fd, &dir) != 0 || fstat(fd, &file) != 0)
		goto fail;
	if (!S_ISREG(file.st_mode)) {
		errno = EINVAL;
		goto fail;
	}
	if (geteuid() == 0 && file.st_gid != dir.st_gid && fchown(fd, (uid_t)-1, dir.st_gid) != 0)
		goto fail;
	if ((file.st_mode & 07777) != RUNDIR_FILE_MODE && fchmod(fd, RUNDIR_FILE_MODE) != 0)
		goto fail;
	return fd;
fail:
	rc = -errno;
	close(fd);
	return rc;
}
