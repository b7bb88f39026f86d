#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/probes/note.h"
#include "agent/probes/tailnote.h"
#include "proto/msg.h"

static const struct tailnote question = {
	.kind = TAILNOTE_OPEN,
	.source = MSG_TAIL_UNIT,
	.backlog_lines = 200,
	.tail = UINT64_C(0x1122334455667788),
	.text = {"web.service", 11},
};

static void returns_what_was_written(void **state)
{
	uint8_t bytes[TAILNOTE_MAX_BYTES];
	struct tailnote note;
	int n = tailnote_encode(&question, bytes, sizeof(bytes));

	(void)state;
	assert_true(n > 0 && tailnote_is(bytes, (size_t)n));
	assert_int_equal(tailnote_decode(bytes, (size_t)n, &note), 0);
	assert_int_equal(note.kind, TAILNOTE_OPEN);
	assert_int_equal(note.source, MSG_TAIL_UNIT);
	assert_int_equal(note.backlog_lines, 200);
	assert_true(note.tail == question.tail);
	assert_true(wire_str_eq(note.text, "web.service"));
	for (int i = 0; i < n; i++)
		assert_int_equal(tailnote_decode(bytes, (size_t)i, &note), -EBADMSG);
	assert_int_equal(tailnote_decode(bytes, (size_t)n + 1, &note), -EBADMSG);
}

static void refuses_values_that_are_none(void **state)
{
	static char text[TAILNOTE_MAX_MESSAGE + 2];
	uint8_t bytes[TAILNOTE_MAX_BYTES];
	struct tailnote note = question;
	int n;

	(void)state;
	note.source = 3;
	assert_int_equal(tailnote_encode(&note, bytes, sizeof(bytes)), -EMSGSIZE);
	note = question;
	memset(text, 'x', sizeof(text) - 1);
	note.text = (struct wire_str){text, TAILNOTE_MAX_NAME + 1};
	assert_int_equal(tailnote_encode(&note, bytes, sizeof(bytes)), -EMSGSIZE);
	n = tailnote_encode(&question, bytes, sizeof(bytes));
	bytes[1] = 0;
	assert_int_equal(tailnote_decode(bytes, (size_t)n, &note), -EBADMSG);
	bytes[1] = MSG_TAIL_UNIT;
	bytes[2] = 200;
	assert_int_equal(tailnote_decode(bytes, (size_t)n, &note), -EBADMSG);
}

static void is_never_taken_for_a_note(void **state)
{
	uint8_t bytes[TAILNOTE_MAX_BYTES];
	struct note other;
	int n = tailnote_encode(&question, bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(note_decode(bytes, (size_t)n, &other), -EBADMSG);
	assert_true((int)TAILNOTE_OPEN > (int)NOTE_AGAIN);
	assert_false(tailnote_is(bytes, 0));
}

/* Sends a message of so many bytes with these descriptors, as no caller of ours would. */
static void send_fds(int socket_fd, size_t n_bytes, const int *fds, size_t n)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control = {0};
	char byte = 'x';
	struct iovec part = {.iov_base = &byte, .iov_len = n_bytes};
	struct msghdr msg = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = CMSG_SPACE(n * sizeof(int))};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(head), fds, n * sizeof(int));
	assert_int_equal(sendmsg(socket_fd, &msg, 0), n_bytes);
}

static int lowest_free(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

static void passes_one_descriptor_and_leaks_none(void **state)
{
	int pair[2], pipe_fds[2], got, many[8], free_before;
	uint8_t bytes[TAILNOTE_MAX_BYTES];
	char text[4] = "";

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(tailnote_send(pair[0], &question, pipe_fds[0]), 0);
	assert_true(tailnote_recv(pair[1], bytes, sizeof(bytes), &got) > 0);
	assert_true(got >= 0 && (fcntl(got, F_GETFD) & FD_CLOEXEC) != 0);
	assert_int_equal(write(pipe_fds[1], "abc", 3), 3);
	assert_int_equal(read(got, text, 3), 3);
	assert_string_equal(text, "abc");
	close(got);
	assert_int_equal(tailnote_send(pair[0], &question, -1), 0);
	assert_true(tailnote_recv(pair[1], bytes, sizeof(bytes), &got) > 0);
	assert_int_equal(got, -1);
	/* more than there is room for: one is kept, the others are gone */
	free_before = lowest_free();
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = pipe_fds[0];
	send_fds(pair[0], 1, many, ARRAY_LEN(many));
	assert_int_equal(tailnote_recv(pair[1], bytes, sizeof(bytes), &got), 1);
	assert_int_equal(got, free_before);
	close(got);
	assert_int_equal(lowest_free(), free_before);
	/* a message of nothing looks like the end: its descriptor must not stay behind */
	send_fds(pair[0], 0, many, 1);
	assert_int_equal(tailnote_recv(pair[1], bytes, sizeof(bytes), &got), 0);
	assert_int_equal(got, -1);
	assert_int_equal(lowest_free(), free_before);
	assert_int_equal(tailnote_recv(pair[1], bytes, sizeof(bytes), &got), -1);
	assert_int_equal(errno, EAGAIN);
	for (int i = 0; i < 2; i++) {
		close(pair[i]);
		close(pipe_fds[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(returns_what_was_written),
		cmocka_unit_test(refuses_values_that_are_none),
		cmocka_unit_test(is_never_taken_for_a_note),
		cmocka_unit_test(passes_one_descriptor_and_leaks_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
