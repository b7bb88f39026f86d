/*
 * start_meter ROUNDS PORT COMMAND [ARG…]: how long it takes from starting a command until it takes
 * connections on 127.0.0.1:PORT. Each round starts it, connects as soon as that is possible, and
 * ends it by SIGTERM. Prints one JSON object:
 *
 *	p50_ms, p90_ms, and cpu_ms: the median of the processor time that it took until then
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_ROUNDS 1000
#define GIVE_UP_MS 30000.0
#define PAUSE_NS 50000 /* between two attempts */

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now_ms(clockid_t clock)
{
	struct timespec now;

	if (clock_gettime(clock, &now) != 0)
		die("clock_gettime");
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int is_listening(uint16_t port)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc = fd >= 0 ? connect(fd, (const struct sockaddr *)&to, sizeof(to)) : -1;

	if (rc != 0 && errno != ECONNREFUSED)
		die("connect");
	close(fd);
	return rc == 0;
}

static void round_of(uint16_t port, char **argv, double *ret_ms, double *ret_cpu_ms)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	double began = now_ms(CLOCK_MONOTONIC);
	pid_t pid = fork();
	clockid_t cpu;

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		execv(argv[0], argv);
		_exit(127);
	}
	while (!is_listening(port)) {
		if (waitpid(pid, NULL, WNOHANG) != 0 ||
			now_ms(CLOCK_MONOTONIC) - began > GIVE_UP_MS) {
			fprintf(stderr, "%s does not listen\n", argv[0]);
			exit(1);
		}
		nanosleep(&pause, NULL);
	}
	*ret_ms = now_ms(CLOCK_MONOTONIC) - began;
	if (clock_getcpuclockid(pid, &cpu) != 0)
		die("clock_getcpuclockid");
	*ret_cpu_ms = now_ms(cpu);
	kill(pid, SIGTERM);
	if (waitpid(pid, NULL, 0) != pid)
		die("waitpid");
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static double ms[MAX_ROUNDS], cpu_ms[MAX_ROUNDS];
	int rounds = argc > 3 ? atoi(argv[1]) : 0;

	if (rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: start_meter ROUNDS PORT COMMAND [ARG...]\n");
		return 64;
	}
	for (int i = 0; i < rounds; i++)
		round_of((uint16_t)atoi(argv[2]), argv + 3, &ms[i], &cpu_ms[i]);
	qsort(ms, (size_t)rounds, sizeof(ms[0]), compare);
	qsort(cpu_ms, (size_t)rounds, sizeof(cpu_ms[0]), compare);
	printf("{\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"cpu_ms\":%.3f}\n", ms[rounds / 2],
		ms[rounds * 9 / 10], cpu_ms[rounds / 2]);
	return 0;
}
