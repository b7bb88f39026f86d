/*
 * Commands that behave badly, for the tests of the runner: `hostile WHAT [ARG…]`.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void put(int fd, const void *data, size_t n)
{
	const char *at = data;

	while (n != 0) {
		ssize_t done = write(fd, at, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			_exit(99);
		at += done;
		n -= (size_t)done;
	}
}

static void puts_to(int fd, const char *text)
{
	put(fd, text, strlen(text));
}

static _Noreturn void sleep_for_ever(void)
{
	for (;;)
		pause();
}

/* Byte i of the flood: text with a newline every 120 bytes, different on every line. */
static void fill(char *buf, uint64_t from, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t at = from + i;
		uint64_t line = at / 120, column = at % 120;

		buf[i] = column == 119 ? '\n' : (char)('!' + (line * 31 + column * 7) % 90);
	}
}

/* flood BYTES CHUNK [FD]: see fill(). A chunk at a time, from one prepared block. */
static int flood(int argc, char **argv)
{
	uint64_t total = strtoull(argv[0], NULL, 10), done = 0;
	size_t chunk = strtoul(argv[1], NULL, 10);
	int fd = argc > 2 ? atoi(argv[2]) : 1;
	char *buf = malloc(chunk);

	if (buf == NULL)
		return 98;
	while (done < total) {
		size_t n = total - done < chunk ? (size_t)(total - done) : chunk;

		fill(buf, done, n);
		put(fd, buf, n);
		done += n;
	}
	return 0;
}

/* blast BYTES CHUNK: as fast as write(2) goes, always the same block. */
static int blast(int argc, char **argv)
{
	uint64_t total = strtoull(argv[0], NULL, 10), done = 0;
	size_t chunk = strtoul(argv[1], NULL, 10);
	char *buf = malloc(chunk);

	(void)argc;
	if (buf == NULL)
		return 98;
	fill(buf, 0, chunk);
	while (done < total) {
		size_t n = total - done < chunk ? (size_t)(total - done) : chunk;

		put(1, buf, n);
		done += n;
	}
	return 0;
}

/* ignore-term: says when it is ready; only SIGKILL ends it. */
static int ignore_term(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	signal(SIGTERM, SIG_IGN);
	puts_to(1, "ready\n");
	sleep_for_ever();
}

/* on-term CODE: exits with CODE when asked to. */
static int exit_code_on_term;

static void leave(int sig)
{
	(void)sig;
	_exit(exit_code_on_term);
}

static int on_term(int argc, char **argv)
{
	(void)argc;
	exit_code_on_term = atoi(argv[0]);
	signal(SIGTERM, leave);
	puts_to(1, "ready\n");
	sleep_for_ever();
}

/* daemon [no-env]: double fork, own session, TERM ignored, holds both pipes; the leader exits 0. */
static int daemonise(int argc, char **argv)
{
	int ready[2];
	char byte;

	(void)argv;
	if (pipe(ready) != 0)
		return 98;
	if (fork() == 0) {
		setsid();
		if (fork() != 0)
			_exit(0);
		signal(SIGTERM, SIG_IGN);
		if (argc > 0) {
			/* Overwrites the environment where /proc shows it. */
			for (char **at = environ; *at != NULL; at++)
				memset(*at, 0, strlen(*at));
		}
		put(ready[1], "x", 1);
		sleep_for_ever();
	}
	if (read(ready[0], &byte, 1) != 1)
		return 98;
	puts_to(1, "daemon is up\n");
	return 0;
}

/* tree: children in the same session, in another one, stopped, and a zombie; the leader waits. */
static int tree(int argc, char **argv)
{
	pid_t stopped;

	(void)argc;
	(void)argv;
	for (int i = 0; i < 3; i++) {
		/* Before the fork, so that it holds when the tree says that it is up. */
		signal(SIGTERM, i == 2 ? SIG_IGN : SIG_DFL);
		if (fork() == 0) {
			if (i == 1)
				setsid();
			if (fork() == 0)
				sleep_for_ever();
			sleep_for_ever();
		}
	}
	signal(SIGTERM, SIG_DFL);
	stopped = fork();
	if (stopped == 0)
		sleep_for_ever();
	kill(stopped, SIGSTOP);
	if (fork() == 0)
		_exit(0); /* never waited for */
	puts_to(1, "tree is up\n");
	sleep_for_ever();
}

/* bomb N: forks until N processes are alive, each forking on whenever one is killed. */
static int bomb(int argc, char **argv)
{
	struct rlimit limit;
	rlim_t most = (rlim_t)strtoul(argv[0], NULL, 10);
	unsigned long left = strtoul(argv[0], NULL, 10);

	(void)argc;
	limit.rlim_cur = limit.rlim_max = most;
	(void)setrlimit(RLIMIT_NPROC, &limit); /* holds for ordinary users only */
	signal(SIGTERM, SIG_IGN);
	puts_to(1, "bomb\n");
	/* Each child gets half of what is left to fork, so the number stays bounded for root too.
	 */
	while (left > 1) {
		pid_t pid = fork();

		if (pid < 0)
			break;
		if (pid == 0) {
			left /= 2;
			setsid();
			continue;
		}
		left -= left / 2;
	}
	sleep_for_ever();
}

/* binary: every byte value, broken and split UTF-8, CR, NUL, escapes; in odd pieces. */
static int binary(int argc, char **argv)
{
	static const char tail[] =
		"\xe2\x82\xac\xf0\x9f\x98\x80\xc3\x28\xff\xfe\r50%\r100%\n\x1b[31mred\x1b[0m";
	unsigned char all[256];

	(void)argc;
	(void)argv;
	for (int i = 0; i < 256; i++)
		all[i] = (unsigned char)i;
	for (size_t i = 0; i < 256; i += 7)
		put(1, all + i, 256 - i < 7 ? 256 - i : 7);
	for (size_t i = 0; i < sizeof(tail) - 1; i++) {
		put(1, tail + i, 1);
		poll(NULL, 0, 1);
	}
	return 0;
}

