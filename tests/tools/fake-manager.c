/*
 * What the agent asks of systemd (monitor/units.h), on a private bus: `fake-manager LOG [MODE]`.
 * StartTransientUnit executes the unit's command with its two descriptors and its environment, and,
 * as systemd does, keeps the descriptors until the process is gone. It has no cgroups, and kills
 * nothing that a process leaves: those are shown on a real systemd (tests/drills/units.mjs).
 *
 * LOG gets a line a start: the unit's name, then NAME=VALUE of each property that is text, number
 * or boolean. MODE: `start` (default); `refuse`: every start is denied; `silent`: no start is
 * answered and none is made, and its descriptors are kept, as in a manager that hangs; `lose`: it
 * is made and not answered.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "core/base/mem.h"

#define MAX_UNITS 64
#define MAX_WORDS 32

struct unit {
	pid_t pid; /* 0: free */
	int in, out;
	char *path;
	char *argv[MAX_WORDS + 1], *env[MAX_WORDS + 1];
};

struct manager {
	sd_bus *bus;
	const char *mode;
	FILE *log;
	struct unit units[MAX_UNITS];
};

static _Noreturn void die(const char *what, int rc)
{
	fprintf(stderr, "fake-manager: %s: %s\n", what, strerror(-rc));
	exit(1);
}

static void must(const char *what, int rc)
{
	if (rc < 0)
		die(what, rc);
}

static void read_words(sd_bus_message *m, char *words[MAX_WORDS + 1])
{
	const char *word;
	size_t n = 0;

	must("words", sd_bus_message_enter_container(m, 'a', "s"));
	while (n < MAX_WORDS && sd_bus_message_read(m, "s", &word) > 0)
		words[n++] = xstrdup(word);
	words[n] = NULL;
	must("words", sd_bus_message_exit_container(m));
}

static void read_command(sd_bus_message *m, struct unit *unit)
{
	const char *path;
	int ignore;

	must("command", sd_bus_message_enter_container(m, 'a', "(sasb)"));
	must("command", sd_bus_message_enter_container(m, 'r', "sasb"));
	must("command", sd_bus_message_read(m, "s", &path));
	unit->path = xstrdup(path);
	read_words(m, unit->argv);
	must("command", sd_bus_message_read(m, "b", &ignore));
	must("command", sd_bus_message_exit_container(m));
	must("command", sd_bus_message_exit_container(m));
}

static void read_value(struct manager *mgr, sd_bus_message *m, const char *name, const char *type,
	struct unit *unit)
{
	const char *text;
	uint64_t number;
	int value;

	must("value", sd_bus_message_enter_container(m, 'v', type));
	if (strcmp(type, "s") == 0) {
		must("text", sd_bus_message_read(m, "s", &text));
		fprintf(mgr->log, " %s=%s", name, text);
	} else if (strcmp(type, "t") == 0) {
		must("number", sd_bus_message_read(m, "t", &number));
		fprintf(mgr->log, " %s=%llu", name, (unsigned long long)number);
	} else if (strcmp(type, "b") == 0) {
		must("boolean", sd_bus_message_read(m, "b", &value));
		fprintf(mgr->log, " %s=%d", name, value);
	} else if (strcmp(type, "h") == 0) {
		must("descriptor", sd_bus_message_read(m, "h", &value));
		value = fcntl(value, F_DUPFD_CLOEXEC, 3);
		if (strcmp(name, "StandardInputFileDescriptor") == 0)
			unit->in = value;
		else
			unit->out = value;
	} else if (strcmp(name, "Environment") == 0) {
		read_words(m, unit->env);
	} else if (strcmp(name, "ExecStart") == 0) {
		read_command(m, unit);
	} else {
		die(name, -EINVAL);
	}
	must("value", sd_bus_message_exit_container(m));
}

