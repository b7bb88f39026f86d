/*
 * web_meter: many connections to one server on one thread, as a load that can be compared.
 *
 *   web_meter http PORT PATH COOKIE SECONDS CONNECTIONS
 *	requests/s, each connection one at a time
 *   web_meter fan PORT COOKIE RUN VIEWERS [SLOW_BYTES_S]
 *	viewers of one run until END; with the last argument one more that reads so slowly
 *   web_meter latency PORT COOKIE RUN
 *	lines of ticker.c: from write(2) to here
 *   web_meter idle PORT COOKIE CONNECTIONS
 *	idle WebSockets; ends when stdin does
 *
 * COOKIE "-": none. Prints one JSON object (idle: when all are there).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proto/frame.h"
#include "proto/msg.h"
#include "proto/record.h"

#define READ_BYTES (256u << 10)
#define MAX_HELD (2u << 20) /* of one connection: a message that is not whole */
#define CREDIT_STEP (256u << 10)
#define MAX_SAMPLES 100000
#define HEAD_BYTES                                                                                 \
	(64u << 10) /* of a message: of records no more than what is in front of them              \
		     */
#define RECORDS_HEAD (FRAME_HEADER_BYTES + 16u)

struct peer {
	int fd;
	bool open, done, slow;
	uint8_t *held;
	size_t n_held;
	uint8_t *head; /* fan: the beginning of a message … */
	size_t n_head;
	size_t n_rest; /* … and how much of it is passed over */
	uint64_t bytes, owed, reason;
	size_t body_left; /* http: of the answer */
	bool in_body;
};

static int epoll_fd, port;
static const char *cookie, *run_id, *request;
static struct peer *peers;
static size_t n_peers, n_done;
static uint64_t requests, samples[MAX_SAMPLES], n_samples;
static bool is_sampling;
static uint8_t input[READ_BYTES];

static void die(const char *what)
{
	fprintf(stderr, "web_meter: %s\n", what);
	exit(1);
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void send_all(int fd, const void *data, size_t n)
{
	const char *at = data;

	while (n != 0) {
		ssize_t done = send(fd, at, n, MSG_NOSIGNAL);

		if (done < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (done <= 0)
			die("the server closed a connection");
		at += done;
		n -= (size_t)done;
	}
}

/* A masked text frame of less than 126 bytes; the mask is zero. */
static void send_text(struct peer *peer, const char *text)
{
	uint8_t frame[6 + 126] = {0x81, (uint8_t)(0x80 | strlen(text))};

	memcpy(frame + 6, text, strlen(text));
	send_all(peer->fd, frame, 6 + strlen(text));
}

static void peer_connect(struct peer *peer)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
	int one = 1, small = 64 << 10;

	peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (peer->slow)
		setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (peer->fd < 0 || connect(peer->fd, (struct sockaddr *)&addr, sizeof(addr)) != 0)
		die("cannot connect");
	setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	fcntl(peer->fd, F_SETFL, O_NONBLOCK);
	if (!peer->slow)
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, peer->fd, &event);
}

static void peer_finish(struct peer *peer, uint64_t reason)
{
	peer->reason = reason;
	peer->done = true;
	n_done++;
}

static void upgrade(struct peer *peer)
{
	char head[1024];
	int n = snprintf(head, sizeof(head),
		"GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nOrigin: http://127.0.0.1:%d\r\n"
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: ops.v1\r\n"
		"Cookie: %s\r\n\r\n",
		port, port, cookie);

	send_all(peer->fd, head, (size_t)n);
}

static void subscribe(struct peer *peer)
{
	char text[126];

	peer->open = true;
	if (run_id == NULL)
		return;
	snprintf(text, sizeof(text),
		"{\"op\":\"subscribe\",\"topic\":\"run/%s/log\",\"offset\":0,\"id\":1}", run_id);
	send_text(peer, text);
}

