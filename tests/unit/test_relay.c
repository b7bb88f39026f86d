/* The Docker relay: what it accepts, what it writes to the engine, and that nothing else gets
 * through. The process itself runs as a child, against an engine that is a listening socket of the
 * test's. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/relay/ask.h"
#include "agent/relay/relay.h"
#include "agent/relay/sandbox.h"

#define ID "0123456789ab"
#define LONG_ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct {
	int asks_fd, engine_fd;
	pid_t pid;
	char dir[64], path[96];
} t;

/* ---- the messages ---- */

static void writes_fixed_requests(void **state)
{
	static const struct {
		struct relay_ask ask;
		const char *line;
	} cases[] = {
		{{RELAY_CONTAINERS, 0, 0, ""}, "GET /v1.44/containers/json?all=1 HTTP/1.1\r\n"},
		{{RELAY_CONTAINERS, 1, 0, ""}, "GET /v1.41/containers/json?all=1 HTTP/1.1\r\n"},
		{{RELAY_CONTAINER, 0, 0, ID}, "GET /v1.44/containers/" ID "/json HTTP/1.1\r\n"},
		{{RELAY_STATS, 0, 0, ID}, "GET /v1.44/containers/" ID
					  "/stats?stream=false&one-shot=true HTTP/1.1\r\n"},
		{{RELAY_IMAGE, 1, 0, LONG_ID}, "GET /v1.41/images/" LONG_ID "/json HTTP/1.1\r\n"},
		{{RELAY_LOGS, 0, 3, ID},
			"GET /v1.44/containers/" ID "/logs?follow=1&stdout=1&stderr=1&timestamps=1"
			"&tail=100 HTTP/1.1\r\n"},
		{{RELAY_TTY_LOGS, 0, RELAY_TAILS - 1, ID},
			"GET /v1.44/containers/" ID
			"/logs?follow=1&stdout=1&tail=10000 HTTP/1.1\r\n"},
	};
	char text[RELAY_MAX_REQUEST], longest[RELAY_MAX_REQUEST];
	struct relay_ask events = {RELAY_EVENTS, 0, 0, ""};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t bytes[RELAY_ASK_BYTES];
		struct relay_ask again;

		assert_int_equal(relay_encode(&cases[i].ask, bytes), 0);
		assert_int_equal(relay_decode(bytes, sizeof(bytes), &again), 0);
		relay_request(&again, text);
		assert_memory_equal(text, cases[i].line, strlen(cases[i].line));
		assert_string_equal(
			text + strlen(cases[i].line), "Host: docker\r\nConnection: close\r\n\r\n");
	}
	relay_request(&events, longest);
	assert_string_equal(longest + strlen(longest) - 4, "\r\n\r\n");
	assert_null(strchr(longest, '"'));
}

static void refuses_what_is_not_exactly_right(void **state)
{
	uint8_t good[RELAY_ASK_BYTES], bytes[RELAY_ASK_BYTES + 1];
	struct relay_ask ask = {RELAY_CONTAINER, 0, 0, ID};
	static const struct {
		size_t at;
		uint8_t value;
	} hostile[] = {
		{0, 0},
		{0, RELAY_TTY_LOGS + 1},
		{0, 255}, /* endpoints that are none */
		{0, RELAY_CONTAINERS},
		{0, RELAY_EVENTS}, /* which have no id */
		{1, RELAY_APIS},
		{1, 255},
		{2, 1},
		{2, RELAY_TAILS}, /* only logs have a tail */
		{3, 0},
		{3, 11},
		{3, 13},
		{3, 64},
		{3, 65},
		{3, 255}, /* lengths that are not its own */
		{4, 'A'},
		{4, 'g'},
		{4, '/'},
		{4, '.'},
		{4, '%'},
		{4, ' '},
		{4, '\r'},
		{4, '\n'},
		{4, 0},
		{4, 0xe9},
		{15, '?'},
		{10, '\0'},
		{16, 'a'},
		{RELAY_ASK_BYTES - 1, 'a'},
	};

	(void)state;
	assert_int_equal(relay_encode(&ask, good), 0);
	for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
		memcpy(bytes, good, sizeof(good));
		bytes[hostile[i].at] = hostile[i].value;
		assert_int_equal(relay_decode(bytes, RELAY_ASK_BYTES, &ask), -EBADMSG);
	}
	memcpy(bytes, good, sizeof(good));
	bytes[RELAY_ASK_BYTES] = 0;
	for (size_t n = 0; n <= sizeof(bytes); n++)
		assert_int_equal(relay_decode(bytes, n, &ask), n == RELAY_ASK_BYTES ? 0 : -EBADMSG);
	strcpy(ask.id, "../../images");
	assert_int_equal(relay_encode(&ask, bytes), -EINVAL);
}

/* ---- the process ---- */

