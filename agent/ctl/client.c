#include "agent/ctl/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/mem.h"

#define SECRET_MAX_BYTES 4096
#define REQUEST_MAX_BYTES (FRAME_HEADER_BYTES + 8 + SECRET_MAX_BYTES + MSG_MAX_START_BYTES)

struct client {
	int fd;
	uint32_t stream;     /* of the last request */
	char *authorization; /* "Bearer …" */
	struct buf frame;    /* the frame being received: header and payload */
};

/* What to do about it. */
static void err_append(struct err *err, const char *advice)
{
	size_t n;

	if (err == NULL)
		return;
	n = strlen(err->msg);
	snprintf(err->msg + n, sizeof(err->msg) - n, "%s", advice);
}

static int read_secret(const char *path, char **ret_authorization, struct err *err)
{
	struct buf text;
	int rc;

	buf_init(&text, SECRET_MAX_BYTES);
	buf_append_str(&text, "Bearer ");
	rc = file_read(AT_FDCWD, path, &text, err);
	while (text.len != 0 && strchr(" \t\r\n", text.data[text.len - 1]) != NULL)
		text.len--;
	if (rc == -EACCES)
		err_append(err, "; run opsctl as root or as a member of the group ops-agent");
	else if (rc == -ENOENT)
		err_append(err, "; OPS_AGENT_SECRET_PATH names another file");
	if (rc == 0) {
		*ret_authorization = buf_take_str(&text);
		rc = *ret_authorization != NULL ? 0 : err_set(err, -ENOMEM, "out of memory");
	}
	mem_wipe(text.data, text.cap);
	buf_fini(&text);
	return rc;
}

static int connect_to(const char *path, int *ret_fd, struct err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(addr.sun_path))
		return err_set(err, -ENAMETOOLONG, "the socket's path is too long: %s", path);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set_errno(err, -errno, "cannot make a socket");
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0) {
		int code = errno;

		close(fd);
		err_set_errno(err, -code, "agent away: no agent answers on %s", path);
		err_append(
			err, code == EACCES
				     ? "; run opsctl as root or as a member of the group ops-agent"
				     : "; 'systemctl status ops-agent' tells whether it runs");
		if (err != NULL)
			err->code = -ENOTCONN;
		return -ENOTCONN;
	}
	*ret_fd = fd;
	return 0;
}

int client_open(const char *socket_path, const char *secret_path, struct client **ret_client,
	struct err *err)
{
	struct client *client = xcalloc(1, sizeof(*client));
	int rc;

	client->fd = -1;
	buf_init(&client->frame, FRAME_HEADER_BYTES + FRAME_MAX_PAYLOAD);
	rc = read_secret(secret_path, &client->authorization, err);
	if (rc == 0)
		rc = connect_to(socket_path, &client->fd, err);
	if (rc != 0) {
		client_close(client);
		return rc;
	}
	*ret_client = client;
	return 0;
}

void client_close(struct client *client)
{
	if (client == NULL)
		return;
	if (client->fd >= 0)
		close(client->fd);
	if (client->authorization != NULL) {
		mem_wipe(client->authorization, strlen(client->authorization));
		free(client->authorization);
	}
	buf_fini(&client->frame);
	free(client);
}

static int gone(struct err *err)
{
	return err_set(err, -ENOTCONN, "the agent closed the connection");
}

static int send_frame(
	struct client *client, uint8_t type, const void *payload, size_t n, struct err *err)
{
	struct frame frame = {.length = (uint32_t)n, .stream = client->stream, .type = type};
	uint8_t *block = xcalloc(1, FRAME_HEADER_BYTES + n);
	size_t at = 0, len = FRAME_HEADER_BYTES + n;
	int rc = 0;

	frame_encode_header(&frame, block);
	if (n != 0)
		memcpy(block + FRAME_HEADER_BYTES, payload, n);
	while (at < len && rc == 0) {
		ssize_t done = send(client->fd, block + at, len - at, MSG_NOSIGNAL);

		if (done >= 0)
			at += (size_t)done;
		else if (errno != EINTR)
			rc = gone(err);
	}
	mem_wipe(block, len);
	free(block);
	return rc;
}

