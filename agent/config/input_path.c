#include "agent/config/input_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* No empty, "." or ".." component: what is compared here must be what the kernel walks. */
static bool components_are_plain(const char *path)
{
	while (*path != '\0') {
		size_t len = strcspn(path, "/");

		if (len == 0 || (len == 1 && path[0] == '.') ||
			(len == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		path += len;
		if (*path == '/' && *++path == '\0')
			return false;
	}
	return true;
}

/* openat2(2) came with Linux 5.6 and some sandboxes refuse it: the same answer the long way. */
static int resolve_by_name(const char *under, const char *path)
{
	char *root = realpath(under, NULL);
	char *full = root != NULL ? realpath(path, NULL) : NULL;
	int rc = root != NULL && full != NULL ? 0 : -errno;
	size_t len = root != NULL && strcmp(root, "/") != 0 ? strlen(root) : 0;

	if (rc == 0 && (strncmp(full, root, len) != 0 || full[len] != '/'))
		rc = -EXDEV;
	free(root);
	free(full);
	return rc;
}

static int resolve(const char *under, const char *path, const char *below)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	int root = open(under, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int rc = 0;
	long fd;

	if (root < 0)
		return -errno;
	fd = syscall(SYS_openat2, root, below, &how, sizeof(how));
	if (fd < 0)
		rc = errno == ENOSYS || errno == EPERM ? resolve_by_name(under, path) : -errno;
	else
		close((int)fd);
	close(root);
	return rc;
}

int input_path_check_text(const char *under, const char *value, size_t n, struct err *err)
{
	size_t root = strcmp(under, "/") == 0 ? 0 : strlen(under);
	char path[PATH_MAX];

	if (n >= sizeof(path))
		return err_set(err, -EINVAL, "is too long for a path");
	memcpy(path, value, n);
	path[n] = '\0';
	if (strncmp(path, under, root) != 0 || path[root] != '/' || path[root + 1] == '\0')
		return err_set(err, -EINVAL, "must be a path below %s", under);
	if (!components_are_plain(path + root + 1))
		return err_set(err, -EINVAL, "must not hold '.', '..' or an empty part");
	return 0;
}

int input_path_check_file(
	const char *under, const char *value, size_t n, bool final, struct err *err)
{
	size_t root = strcmp(under, "/") == 0 ? 0 : strlen(under);
	char path[PATH_MAX];
	int rc;

	memcpy(path, value, n);
	path[n] = '\0';
	rc = resolve(under, path, path + root + 1);
	switch (rc) {
	case 0:
		return 0;
	case -EXDEV:
		return err_set(err, -EINVAL, "leads out of %s through a symbolic link", under);
	case -ENOENT:
	case -ENOTDIR:
		return err_set(err, -EINVAL, "does not exist below %s", under);
	case -ELOOP:
		return err_set(err, -EINVAL, "has too many symbolic links");
	default:
		if (rc == -EACCES && !final)
			return 0;
		return err_set(err, -EINVAL, "cannot be looked up below %s", under);
	}
}
