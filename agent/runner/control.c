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
#include "core/base/file.h"
#include "core/base/utf8.h"

#define CLOSING_NAME ".closing" /* being written, then renamed */
#define SETTLE_S 1		/* an unfinished file older than this will not get any longer */

static const char *const names[CONTROL_ORDERS] = {
	[CONTROL_CANCEL] = "cancel",
	[CONTROL_KILL] = "kill",
	[CONTROL_GO] = "go",
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

static int count_lines(const char *text)
{
	int n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

/* The file's text when it is there and whole (lines of them). */
static bool read_order(const struct control *control, const char *name, int lines, bool closed,
	char text[RUNDIR_MAX_CONTROL_BYTES + 1])
{
	int fd = openat(control->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, RUNDIR_MAX_CONTROL_BYTES);
	if (fstat(fd, &st) != 0)
		st.st_mtime = 0;
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	/* Being written: its close, or the next look, tells us. */
	return closed || count_lines(text) >= lines || time(NULL) > st.st_mtime + SETTLE_S;
}

bool control_take(struct control *control, enum control_order order, bool closed)
{
	char text[RUNDIR_MAX_CONTROL_BYTES + 1];

	if (control->taken[order] || !read_order(control, names[order], 2, closed, text))
		return false;
	control->taken[order] = true;
	take_line(take_line(text, control->actor, "unknown"), control->reason, "");
	return true;
}

enum control_gate control_gate(struct control *control)
{
	char text[RUNDIR_MAX_CONTROL_BYTES + 1];

	/* both were written before we were started */
	if (read_order(control, "skip", 2, true, text)) {
		take_line(take_line(text, control->actor, "unknown"), control->reason, "");
		return CONTROL_GATE_SKIP;
	}
	if (faccessat(control->dir_fd, "hold", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return CONTROL_GATE_HOLD;
	return CONTROL_GATE_OPEN;
}

static void answer_name(uint16_t step, char out[32])
{
	snprintf(out, 32, "approve.%u", step);
}

bool control_read_answer(struct control *control, uint16_t step, bool closed, bool *ret_approve)
{
	char text[RUNDIR_MAX_CONTROL_BYTES + 1], name[32], word[CONTROL_TEXT_BYTES];
	const char *rest;

	answer_name(step, name);
	if (!read_order(control, name, 3, closed, text))
		return false;
	rest = take_line(text, control->actor, "unknown");
	rest = take_line(rest, control->reason, "");
	take_line(rest, word, "no");
	*ret_approve = strcmp(word, "yes") == 0;
	return true;
}

int control_close_answer(struct control *control, uint16_t step, bool approve)
{
	const char *text =
		approve ? "\nnobody answered in time\nyes\n" : "\nnobody answered in time\nno\n";
	char name[32];
	int fd, rc;

	answer_name(step, name);
	(void)unlinkat(control->dir_fd, CLOSING_NAME, 0);
	fd = rundir_create(control->dir_fd, CLOSING_NAME, O_WRONLY | O_EXCL);
	if (fd < 0)
		return fd;
	rc = file_write_all(fd, text, strlen(text));
	close(fd);
	if (rc == 0 && renameat2(control->dir_fd, CLOSING_NAME, control->dir_fd, name,
			       RENAME_NOREPLACE) != 0)
		rc = -errno;
	if (rc != 0)
		(void)unlinkat(control->dir_fd, CLOSING_NAME, 0);
	return rc;
}
