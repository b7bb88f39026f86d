/*
 * Owns one struct live_tail per stream of tail.open: first a question to the probes, then a socket
 * with its poll handle and at most one record that has not come whole.
 *
 * Happy path: REQUEST -> OPEN to the probes -> OPENED with a socket -> RESPONSE -> read while there
 * is credit and the connection is not jammed, CHUNKs -> the event tail.ended, END 1; or CLOSE: the
 * socket is closed, its process notices and ends.
 *
 * Failure modes: the probes do not answer in LIVE_ASK_MS, or the pair is full: unavailable. They
 * refuse: their status. The stream ends without tail.ended (its process or the probes died, or were
 * started anew for a new configuration), or what comes is no record: END 5, the client may ask
 * again. A connection that closes takes its tails along, also those still asked for: one that
 * comes for nobody is closed. Without credit the socket is not read, nor polled.
 *
 * States: ASKED (fd -1, timer runs) -> OPEN (poll) -> gone. Memory goes with the last of the two
 * handles.
 */
#include "agent/worker/live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/worker/methods.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "proto/frame.h"
#include "proto/record.h"

#define BLOCK_HEAD (FRAME_HEADER_BYTES + MSG_CHUNK_PREFIX_BYTES)
#define TAIL_ENDED "{\"event\":\"tail.ended\""

struct live {
	struct worker *worker;
	struct list tails; /* live_tail.link */
	unsigned n;
	uint64_t next; /* number of the next tail */
};

struct live_tail {
	struct list link;      /* live.tails */
	struct stream *stream; /* NULL: asked, or gone */
	struct live *live;
	uint64_t conn; /* with stream_id: who waits for the answer */
	uint32_t stream_id;
	uint64_t number;
	uv_timer_t timer; /* while asked */
	uv_poll_t poll;	  /* once open */
	int fd;		  /* -1: asked */
	unsigned n_handles;
	uint64_t offset; /* of the next byte to send */
	int64_t credit;
	bool at_end; /* of the stream */
	size_t n_held;
	uint8_t held[RECORD_MAX_BYTES]; /* read, not sent: any record fits */
};

int live_cut(const uint8_t *data, size_t n, int64_t credit, struct live_cut *ret_cut)
{
	struct live_cut cut = {0};

	while (credit > 0 && !cut.ended) {
		struct record rec;
		int size = record_decode(data + cut.bytes, n - cut.bytes, &rec);

		if (size == -EAGAIN)
			break;
		if (size < 0)
			return size;
		cut.ended = rec.kind == RECORD_EVENT && rec.step == RECORD_STEP_RUN &&
			    rec.length >= sizeof(TAIL_ENDED) - 1 &&
			    memcmp(rec.payload, TAIL_ENDED, sizeof(TAIL_ENDED) - 1) == 0;
		cut.bytes += (size_t)size;
		credit -= size;
	}
	*ret_cut = cut;
	return 0;
}

/* ---- a tail's life ---- */

/* One of its handles is closed. */
static void on_closed(uv_handle_t *handle)
{
	struct live_tail *tail = handle->data;

	if (--tail->n_handles != 0)
		return;
	if (tail->fd >= 0)
		close(tail->fd);
	free(tail);
}

/* The source learns of it when the descriptor closes. */
static void tail_close(struct live_tail *tail)
{
	tail->stream = NULL;
	list_remove(&tail->link);
	tail->live->n--;
	uv_close((uv_handle_t *)&tail->timer, on_closed);
	if (tail->fd >= 0)
		uv_close((uv_handle_t *)&tail->poll, on_closed);
}

static void live_free(struct stream *stream)
{
	tail_close(stream->arg);
}

static uint64_t live_offset(const struct stream *stream)
{
	return ((const struct live_tail *)stream->arg)->offset;
}

static void live_credit(struct stream *stream, uint32_t bytes)
{
	struct live_tail *tail = stream->arg;

	if (tail->credit < INT64_MAX - (int64_t)bytes)
		tail->credit += (int64_t)bytes;
	stream_wake(stream);
}

