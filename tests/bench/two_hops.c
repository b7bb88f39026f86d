/*
 * two_hops COMMAND [ARG…]: the bare relay everything is compared with. The command's standard
 * output goes pipe -> relay -> Unix socket -> relay -> TCP on loopback -> this process, which
 * counts. Nothing is kept, nothing checked. Prints one JSON object: bytes, seconds (from the
 * command's start to the last byte), cpu_seconds of the two relays.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RELAY_BYTES 65536
#define PIPE_BYTES (1 << 20)

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void relay(int from, int to)
{
	static char block[RELAY_BYTES];

	for (;;) {
		ssize_t n = read(from, block, sizeof(block));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			exit(n == 0 ? 0 : 1);
		for (ssize_t at = 0; at < n;) {
			ssize_t done = write(to, block + at, (size_t)(n - at));

			if (done < 0)
				exit(1);
			at += done;
		}
	}
}

static void tcp_pair(int fds[2])
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
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fds[0], (struct sockaddr *)&addr, sizeof(addr)) != 0)
		die("connect");
	fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	setsockopt(fds[1], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	close(listener);
}

int main(int argc, char **argv)
{
	static char sink[1 << 18];
	int out[2], unix_pair[2], tcp[2];
	unsigned long long bytes = 0;
	struct rusage usage;
	double start, seconds, cpu = 0;
	pid_t command, hops[2];

	if (argc < 2) {
		fputs("usage: two_hops COMMAND [ARG...]\n", stderr);
		return 64;
	}
	if (pipe2(out, O_CLOEXEC) != 0 ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, unix_pair) != 0)
		die("pipe");
	fcntl(out[1], F_SETPIPE_SZ, PIPE_BYTES);
	tcp_pair(tcp);
	start = now_s();
	command = fork();
	if (command == 0) {
		dup2(out[1], STDOUT_FILENO);
		execv(argv[1], argv + 1);
		die(argv[1]);
	}
	close(out[1]);
	for (int i = 0; i < 2; i++) {
		hops[i] = fork();
		if (hops[i] != 0)
			continue;
		close(tcp[0]);
		close(unix_pair[i]);
		if (i == 0) {
			close(tcp[1]);
			relay(out[0], unix_pair[1]);
		}
		close(out[0]);
		relay(unix_pair[0], tcp[1]);
	}
	close(out[0]);
	close(unix_pair[0]);
	close(unix_pair[1]);
	close(tcp[1]);
	for (;;) {
		ssize_t n = read(tcp[0], sink, sizeof(sink));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		bytes += (unsigned long long)n;
	}
	seconds = now_s() - start;
	waitpid(command, NULL, 0);
	for (int i = 0; i < 2; i++) {
		if (wait4(hops[i], NULL, 0, &usage) == hops[i])
			cpu += (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
			       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	}
	printf("{\"bytes\":%llu,\"seconds\":%.6f,\"cpu_seconds\":%.3f}\n", bytes, seconds, cpu);
	return 0;
}
