/*
 * What starting a command costs. RUNS runs by AT_ONCE clients, each one waiting for the end of its
 * run before it asks for the next:
 *
 *	spawn_meter ours SOCKET SECRET ID RUNS AT_ONCE PAUSE_MS
 *		through the agent: run.start, then run.tail
 *	spawn_meter bare RUNS AT_ONCE PAUSE_MS PROGRAM [ARG…]
 *		a server that forks, executes, and relays the pipe to a Unix socket; it keeps
 *nothing
 *
 * A client waits PAUSE_MS before each run: a machine that has been idle is another one to the
 * kernel than one that starts things all the time.
 *
 * Prints one JSON object: runs a second, and p50 and p99 of the milliseconds from the request to
 * the first byte of output (to the end, for a command that writes nothing); how much of both the
 * answer to run.start takes, with which the run is durable.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/frame.h"
#include "proto/msg.h"
#include "proto/record.h"

#define UUID_LEN 36
#define END_MARK 0xff /* no command of this benchmark writes it */

/* Of one run, in milliseconds from the request. */
struct sample {
	double answer_ms; /* run.start is answered: the run is durable */
	double first_ms;  /* the first byte of output */
	double end_ms;
};

struct client {
	int fd;
	uint32_t stream;
	struct wire_str authorization;
	uint8_t payload[FRAME_MAX_PAYLOAD];
};

