#include "agent/monitor/approve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/run/meta.h"
#include "agent/run/rundir.h"
#include "agent/run/state.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/utf8.h"

#define NAME_BYTES 40 /* of control/approve.N */

/* Takes the next line off *text, without its end. */
static char *take_line(char **text)
{
	char *line = *text, *end = strchr(line, '\n');

	if (end != NULL)
		*end = '\0';
	*text = end != NULL ? end + 1 : line + strlen(line);
	return line;
}

/* What the file says, for whoever came second; false: there is none. */
static bool first_answer(int dir_fd, const char *name, char *out, size_t cap)
{
	char text[RUNDIR_MAX_CONTROL_BYTES + 1], *rest = text;
	const char *actor, *comment, *word;
	int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, RUNDIR_MAX_CONTROL_BYTES);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	actor = take_line(&rest);
	comment = take_line(&rest);
	word = strcmp(take_line(&rest), "yes") == 0 ? "approved" : "refused";
	if (actor[0] == '\0')
		snprintf(out, cap, "%s already: %s", word, comment);
	else
		snprintf(out, cap, "%s already by %s%s%s", word, actor,
			comment[0] != '\0' ? ": " : "", comment);
	return true;
}

/* Makes the file, whole or not at all; -EEXIST: it is there. */
static int put_answer(int dir_fd, const char *name, const struct imsg *msg)
{
	char text[IMSG_MAX_ACTOR + IMSG_MAX_REASON + 16];
	int n = snprintf(text, sizeof(text), "%.*s\n%.*s", (int)msg->actor.len, msg->actor.data,
		(int)msg->reason.len, msg->reason.len != 0 ? msg->reason.data : "");
	int fd, rc;

	/* Of the comment, which may have several lines. */
	for (int i = (int)msg->actor.len + 1; i < n; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = ' ';
	}
	n += snprintf(text + n, sizeof(text) - (size_t)n, "\n%s\n", msg->approve ? "yes" : "no");
	(void)unlinkat(dir_fd, RUNDIR_CONTROL_NEW, 0);
	fd = rundir_create(dir_fd, RUNDIR_CONTROL_NEW, O_WRONLY | O_EXCL);
	if (fd < 0)
		return fd;
	rc = file_write_all(fd, text, (size_t)n);
	close(fd);
	if (rc == 0 && renameat2(dir_fd, RUNDIR_CONTROL_NEW, dir_fd, name, RENAME_NOREPLACE) != 0)
		rc = -errno;
	if (rc != 0)
		(void)unlinkat(dir_fd, RUNDIR_CONTROL_NEW, 0);
	return rc;
}

static void note(struct monitor *m, const struct imsg *msg)
{
	struct json *json = ledger_begin(m->ledger, "run.approved");
	char run[UUID_TEXT_BYTES];
	struct err err = {0};

	uuid_format(&msg->run, run);
	json_kv_str(json, "run", run);
	json_key(json, "step");
	json_strn(json, msg->step.data, msg->step.len);
	json_kv_bool(json, "approve", msg->approve);
	json_key(json, "actor");
	json_strn(json, msg->actor.data, msg->actor.len);
	json_key(json, "comment");
	json_strn(json, msg->reason.data, msg->reason.len);
	if (ledger_commit(m->ledger, &err) != 0)
		log_error(LOG_EV("ledger.failed"), LOG_STR("error", err.msg));
}

/* The index of the approval of that name, or -1. */
static int find_step(const struct plan *meta, struct wire_str id)
{
	for (size_t i = 0; i < meta->n_steps; i++) {
		if (wire_str_eq(id, meta->steps[i].id))
			return meta->steps[i].approve.prompt != NULL ? (int)i : -1;
	}
	return -1;
}

static void answer_step(struct monitor *m, const struct imsg *msg, int dir_fd, int step)
{
	struct run_state state;
	char name[NAME_BYTES], message[RUNDIR_MAX_CONTROL_BYTES];
	int rc = state_read(dir_fd, &state);

	snprintf(name, sizeof(name), RUNDIR_CONTROL "/approve.%d", step);
	if (rc == 0 && first_answer(dir_fd, name, message, sizeof(message))) {
		requests_answer(m, msg->seq, MSG_CONFLICT, message);
		return;
	}
	if (rc == 0 && (step >= state.n_steps || state.steps[step].status != STEP_WAITING)) {
		requests_answer(m, msg->seq, MSG_CONFLICT, "the step does not wait for an answer");
		return;
	}
	if (rc == 0)
		rc = put_answer(dir_fd, name, msg);
	if (rc == -EEXIST && first_answer(dir_fd, name, message, sizeof(message))) {
		requests_answer(m, msg->seq, MSG_CONFLICT, message);
	} else if (rc != 0) {
		requests_answer(m, msg->seq, MSG_UNAVAILABLE, strerror(-rc));
	} else {
		note(m, msg);
		requests_answer(m, msg->seq, MSG_OK, "");
	}
}

void approve_handle(struct monitor *m, const struct imsg *msg)
{
	char id[UUID_TEXT_BYTES];
	struct err err = {0};
	struct plan *meta;
	int dir_fd, step;

	if (!imsg_actor_is_valid(msg->actor, msg->peer.uid) || msg->reason.len > IMSG_MAX_REASON ||
		!utf8_is_valid(msg->reason.data, msg->reason.len)) {
		requests_answer(m, msg->seq, MSG_FORBIDDEN, "an actor or a comment that cannot be");
		return;
	}
	uuid_format(&msg->run, id);
	dir_fd = openat(m->launch.runs_fd, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir_fd < 0) {
		requests_answer(m, msg->seq, MSG_NOT_FOUND, "there is no such run here");
		return;
	}
	meta = meta_read(dir_fd, &err);
	step = meta != NULL ? find_step(meta, msg->step) : -1;
	if (meta == NULL)
		requests_answer(m, msg->seq, MSG_UNAVAILABLE, err.msg);
	else if (step < 0)
		requests_answer(m, msg->seq, MSG_NOT_FOUND, "the run has no approval of that name");
	else
		answer_step(m, msg, dir_fd, step);
	meta_free(meta);
	close(dir_fd);
}
