#include "agent/relay/ask.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/passfd.h"

/* {"type":["container"],"event":[…]}: what changes how a container is; what is executed in one for
 * its health check is not. */
#define EVENTS                                                                                     \
	"/events?filters=%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B"                \
	"%22create%22%2C%22start%22%2C%22restart%22%2C%22pause%22%2C%22unpause%22%2C%22die%22%2C"  \
	"%22oom%22%2C%22rename%22%2C%22destroy%22%2C%22health_status%22%5D%7D"

static const struct endpoint {
	const char *before, *after; /* the id; NULL: there is none */
	bool follows, has_tail;
} endpoints[] = {
	[RELAY_CONTAINERS] = {.before = "/containers/json?all=1"},
	[RELAY_CONTAINER] = {"/containers/", "/json", false, false},
	[RELAY_STATS] = {"/containers/", "/stats?stream=false&one-shot=true", false, false},
	[RELAY_IMAGE] = {"/images/", "/json", false, false},
	[RELAY_EVENTS] = {.before = EVENTS, .follows = true},
	[RELAY_LOGS] = {"/containers/", "/logs?follow=1&stdout=1&stderr=1&timestamps=1&tail=", true,
		true},
	[RELAY_TTY_LOGS] = {"/containers/", "/logs?follow=1&stdout=1&tail=", true, true},
};

static const char *const apis[RELAY_APIS] = {"1.44", "1.41"};
static const char *const tails[RELAY_TAILS] = {
	"0", "10", "50", "100", "200", "500", "1000", "10000"};
static const unsigned tail_lines[RELAY_TAILS] = {0, 10, 50, 100, 200, 500, 1000, 10000};

static bool is_id(const char *id, size_t n)
{
	if (n < RELAY_MIN_ID || n > RELAY_MAX_ID)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!((id[i] >= '0' && id[i] <= '9') || (id[i] >= 'a' && id[i] <= 'f')))
			return false;
	}
	return true;
}

static bool is_allowed(const struct relay_ask *ask, size_t id_len)
{
	const struct endpoint *endpoint;

	if (ask->endpoint >= ARRAY_LEN(endpoints) || endpoints[ask->endpoint].before == NULL)
		return false;
	endpoint = &endpoints[ask->endpoint];
	if (ask->api >= RELAY_APIS || ask->tail >= (endpoint->has_tail ? RELAY_TAILS : 1))
		return false;
	return endpoint->after != NULL ? is_id(ask->id, id_len) : id_len == 0;
}

bool relay_follows(uint8_t endpoint)
{
	return endpoints[endpoint].follows;
}

unsigned relay_tail_lines(uint8_t tail)
{
	return tail_lines[tail];
}

int relay_encode(const struct relay_ask *ask, uint8_t ret_bytes[RELAY_ASK_BYTES])
{
	size_t n = strnlen(ask->id, sizeof(ask->id));

	if (!is_allowed(ask, n))
		return -EINVAL;
	memset(ret_bytes, 0, RELAY_ASK_BYTES);
	ret_bytes[0] = ask->endpoint;
	ret_bytes[1] = ask->api;
	ret_bytes[2] = ask->tail;
	ret_bytes[3] = (uint8_t)n;
	memcpy(ret_bytes + 4, ask->id, n);
	return 0;
}

int relay_decode(const void *data, size_t n, struct relay_ask *ret_ask)
{
	const uint8_t *bytes = data;
	struct relay_ask ask = {0};

	if (n != RELAY_ASK_BYTES || bytes[3] > RELAY_MAX_ID)
		return -EBADMSG;
	ask.endpoint = bytes[0];
	ask.api = bytes[1];
	ask.tail = bytes[2];
	memcpy(ask.id, bytes + 4, bytes[3]);
	for (size_t i = 4u + bytes[3]; i < RELAY_ASK_BYTES; i++) {
		if (bytes[i] != 0)
			return -EBADMSG;
	}
	if (!is_allowed(&ask, bytes[3]))
		return -EBADMSG;
	*ret_ask = ask;
	return 0;
}

void relay_request(const struct relay_ask *ask, char ret_text[RELAY_MAX_REQUEST])
{
	const struct endpoint *endpoint = &endpoints[ask->endpoint];

	snprintf(ret_text, RELAY_MAX_REQUEST,
		"GET /v%s%s%s%s%s HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n",
		apis[ask->api], endpoint->before, ask->id,
		endpoint->after != NULL ? endpoint->after : "",
		endpoint->has_tail ? tails[ask->tail] : "");
}

int relay_open(int relay_fd, const struct relay_ask *ask, struct err *err)
{
	uint8_t bytes[RELAY_ASK_BYTES];
	int pair[2];
	int rc = relay_encode(ask, bytes);

	if (rc != 0)
		return err_set(err, rc, "the Docker relay knows no such question");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return err_set_errno(err, -errno, "cannot make a socket pair");
	rc = passfd_send(relay_fd, bytes, RELAY_ASK_BYTES, &pair[1], 1);
	close(pair[1]);
	if (rc == 0)
		return pair[0];
	close(pair[0]);
	return err_set_errno(err, rc, "the Docker relay takes no requests");
}
