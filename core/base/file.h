/* Small files, read and written whole; descriptors written to the last byte. All blocking: for
 * start-up, short-lived programs, and the runner. */
#ifndef OPS_BASE_FILE_H
#define OPS_BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "core/base/buf.h"
#include "core/base/err.h"

/* Appends the whole file to buf. -EMSGSIZE when it does not fit buf's maximum; other errnos as
 * open(2) and read(2) give them. dir_fd may be AT_FDCWD. The text names the path. */
MUSTCHECK int file_read(int dir_fd, const char *path, struct buf *buf, struct err *err);
/* Writes all n bytes, going on after EINTR and short writes. 0 or a negative errno. */
MUSTCHECK int file_write_all(int fd, const void *data, size_t n);
/* Replaces path by a file with these bytes and this mode: written beside it, fsynced, renamed,
 * and its directory fsynced. */
MUSTCHECK int file_replace(
	int dir_fd, const char *path, const void *data, size_t n, mode_t mode, struct err *err);

#endif
