#include "agent/probes/tails.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/probes/check.h"
#include "agent/relay/ask.h"
#include "core/base/log.h"
#include "proto/msg.h"

/* Units of status.yml, and those that the overview shows because they failed. */
static bool covers_unit(const struct tails *tails, const char *name)
{
	for (size_t i = 0; i < tails->config->n_units; i++) {
		if (strcmp(tails->config->units[i].unit, name) == 0)
			return true;
	}
	return items_has(tails->items, "units", name);
}

/* Containers that the overview shows, by name; any by its id. */
static bool covers_container(const struct tails *tails, const char *name)
{
	size_t n = strlen(name);

	if (tails->config->docker_socket == NULL)
		return false;
	if (n >= RELAY_MIN_ID && n <= RELAY_MAX_ID && strspn(name, "0123456789abcdef") == n)
		return true;
	return items_has(tails->items, "docker", name);
}

static const struct source {
	uint8_t kind; /* enum msg_tail_kind */
	bool asks_docker;
	bool (*covers)(const struct tails *tails, const char *name);
	void (*run)(const struct tail_spec *spec, struct tailout *out);
} sources[] = {
	{MSG_TAIL_UNIT, false, covers_unit, unit_tail_run},
	{MSG_TAIL_DOCKER, true, covers_container, docker_tail_run},
};

static const struct source *find_source(uint8_t kind)
{
	for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
		if (sources[i].kind == kind)
			return &sources[i];
	}
	return NULL;
}

static pid_t *free_place(struct tails *tails)
{
	for (size_t i = 0; i < TAILS_MAX_PROCESSES; i++) {
		if (tails->pids[i] == 0)
			return &tails->pids[i];
	}
	return NULL;
}

/* In the new process: never returns. */
static _Noreturn void run(
	const struct source *source, const struct tail_spec *spec, int fd, pid_t parent)
{
	const struct check_limits limits = {
		.memory = TAILS_MAX_MEMORY,
		.files = TAILS_MAX_FILES,
		.asks_docker = source->asks_docker,
	};
	static struct tailout out = {.fd = STDIN_FILENO};

	check_enter(fd, parent, &limits);
	prctl(PR_SET_NAME, "ops-tail");
	source->run(spec, &out);
	_exit(0);
}

/* The end to read from, or a negative errno. Not a pipe: of a socket the worker can read in a way
 * that never blocks it, whatever whoever else has it makes of the descriptor's flags. */
static int start(const struct source *source, const struct tail_spec *spec, pid_t *ret_pid)
{
	pid_t parent = getpid(), pid;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		run(source, spec, fds[1], parent);
	close(fds[1]);
	if (pid < 0) {
		int rc = -errno;

		close(fds[0]);
		return rc;
	}
	(void)setpgid(pid, pid); /* by both: whoever comes first */
	*ret_pid = pid;
	return fds[0];
}

static void refuse(
	int pair_fd, const struct tailnote *question, enum msg_status status, const char *message)
{
	struct tailnote answer = {.kind = TAILNOTE_REFUSED,
		.source = question->source,
		.status = (uint16_t)status,
		.tail = question->tail,
		.text = wire_str_of(message)};

	/* a worker that does not read gives up waiting by itself */
	if (tailnote_send(pair_fd, &answer, -1) != 0)
		log_debug(LOG_EV("tail.not_refused"));
}

void tails_open(struct tails *tails, int pair_fd, const struct tailnote *note)
{
	const struct source *source = find_source(note->source);
	char name[TAILNOTE_MAX_NAME + 1];
	struct tail_spec spec = {.name = name,
		.backlog_lines = MIN(note->backlog_lines, TAILS_MAX_BACKLOG),
		.config = tails->config};
	pid_t *place = free_place(tails);
	struct tailnote opened = *note;
	int fd;

	snprintf(name, sizeof(name), "%.*s", (int)note->text.len, note->text.data);
	if (source == NULL || strlen(name) != note->text.len || !source->covers(tails, name)) {
		refuse(pair_fd, note, MSG_NOT_FOUND, "the overview does not show it: status.yml");
		return;
	}
	if (place == NULL) {
		refuse(pair_fd, note, MSG_LIMIT, "too many live tails are open");
		return;
	}
	fd = start(source, &spec, place);
	if (fd < 0) {
		refuse(pair_fd, note, MSG_UNAVAILABLE, "no process could be started for it");
		return;
	}
	opened.kind = TAILNOTE_OPENED;
	opened.text = wire_str_of("");
	/* without a reader the process ends by itself */
	if (tailnote_send(pair_fd, &opened, fd) != 0)
		log_debug(LOG_EV("tail.not_passed"), LOG_INT("errno", errno));
	close(fd);
}

bool tails_reaped(struct tails *tails, pid_t pid)
{
	for (size_t i = 0; i < TAILS_MAX_PROCESSES; i++) {
		if (tails->pids[i] != pid)
			continue;
		(void)kill(-pid, SIGKILL); /* what it left behind ends with it */
		tails->pids[i] = 0;
		return true;
	}
	return false;
}
