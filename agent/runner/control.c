#include "agent/runner/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/run/rundir.h"
#include "core/base/utf8.h"

#define SETTLE_S 1 /* an unfinished file older than this will not get any longer */

static const char *const names[CONTROL_ORDERS] = {
	[CONTROL_CANCEL] = "cancel",
	[CONTROL_KILL] = "kill",
};

int control_open(struct control *control, int run_dir_fd, const char *run_dir, struct err *err)
{
	char path[4096];

	*control = (struct control){.dir_fd = -1, .inotify_fd = -1};
	if (mkdirat(run_dir_fd, RUNDIR_CONTROL, RUNDIR_DIR_MODE) != 0 && errno != EEXIST)
		return err_set_errno(err, -errno, "cannot make %s", RUNDIR_CONTROL);
	control->dir_fd =
		openat(run_dir_fd, RUNDIR_CONTROL, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (control->dir_fd < 0)
		return err_set_errno(err, -errno, "cannot open %s", RUNDIR_CONTROL);
	control->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	snprintf(path, sizeof(path), "%s/" RUNDIR_CONTROL, run_dir);
	/* Not IN_CREATE: the text comes after it. */
	if (control->inotify_fd >= 0 && inotify_add_watch(control->inotify_fd, path,
						IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR) < 0) {
		close(control->inotify_fd);
		control->inotify_fd = -1;
	}
	return 0;
}

void control_close(struct control *control)
{
	if (control->dir_fd >= 0)
		close(control->dir_fd);
	if (control->inotify_fd >= 0)
		close(control->inotify_fd);
	control->dir_fd = control->inotify_fd = -1;
}

void control_ack(struct control *control)
{
	char events[4096];

	while (read(control->inotify_fd, events, sizeof(events)) > 0)
		;
}

/* Copies one line of text, or something to show in its place. Returns what follows it. */
static const char *take_line(const char *text, char out[CONTROL_TEXT_BYTES], const char *missing)
{
	size_t n = strcspn(text, "\n");

	snprintf(
		out, CONTROL_TEXT_BYTES, "%.*s", (int)MIN(n, (size_t)CONTROL_TEXT_BYTES - 1), text);
	if (n == 0 || !utf8_is_valid(out, strlen(out)))
		snprintf(out, CONTROL_TEXT_BYTES, "%s", missing);
	return text[n] == '\n' ? text + n + 1 : text + n;
}

bool control_take(struct control *control, enum control_order order, bool closed)
{
	char text[RUNDIR_MAX_CONTROL_BYTES + 1];
	const char *first_end, *rest;
	struct stat st;
	ssize_t n;
	int fd;

	if (control->taken[order])
		return false;
	fd = openat(control->dir_fd, names[order], O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	if (fstat(fd, &st) != 0)
		st.st_mtime = 0;
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	first_end = strchr(text, '\n');
	if (!closed && (first_end == NULL || strchr(first_end + 1, '\n') == NULL) &&
		time(NULL) <= st.st_mtime + SETTLE_S)
		return false; /* being written: its close, or the next look, tells us */
	control->taken[order] = true;
	rest = take_line(text, control->actor, "unknown");
	take_line(rest, control->reason, "");
	return true;
}