static int start(void **state)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int pair[2];
	char parent[16];

	(void)state;
	strcpy(t.dir, "/tmp/ops-relay-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	snprintf(t.path, sizeof(t.path), "%s/engine.sock", t.dir);
	strcpy(addr.sun_path, t.path);
	t.engine_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(t.engine_fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(t.engine_fd, 64), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	snprintf(parent, sizeof(parent), "%d", getpid());
	setenv("OPS_AGENT_DOCKER_USER", "root", 1); /* whoever runs the tests */
	t.pid = fork();
	if (t.pid == 0) {
		dup2(pair[1], STDIN_FILENO);
		close_range(3, ~0u, 0);
		_exit(relay_main(parent, t.path));
	}
	close(pair[1]);
	t.asks_fd = pair[0];
	return 0;
}

static int stop(void **state)
{
	int status = 0;

	(void)state;
	close(t.asks_fd); /* it ends by itself when nobody can ask any more */
	assert_int_equal(waitpid(t.pid, &status, 0), t.pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	close(t.engine_fd);
	unlink(t.path);
	rmdir(t.dir);
	return 0;
}

static bool is_readable(int fd, int timeout_ms)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	return poll(&pfd, 1, timeout_ms) > 0;
}

static int engine_accept(char request[RELAY_MAX_REQUEST])
{
	ssize_t n;
	int fd;

	assert_true(is_readable(t.engine_fd, 30000));
	fd = accept(t.engine_fd, NULL, NULL);
	n = recv(fd, request, RELAY_MAX_REQUEST - 1, 0);
	assert_true(n > 0);
	request[n] = '\0';
	return fd;
}

static int ask_for(const struct relay_ask *ask)
{
	struct err err = {0};
	int fd = relay_open(t.asks_fd, ask, &err);

	assert_true(fd >= 0);
	return fd;
}

/* Everything up to the end. */
static size_t read_all(int fd, char *out, size_t cap)
{
	size_t len = 0;

	for (;;) {
		ssize_t n;

		assert_true(is_readable(fd, 30000));
		n = recv(fd, out + len, cap - 1 - len, 0);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	out[len] = '\0';
	close(fd);
	return len;
}

static void relays_an_answer_as_it_is(void **state)
{
	struct relay_ask ask = {RELAY_CONTAINER, 0, 0, ID};
	char request[RELAY_MAX_REQUEST];
	size_t n = 1u << 20;
	char *sent = malloc(n), *got = malloc(n + 1);
	int fd = ask_for(&ask), engine = engine_accept(request);
	pid_t writer;

	(void)state;
	assert_memory_equal(request, "GET /v1.44/containers/" ID "/json HTTP/1.1\r\n", 48);
	for (size_t i = 0; i < n; i++)
		sent[i] = (char)(i * 7 + i / 251);
	writer = fork();
	if (writer == 0) {
		for (size_t at = 0; at < n;)
			at += (size_t)send(engine, sent + at, n - at, 0);
		_exit(0);
	}
	close(engine);
	assert_int_equal(read_all(fd, got, n + 1), n);
	assert_memory_equal(sent, got, n);
	waitpid(writer, NULL, 0);
	free(sent);
	free(got);
}

static void tells_that_the_engine_is_away(void **state)
{
	struct relay_ask ask = {RELAY_CONTAINERS, 0, 0, ""};
	char got[1024];

	(void)state;
	close(t.engine_fd);
	t.engine_fd = -1;
	read_all(ask_for(&ask), got, sizeof(got));
	assert_memory_equal(got, "HTTP/1.1 502 ", 13);
	assert_non_null(strstr(got, "engine.sock: Connection refused"));
}

static void hangs_up_on_the_engine_when_nobody_reads(void **state)
{
	struct relay_ask ask = {RELAY_LOGS, 0, 0, ID};
	char request[RELAY_MAX_REQUEST];
	int fd = ask_for(&ask), engine = engine_accept(request);

	(void)state;
	close(fd);
	assert_true(is_readable(engine, 30000));
	assert_int_equal(recv(engine, request, 1, 0), 0);
	close(engine);
}

static void holds_back_an_engine_whose_reader_is_slow(void **state)
{
	static char piece[65536];
	struct relay_ask ask = {RELAY_LOGS, 0, 0, ID};
	char request[RELAY_MAX_REQUEST];
	int fd = ask_for(&ask), engine = engine_accept(request);
	size_t sent = 0, got = 0;
	ssize_t n;

	(void)state;
	fcntl(engine, F_SETFL, O_NONBLOCK);
	/* until no more fits: buffers of two sockets and the relay's, not of the asker's length */
	for (int quiet = 0; quiet < 20;) {
		n = send(engine, piece, sizeof(piece), MSG_NOSIGNAL);
		quiet = n > 0 ? 0 : quiet + 1;
		sent += n > 0 ? (size_t)n : 0;
		if (n <= 0)
			usleep(5000);
		assert_true(sent < (8u << 20));
	}
	close(engine);
	while ((n = recv(fd, piece, sizeof(piece), 0)) > 0)
		got += (size_t)n;
	assert_int_equal(got, sent);
	close(fd);
}

static void has_room_for_so_many_and_says_so(void **state)
{
	struct relay_ask ask = {RELAY_EVENTS, 0, 0, ""};
	char request[RELAY_MAX_REQUEST], got[512];
	int fds[RELAY_MAX], engines[RELAY_MAX];

	(void)state;
	for (size_t i = 0; i < RELAY_MAX; i++) {
		fds[i] = ask_for(&ask);
		engines[i] = engine_accept(request);
	}
	read_all(ask_for(&ask), got, sizeof(got));
	assert_memory_equal(got, "HTTP/1.1 503 ", 13);
	/* one of them goes, and there is room again */
	close(engines[3]);
	read_all(fds[3], got, sizeof(got));
	fds[3] = ask_for(&ask);
	engines[3] = engine_accept(request);
	for (size_t i = 0; i < RELAY_MAX; i++) {
		close(fds[i]);
		close(engines[i]);
	}
}

/* A message made by hand: n bytes, with these descriptors. */
static void send_raw(const void *data, size_t n, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(8 * sizeof(int))];
	} control = {0};
	uint8_t copy[512] = {0};
	struct iovec iov = {.iov_base = copy, .iov_len = n};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	memcpy(copy, data, MIN(n, (size_t)RELAY_ASK_BYTES));
	if (n_fds != 0) {
		struct cmsghdr *head;

		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		head = CMSG_FIRSTHDR(&msg);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(head), fds, n_fds * sizeof(int));
	}
	assert_int_equal(sendmsg(t.asks_fd, &msg, 0), n);
}

