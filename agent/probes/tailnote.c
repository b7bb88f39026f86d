#include "agent/probes/tailnote.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/passfd.h"
#include "proto/msg.h"

#define MAX_FDS 4 /* that are taken from one message, to be closed */

bool tailnote_is(const uint8_t *data, size_t n)
{
	return n != 0 && data[0] >= TAILNOTE_OPEN && data[0] <= TAILNOTE_REFUSED;
}

static bool is_sound(const struct tailnote *note)
{
	uint32_t max = note->kind == TAILNOTE_OPEN ? TAILNOTE_MAX_NAME : TAILNOTE_MAX_MESSAGE;

	return note->kind >= TAILNOTE_OPEN && note->kind <= TAILNOTE_REFUSED &&
	       note->text.len <= max && note->status <= MSG_UNSUPPORTED &&
	       (note->source == MSG_TAIL_DOCKER || note->source == MSG_TAIL_UNIT);
}

int tailnote_encode(const struct tailnote *note, uint8_t *out, size_t cap)
{
	struct wire_writer w;

	if (!is_sound(note))
		return -EMSGSIZE;
	wire_writer_init(&w, out, cap);
	wire_put_u8(&w, note->kind);
	wire_put_u8(&w, note->source);
	wire_put_u16(&w, note->status);
	wire_put_u32(&w, note->backlog_lines);
	wire_put_u64(&w, note->tail);
	wire_put_str(&w, note->text);
	return wire_writer_finish(&w);
}

int tailnote_decode(const uint8_t *data, size_t n, struct tailnote *ret_note)
{
	struct wire_reader r;
	struct tailnote note;

	wire_reader_init(&r, data, n);
	note.kind = wire_get_u8(&r);
	note.source = wire_get_u8(&r);
	note.status = wire_get_u16(&r);
	note.backlog_lines = wire_get_u32(&r);
	note.tail = wire_get_u64(&r);
	note.text = wire_get_str(&r);
	if (wire_reader_finish(&r) != 0 || !is_sound(&note))
		return -EBADMSG;
	*ret_note = note;
	return 0;
}

/* Room for descriptors beside a message, aligned as the kernel wants it. */
union control {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int) * MAX_FDS)];
};

int tailnote_send(int fd, const struct tailnote *note, int pass_fd)
{
	uint8_t bytes[TAILNOTE_MAX_BYTES];
	int n = tailnote_encode(note, bytes, sizeof(bytes));

	return n < 0 ? n : passfd_send(fd, bytes, (size_t)n, &pass_fd, pass_fd >= 0 ? 1 : 0);
}

/* Keeps the first of the descriptors in *ret_fd, closes all others. */
static void take_fds(const struct cmsghdr *head, int *ret_fd)
{
	size_t n = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	for (size_t i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof(int));
		if (*ret_fd < 0)
			*ret_fd = fd;
		else
			close(fd);
	}
}

ssize_t tailnote_recv(int fd, void *data, size_t cap, int *ret_fd)
{
	union control control = {0};
	struct iovec part = {.iov_base = data, .iov_len = cap};
	struct msghdr msg = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*ret_fd = -1;
	if (n < 0)
		return n;
	for (struct cmsghdr *head = CMSG_FIRSTHDR(&msg); head != NULL;
		head = CMSG_NXTHDR(&msg, head)) {
		if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS)
			take_fds(head, ret_fd);
	}
	/* what comes with a message of nothing is nobody's */
	if (n == 0 && *ret_fd >= 0) {
		close(*ret_fd);
		*ret_fd = -1;
	}
	return n;
}