/* Reads until the buffer holds n bytes. deadline_us 0: no deadline, and a signal ends the wait. */
static int receive(struct client *client, size_t n, uint64_t deadline_us, struct err *err)
{
	while (client->frame.len < n) {
		struct pollfd pfd = {.fd = client->fd, .events = POLLIN};
		uint64_t now = clock_mono_us();
		int wait_ms = -1, ready;
		uint8_t *to;
		ssize_t got;

		if (deadline_us != 0 && now >= deadline_us)
			return err_set(err, -ETIMEDOUT, "the agent does not answer");
		if (deadline_us != 0)
			wait_ms = (int)((deadline_us - now) / 1000) + 1;
		ready = poll(&pfd, 1, wait_ms);
		if (ready < 0 && errno == EINTR && deadline_us == 0)
			return err_set(err, -EINTR, "interrupted");
		if (ready <= 0)
			continue;
		to = buf_reserve(&client->frame, n - client->frame.len);
		if (to == NULL)
			return err_set(err, -ENOMEM, "out of memory");
		got = recv(client->fd, to, n - client->frame.len, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return gone(err);
		client->frame.len += (size_t)got;
	}
	return 0;
}

static int receive_frame(
	struct client *client, uint64_t deadline_us, struct frame *ret_frame, struct err *err)
{
	int rc;

	if (client->frame.len >= FRAME_HEADER_BYTES) {
		/* a whole frame was handed out before, unless a signal interrupted */
		if (frame_decode_header(client->frame.data, client->frame.len, ret_frame) == 0 &&
			client->frame.len == FRAME_HEADER_BYTES + ret_frame->length)
			buf_reset(&client->frame);
	}
	rc = receive(client, FRAME_HEADER_BYTES, deadline_us, err);
	if (rc != 0)
		return rc;
	rc = frame_decode_header(client->frame.data, FRAME_HEADER_BYTES, ret_frame);
	if (rc != 0)
		return err_set(
			err, -EPROTO, "what answers on the socket does not speak the protocol");
	return receive(client, FRAME_HEADER_BYTES + ret_frame->length, deadline_us, err);
}

static int on_goaway(struct client *client, struct err *err)
{
	struct msg_goaway bye;

	if (msg_goaway_decode(client->frame.data + FRAME_HEADER_BYTES,
		    client->frame.len - FRAME_HEADER_BYTES, &bye) != 0)
		return gone(err);
	return err_set(err, -ENOTCONN, "the agent ended the connection: %.*s",
		(int)MIN(bye.message.len, 200u), bye.message.data);
}

/* The next frame that belongs to the request at hand. */
static int next_frame(
	struct client *client, uint64_t deadline_us, struct frame *ret_frame, struct err *err)
{
	for (;;) {
		uint32_t stream = client->stream;
		int rc = receive_frame(client, deadline_us, ret_frame, err);

		if (rc != 0)
			return rc;
		if (ret_frame->type == FRAME_GOAWAY)
			return on_goaway(client, err);
		if (ret_frame->type == FRAME_PING) {
			client->stream = ret_frame->stream;
			rc = send_frame(client, FRAME_PONG, client->frame.data + FRAME_HEADER_BYTES,
				ret_frame->length, err);
			client->stream = stream;
			if (rc != 0)
				return rc;
			continue;
		}
		if (ret_frame->stream == stream)
			return 0;
	}
}

int client_call(struct client *client, uint16_t method, const void *fields, size_t n,
	struct msg_response *ret_reply, struct err *err)
{
	struct msg_request request = {
		.method = method,
		.authorization = wire_str_of(client->authorization),
		.fields = fields,
		.fields_len = n,
	};
	uint64_t deadline = clock_mono_us() + CLIENT_TIMEOUT_MS * UINT64_C(1000);
	uint8_t *payload = xcalloc(1, REQUEST_MAX_BYTES);
	struct frame frame;
	int rc = msg_request_encode(&request, payload, REQUEST_MAX_BYTES);

	client->stream++;
	if (rc < 0)
		rc = err_set(err, rc, "the request is too large");
	else
		rc = send_frame(client, FRAME_REQUEST, payload, (size_t)rc, err);
	mem_wipe(payload, REQUEST_MAX_BYTES);
	free(payload);
	if (rc == 0)
		rc = next_frame(client, deadline, &frame, err);
	if (rc != 0)
		return rc;
	if (frame.type != FRAME_RESPONSE ||
		msg_response_decode(
			client->frame.data + FRAME_HEADER_BYTES, frame.length, ret_reply) != 0)
		return err_set(err, -EPROTO, "the agent's answer makes no sense");
	return 0;
}

int client_wait(struct client *client, int wait_ms)
{
	struct pollfd pfd = {.fd = client->fd, .events = POLLIN};
	int ready = poll(&pfd, 1, wait_ms);

	if (ready < 0)
		return -errno;
	return ready > 0;
}

int client_next(struct client *client, struct frame *ret_frame, const uint8_t **ret_payload,
	struct err *err)
{
	int rc = next_frame(client, 0, ret_frame, err);

	if (rc == 0)
		*ret_payload = client->frame.data + FRAME_HEADER_BYTES;
	return rc;
}

int client_credit(struct client *client, uint32_t bytes, struct err *err)
{
	struct msg_credit credit = {.bytes = bytes};
	uint8_t payload[8];
	int n = msg_credit_encode(&credit, payload, sizeof(payload));

	return send_frame(client, FRAME_CREDIT, payload, (size_t)n, err);
}
