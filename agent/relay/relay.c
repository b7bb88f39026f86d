/*
 * Owns the connections to the engine, each with the descriptor its answer goes to; one poll(2)
 * loop.
 *
 * Happy path: a message with a descriptor comes, the engine is connected, the GET is written, bytes
 * go from one to the other through a buffer of one piece until the engine closes.
 *
 * Failure modes: a message that is not exactly right is dropped, and with it its descriptor: who
 * asked reads an end of file. The engine cannot be reached: a short answer says why. Either side
 * hangs up, or no byte moves for RELAY_IDLE_US where the answer is to end: both are closed. Who
 * does not read is waited for, and costs its place only.
 */
#include "agent/relay/relay.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/relay/ask.h"
#include "agent/relay/rights.h"
#include "agent/relay/sandbox.h"
#include "core/base/clock.h"
#include "core/base/log.h"

#define ASKS_FD STDIN_FILENO
#define MAX_FILES (2 * RELAY_MAX + 16)

struct answer {
	int engine_fd, asker_fd; /* asker_fd -1: the place is free */
	uint64_t give_up_us;	 /* 0: it goes on for as long as somebody reads */
	size_t at, len;		 /* of the bytes that are to be written */
	bool follows;
	char bytes[RELAY_BUFFER];
};

struct relay {
	struct sockaddr_un engine;
	unsigned refused;
	struct answer answers[RELAY_MAX];
};

static void end(struct answer *answer)
{
	close(answer->engine_fd);
	close(answer->asker_fd);
	answer->asker_fd = -1;
}

/* The relay's own word to who asked, who then need not tell it from the engine's. */
static void tell(int fd, unsigned status, const char *what, const char *why)
{
	char body[256], text[512];
	int n = snprintf(body, sizeof(body), "%s%s%s", what, why != NULL ? ": " : "",
		why != NULL ? why : "");

	n = snprintf(text, sizeof(text),
		"HTTP/1.1 %u Relay\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
		"Connection: close\r\n\r\n%s",
		status, MIN(n, (int)sizeof(body) - 1), body);
	(void)!send(fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* ---- asking ---- */

static int engine_open(const struct relay *relay, const struct relay_ask *ask)
{
	char request[RELAY_MAX_REQUEST];
	size_t n;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	relay_request(ask, request);
	n = strlen(request);
	/* the first bytes of a new connection always fit */
	if (connect(fd, (const struct sockaddr *)&relay->engine, sizeof(relay->engine)) == 0 &&
		send(fd, request, n, MSG_NOSIGNAL) == (ssize_t)n)
		return fd;
	n = (size_t)errno;
	close(fd);
	return -(int)n;
}

static void answer_begin(
	struct relay *relay, const struct relay_ask *ask, int asker_fd, uint64_t now)
{
	struct answer *answer = NULL;
	int fd;

	for (size_t i = 0; i < RELAY_MAX && answer == NULL; i++)
		answer = relay->answers[i].asker_fd < 0 ? &relay->answers[i] : NULL;
	if (answer == NULL) {
		tell(asker_fd, 503, "too much is asked of the Docker engine at a time", NULL);
		close(asker_fd);
		return;
	}
	fd = engine_open(relay, ask);
	if (fd < 0) {
		tell(asker_fd, 502, relay->engine.sun_path, strerror(-fd));
		close(asker_fd);
		return;
	}
	answer->engine_fd = fd;
	answer->asker_fd = asker_fd;
	answer->at = answer->len = 0;
	answer->follows = relay_follows(ask->endpoint);
	answer->give_up_us = answer->follows ? 0 : now + RELAY_IDLE_US;
}

/* The first descriptor that came with a message; -1: none. */
static int descriptor_of(struct msghdr *msg)
{
	const struct cmsghdr *head = CMSG_FIRSTHDR(msg);
	int fd = -1;

	if (head != NULL && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS &&
		head->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(head), sizeof(int));
	return fd;
}

/* Only what send(2) never blocks on. */
static bool is_stream_socket(int fd)
{
	int domain = 0, type = 0;
	socklen_t n = sizeof(int), m = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) == 0 && domain == AF_UNIX &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &m) == 0 && type == SOCK_STREAM;
}

static void refuse(struct relay *relay, int fd)
{
	if (fd >= 0)
		close(fd);
	relay->refused++;
	/* told the 1st, 2nd, 4th, 8th … time: whoever asks so may do it often */
	if ((relay->refused & (relay->refused - 1)) == 0)
		log_warn(LOG_EV("relay.refused"), LOG_INT("count", relay->refused));
}

