/*
 * Owns the descriptor, its poll handle, the deadline timer, and the questions.
 *
 * Happy path: a question is encoded and sent at once; its answer comes as one packet and is matched
 * by sequence number. When the kernel takes no more (a handful of packets fit), packets wait in the
 * queue and the poll handle asks for writability too.
 *
 * Failure modes: no answer for MONLINK_TIMEOUT_MS: the question is answered NULL and a late answer
 * is dropped. End of file or a malformed packet: the link closes, all questions are answered NULL,
 * on_gone comes once; the worker then ends, and a new monitor starts a new one.
 */
#include "agent/worker/monlink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"

struct question {
	struct list link;
	uint32_t seq;
	uint64_t deadline_us;
	monlink_answer_fn fn;
	void *arg;
};

struct packet {
	struct list link;
	size_t len;
	uint8_t bytes[];
};

static void on_ready(uv_poll_t *poll, int status, int events);

static void update_poll(struct monlink *link)
{
	int events = UV_READABLE | (list_empty(&link->queue) ? 0 : UV_WRITABLE);

	uv_poll_start(&link->poll, events, on_ready);
}

static void answer(struct monlink *link, struct question *question, const struct imsg *msg)
{
	list_remove(&question->link);
	link->n_questions--;
	question->fn(msg, question->arg);
	free(question);
}

static void on_timer(uv_timer_t *timer);

static void arm_timer(struct monlink *link)
{
	const struct question *first = container_of(link->questions.next, struct question, link);
	uint64_t now = clock_mono_us();

	if (list_empty(&link->questions)) {
		uv_timer_stop(&link->timer);
		return;
	}
	uv_timer_start(&link->timer, on_timer,
		first->deadline_us > now ? (first->deadline_us - now) / 1000 + 1 : 1, 0);
}

/* The oldest question's deadline has passed. */
static void on_timer(uv_timer_t *timer)
{
	struct monlink *link = container_of(timer, struct monlink, timer);

	while (!list_empty(&link->questions)) {
		struct question *first = container_of(link->questions.next, struct question, link);

		if (first->deadline_us > clock_mono_us())
			break;
		answer(link, first, NULL);
	}
	arm_timer(link);
}

static void gone(struct monlink *link)
{
	if (link->closed)
		return;
	monlink_close(link);
	link->callbacks->on_gone(link->arg);
}

static void on_packet(struct monlink *link, const uint8_t *data, size_t n)
{
	struct imsg msg;

	if (imsg_decode(data, n, &msg) != 0) {
		gone(link);
		return;
	}
	if (msg.type != IMSG_ANSWER) {
		link->callbacks->on_notice(&msg, link->arg);
		return;
	}
	list_foreach(pos, tmp, &link->questions)
	{
		struct question *question = container_of(pos, struct question, link);

		if (question->seq != msg.seq)
			continue;
		answer(link, question, &msg);
		break;
	}
	if (!link->closed)
		arm_timer(link);
}

static void receive(struct monlink *link)
{
	uint8_t bytes[IMSG_MAX_BYTES];

	while (!link->closed) {
		ssize_t n = recv(link->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			gone(link);
		else
			on_packet(link, bytes, (size_t)n);
	}
}

static void flush(struct monlink *link)
{
	while (!list_empty(&link->queue)) {
		struct packet *packet = container_of(link->queue.next, struct packet, link);
		ssize_t n = send(link->fd, packet->bytes, packet->len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		/* any other failure shows as the end of what can be received */
		list_remove(&packet->link);
		link->queued -= packet->len;
		free(packet);
	}
}

/* The monitor has sent something, or has taken something. */
static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct monlink *link = container_of(poll, struct monlink, poll);

	if (events & UV_WRITABLE)
		flush(link);
	if (status != 0 || (events & UV_READABLE))
		receive(link);
	if (!link->closed)
		update_poll(link);
}

int monlink_open(struct monlink *link, uv_loop_t *loop, int fd,
	const struct monlink_callbacks *callbacks, void *arg)
{
	int rc;

	link->callbacks = callbacks;
	link->arg = arg;
	link->fd = fd;
	link->next_seq = 1;
	list_init(&link->questions);
	list_init(&link->queue);
	uv_timer_init(loop, &link->timer);
	rc = uv_poll_init(loop, &link->poll, fd);
	if (rc == 0)
		update_poll(link);
	return rc;
}

/* The poll handle is closed: the descriptor may go. */
static void on_poll_closed(uv_handle_t *handle)
{
	struct monlink *link = container_of(handle, struct monlink, poll);

	close(link->fd);
	link->fd = -1;
}

void monlink_close(struct monlink *link)
{
	if (link->closed)
		return;
	link->closed = true;
	uv_close((uv_handle_t *)&link->timer, NULL);
	uv_close((uv_handle_t *)&link->poll, on_poll_closed);
	while (!list_empty(&link->questions))
		answer(link, container_of(link->questions.next, struct question, link), NULL);
	while (!list_empty(&link->queue)) {
		struct packet *packet = container_of(link->queue.next, struct packet, link);

		list_remove(&packet->link);
		free(packet);
	}
}

static int send_or_queue(struct monlink *link, const struct imsg *msg)
{
	uint8_t bytes[IMSG_MAX_BYTES];
	struct packet *packet;
	int n = imsg_encode(msg, bytes, sizeof(bytes));

	if (n < 0)
		return n;
	if (list_empty(&link->queue) &&
		send(link->fd, bytes, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) == n)
		return 0;
	if (link->queued + (size_t)n > MONLINK_MAX_QUEUED)
		return -ENOBUFS;
	packet = malloc(sizeof(*packet) + (size_t)n);
	if (packet == NULL)
		return -ENOMEM;
	packet->len = (size_t)n;
	memcpy(packet->bytes, bytes, (size_t)n);
	list_append(&link->queue, &packet->link);
	link->queued += (size_t)n;
	update_poll(link);
	return 0;
}

int monlink_ask(struct monlink *link, struct imsg *msg, monlink_answer_fn fn, void *arg)
{
	struct question *question;
	int rc;

	if (link->closed)
		return -ENOTCONN;
	if (link->n_questions == MONLINK_MAX_QUESTIONS)
		return -ENOBUFS;
	msg->seq = link->next_seq++;
	if (link->next_seq == 0)
		link->next_seq = 1;
	rc = send_or_queue(link, msg);
	if (rc != 0)
		return rc;
	question = xcalloc(1, sizeof(*question));
	question->seq = msg->seq;
	question->deadline_us = clock_mono_us() + MONLINK_TIMEOUT_MS * UINT64_C(1000);
	question->fn = fn;
	question->arg = arg;
	list_append(&link->questions, &question->link);
	link->n_questions++;
	arm_timer(link);
	return 0;
}

void monlink_tell(struct monlink *link, const struct imsg *msg)
{
	if (!link->closed)
		(void)send_or_queue(link, msg);
}
