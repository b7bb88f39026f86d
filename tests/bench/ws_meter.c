/*
 * ws_meter PORT COOKIE RUN: watches a run's log over the dashboard's WebSocket as a page would,
 * gives credit for what it has read, and counts. Prints one JSON object when END comes: record
 * bytes, seconds since the subscription was sent, end reason.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proto/frame.h"
#include "proto/msg.h"

#define BUFFER_BYTES (4u << 20)
#define CREDIT_STEP (512u << 10)

static int sock;
static uint8_t buffer[BUFFER_BYTES];
static size_t have, used;

static void die(const char *what)
{
	fprintf(stderr, "ws_meter: %s\n", what);
	exit(1);
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void send_all(const void *data, size_t n)
{
	const char *at = data;

	while (n != 0) {
		ssize_t done = write(sock, at, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			die("the dashboard closed the connection");
		at += done;
		n -= (size_t)done;
	}
}

/* A masked text frame; the mask is zero, which RFC 6455 allows a test client. */
static void send_text(const char *text)
{
	size_t n = strlen(text);
	uint8_t head[8] = {0x81, 0x80 | 126, (uint8_t)(n >> 8), (uint8_t)n, 0, 0, 0, 0};

	if (n < 126) {
		uint8_t small[6] = {0x81, (uint8_t)(0x80 | n), 0, 0, 0, 0};

		send_all(small, sizeof(small));
	} else {
		send_all(head, sizeof(head));
	}
	send_all(text, n);
}

/* At least n unread bytes are in the buffer afterwards. */
static uint8_t *need(size_t n)
{
	if (BUFFER_BYTES - used < n) {
		memmove(buffer, buffer + used, have - used);
		have -= used;
		used = 0;
	}
	while (have - used < n) {
		ssize_t got = read(sock, buffer + have, BUFFER_BYTES - have);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			die("the dashboard closed the connection");
		have += (size_t)got;
	}
	return buffer + used;
}

static void handshake(int port, const char *cookie)
{
	char head[1024];
	int n = snprintf(head, sizeof(head),
		"GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nOrigin: http://127.0.0.1:%d\r\n"
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: ops.v1\r\n"
		"Cookie: %s\r\n\r\n",
		port, port, cookie);
	size_t at = 4;

	send_all(head, (size_t)n);
	for (;; at++) {
		uint8_t *data = need(at);

		if (memcmp(data + at - 4, "\r\n\r\n", 4) == 0)
			break;
	}
	if (memcmp(buffer, "HTTP/1.1 101", 12) != 0) {
		fwrite(buffer, 1, at, stderr);
		die("no WebSocket");
	}
	used = at;
}

static uint64_t load(const uint8_t *at, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)at[i] << (8 * i);
	return v;
}

/* The payload of the next WebSocket message; control frames are skipped. */
static uint8_t *next_message(size_t *ret_len, bool *ret_binary)
{
	for (;;) {
		uint8_t *head = need(2);
		uint8_t opcode = head[0] & 15;
		size_t len = head[1] & 127, skip = 2;

		if (len == 126) {
			head = need(4);
			len = (size_t)(head[2] << 8 | head[3]);
			skip = 4;
		} else if (len == 127) {
			head = need(10);
			len = 0;
			for (int i = 2; i < 10; i++)
				len = len << 8 | head[i];
			skip = 10;
		}
		if (len > BUFFER_BYTES - 16)
			die("a message over the buffer");
		head = need(skip + len);
		used += skip + len;
		if (opcode == 8)
			die("the dashboard said goodbye");
		if (opcode == 1 || opcode == 2) {
			*ret_len = len;
			*ret_binary = opcode == 2;
			return head + skip;
		}
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	uint64_t bytes = 0, owed = 0, messages = 0;
	char text[256];
	double start, first = 0;
	int one = 1;

	if (argc != 4) {
		fputs("usage: ws_meter PORT COOKIE RUN\n", stderr);
		return 64;
	}
	addr.sin_port = htons((uint16_t)atoi(argv[1]));
	sock = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) != 0)
		die("cannot connect");
	setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	handshake(atoi(argv[1]), argv[2]);
	start = now_s();
	snprintf(text, sizeof(text),
		"{\"op\":\"subscribe\",\"topic\":\"run/%s/log\",\"offset\":0,\"id\":1}", argv[3]);
	send_text(text);
	for (;;) {
		size_t len;
		bool binary;
		uint8_t *data = next_message(&len, &binary);

		if (!binary) {
			if (memmem(data, len, "\"error\"", 7) != NULL)
				die("subscription refused");
			continue;
		}
		if (first == 0)
			first = now_s();
		if (data[5] == FRAME_END) {
			printf("{\"bytes\":%" PRIu64 ",\"messages\":%" PRIu64
			       ",\"seconds\":%.6f,\"reason\":%u}\n",
				bytes, messages, now_s() - start,
				(unsigned)load(data + FRAME_HEADER_BYTES + 8, 2));
			return 0;
		}
		messages++;
		len -= FRAME_HEADER_BYTES + MSG_CHUNK_PREFIX_BYTES;
		bytes += len;
		owed += len;
		if (owed >= CREDIT_STEP) {
			snprintf(text, sizeof(text),
				"{\"op\":\"credit\",\"id\":1,\"bytes\":%" PRIu64 "}", owed);
			send_text(text);
			owed = 0;
		}
	}
}
