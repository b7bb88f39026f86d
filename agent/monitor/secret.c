#include "agent/monitor/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/crypto.h"

static int check_file(int fd, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_set_errno(err, -errno, "cannot look at %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "%s is not a regular file", path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return err_set(
			err, -EPERM, "%s belongs to uid %u: make it root's", path, st.st_uid);
	if ((st.st_mode & (S_IRWXO | S_IWGRP | S_IXGRP)) != 0)
		return err_set(err, -EPERM,
			"%s has mode %04o: others could read or change the secret; chmod 0640 it",
			path, st.st_mode & 07777);
	return 0;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int read_secret(int fd, const char *path, struct secret *secret, struct err *err)
{
	/* one byte more than fits shows that it is too long */
	char text[SECRET_MAX_BYTES + 2];
	size_t n = 0;
	int rc = 0;

	while (n < sizeof(text)) {
		ssize_t got = read(fd, text + n, sizeof(text) - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			rc = err_set_errno(err, -errno, "cannot read %s", path);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	while (n != 0 && is_space(text[n - 1]))
		n--;
	if (rc == 0 && n > SECRET_MAX_BYTES)
		rc = err_set(err, -EMSGSIZE, "%s holds more than %d bytes", path, SECRET_MAX_BYTES);
	if (rc == 0 && n < SECRET_MIN_BYTES)
		rc = err_set(err, -EINVAL, "%s holds %zu bytes, a secret has at least %d", path, n,
			SECRET_MIN_BYTES);
	if (rc == 0 && memchr(text, '\0', n) != NULL)
		rc = err_set(err, -EINVAL, "%s holds a NUL byte", path);
	if (rc == 0) {
		*secret = (struct secret){.len = n};
		memcpy(secret->text, text, n);
	}
	mem_wipe(text, sizeof(text));
	return rc;
}

int secret_load(const char *path, struct secret *ret_secret, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int rc;

	if (fd < 0)
		return err_set_errno(err, -errno, "cannot open the secret %s", path);
	rc = check_file(fd, path, err);
	if (rc == 0)
		rc = read_secret(fd, path, ret_secret, err);
	close(fd);
	return rc;
}

bool secret_matches(const struct secret *secret, struct wire_str authorization)
{
	static const char scheme[] = "Bearer ";
	size_t n = sizeof(scheme) - 1;

	if (authorization.len < n || memcmp(authorization.data, scheme, n) != 0)
		return false;
	return crypto_secret_equal(
		authorization.data + n, authorization.len - n, secret->text, secret->len);
}

void secret_wipe(struct secret *secret)
{
	mem_wipe(secret, sizeof(*secret));
}