/* The socket has something, or its other end is closed. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct live_tail *tail = container_of(poll, struct live_tail, poll);

	(void)status;
	(void)events;
	uv_poll_stop(poll);
	if (tail->stream != NULL)
		stream_wake(tail->stream);
}

/* ---- sending ---- */

static enum stream_step end(struct live_tail *tail, enum msg_end_reason reason)
{
	stream_end(tail->stream, reason);
	return STREAM_GONE;
}

/* Fills what is held. 0; -EAGAIN: nothing came; another error. */
static int fill(struct live_tail *tail)
{
	ssize_t n;

	if (tail->at_end || tail->n_held == sizeof(tail->held))
		return 0;
	/* whoever passed it may still set its flags, and may have passed anything */
	n = recv(tail->fd, tail->held + tail->n_held, sizeof(tail->held) - tail->n_held,
		MSG_DONTWAIT);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	tail->n_held += (size_t)n;
	tail->at_end = n == 0;
	return 0;
}

static enum stream_step send_held(struct live_tail *tail, const struct live_cut *cut)
{
	uint8_t *block = malloc(BLOCK_HEAD + cut->bytes);
	struct wire_writer w;

	if (block == NULL)
		return end(tail, MSG_END_SHUTDOWN);
	wire_writer_init(&w, block + FRAME_HEADER_BYTES, MSG_CHUNK_PREFIX_BYTES);
	wire_put_u64(&w, tail->offset);
	memcpy(block + BLOCK_HEAD, tail->held, cut->bytes);
	tail->n_held -= cut->bytes;
	memmove(tail->held, tail->held + cut->bytes, tail->n_held);
	tail->offset += cut->bytes;
	tail->credit -= (int64_t)cut->bytes;
	if (framed_send_block(tail->stream->conn->framed, FRAME_CHUNK, tail->stream->id, block,
		    MSG_CHUNK_PREFIX_BYTES + cut->bytes) != 0)
		return STREAM_WAIT; /* the connection is about to end */
	return cut->ended ? end(tail, MSG_END_FINISHED) : STREAM_MORE;
}

static enum stream_step live_pump(struct stream *stream)
{
	struct live_tail *tail = stream->arg;
	struct live_cut cut;
	int rc;

	if (tail->credit <= 0)
		return STREAM_WAIT;
	rc = fill(tail);
	if (rc == 0 || rc == -EAGAIN) {
		int cut_rc = live_cut(tail->held, tail->n_held, tail->credit, &cut);

		rc = cut_rc != 0 ? cut_rc : rc;
	}
	if (rc != 0 && rc != -EAGAIN) {
		log_warn(LOG_EV("tail.broken"), LOG_STR("error", strerror(-rc)));
		return end(tail, MSG_END_SHUTDOWN);
	}
	if (cut.bytes != 0)
		return send_held(tail, &cut);
	if (tail->at_end)
		return end(tail, MSG_END_SHUTDOWN);
	if (rc == -EAGAIN)
		uv_poll_start(&tail->poll, UV_READABLE, on_readable);
	return rc == -EAGAIN ? STREAM_WAIT : STREAM_MORE;
}

static const struct stream_ops live_ops = {
	.pump = live_pump,
	.credit = live_credit,
	.offset = live_offset,
	.free = live_free,
};

/* ---- asking ---- */

/* Who waits for the answer; NULL: nobody any more. */
static struct stream *find_stream(const struct live_tail *tail)
{
	struct conn *conn = conn_find(tail->live->worker, tail->conn);

	return conn != NULL ? stream_find(conn, tail->stream_id) : NULL;
}

static void refuse(struct live_tail *tail, enum msg_status status, const char *message)
{
	struct stream *stream = find_stream(tail);

	tail_close(tail);
	if (stream != NULL)
		stream_respond(stream, status, message, NULL, 0);
}

/* The probes have not answered. */
static void on_unanswered(uv_timer_t *timer)
{
	refuse(container_of(timer, struct live_tail, timer), MSG_UNAVAILABLE,
		"the probes do not answer");
}