/* one-line BYTES: no newline at all. */
static int one_line(int argc, char **argv)
{
	uint64_t left = strtoull(argv[0], NULL, 10);
	char block[65536];

	(void)argc;
	memset(block, 'x', sizeof(block));
	while (left != 0) {
		size_t n = left < sizeof(block) ? (size_t)left : sizeof(block);

		put(1, block, n);
		left -= n;
	}
	return 0;
}

/* close-stdout: closes both pipes, lives on a little, exits 7. */
static int close_stdout(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	puts_to(1, "before\n");
	close(1);
	close(2);
	poll(NULL, 0, 300);
	return 7;
}

/* die SIGNAL */
static int die(int argc, char **argv)
{
	(void)argc;
	puts_to(1, "dying\n");
	kill(getpid(), atoi(argv[0]));
	sleep_for_ever();
}

/* report: what it was started with: descriptors, environment, limits, identity, stdin. */
static int report(int argc, char **argv)
{
	struct rlimit core;
	sigset_t mask;
	int blocked = 0, ignored = 0;
	char byte;

	(void)argc;
	(void)argv;
	for (int fd = 0; fd < 1024; fd++) {
		struct stat st;

		if (fstat(fd, &st) == 0)
			printf("fd %d\n", fd);
	}
	for (char **at = environ; *at != NULL; at++)
		printf("env %s\n", *at);
	getrlimit(RLIMIT_CORE, &core);
	sigprocmask(SIG_SETMASK, NULL, &mask);
	for (int sig = 1; sig < 32; sig++) {
		struct sigaction action;

		blocked += sigismember(&mask, sig) == 1;
		if (sigaction(sig, NULL, &action) == 0)
			ignored += action.sa_handler == SIG_IGN;
	}
	printf("core %lu\nblocked %d\nignored %d\n", (unsigned long)core.rlim_cur, blocked,
		ignored);
	printf("uid %u %u\ngid %u\ngroups %d\n", getuid(), geteuid(), getgid(), getgroups(0, NULL));
	printf("umask %03o\n", umask(0));
	printf("session %d\n", getsid(0) == getpid());
	printf("no_new_privs %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	printf("tty %d\n", open("/dev/tty", O_RDWR) >= 0);
	printf("stdin ");
	while (read(0, &byte, 1) == 1)
		putchar(byte);
	printf("\n");
	return 0;
}

/* outputs NAME=VALUE…: sets them; `raw:TEXT` appends TEXT as it is. */
static int outputs(int argc, char **argv)
{
	int fd = open(getenv("OPS_OUTPUT"), O_WRONLY | O_APPEND);

	if (fd < 0)
		return 97;
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "raw:", 4) == 0) {
			puts_to(fd, argv[i] + 4);
		} else {
			puts_to(fd, argv[i]);
			puts_to(fd, "\n");
		}
	}
	return 0;
}

/* swap-output TARGET: puts a link to TARGET in the place of $OPS_OUTPUT. */
static int swap_output(int argc, char **argv)
{
	(void)argc;
	return unlink(getenv("OPS_OUTPUT")) == 0 && symlink(argv[0], getenv("OPS_OUTPUT")) == 0
		       ? 0
		       : 96;
}

/* both N: N numbered lines, odd ones to stderr. */
static int both(int argc, char **argv)
{
	int n = atoi(argv[0]);

	(void)argc;
	for (int i = 0; i < n; i++) {
		char line[64];

		snprintf(line, sizeof(line), "%s %d\n", i % 2 == 0 ? "out" : "err", i);
		puts_to(i % 2 == 0 ? 1 : 2, line);
	}
	return 0;
}

/* linger MS: a child writes its last word so much later; the leader exits with 3 at once. */
static int linger(int argc, char **argv)
{
	(void)argc;
	if (fork() == 0) {
		poll(NULL, 0, atoi(argv[0]));
		puts_to(1, "the last word\n");
		_exit(0);
	}
	puts_to(1, "the leader leaves\n");
	return 3;
}

/* exit [CODE] */
static int leave_with(int argc, char **argv)
{
	return argc > 0 ? atoi(argv[0]) : 0;
}

static int sleep_ms(int argc, char **argv)
{
	(void)argc;
	poll(NULL, 0, atoi(argv[0]));
	return 0;
}

/* say TEXT CODE: writes and exits in the same breath. */
static int say(int argc, char **argv)
{
	puts_to(1, argv[0]);
	_exit(argc > 1 ? atoi(argv[1]) : 0);
}

static const struct {
	const char *name;
	int min_args;
	int (*run)(int argc, char **argv);
} commands[] = {
	{"flood", 2, flood},
	{"blast", 2, blast},
	{"ignore-term", 0, ignore_term},
	{"on-term", 1, on_term},
	{"daemon", 0, daemonise},
	{"tree", 0, tree},
	{"bomb", 1, bomb},
	{"binary", 0, binary},
	{"one-line", 1, one_line},
	{"close-stdout", 0, close_stdout},
	{"die", 1, die},
	{"report", 0, report},
	{"outputs", 0, outputs},
	{"swap-output", 1, swap_output},
	{"both", 1, both},
	{"linger", 1, linger},
	{"exit", 0, leave_with},
	{"sleep-ms", 1, sleep_ms},
	{"say", 1, say},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name) == 0 && argc - 2 >= commands[i].min_args)
			return commands[i].run(argc - 2, argv + 2);
	}
	fprintf(stderr, "usage: hostile WHAT [ARG...]\n");
	return 64;
}