static void read_properties(struct manager *mgr, sd_bus_message *m, struct unit *unit)
{
	must("properties", sd_bus_message_enter_container(m, 'a', "(sv)"));
	while (sd_bus_message_enter_container(m, 'r', "sv") > 0) {
		const char *name, *type;
		char kind;

		must("property", sd_bus_message_read(m, "s", &name));
		must("property", sd_bus_message_peek_type(m, &kind, &type));
		read_value(mgr, m, name, type, unit);
		must("property", sd_bus_message_exit_container(m));
	}
	must("properties", sd_bus_message_exit_container(m));
}

static void execute(struct unit *unit)
{
	sigset_t none;

	unit->pid = fork();
	if (unit->pid != 0)
		return;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(unit->in, STDIN_FILENO) < 0 || dup2(unit->out, STDOUT_FILENO) < 0)
		_exit(1);
	execve(unit->path, unit->argv, unit->env);
	_exit(1);
}

static struct unit *free_unit(struct manager *mgr)
{
	for (size_t i = 0; i < MAX_UNITS; i++) {
		if (mgr->units[i].pid == 0)
			return &mgr->units[i];
	}
	die("too many units", -ENOBUFS);
}

static int on_start(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	struct manager *mgr = arg;
	struct unit *unit = free_unit(mgr);
	const char *name, *mode;

	if (strcmp(mgr->mode, "refuse") == 0)
		return sd_bus_error_set(
			error, SD_BUS_ERROR_ACCESS_DENIED, "the fake manager refuses");
	must("start", sd_bus_message_read(m, "ss", &name, &mode));
	fprintf(mgr->log, "%s", name);
	*unit = (struct unit){.pid = -1, .in = -1, .out = -1};
	read_properties(mgr, m, unit);
	fprintf(mgr->log, "\n");
	fflush(mgr->log);
	if (strcmp(mgr->mode, "silent") == 0)
		return 1;
	execute(unit);
	if (strcmp(mgr->mode, "lose") == 0)
		return 1;
	return sd_bus_reply_method_return(m, "o", "/org/freedesktop/systemd1/job/1");
}

/* Whoever is gone gives its descriptors back. */
static void reap(struct manager *mgr)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		for (size_t i = 0; i < MAX_UNITS; i++) {
			struct unit *unit = &mgr->units[i];

			if (unit->pid != pid)
				continue;
			close(unit->in);
			close(unit->out);
			free(unit->path);
			for (size_t k = 0; k < MAX_WORDS; k++) {
				free(unit->argv[k]);
				free(unit->env[k]);
			}
			*unit = (struct unit){0};
		}
	}
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("StartTransientUnit", "ssa(sv)a(sa(sv))", "o", on_start,
		SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static void serve(struct manager *mgr, int signal_fd)
{
	struct signalfd_siginfo info;

	for (;;) {
		struct pollfd fds[] = {
			{.fd = sd_bus_get_fd(mgr->bus), .events = POLLIN},
			{.fd = signal_fd, .events = POLLIN},
		};
		int rc;

		do
			rc = sd_bus_process(mgr->bus, NULL);
		while (rc > 0);
		must("bus", rc);
		must("flush", sd_bus_flush(mgr->bus));
		(void)poll(fds, ARRAY_LEN(fds), -1);
		if (read(signal_fd, &info, sizeof(info)) > 0)
			reap(mgr);
	}
}

int main(int argc, char **argv)
{
	static struct manager mgr = {.mode = "start"};
	sigset_t set;

	if (argc < 2)
		die("usage: fake-manager LOG [MODE]", -EINVAL);
	if (argc > 2)
		mgr.mode = argv[2];
	mgr.log = fopen(argv[1], "ae");
	if (mgr.log == NULL)
		die(argv[1], -errno);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	must("connect", sd_bus_open_system(&mgr.bus));
	must("object", sd_bus_add_object_vtable(mgr.bus, NULL, "/org/freedesktop/systemd1",
			       "org.freedesktop.systemd1.Manager", vtable, &mgr));
	must("name", sd_bus_request_name(mgr.bus, "org.freedesktop.systemd1", 0));
	puts("ready");
	fflush(stdout);
	serve(&mgr, signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}