static void die(const char *what)
{
	fprintf(stderr, "spawn_meter: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void write_all(int fd, const uint8_t *data, size_t n)
{
	while (n != 0) {
		ssize_t done = write(fd, data, n);

		if (done <= 0)
			die("write");
		data += done;
		n -= (size_t)done;
	}
}

static void read_all(int fd, uint8_t *data, size_t n)
{
	while (n != 0) {
		ssize_t done = read(fd, data, n);

		if (done <= 0)
			die("read");
		data += done;
		n -= (size_t)done;
	}
}

/* ---- through the agent ---- */

static uint32_t request(struct client *c, uint16_t method, const uint8_t *fields, int n)
{
	uint8_t bytes[4096];
	struct msg_request req = {.method = method,
		.authorization = c->authorization,
		.fields = fields,
		.fields_len = (size_t)n};
	int len = msg_request_encode(
		&req, bytes + FRAME_HEADER_BYTES, sizeof(bytes) - FRAME_HEADER_BYTES);
	struct frame frame = {.type = FRAME_REQUEST, .stream = ++c->stream};

	if (n < 0 || len < 0)
		die("a request does not fit");
	frame.length = (uint32_t)len;
	frame_encode_header(&frame, bytes);
	write_all(c->fd, bytes, FRAME_HEADER_BYTES + (size_t)len);
	return frame.stream;
}

static struct frame receive(struct client *c)
{
	uint8_t head[FRAME_HEADER_BYTES];
	struct frame frame;

	read_all(c->fd, head, sizeof(head));
	if (frame_decode_header(head, sizeof(head), &frame) != 0)
		die("no frame");
	read_all(c->fd, c->payload, frame.length);
	return frame;
}

static struct msg_response respond(struct client *c)
{
	struct msg_response response;
	struct frame frame = receive(c);

	if (frame.type != FRAME_RESPONSE ||
		msg_response_decode(c->payload, frame.length, &response) != 0)
		die("no response");
	if (response.status != MSG_OK) {
		fprintf(stderr, "spawn_meter: %.*s\n", (int)response.message.len,
			response.message.data);
		exit(1);
	}
	return response;
}

static bool has_output(const uint8_t *data, size_t n)
{
	struct record rec;

	while (record_decode_header(data, n, &rec) == 0) {
		if (rec.kind == RECORD_STDOUT)
			return true;
		data += RECORD_HEADER_BYTES + rec.length;
		n -= RECORD_HEADER_BYTES + (size_t)rec.length;
	}
	return false;
}

static struct sample one_of_ours(struct client *c, const char *id)
{
	struct msg_run_start start = {.kind = MSG_KIND_COMMAND,
		.id = wire_str_of(id),
		.actor = wire_str_of("user:bench"),
		.trigger = wire_str_of("manual")};
	struct msg_run_start_reply reply;
	struct msg_run_tail tail = {.offset = 0};
	struct msg_response response;
	struct sample sample = {0};
	double began = now_ms(), first = 0;
	char run[UUID_LEN + 1] = "";
	uint8_t fields[1024];
	const char *at;

	request(c, MSG_RUN_START, fields, msg_run_start_encode(&start, fields, sizeof(fields)));
	response = respond(c);
	sample.answer_ms = now_ms() - began;
	if (msg_run_start_reply_decode(response.fields, response.fields_len, &reply) != 0)
		die("no reply");
	at = memmem(reply.json.data, reply.json.len, "\"id\":\"", 6);
	if (at == NULL)
		die("no run");
	memcpy(run, at + 6, UUID_LEN);
	tail.run = wire_str_of(run);
	request(c, MSG_RUN_TAIL, fields, msg_run_tail_encode(&tail, fields, sizeof(fields)));
	respond(c);
	for (;;) {
		struct frame frame = receive(c);

		if (frame.type == FRAME_END)
			break;
		if (first == 0 && frame.type == FRAME_CHUNK &&
			has_output(c->payload + 8, frame.length - 8))
			first = now_ms();
	}
	sample.end_ms = now_ms() - began;
	sample.first_ms = first != 0 ? first - began : sample.end_ms;
	return sample;
}

static struct client *connect_to(const char *path, const char *secret)
{
	struct client *c = calloc(1, sizeof(*c));
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	static char authorization[600];

	if (c == NULL || strlen(path) >= sizeof(addr.sun_path))
		die("connect");
	memcpy(addr.sun_path, path, strlen(path));
	snprintf(authorization, sizeof(authorization), "Bearer %s", secret);
	c->authorization = wire_str_of(authorization);
	c->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(c->fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0)
		die("connect");
	return c;
}

/* ---- bare ---- */

static void serve_bare(int fd, char **argv)
{
	static uint8_t block[65536];
	uint8_t end = END_MARK;

	while (read(fd, block, 1) == 1) {
		int out[2];
		ssize_t n;
		pid_t pid = -1;

		if (pipe2(out, O_CLOEXEC) != 0 || (pid = fork()) < 0)
			die("fork");
		if (pid == 0) {
			dup2(out[1], STDOUT_FILENO);
			execv(argv[0], argv);
			_exit(127);
		}
		close(out[1]);
		while ((n = read(out[0], block, sizeof(block))) > 0)
			write_all(fd, block, (size_t)n);
		close(out[0]);
		waitpid(pid, NULL, 0);
		write_all(fd, &end, 1);
	}
	_exit(0);
}

static int start_bare(char **argv)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		die("socketpair");
	if (fork() == 0) {
		close(pair[0]);
		serve_bare(pair[1], argv);
	}
	close(pair[1]);
	return pair[0];
}

static struct sample one_bare(int fd)
{
	struct sample sample = {0};
	double began = now_ms(), first = 0;
	uint8_t block[4096] = "x";
	ssize_t n;

	write_all(fd, block, 1);
	do {
		n = read(fd, block, sizeof(block));
		if (n <= 0)
			die("read");
		if (first == 0)
			first = now_ms();
	} while (block[n - 1] != END_MARK);
	sample.first_ms = sample.answer_ms = first - began;
	sample.end_ms = now_ms() - began;
	return sample;
}

/* ---- both ---- */

static int by_first(const void *a, const void *b)
{
	double x = ((const struct sample *)a)->first_ms, y = ((const struct sample *)b)->first_ms;

	return (x > y) - (x < y);
}

static int by_answer(const void *a, const void *b)
{
	double x = ((const struct sample *)a)->answer_ms, y = ((const struct sample *)b)->answer_ms;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	bool bare = argc > 1 && strcmp(argv[1], "bare") == 0;
	int runs, at_once, pause_ms;
	struct sample *ms, at_p50, at_p99;
	double began, seconds;

	if (argc < (bare ? 6 : 8)) {
		fputs("usage: spawn_meter ours SOCKET SECRET ID RUNS AT_ONCE PAUSE_MS\n"
		      "       spawn_meter bare RUNS AT_ONCE PAUSE_MS PROGRAM [ARG...]\n",
			stderr);
		return 64;
	}
	runs = atoi(argv[bare ? 2 : 5]);
	at_once = atoi(argv[bare ? 3 : 6]);
	pause_ms = atoi(argv[bare ? 4 : 7]);
	ms = mmap(NULL, (size_t)runs * sizeof(ms[0]), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ms == MAP_FAILED)
		die("mmap");
	began = now_ms();
	for (int k = 0; k < at_once; k++) {
		struct client *c;
		int fd;

		if (fork() != 0)
			continue;
		c = bare ? NULL : connect_to(argv[2], argv[3]);
		fd = bare ? start_bare(argv + 5) : -1;
		for (int i = k; i < runs; i += at_once) {
			usleep((useconds_t)pause_ms * 1000);
			ms[i] = bare ? one_bare(fd) : one_of_ours(c, argv[4]);
		}
		_exit(0);
	}
	for (int k = 0, status; k < at_once; k++) {
		if (wait(&status) < 0 || status != 0)
			return 1;
	}
	seconds = (now_ms() - began) / 1e3;
	qsort(ms, (size_t)runs, sizeof(ms[0]), by_first);
	at_p50 = ms[runs / 2];
	at_p99 = ms[runs * 99 / 100];
	qsort(ms, (size_t)runs, sizeof(ms[0]), by_answer);
	printf("{\"per_second\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,"
	       "\"answer_p50_ms\":%.3f,\"answer_p99_ms\":%.3f,"
	       "\"p99_answer_ms\":%.3f,\"p99_end_ms\":%.3f}\n",
		(double)runs / seconds, at_p50.first_ms, at_p99.first_ms, ms[runs / 2].answer_ms,
		ms[runs * 99 / 100].answer_ms, at_p99.answer_ms, at_p99.end_ms);
	return 0;
}
