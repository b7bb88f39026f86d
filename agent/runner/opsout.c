#include "agent/runner/opsout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_MODE 0711
#define OUTPUT_NAME "output"

void opsout_init(struct opsout *opsout)
{
	*opsout = (struct opsout){.run_fd = -1, .step_fd = -1, .fd = -1};
}

/* Makes the folder unless it is there, and opens it. It has to be ours: nobody else may have put
 * one (or a link) in its place. */
static int open_folder(int parent_fd, const char *name)
{
	struct stat st;
	int fd;

	if (mkdirat(parent_fd, name, FOLDER_MODE) != 0 && errno != EEXIST)
		return -errno;
	fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0 || st.st_uid != geteuid() || (st.st_mode & 022) != 0) {
		close(fd);
		return -EPERM;
	}
	/* Past the umask, so that the command may pass through. */
	if ((st.st_mode & 0111) != 0111 && fchmod(fd, FOLDER_MODE) != 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

static bool is_one_name(const char *name)
{
	return name[0] != '\0' && strchr(name, '/') == NULL && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0;
}

static int open_file(struct opsout *opsout, const struct account *account)
{
	unlinkat(opsout->step_fd, OUTPUT_NAME, 0);
	opsout->fd = openat(opsout->step_fd, OUTPUT_NAME,
		O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (opsout->fd < 0)
		return -errno;
	if (account->must_switch && fchown(opsout->fd, account->uid, account->gid) != 0)
		return -errno;
	return 0;
}

int opsout_open(struct opsout *opsout, const char *base, const char *run_id, const char *step_id,
	const struct account *account, struct err *err)
{
	int base_fd, rc;

	opsout_init(opsout);
	opsout->path = xasprintf("%s/%s/%s/" OUTPUT_NAME, base, run_id, step_id);
	opsout->step_id = step_id;
	if (!is_one_name(step_id) || !is_one_name(run_id))
		return err_set(err, -EINVAL, "the step's id cannot be a folder's name");
	base_fd = open_folder(AT_FDCWD, base);
	rc = base_fd < 0 ? base_fd : 0;
	if (rc == 0) {
		opsout->run_fd = open_folder(base_fd, run_id);
		rc = opsout->run_fd < 0 ? opsout->run_fd : 0;
		close(base_fd);
	}
	if (rc == 0) {
		opsout->step_fd = open_folder(opsout->run_fd, step_id);
		rc = opsout->step_fd < 0 ? opsout->step_fd : 0;
	}
	if (rc == 0)
		rc = open_file(opsout, account);
	return rc == 0 ? 0 : err_set_errno(err, rc, "cannot make %s", opsout->path);
}

int opsout_read(const struct opsout *opsout, size_t max, struct buf *buf)
{
	uint8_t step[4096];
	off_t at = 0;

	while (buf->len <= max) {
		ssize_t n = pread(opsout->fd, step, MIN(sizeof(step), max + 1 - buf->len), at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		buf_append(buf, step, (size_t)n);
		at += n;
	}
	return buf_err(buf);
}

void opsout_close(struct opsout *opsout)
{
	if (opsout->fd >= 0) {
		unlinkat(opsout->step_fd, OUTPUT_NAME, 0);
		close(opsout->fd);
	}
	if (opsout->step_fd >= 0)
		close(opsout->step_fd);
	if (opsout->run_fd >= 0) {
		unlinkat(opsout->run_fd, opsout->step_id, AT_REMOVEDIR);
		close(opsout->run_fd);
	}
	free(opsout->path);
	opsout_init(opsout);
}

void opsout_remove_run(const char *base, const char *run_id)
{
	char *path = xasprintf("%s/%s", base, run_id);

	rmdir(path);
	free(path);
}