/* Each line of the ticker is the CLOCK_MONOTONIC time of its write(2), in nanoseconds. */
static void sample_lines(const uint8_t *records, size_t n)
{
	uint64_t now = now_ns(CLOCK_MONOTONIC);

	while (n > RECORD_HEADER_BYTES) {
		struct record rec;
		int size = record_decode(records, n, &rec);

		if (size < 0)
			die("a damaged record");
		if (rec.kind == RECORD_STDOUT && n_samples < MAX_SAMPLES) {
			char text[32] = "";

			memcpy(text, rec.payload, rec.length < 31 ? rec.length : 31);
			samples[n_samples++] = now - strtoull(text, NULL, 10);
		}
		records += size;
		n -= (size_t)size;
	}
}

static void on_frame(struct peer *peer, uint8_t opcode, const uint8_t *data, size_t len)
{
	size_t skip = FRAME_HEADER_BYTES + MSG_CHUNK_PREFIX_BYTES;
	char text[126];

	if (opcode == 8)
		die("the server said goodbye");
	if (opcode == 1 && memmem(data, len, "\"error\"", 7) != NULL)
		die("a subscription was refused");
	if (opcode != 2)
		return;
	if (data[5] == FRAME_END) {
		peer_finish(peer, data[FRAME_HEADER_BYTES + 8]);
		return;
	}
	if (is_sampling)
		sample_lines(data + skip, len - skip);
	peer->bytes += len - skip;
	peer->owed += len - skip;
	if (peer->owed < CREDIT_STEP)
		return;
	snprintf(text, sizeof(text), "{\"op\":\"credit\",\"id\":1,\"bytes\":%" PRIu64 "}",
		peer->owed);
	peer->owed = 0;
	send_text(peer, text);
}

/* Takes what is whole of n bytes; returns how much that was. */
static size_t take_frames(struct peer *peer, const uint8_t *data, size_t n)
{
	size_t used = 0;

	while (!peer->done && n - used >= 2) {
		const uint8_t *at = data + used;
		size_t len = at[1] & 127, skip = len < 126 ? 2 : len == 126 ? 4 : 10;

		if (n - used < skip)
			break;
		if (skip > 2) {
			len = 0;
			for (size_t i = 2; i < skip; i++)
				len = len << 8 | at[i];
		}
		if (n - used < skip + len)
			break;
		on_frame(peer, at[0] & 15, at + skip, len);
		used += skip + len;
	}
	return used;
}

/* The bytes of its head that are wanted of a message whose first n_head ones are there. */
static size_t head_wanted(const uint8_t *head, size_t n_head, size_t *ret_skip, size_t *ret_len)
{
	size_t len, skip;

	if (n_head < 2)
		return 2;
	len = head[1] & 127;
	skip = len < 126 ? 2 : len == 126 ? 4 : 10;
	if (n_head < skip)
		return skip;
	if (skip > 2) {
		len = 0;
		for (size_t i = 2; i < skip; i++)
			len = len << 8 | head[i];
	}
	*ret_skip = skip;
	*ret_len = len;
	return skip + ((head[0] & 15) == 2 && len > RECORDS_HEAD ? RECORDS_HEAD : len);
}

/* Counts; copies nothing but heads, so that the meter is not what is measured. */
static void pass_frames(struct peer *peer, const uint8_t *data, size_t n)
{
	if (peer->head == NULL)
		peer->head = malloc(HEAD_BYTES);
	while (!peer->done && n > 0) {
		size_t skip = 0, len = 0, want, take;

		if (peer->n_rest > 0) {
			take = n < peer->n_rest ? n : peer->n_rest;
			peer->n_rest -= take;
			data += take;
			n -= take;
			continue;
		}
		want = head_wanted(peer->head, peer->n_head, &skip, &len);
		if (want > HEAD_BYTES)
			die("a message over the buffer");
		take = n < want - peer->n_head ? n : want - peer->n_head;
		memcpy(peer->head + peer->n_head, data, take);
		peer->n_head += take;
		data += take;
		n -= take;
		if (peer->n_head < head_wanted(peer->head, peer->n_head, &skip, &len) || skip == 0)
			continue;
		peer->n_rest = skip + len - peer->n_head;
		peer->n_head = 0;
		on_frame(peer, peer->head[0] & 15, peer->head + skip, len);
	}
}

