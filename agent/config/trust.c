#include "agent/config/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRUST_MAX_INTERPRETER 256 /* BINPRM_BUF_SIZE: the kernel reads no further either */
/* What commands get as PATH unless they say another one (runner/resolve.c). */
#define TRUST_SEARCH_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* One walk from the root folder down. `rest` is what is still to be walked; a link's target is put
 * in front of it. */
struct walk {
	const char *path; /* as asked for, for messages */
	uid_t uid;
	int dir;	     /* O_PATH descriptor of the folder reached */
	struct stat dir_st;  /* of it */
	char at[PATH_MAX];   /* its name, without links; "" is the root folder */
	char rest[PATH_MAX]; /* relative to it */
	unsigned links;
};

static bool is_owner(const struct stat *st, uid_t uid)
{
	return st->st_uid == 0 || st->st_uid == uid;
}

static int check_entry(
	const struct walk *w, const char *name, const struct stat *st, struct err *err)
{
	const char *slash = name[0] != '\0' ? "/" : "";
	unsigned mode = st->st_mode & 07777;
	bool open_to_others = !S_ISLNK(st->st_mode) && (st->st_mode & (S_IWGRP | S_IWOTH)) != 0;

	if (!is_owner(st, w->uid))
		return err_set(err, -EPERM, "%.140s%s%.60s belongs to uid %u; chown it to root",
			w->at, slash, name, st->st_uid);
	if (!open_to_others || (S_ISDIR(st->st_mode) && st->st_uid == 0 && (mode & S_ISVTX) != 0))
		return 0;
	return err_set(err, -EPERM,
		"%.140s%s%.60s (mode %04o) can be changed by others; chmod go-w", w->at, slash,
		name, mode);
}

/* Cuts the next component off w->rest into name. */
static int next_component(struct walk *w, char name[NAME_MAX + 1])
{
	char *from = w->rest + strspn(w->rest, "/");
	size_t len = strcspn(from, "/");
	size_t skip = len + strspn(from + len, "/");

	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, from, len);
	name[len] = '\0';
	memmove(w->rest, from + skip, strlen(from + skip) + 1);
	return 0;
}

static int restart_at_root(struct walk *w)
{
	int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (w->dir >= 0)
		close(w->dir);
	w->dir = fd;
	w->at[0] = '\0';
	return fstat(fd, &w->dir_st) == 0 ? 0 : -errno;
}

/* ".." is refused in what people write and rare in links, so it may cost a walk from the start. */
static int go_up(struct walk *w)
{
	char again[PATH_MAX];
	char *slash = strrchr(w->at, '/');
	int n;

	if (slash != NULL)
		*slash = '\0';
	n = snprintf(again, sizeof(again), "%s/%s", w->at, w->rest);
	if (n < 0 || n >= (int)sizeof(again))
		return -ENAMETOOLONG;
	memcpy(w->rest, again, (size_t)n + 1);
	return restart_at_root(w);
}

static int follow_link(struct walk *w, int link_fd)
{
	char target[PATH_MAX];
	char joined[PATH_MAX];
	ssize_t len = readlinkat(link_fd, "", target, sizeof(target) - 1);
	int n;

	if (len < 0)
		return -errno;
	if (++w->links > TRUST_MAX_LINKS)
		return -ELOOP;
	target[len] = '\0';
	n = snprintf(joined, sizeof(joined), "%s/%s", target, w->rest);
	if (n < 0 || n >= (int)sizeof(joined))
		return -ENAMETOOLONG;
	memcpy(w->rest, joined, (size_t)n + 1);
	return target[0] == '/' ? restart_at_root(w) : 0;
}

/* Walks one component. Returns 1 when it was the last one (*ret_fd is its O_PATH descriptor), 0 to
 * go on, or a negative errno. */
static int step(struct walk *w, int *ret_fd, struct stat *ret_st, struct err *err)
{
	char name[NAME_MAX + 1];
	int rc = next_component(w, name);
	size_t len = strlen(w->at);
	int fd;

	if (rc != 0)
		return err_set_errno(err, rc, "%s", w->path);
	if (strcmp(name, ".") == 0)
		return 0;
	if (strcmp(name, "..") == 0) {
		rc = go_up(w);
		return rc == 0 ? 0 : err_set_errno(err, rc, "%s", w->path);
	}
	fd = openat(w->dir, name[0] != '\0' ? name : ".", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, ret_st) != 0) {
		rc = err_set_errno(err, -errno, "%s", w->path);
		goto fail;
	}
	rc = check_entry(w, name, ret_st, err);
	if (rc != 0)
		goto fail;
	if (S_ISLNK(ret_st->st_mode)) {
		rc = follow_link(w, fd);
		if (rc != 0)
			err_set_errno(err, rc, "%s", w->path);
		goto fail; /* or done with the link: either way its descriptor is no longer needed
			    */
	}
	if (name[0] != '\0') {
		if (len + 1 + strlen(name) >= sizeof(w->at)) {
			rc = err_set_errno(err, -ENAMETOOLONG, "%s", w->path);
			goto fail;
		}
		w->at[len] = '/';
		memcpy(w->at + len + 1, name, strlen(name) + 1);
	}
	if (w->rest[strspn(w->rest, "/")] == '\0') {
		*ret_fd = fd;
		return 1;
	}
	if (!S_ISDIR(ret_st->st_mode)) {
		rc = err_set_errno(err, -ENOTDIR, "%s", w->path);
		goto fail;
	}
	close(w->dir);
	w->dir = fd;
	w->dir_st = *ret_st;
	return 0;