void live_handle_open(struct stream *stream, const struct msg_request *request)
{
	struct worker *worker = stream->conn->worker;
	struct tailnote note = {.kind = TAILNOTE_OPEN};
	struct live *live = worker->live;
	struct msg_tail_open open;
	struct live_tail *tail;

	if (msg_tail_open_decode(request->fields, request->fields_len, &open) != 0 ||
		(open.kind != MSG_TAIL_DOCKER && open.kind != MSG_TAIL_UNIT)) {
		methods_malformed(stream);
		return;
	}
	note.source = open.kind;
	note.backlog_lines = open.backlog_lines;
	note.tail = live->next++;
	note.text = open.name;
	if (open.name.len > TAILNOTE_MAX_NAME || worker->catalog->status == NULL) {
		stream_respond(stream, MSG_NOT_FOUND, "the overview does not show it: status.yml",
			NULL, 0);
		return;
	}
	if (live->n == LIVE_MAX) {
		stream_respond(stream, MSG_LIMIT, "too many live tails are open", NULL, 0);
		return;
	}
	if (tailnote_send(worker->opts->probes_fd, &note, -1) != 0) {
		stream_respond(stream, MSG_UNAVAILABLE, "the probes are away", NULL, 0);
		return;
	}
	tail = xcalloc(1, sizeof(*tail));
	tail->live = live;
	tail->number = note.tail;
	tail->conn = stream->conn->id;
	tail->stream_id = stream->id;
	tail->fd = -1;
	tail->n_handles = 1;
	list_append(&live->tails, &tail->link);
	live->n++;
	uv_timer_init(&worker->loop, &tail->timer);
	tail->timer.data = tail;
	uv_timer_start(&tail->timer, on_unanswered, LIVE_ASK_MS, 0);
}

static struct live_tail *find_asked(struct live *live, uint64_t number)
{
	list_foreach(pos, tmp, &live->tails)
	{
		struct live_tail *tail = container_of(pos, struct live_tail, link);

		if (tail->number == number && tail->fd < 0)
			return tail;
	}
	return NULL;
}

static void start(struct live_tail *tail, struct stream *stream, int fd)
{
	if (uv_poll_init(&tail->live->worker->loop, &tail->poll, fd) != 0) {
		close(fd);
		refuse(tail, MSG_UNAVAILABLE, "what the probes passed on cannot be read");
		return;
	}
	tail->poll.data = tail;
	tail->n_handles++;
	tail->fd = fd;
	tail->stream = stream;
	tail->credit = FRAME_INITIAL_CREDIT;
	uv_timer_stop(&tail->timer);
	stream_respond_keep(stream, NULL, 0);
	stream_start(stream, &live_ops, tail);
}

void live_take(struct worker *worker, const struct tailnote *note, int fd)
{
	struct live_tail *tail = worker->live != NULL ? find_asked(worker->live, note->tail) : NULL;
	struct stream *stream = tail != NULL ? find_stream(tail) : NULL;
	char message[TAILNOTE_MAX_MESSAGE + 1];

	if (stream != NULL && note->kind == TAILNOTE_OPENED && fd >= 0) {
		start(tail, stream, fd);
		return;
	}
	/* for nobody, or no answer */
	if (fd >= 0)
		close(fd);
	if (tail == NULL)
		return;
	snprintf(message, sizeof(message), "%.*s", (int)note->text.len, note->text.data);
	if (note->kind == TAILNOTE_REFUSED && note->status != MSG_OK)
		refuse(tail, (enum msg_status)note->status, message);
	else
		refuse(tail, MSG_INTERNAL, "the probes' answer makes no sense");
}

/* ---- birth and death ---- */

void live_open(struct worker *worker)
{
	worker->live = xcalloc(1, sizeof(*worker->live));
	worker->live->worker = worker;
	worker->live->next = clock_mono_us();
	list_init(&worker->live->tails);
}

void live_close(struct worker *worker)
{
	struct live *live = worker->live;

	if (live == NULL)
		return;
	worker->live = NULL;
	while (!list_empty(&live->tails))
		tail_close(container_of(live->tails.next, struct live_tail, link));
	free(live);
}