/* Takes one message. False: there is none. */
static bool hear(struct relay *relay, uint64_t now)
{
	uint8_t bytes[RELAY_ASK_BYTES + 1];
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = CMSG_LEN(sizeof(int)), /* room for one, not for its padding too */
	};
	struct relay_ask ask;
	ssize_t n = recvmsg(ASKS_FD, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd;

	if (n < 0)
		return false;
	fd = descriptor_of(&msg);
	if (n == 0 && fd < 0)
		return false; /* the end, which poll(2) tells, or a message of nothing */
	if ((msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || fd < 0 || !is_stream_socket(fd) ||
		relay_decode(bytes, (size_t)n, &ask) != 0)
		refuse(relay, fd);
	else
		answer_begin(relay, &ask, fd, now);
	return true;
}

/* ---- answering ---- */

/* One of the two is ready: moves what can be moved. */
static void move(struct answer *answer, uint64_t now)
{
	ssize_t n;

	if (answer->at == answer->len) {
		n = recv(answer->engine_fd, answer->bytes, sizeof(answer->bytes), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			end(answer); /* the engine is done */
			return;
		}
		answer->at = 0;
		answer->len = (size_t)n;
	}
	n = send(answer->asker_fd, answer->bytes + answer->at, answer->len - answer->at,
		MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		end(answer); /* nobody reads any more */
		return;
	}
	answer->at += n > 0 ? (size_t)n : 0;
	if (!answer->follows)
		answer->give_up_us = now + RELAY_IDLE_US;
}

/* Waits for what comes first and does it. False: nobody will ever ask again. */
static bool serve(struct relay *relay)
{
	struct pollfd fds[1 + 2 * RELAY_MAX];
	uint64_t now = clock_mono_us(), next = UINT64_MAX;

	fds[0] = (struct pollfd){.fd = ASKS_FD, .events = POLLIN};
	for (size_t i = 0; i < RELAY_MAX; i++) {
		struct answer *answer = &relay->answers[i];
		bool is_full = answer->at < answer->len;

		if (answer->asker_fd >= 0 && answer->give_up_us != 0 && now >= answer->give_up_us)
			end(answer);
		if (answer->asker_fd >= 0 && answer->give_up_us != 0)
			next = MIN(next, answer->give_up_us);
		fds[1 + 2 * i] =
			(struct pollfd){.fd = answer->asker_fd, .events = is_full ? POLLOUT : 0};
		fds[2 + 2 * i] = (struct pollfd){
			.fd = answer->asker_fd < 0 || is_full ? -1 : answer->engine_fd,
			.events = POLLIN,
		};
	}
	if (poll(fds, ARRAY_LEN(fds), next == UINT64_MAX ? -1 : (int)((next - now) / 1000 + 1)) <=
		0)
		return true;
	now = clock_mono_us();
	for (size_t i = 0; i < RELAY_MAX; i++) {
		if ((fds[1 + 2 * i].revents & (POLLHUP | POLLERR)) != 0)
			end(&relay->answers[i]);
		else if ((fds[1 + 2 * i].revents | fds[2 + 2 * i].revents) != 0)
			move(&relay->answers[i], now);
	}
	if ((fds[0].revents & (POLLHUP | POLLERR)) != 0)
		return false;
	for (int i = 0; i < RELAY_MAX && fds[0].revents != 0 && hear(relay, now); i++)
		;
	return true;
}

/* ---- start ---- */

static int prepare(struct relay *relay, const char *path, struct err *err)
{
	struct rlimit files = {MAX_FILES, MAX_FILES}, none = {0, 0};
	int rc;

	relay->engine.sun_family = AF_UNIX;
	if (path[0] != '/' || strlen(path) >= sizeof(relay->engine.sun_path))
		return err_set(err, -EINVAL, "'%.100s' can be no socket's path", path);
	memcpy(relay->engine.sun_path, path, strlen(path) + 1);
	for (size_t i = 0; i < RELAY_MAX; i++)
		relay->answers[i].asker_fd = -1;
	signal(SIGPIPE, SIG_IGN);
	rc = rights_drop("OPS_AGENT_DOCKER_USER", RELAY_USER, RELAY_GROUP, err);
	(void)setrlimit(RLIMIT_NOFILE, &files);
	(void)setrlimit(RLIMIT_CORE, &none);
	return rc;
}

int relay_main(const char *parent_pid, const char *socket_path)
{
	struct relay *relay = xcalloc(1, sizeof(*relay));
	struct err err = {0};
	int rc = prepare(relay, socket_path, &err);

	prctl(PR_SET_NAME, "ops-docker");
	/* after the change of account, which would undo it */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != (pid_t)strtol(parent_pid, NULL, 10)) {
		free(relay);
		return 0;
	}
	if (rc == 0) {
		log_info(LOG_EV("relay.ready"), LOG_INT("uid", geteuid()),
			LOG_STR("socket", socket_path));
		rc = relay_sandbox_enter();
		if (rc != 0 && rc != -ENOTSUP)
			err_set_errno(&err, rc, "cannot enter the sandbox");
	}
	if (rc == 0 || rc == -ENOTSUP) {
		while (serve(relay))
			;
		rc = 0;
	} else {
		log_error(LOG_EV("relay.not_started"), LOG_STR("error", err.msg));
	}
	free(relay);
	return rc == 0 ? 0 : RELAY_EXIT_CONFIG;
}