fail:
	if (fd >= 0)
		close(fd);
	return rc;
}

static int walk_on(struct walk *w, int *ret_fd, struct stat *ret_st, struct err *err)
{
	int rc = 0;

	while (rc == 0)
		rc = step(w, ret_fd, ret_st, err);
	return rc < 0 ? rc : 0;
}

static int walk_to(struct walk *w, int *ret_fd, struct stat *ret_st, struct err *err)
{
	int rc;

	if (w->path[0] != '/')
		return err_set(err, -EINVAL, "%s is not an absolute path", w->path);
	if (strlen(w->path) >= sizeof(w->rest))
		return err_set_errno(err, -ENAMETOOLONG, "%.100s…", w->path);
	memcpy(w->rest, w->path, strlen(w->path) + 1);
	rc = restart_at_root(w);
	if (rc != 0)
		return err_set_errno(err, rc, "/");
	rc = check_entry(w, "", &w->dir_st, err);
	return rc == 0 ? walk_on(w, ret_fd, ret_st, err) : rc;
}

/* As walk_to(), from a folder that is open. */
static int walk_below(struct walk *w, const struct trust_folder *folder, int *ret_fd,
	struct stat *ret_st, struct err *err)
{
	if (strlen(w->path) >= sizeof(w->rest) || strlen(folder->path) >= sizeof(w->at))
		return err_set_errno(err, -ENAMETOOLONG, "%.100s…", w->path);
	memcpy(w->rest, w->path, strlen(w->path) + 1);
	memcpy(w->at, folder->path, strlen(folder->path) + 1);
	w->dir = fcntl(folder->fd, F_DUPFD_CLOEXEC, 0);
	if (w->dir < 0 || fstat(w->dir, &w->dir_st) != 0)
		return err_set_errno(err, -errno, "%s", folder->path);
	return walk_on(w, ret_fd, ret_st, err);
}

/* The walked descriptor can only name the file; this opens the very same one for use. */
static int reopen(int path_fd, int flags)
{
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", path_fd);
	fd = open(name, flags | O_CLOEXEC | O_NOCTTY);
	return fd >= 0 ? fd : -errno;
}

static int reopen_found(struct walk *w, int rc, int found, int flags, struct err *err)
{
	if (w->dir >= 0)
		close(w->dir);
	if (rc != 0)
		return rc;
	rc = reopen(found, flags);
	close(found);
	return rc >= 0 ? rc : err_set_errno(err, rc, "cannot open %s", w->path);
}

static int open_checked(const char *path, uid_t trusted_uid, int flags, struct stat *ret_st,
	char **ret_resolved, struct err *err)
{
	struct walk w = {.path = path, .uid = trusted_uid, .dir = -1};
	int found = -1;
	int rc = walk_to(&w, &found, ret_st, err);

	rc = reopen_found(&w, rc, found, flags, err);
	if (rc < 0)
		return rc;
	if (ret_resolved != NULL)
		*ret_resolved = xstrdup(w.at[0] != '\0' ? w.at : "/");
	return rc;
}

int trust_open(const char *path, uid_t trusted_uid, int flags, char **ret_resolved, struct err *err)
{
	struct stat st;

	return open_checked(path, trusted_uid, flags, &st, ret_resolved, err);
}

int trust_folder_open(
	const char *path, uid_t trusted_uid, struct trust_folder *ret_folder, struct err *err)
{
	struct trust_folder folder = {.fd = -1};
	int rc = trust_open(path, trusted_uid, O_RDONLY | O_DIRECTORY, &folder.path, err);

	if (rc < 0)
		return rc;
	folder.fd = rc;
	*ret_folder = folder;
	return 0;
}

void trust_folder_close(struct trust_folder *folder)
{
	if (folder->fd >= 0)
		close(folder->fd);
	free(folder->path);
	*folder = (struct trust_folder){.fd = -1};
}

