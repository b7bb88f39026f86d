#include "agent/run/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
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

const char *rundir_output_base(void)
{
	const char *dir = getenv("OPS_RUNS_DIR");

	if (dir != NULL && dir[0] == '/')
		return dir;
	return geteuid() == 0 ? RUNDIR_OUTPUT_BASE : NULL;
}

void rundir_remove_outputs(const char *run_id)
{
	const char *base = rundir_output_base();
	int base_fd = base != NULL ? open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int fd = base_fd >= 0
			 ? openat(base_fd, run_id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
			 : -1;
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (dir == NULL && fd >= 0)
		close(fd);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		char *file;

		if (entry->d_name[0] == '.')
			continue;
		/* The folders are ours alone, and hold nothing but this. */
		file = xasprintf("%s/output", entry->d_name);
		(void)unlinkat(dirfd(dir), file, 0);
		(void)unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
		free(file);
	}
	if (dir != NULL)
		closedir(dir);
	if (base_fd >= 0) {
		(void)unlinkat(base_fd, run_id, AT_REMOVEDIR);
		close(base_fd);
	}
}
