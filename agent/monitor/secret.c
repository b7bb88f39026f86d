#include "agent/monitor/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/crypto.h"
#include "core/base/file.h"
#include "core/base/hex.h"
#include "core/base/log.h"

#define OLD_MAX_BYTES (SECRET_MAX_BYTES + 64)

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

	if (secret->len == 0 || authorization.len < n || memcmp(authorization.data, scheme, n) != 0)
		return false;
	return crypto_secret_equal(
		authorization.data + n, authorization.len - n, secret->text, secret->len);
}

void secret_wipe(struct secret *secret)
{
	mem_wipe(secret, sizeof(*secret));
}

/* ---- rotating ---- */

void secret_make(struct secret *ret_secret)
{
	uint8_t bytes[SECRET_NEW_BYTES];

	crypto_random(bytes, sizeof(bytes));
	*ret_secret = (struct secret){.len = 2 * sizeof(bytes)};
	hex_encode(bytes, sizeof(bytes), ret_secret->text);
	mem_wipe(bytes, sizeof(bytes));
}

/* Writes the file beside, made to look like the one that is there. */
static int write_beside(
	const char *path, const char *beside, const struct secret *secret, struct err *err)
{
	struct stat st;
	int fd, rc = 0;

	if (lstat(path, &st) != 0)
		return err_set_errno(err, -errno, "cannot look at %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL,
			"%s is not a regular file, so it cannot be replaced: OPS_AGENT_SECRET_PATH "
			"must name the file itself",
			path);
	(void)unlink(beside); /* of an agent that was killed */
	fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set_errno(err, -errno, "cannot make %s", beside);
	if (fchown(fd, st.st_uid, st.st_gid) != 0 || fchmod(fd, st.st_mode & 07777) != 0)
		rc = -errno;
	if (rc == 0)
		rc = file_write_all(fd, secret->text, secret->len);
	if (rc == 0)
		rc = file_write_all(fd, "\n", 1);
	if (rc == 0 && fsync(fd) != 0)
		rc = -errno;
	close(fd);
	if (rc != 0)
		err_set_errno(err, rc, "cannot write %s", beside);
	return rc;
}

static int sync_folder(const char *path)
{
	char *folder = xstrdup(path);
	char *slash = strrchr(folder, '/');
	int fd, rc = 0;

	slash[slash == folder] = '\0'; /* the path is absolute */
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	free(folder);
	return rc;
}

int secret_replace(const char *path, const struct secret *secret, struct err *err)
{
	char *beside = xasprintf("%s.new", path);
	int rc = write_beside(path, beside, secret, err);

	if (rc == 0 && rename(beside, path) != 0)
		rc = err_set_errno(err, -errno, "cannot replace %s", path);
	if (rc != 0)
		(void)unlink(beside);
	else if (sync_folder(path) != 0)
		log_warn(LOG_EV("secret.sync_failed"), LOG_STR("error", strerror(errno)));
	free(beside);
	return rc;
}

int secret_old_write(int state_dir_fd, const struct secret_old *old, gid_t gid, struct err *err)
{
	struct buf text;
	int rc;

	buf_init(&text, OLD_MAX_BYTES);
	buf_printf(&text, "%" PRIu64 "\n%" PRIu64 "\n%s\n", old->from_us, old->until_us,
		old->secret.text);
	rc = buf_err(&text);
	if (rc == 0)
		rc = file_replace(state_dir_fd, SECRET_OLD_FILE, text.data, text.len, 0640, err);
	if (rc == 0 && gid != (gid_t)-1 &&
		fchownat(state_dir_fd, SECRET_OLD_FILE, (uid_t)-1, gid, AT_SYMLINK_NOFOLLOW) != 0)
		rc = err_set_errno(err, -errno, "cannot give '%s' to its group", SECRET_OLD_FILE);
	mem_wipe(text.data, text.len);
	buf_fini(&text);
	return rc;
}

/* A number and the end of its line. */
static bool read_number(char **at, uint64_t *ret_value)
{
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	*ret_value = strtoull(*at, &end, 10);
	if (*end != '\n')
		return false;
	*at = end + 1;
	return true;
}

static int parse_old(char *text, struct secret_old *ret_old)
{
	struct secret_old old = {0};
	char *at = text, *end;

	if (!read_number(&at, &old.from_us) || !read_number(&at, &old.until_us))
		return -EBADMSG;
	end = strchr(at, '\n');
	if (end == NULL || end[1] != '\0' || end - at > SECRET_MAX_BYTES)
		return -EBADMSG;
	old.secret.len = (size_t)(end - at);
	memcpy(old.secret.text, at, old.secret.len);
	*ret_old = old;
	secret_wipe(&old.secret);
	return 0;
}

int secret_old_read(const char *state_dir, struct secret_old *ret_old)
{
	char *path = xasprintf("%s/" SECRET_OLD_FILE, state_dir);
	struct buf text;
	int rc;

	buf_init(&text, OLD_MAX_BYTES);
	rc = file_read(AT_FDCWD, path, &text, NULL);
	buf_append_byte(&text, '\0');
	if (rc == 0 && (buf_err(&text) != 0 || strlen((char *)text.data) + 1 != text.len))
		rc = -EBADMSG;
	if (rc == 0)
		rc = parse_old((char *)text.data, ret_old);
	mem_wipe(text.data, text.len);
	buf_fini(&text);
	free(path);
	return rc;
}

uint64_t secret_old_left_us(const struct secret_old *old, uint64_t wall_us)
{
	return wall_us >= old->from_us && wall_us < old->until_us ? old->until_us - wall_us : 0;
}