static size_t take_answers(struct peer *peer, const uint8_t *data, size_t n)
{
	size_t used = 0;

	while (used < n) {
		const uint8_t *end, *length;

		if (!peer->in_body) {
			end = memmem(data + used, n - used, "\r\n\r\n", 4);
			if (end == NULL)
				break;
			if (memcmp(data + used, "HTTP/1.1 200", 12) != 0)
				die("an answer other than 200");
			length = memmem(data + used, n - used, "Content-Length: ", 16);
			if (length == NULL || length > end)
				die("an answer without Content-Length");
			peer->body_left = strtoull((const char *)length + 16, NULL, 10);
			peer->in_body = true;
			used = (size_t)(end + 4 - data);
		}
		if (n - used < peer->body_left) {
			peer->body_left -= n - used;
			used = n;
			break;
		}
		used += peer->body_left;
		peer->in_body = false;
		requests++;
		send_all(peer->fd, request, strlen(request));
	}
	return used;
}

static size_t take(struct peer *peer, const uint8_t *data, size_t n)
{
	const uint8_t *end;
	size_t used;

	if (request != NULL)
		return take_answers(peer, data, n);
	if (peer->open && is_sampling)
		return take_frames(peer, data, n);
	if (peer->open) {
		pass_frames(peer, data, n);
		return n;
	}
	end = memmem(data, n, "\r\n\r\n", 4);
	if (end == NULL)
		return 0;
	if (memcmp(data, "HTTP/1.1 101", 12) != 0)
		die("no WebSocket");
	used = (size_t)(end + 4 - data);
	subscribe(peer);
	return used + take(peer, data + used, n - used);
}

/* Reads once, max bytes at most. */
static void peer_read(struct peer *peer, size_t max)
{
	ssize_t n = read(peer->fd, input, max);
	size_t used;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		die("the server closed a connection");
	if (peer->n_held > 0) {
		if (peer->n_held + (size_t)n > MAX_HELD)
			die("a message over the buffer");
		memcpy(peer->held + peer->n_held, input, (size_t)n);
		peer->n_held += (size_t)n;
		used = take(peer, peer->held, peer->n_held);
		peer->n_held -= used;
		memmove(peer->held, peer->held + used, peer->n_held);
		return;
	}
	used = take(peer, input, (size_t)n);
	if (used == (size_t)n)
		return;
	if (peer->held == NULL)
		peer->held = malloc(MAX_HELD);
	peer->n_held = (size_t)n - used;
	memcpy(peer->held, input + used, peer->n_held);
}

static void wait_once(int timeout_ms)
{
	struct epoll_event events[256];
	int n = epoll_wait(epoll_fd, events, 256, timeout_ms);

	for (int i = 0; i < n; i++) {
		struct peer *peer = events[i].data.ptr;

		if (!peer->done)
			peer_read(peer, READ_BYTES);
		else
			epoll_ctl(epoll_fd, EPOLL_CTL_DEL, peer->fd, NULL);
	}
}

static void open_peers(size_t n)
{
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	peers = calloc(n + 1, sizeof(*peers));
	n_peers = n;
}

static int run_http(const char *path, double seconds, size_t n)
{
	uint64_t start, until;
	char text[1024], cookies[512] = "";

	if (strcmp(cookie, "-") != 0)
		snprintf(cookies, sizeof(cookies), "Cookie: %s\r\n", cookie);
	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s\r\n", path, port,
		cookies);
	request = text;
	open_peers(n);
	for (size_t i = 0; i < n; i++) {
		peer_connect(&peers[i]);
		send_all(peers[i].fd, request, strlen(request));
	}
	start = now_ns(CLOCK_MONOTONIC);
	until = start + (uint64_t)(seconds * 1e9);
	while (now_ns(CLOCK_MONOTONIC) < until)
		wait_once(100);
	printf("{\"per_second\":%.0f,\"requests\":%" PRIu64 "}\n",
		(double)requests * 1e9 / (double)(now_ns(CLOCK_MONOTONIC) - start), requests);
	return 0;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Reads for the slow one what its rate allows by now. */