int trust_open_below(const struct trust_folder *folder, const char *name, uid_t trusted_uid,
	int flags, char **ret_resolved, struct err *err)
{
	struct walk w = {.path = name, .uid = trusted_uid, .dir = -1};
	struct stat st;
	int found = -1;
	int rc = walk_below(&w, folder, &found, &st, err);

	rc = reopen_found(&w, rc, found, flags, err);
	if (rc >= 0 && ret_resolved != NULL)
		*ret_resolved = xstrdup(w.at[0] != '\0' ? w.at : "/");
	return rc;
}

/* What `env` will start: its first argument that is neither an option nor an assignment, looked up
 * as execvp(3) would. out keeps "env" itself when nothing is found, for the kernel to say so. */
static void find_by_env(const char *args, char out[TRUST_MAX_INTERPRETER])
{
	const char *folders = TRUST_SEARCH_PATH;
	char name[TRUST_MAX_INTERPRETER];
	char found[TRUST_MAX_INTERPRETER];
	size_t len;

	for (;;) {
		args += strspn(args, " \t");
		len = strcspn(args, " \t\n");
		if (len == 0)
			return;
		if (args[0] != '-' && memchr(args, '=', len) == NULL)
			break;
		args += len;
	}
	memcpy(name, args, len);
	name[len] = '\0';
	if (name[0] == '/') {
		memcpy(out, name, len + 1);
		return;
	}
	for (; *folders != '\0'; folders += strspn(folders, ":")) {
		size_t n = strcspn(folders, ":");
		int size = snprintf(found, sizeof(found), "%.*s/%s", (int)n, folders, name);

		if (size > 0 && size < (int)sizeof(found) && access(found, F_OK) == 0) {
			memcpy(out, found, (size_t)size + 1);
			return;
		}
		folders += n;
	}
}

/* The program behind "#!" of the file, or "" when there is none. */
static int read_interpreter(int fd, char out[TRUST_MAX_INTERPRETER])
{
	char head[TRUST_MAX_INTERPRETER];
	ssize_t n = pread(fd, head, sizeof(head) - 1, 0);
	char *from;
	size_t len;

	if (n < 0)
		return -errno;
	head[n] = '\0';
	out[0] = '\0';
	if (n < 2 || head[0] != '#' || head[1] != '!')
		return 0;
	from = head + 2 + strspn(head + 2, " \t");
	len = strcspn(from, " \t\n");
	if (len == 0 || from + len == head + n)
		return -ENOEXEC;
	memcpy(out, from, len);
	out[len] = '\0';
	if (len >= 4 && strcmp(out + len - 4, "/env") == 0)
		find_by_env(from + len, out);
	return 0;
}

static int check_program(
	const char *path, uid_t uid, unsigned depth, char **ret_resolved, struct err *err)
{
	char interpreter[TRUST_MAX_INTERPRETER];
	char *resolved = NULL;
	struct stat st;
	int fd = open_checked(path, uid, O_RDONLY | O_NONBLOCK, &st, &resolved, err);
	int rc = 0;

	/* A program that may be executed but not read (mode 0711) is a binary: the kernel refuses
	 * to run a script its interpreter cannot open. */
	if (fd == -EACCES)
		fd = open_checked(path, uid, O_PATH, &st, &resolved, err);
	if (fd < 0)
		return fd;
	if (!S_ISREG(st.st_mode))
		rc = err_set(err, -EACCES, "%s is not a file", path);
	else if ((st.st_mode & 0111) == 0)
		rc = err_set(err, -EACCES, "%s is not executable; chmod +x", path);
	if (rc == 0) {
		rc = read_interpreter(fd, interpreter);
		if (rc == -EBADF) {
			rc = 0;
			interpreter[0] = '\0';
		}
		if (rc != 0)
			err_set_errno(err, rc, "%s", path);
	}
	close(fd);
	if (rc == 0 && interpreter[0] != '\0') {
		rc = depth >= TRUST_MAX_INTERPRETERS
			     ? err_set_errno(err, -ELOOP, "%s", path)
			     : check_program(interpreter, uid, depth + 1, NULL, err);
		if (rc != 0 && depth < TRUST_MAX_INTERPRETERS)
			err_wrap(err, "the interpreter of %.100s", path);
	}
	if (rc == 0 && ret_resolved != NULL)
		*ret_resolved = resolved;
	else
		free(resolved);
	return rc;
}

int trust_check_program(const char *path, uid_t trusted_uid, char **ret_resolved, struct err *err)
{
	return check_program(path, trusted_uid, 0, ret_resolved, err);
}

int trust_check_folder(const char *path, uid_t trusted_uid, struct err *err)
{
	struct stat st;
	int fd = open_checked(path, trusted_uid, O_PATH, &st, NULL, err);

	if (fd < 0)
		return fd;
	close(fd);
	if (!S_ISDIR(st.st_mode))
		return err_set_errno(err, -ENOTDIR, "%s", path);
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return err_set(err, -EPERM, "%s takes files of others", path);
	return 0;
}
