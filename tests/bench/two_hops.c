/*
 * two_hops [-l | -v VIEWERS] COMMAND [ARG…]: the bare relay everything is compared with. The
 * command's standard output goes pipe -> relay -> Unix socket -> relay -> TCP on loopback -> this
 * process. Nothing is kept, nothing checked. Prints one JSON object:
 *
 *	bytes, seconds (from the command's start to the last byte), cpu_seconds of the two relays
 *	-l: for ticker.c, p50_us and p99_us from write(2) to here as well
 *	-v: the second relay gives each block to so many viewers, one after the other
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RELAY_BYTES 65536
#define PIPE_BYTES (1 << 20)
#define MAX_VIEWERS 1000
#define MAX_SAMPLES 100000

static char sink[1 << 18];
static uint64_t samples[MAX_SAMPLES];
static size_t n_samples;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void relay(int from, const int *to, size_t n_to)
{
	static char block[RELAY_BYTES];

	for (;;) {
		ssize_t n = read(from, block, sizeof(block));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			exit(n == 0 ? 0 : 1);
		for (size_t i = 0; i < n_to; i++) {
			for (ssize_t at = 0; at < n;) {
				ssize_t done = write(to[i], block + at, (size_t)(n - at));

				if (done < 0)
					exit(1);
				at += done;
			}
		}
	}
}

static void tcp_pair(int *ret_client, int *ret_server)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	int one = 1;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (listener < 0 || bind(listener, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
		listen(listener, 1) != 0 ||
		getsockname(listener, (struct sockaddr *)&addr, &len) != 0)
		die("listen");
	*ret_client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(*ret_client, (struct sockaddr *)&addr, sizeof(addr)) != 0)
		die("connect");
	*ret_server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	setsockopt(*ret_server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	close(listener);
}

/* Each line is the CLOCK_MONOTONIC time of its write(2), in nanoseconds. */
static void sample(char *text, size_t n)
{
	uint64_t now = now_ns();

	text[n < sizeof(sink) ? n : sizeof(sink) - 1] = '\0';
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		if (n_samples < MAX_SAMPLES)
			samples[n_samples++] = now - strtoull(line, NULL, 10);
	}
}

static uint64_t take_all(const int *fds, size_t n, bool is_sampling)
{
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	uint64_t bytes = 0;
	size_t open = n;

	for (size_t i = 0; i < n; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.fd = fds[i]};

		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fds[i], &event);
	}
	while (open > 0) {
		struct epoll_event events[64];
		int ready = epoll_wait(epoll_fd, events, 64, -1);

		for (int i = 0; i < ready; i++) {
			ssize_t got = read(events[i].data.fd, sink, sizeof(sink) - 1);

			if (got < 0)
				continue;
			bytes += (uint64_t)got;
			if (got == 0) {
				epoll_ctl(epoll_fd, EPOLL_CTL_DEL, events[i].data.fd, NULL);
				open--;
			} else if (is_sampling) {
				sample(sink, (size_t)got);
			}
		}
	}
	return bytes;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void start_command(char **argv, int out_fd)
{
	if (fork() != 0)
		return;
	dup2(out_fd, STDOUT_FILENO);
	execv(argv[0], argv);
	die(argv[0]);
}

/* The two relays; this process keeps the viewers' ends. */
static void start_hops(int out_fd, const int *clients, const int *servers, size_t n, pid_t hops[2])
{
	int unix_pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, unix_pair) != 0)
		die("socketpair");
	for (int i = 0; i < 2; i++) {
		hops[i] = fork();
		if (hops[i] != 0)
			continue;
		close(unix_pair[i]);
		for (size_t k = 0; k < n; k++)
			close(clients[k]);
		for (size_t k = 0; i == 0 && k < n; k++)
			close(servers[k]);
		if (i == 0)
			relay(out_fd, &unix_pair[1], 1);
		close(out_fd);
		relay(unix_pair[0], servers, n);
	}
	close(unix_pair[0]);
	close(unix_pair[1]);
	close(out_fd);
	for (size_t k = 0; k < n; k++)
		close(servers[k]);
}

static double cpu_seconds(const pid_t hops[2])
{
	struct rusage usage;
	double cpu = 0;

	for (int i = 0; i < 2; i++) {
		if (wait4(hops[i], NULL, 0, &usage) == hops[i])
			cpu += (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
			       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	}
	return cpu;
}

int main(int argc, char **argv)
{
	static int clients[MAX_VIEWERS], servers[MAX_VIEWERS];
	size_t n = 1;
	bool is_sampling = false;
	uint64_t bytes, start;
	double seconds;
	pid_t hops[2];
	int out[2], option;

	while ((option = getopt(argc, argv, "+lv:")) != -1) {
		is_sampling |= option == 'l';
		if (option == 'v')
			n = strtoul(optarg, NULL, 10);
	}
	if (optind == argc || n == 0 || n > MAX_VIEWERS) {
		fputs("usage: two_hops [-l | -v VIEWERS] COMMAND [ARG...]\n", stderr);
		return 64;
	}
	if (pipe2(out, O_CLOEXEC) != 0)
		die("pipe");
	fcntl(out[1], F_SETPIPE_SZ, PIPE_BYTES);
	for (size_t i = 0; i < n; i++)
		tcp_pair(&clients[i], &servers[i]);
	start = now_ns();
	start_command(argv + optind, out[1]);
	close(out[1]);
	start_hops(out[0], clients, servers, n, hops);
	bytes = take_all(clients, n, is_sampling);
	seconds = (double)(now_ns() - start) / 1e9;
	printf("{\"bytes\":%" PRIu64 ",\"seconds\":%.6f,\"cpu_seconds\":%.3f", bytes, seconds,
		cpu_seconds(hops));
	if (n_samples > 0) {
		qsort(samples, n_samples, sizeof(samples[0]), by_size);
		printf(",\"p50_us\":%.1f,\"p99_us\":%.1f", (double)samples[n_samples / 2] / 1e3,
			(double)samples[n_samples * 99 / 100] / 1e3);
	}
	puts("}");
	return 0;
}