static void read_slowly(struct peer *peer, uint64_t start, uint64_t rate, uint64_t *taken)
{
	uint64_t allowed = (now_ns(CLOCK_MONOTONIC) - start) * rate / 1000000000u;

	if (allowed > *taken + 1024) {
		peer_read(peer, allowed - *taken < READ_BYTES ? allowed - *taken : READ_BYTES);
		*taken = allowed;
	}
}

static int run_fan(size_t n, uint64_t slow_rate)
{
	uint64_t start, bytes = 0, taken = 0;
	struct peer *slow = NULL;

	open_peers(n);
	if (slow_rate > 0) {
		slow = &peers[n];
		slow->slow = true;
		peer_connect(slow);
		upgrade(slow);
	}
	for (size_t i = 0; i < n; i++) {
		peer_connect(&peers[i]);
		upgrade(&peers[i]);
	}
	start = now_ns(CLOCK_MONOTONIC);
	while (n_done < n) {
		wait_once(slow != NULL ? 1 : -1);
		if (slow != NULL)
			read_slowly(slow, start, slow_rate, &taken);
	}
	for (size_t i = 0; i < n; i++) {
		if (peers[i].reason != 1 || peers[i].bytes != peers[0].bytes)
			die("a viewer did not get all of it");
		bytes += peers[i].bytes;
	}
	printf("{\"bytes\":%" PRIu64 ",\"seconds\":%.6f,\"slow_bytes\":%" PRIu64 "}\n", bytes,
		(double)(now_ns(CLOCK_MONOTONIC) - start) / 1e9, slow != NULL ? slow->bytes : 0);
	return 0;
}

static int run_latency(void)
{
	is_sampling = true;
	open_peers(1);
	peer_connect(&peers[0]);
	upgrade(&peers[0]);
	while (n_done == 0)
		wait_once(-1);
	if (n_samples == 0)
		die("no lines came");
	qsort(samples, n_samples, sizeof(samples[0]), compare);
	printf("{\"lines\":%" PRIu64 ",\"p50_us\":%.1f,\"p99_us\":%.1f}\n", n_samples,
		(double)samples[n_samples / 2] / 1e3, (double)samples[n_samples * 99 / 100] / 1e3);
	return 0;
}

static int run_idle(size_t n)
{
	size_t open = 0;
	char byte;

	open_peers(n);
	for (size_t i = 0; i < n; i++) {
		peer_connect(&peers[i]);
		upgrade(&peers[i]);
		while (!peers[i].open)
			wait_once(-1);
		open++;
	}
	printf("{\"open\":%zu}\n", open);
	fflush(stdout);
	return read(STDIN_FILENO, &byte, 1) < 0;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 3 ? argv[1] : "";

	port = argc > 3 ? atoi(argv[2]) : 0;
	cookie = argc > 3 ? argv[3] : "-";
	if (strcmp(mode, "http") == 0 && argc == 7) {
		cookie = argv[4];
		return run_http(argv[3], atof(argv[5]), strtoul(argv[6], NULL, 10));
	}
	if (strcmp(mode, "idle") == 0 && argc == 5)
		return run_idle(strtoul(argv[4], NULL, 10));
	run_id = argc > 4 ? argv[4] : NULL;
	if (strcmp(mode, "latency") == 0 && argc == 5)
		return run_latency();
	if (strcmp(mode, "fan") == 0 && (argc == 6 || argc == 7))
		return run_fan(
			strtoul(argv[5], NULL, 10), argc == 7 ? strtoull(argv[6], NULL, 10) : 0);
	fputs("usage: web_meter http|fan|latency|idle …: see its first lines\n", stderr);
	return 64;
}
