#include "core/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_READ_STEP 16384

int file_read(int dir_fd, const char *path, struct buf *buf, struct err *err)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int rc = 0;

	if (fd < 0)
		return err_set_errno(err, -errno, "cannot open %s", path);
	for (;;) {
		size_t room = MIN((size_t)FILE_READ_STEP, buf->max - buf->len + 1);
		uint8_t step[FILE_READ_STEP];
		ssize_t n = read(fd, step, room);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			rc = err_set_errno(err, -errno, "cannot read %s", path);
		if (n <= 0)
			break;
		buf_append(buf, step, (size_t)n);
		rc = buf_err(buf);
		if (rc != 0) {
			err_set(err, rc, "%s is larger than %zu bytes", path, buf->max);
			break;
		}
	}
	close(fd);
	return rc;
}

int file_write_all(int fd, const void *data, size_t n)
{
	const uint8_t *from = data;

	while (n != 0) {
		ssize_t done = write(fd, from, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		from += done;
		n -= (size_t)done;
	}
	return 0;
}

static int sync_parent(int dir_fd, const char *path)
{
	char *copy = xstrdup(path);
	int fd = openat(dir_fd, dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = 0;

	free(copy);
	if (fd < 0)
		return -errno;
	if (fsync(fd) != 0)
		rc = -errno;
	close(fd);
	return rc;
}

int file_replace(
	int dir_fd, const char *path, const void *data, size_t n, mode_t mode, struct err *err)
{
	char *beside = xasprintf("%s.new", path);
	int rc = 0;
	int fd =
		openat(dir_fd, beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);

	if (fd < 0) {
		rc = -errno;
		goto done;
	}
	rc = file_write_all(fd, data, n);
	if (rc == 0 && (fchmod(fd, mode) != 0 || fsync(fd) != 0))
		rc = -errno;
	close(fd);
	if (rc == 0 && renameat(dir_fd, beside, dir_fd, path) != 0)
		rc = -errno;
	if (rc == 0)
		rc = sync_parent(dir_fd, path);
	else
		unlinkat(dir_fd, beside, 0);
done:
	free(beside);
	if (rc != 0)
		err_set_errno(err, rc, "cannot write %s", path);
	return rc;
}
