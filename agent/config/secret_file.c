#include "agent/config/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/config/trust.h"
#include "core/base/mem.h"

void secret_file_free(char *text)
{
	if (text != NULL)
		mem_wipe(text, strlen(text));
	free(text);
}

static int check_text(const char *text, size_t len, struct err *err)
{
	if (memchr(text, '\0', len) != NULL)
		return err_set(err, -EINVAL, "holds a NUL");
	while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
		len--;
	if (len < SECRET_FILE_MIN)
		return err_set(err, -EINVAL, "has fewer than %d bytes, so it cannot be masked",
			SECRET_FILE_MIN);
	if (len > SECRET_FILE_MAX)
		return err_set(err, -EINVAL, "has more than %d bytes", SECRET_FILE_MAX);
	return 0;
}

static char *read_text(int fd, struct err *err)
{
	char *text = xcalloc(1, SECRET_FILE_MAX + 2);
	size_t len = 0;
	ssize_t n;
	int rc;

	do {
		n = read(fd, text + len, SECRET_FILE_MAX + 1 - len);
		len += n > 0 ? (size_t)n : 0;
	} while (n > 0 || (n < 0 && errno == EINTR));
	rc = n < 0 ? err_set_errno(err, -errno, "cannot be read") : check_text(text, len, err);
	if (rc != 0) {
		mem_wipe(text, len);
		free(text);
		return NULL;
	}
	while (strchr(" \t\r\n", text[len - 1]) != NULL)
		text[--len] = '\0';
	return text;
}

char *secret_file_read(const char *path, uid_t trusted_uid, struct err *err)
{
	struct err own = {0};
	char *text = NULL;
	struct stat st;
	int fd = trust_open(path, trusted_uid, O_RDONLY | O_NONBLOCK, NULL, err);

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (st.st_mode & 077) != 0)
		err_set(&own, -EPERM, "must be a file that only its owner may read; chmod 600");
	else
		text = read_text(fd, &own);
	close(fd);
	if (text == NULL)
		err_set(err, own.code, "%s %s", path, own.msg);
	return text;
}