static void drops_hostile_messages_and_goes_on(void **state)
{
	struct relay_ask ask = {RELAY_CONTAINER, 0, 0, ID};
	uint8_t good[RELAY_ASK_BYTES], bad[RELAY_ASK_BYTES];
	char request[RELAY_MAX_REQUEST], got[64];
	int pair[2], other[2], dgram[2], engine;

	(void)state;
	assert_int_equal(relay_encode(&ask, good), 0);
	memcpy(bad, good, sizeof(good));
	bad[4] = '/';
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(pipe(other), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, dgram), 0);
	send_raw(good, sizeof(good), NULL, 0);			    /* nowhere to answer to */
	send_raw(bad, sizeof(bad), &pair[1], 1);		    /* a path */
	send_raw(good, sizeof(good) - 1, &pair[1], 1);		    /* too short */
	send_raw(good, sizeof(good) + 1, &pair[1], 1);		    /* and too long */
	send_raw(good, 500, &pair[1], 1);			    /* much too long */
	send_raw(good, sizeof(good), (int[]){pair[1], pair[1]}, 2); /* two descriptors */
	send_raw(good, sizeof(good), (int[]){pair[1], pair[1], pair[1]}, 3);
	send_raw(good, sizeof(good), &other[1], 1); /* a pipe could block it */
	send_raw(good, sizeof(good), &dgram[1], 1); /* no stream */
	close(pair[1]);
	close(other[1]);
	close(dgram[1]);
	/* each is closed, unheard */
	assert_true(is_readable(pair[0], 30000));
	assert_int_equal(recv(pair[0], got, sizeof(got), 0), 0);
	assert_int_equal(read(other[0], got, sizeof(got)), 0);
	assert_int_equal(recv(dgram[0], got, sizeof(got), 0), 0);
	assert_false(is_readable(t.engine_fd, 0));
	close(pair[0]);
	close(other[0]);
	close(dgram[0]);
	/* and it still serves */
	pair[0] = ask_for(&ask);
	engine = engine_accept(request);
	assert_int_equal(send(engine, "hello", 5, 0), 5);
	close(engine);
	assert_int_equal(read_all(pair[0], got, sizeof(got)), 5);
	assert_string_equal(got, "hello");
}

static void can_open_nothing_in_its_sandbox(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		char name[] = "true";
		char *const argv[] = {name, NULL};
		int rc = relay_sandbox_enter();

		if (rc == -ENOTSUP)
			_exit(0);
		if (rc != 0)
			_exit(1);
		if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EPERM)
			_exit(2);
		if (execv("/bin/true", argv) == 0 || errno != EPERM)
			_exit(3);
		if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM)
			_exit(4);
		if (fork() >= 0 || kill(getppid(), 0) == 0)
			_exit(5);
		_exit(socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ? 0 : 6);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_fixed_requests),
		cmocka_unit_test(refuses_what_is_not_exactly_right),
		cmocka_unit_test_setup_teardown(relays_an_answer_as_it_is, start, stop),
		cmocka_unit_test_setup_teardown(tells_that_the_engine_is_away, start, stop),
		cmocka_unit_test_setup_teardown(
			hangs_up_on_the_engine_when_nobody_reads, start, stop),
		cmocka_unit_test_setup_teardown(
			holds_back_an_engine_whose_reader_is_slow, start, stop),
		cmocka_unit_test_setup_teardown(has_room_for_so_many_and_says_so, start, stop),
		cmocka_unit_test_setup_teardown(drops_hostile_messages_and_goes_on, start, stop),
		cmocka_unit_test(can_open_nothing_in_its_sandbox),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
