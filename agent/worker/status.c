/*
 * Owns the items, the poll handle of the pair to the probes, and the watching streams with their
 * timer.
 *
 * Happy path: a watcher comes -> the probes are told the shortest interval that somebody asks for
 * -> notes come, the items change -> each watcher is sent the document, at most once in its
 * interval, until CLOSE. Without watchers the probes look seldom, and the newest they found is here
 * for `status`.
 *
 * Failure modes: the probes die: the items stay, time_us stops; new ones begin with RESET. What
 * they send is bounded by note.h and counted; what does not fit is not shown. A watcher that does
 * not read gets the newest document when it does.
 */
#include "agent/worker/status.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/worker/live.h"
#include "agent/worker/methods.h"
#include "agent/worker/verified.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "proto/frame.h"

#define NOTES_A_TURN 256

struct status {
	struct worker *worker;
	struct status_items *items;
	uv_poll_t poll;
	uv_timer_t timer;     /* the next watcher whose interval is over */
	struct list watchers; /* stream.all_link */
	uint64_t change;      /* counts documents */
	uint32_t told_ms;     /* what the probes know of watchers; 0: there are none */
	unsigned n_open;      /* handles */
};

struct watcher_state {
	uint64_t change;  /* of the document it was sent */
	uint64_t sent_ms; /* uv_now() then; 0: never */
	uint32_t interval_ms;
};

static void tell(struct status *status, uint8_t kind, uint32_t interval_ms)
{
	struct note note = {.kind = kind, .interval_ms = interval_ms};
	uint8_t bytes[64];
	int n = note_encode(&note, bytes, sizeof(bytes));

	/* a socket that is full holds notes of the same kind: the next one will do */
	if (n > 0 && send(status->worker->opts->probes_fd, bytes, (size_t)n,
			     MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug(LOG_EV("status.not_told"), LOG_INT("errno", errno));
}

/* The shortest interval that is asked for. */
static void tell_watched(struct status *status)
{
	uint32_t shortest_ms = 0;

	list_foreach(pos, tmp, &status->watchers)
	{
		const struct watcher_state *watcher =
			container_of(pos, struct stream, all_link)->arg;

		if (shortest_ms == 0 || watcher->interval_ms < shortest_ms)
			shortest_ms = watcher->interval_ms;
	}
	if (shortest_ms != status->told_ms)
		tell(status, NOTE_WATCH, shortest_ms);
	status->told_ms = shortest_ms;
}

static void wake(struct status *status)
{
	list_foreach(pos, tmp, &status->watchers)
	{
		stream_wake(container_of(pos, struct stream, all_link));
	}
}

/* One message of the probes. Whether the document is another one now. */
static bool take(struct status *status, const uint8_t *bytes, size_t n, int passed_fd)
{
	struct tailnote tail;
	struct note note;

	if (tailnote_is(bytes, n) && tailnote_decode(bytes, n, &tail) == 0) {
		live_take(status->worker, &tail, passed_fd);
		return false;
	}
	if (passed_fd >= 0)
		close(passed_fd);
	if (note_decode(bytes, n, &note) != 0)
		return false;
	/* those that came just now do not know of it */
	if (note.kind == NOTE_RESET && status->told_ms != 0)
		tell(status, NOTE_WATCH, status->told_ms);
	if (note.kind == NOTE_RESET)
		verified_tell(status->worker);
	return status_items_take(status->items, &note, clock_wall_us());
}

/* The probes have said something. */
static void on_notes(uv_poll_t *poll, int err, int events)
{
	static uint8_t bytes[NOTE_MAX_BYTES];
	struct status *status = container_of(poll, struct status, poll);
	int fd = status->worker->opts->probes_fd;
	bool changed = false;

	(void)events;
	if (err != 0) {
		uv_poll_stop(poll);
		return;
	}
	for (int i = 0; i < NOTES_A_TURN; i++) {
		int passed_fd;
		ssize_t n = tailnote_recv(fd, bytes, sizeof(bytes), &passed_fd);

		if (n <= 0)
			break;
		changed = take(status, bytes, (size_t)n, passed_fd) || changed;
	}
	if (!changed)
		return;
	status->change++;
	wake(status);
}

/* A watcher's interval is over. */
static void on_timer(uv_timer_t *timer)
{
	wake(container_of(timer, struct status, timer));
}

/* ---- streams ---- */

static int compose(const struct status *status, struct buf *buf)
{
	struct json json;

	json_init(&json, buf);
	status_items_write(status->items, status->worker->host, &json);
	return buf_err(buf);
}

static enum stream_step watch_pump(struct stream *stream)
{
	struct status *status = stream->conn->worker->status;
	struct watcher_state *watcher = stream->arg;
	uint64_t now = uv_now(&stream->conn->worker->loop);
	uint64_t due = watcher->sent_ms != 0 ? watcher->sent_ms + watcher->interval_ms : 0;
	struct wire_writer w;
	struct buf buf;
	uint8_t len[4];

	if (status == NULL || watcher->change == status->change)
		return STREAM_WAIT;
	if (now < due) {
		if (!uv_is_active((uv_handle_t *)&status->timer) ||
			uv_timer_get_due_in(&status->timer) > due - now)
			uv_timer_start(&status->timer, on_timer, due - now, 0);
		return STREAM_WAIT;
	}
	buf_init(&buf, FRAME_MAX_PAYLOAD - 64);
	if (compose(status, &buf) == 0) {
		wire_writer_init(&w, len, sizeof(len));
		wire_put_u32(&w, (uint32_t)buf.len);
		(void)!framed_send(stream->conn->framed, FRAME_EVENT, stream->id,
			(const struct framed_part[]){{len, sizeof(len)}, {buf.data, buf.len}}, 2);
	}
	buf_fini(&buf);
	watcher->change = status->change;
	watcher->sent_ms = now;
	return STREAM_WAIT;
}

static uint64_t watch_offset(const struct stream *stream)
{
	(void)stream;
	return 0;
}

static void watch_free(struct stream *stream)
{
	struct status *status = stream->conn->worker->status;

	list_remove(&stream->all_link);
	free(stream->arg);
	if (status != NULL)
		tell_watched(status);
}

static const struct stream_ops watch_ops = {
	.pump = watch_pump,
	.offset = watch_offset,
	.free = watch_free,
};

void status_handle_watch(struct stream *stream, const struct msg_request *request)
{
	struct status *status = stream->conn->worker->status;
	struct watcher_state *watcher;
	struct msg_status_watch watch;

	if (msg_status_watch_decode(request->fields, request->fields_len, &watch) != 0 ||
		watch.interval_ms < STATUS_MIN_INTERVAL_MS ||
		watch.interval_ms > STATUS_MAX_INTERVAL_MS) {
		methods_malformed(stream);
		return;
	}
	if (status == NULL) {
		stream_respond(stream, MSG_UNAVAILABLE, "the agent is shutting down", NULL, 0);
		return;
	}
	stream_respond_keep(stream, NULL, 0);
	watcher = xcalloc(1, sizeof(*watcher));
	watcher->interval_ms = watch.interval_ms;
	watcher->change = UINT64_MAX; /* the first document at once */
	list_append(&status->watchers, &stream->all_link);
	stream_start(stream, &watch_ops, watcher);
	tell_watched(status);
}

void status_handle_get(struct stream *stream, const struct msg_request *request)
{
	struct status *status = stream->conn->worker->status;
	struct buf buf;

	if (request->fields_len != 0) {
		methods_malformed(stream);
		return;
	}
	if (status == NULL) {
		stream_respond(stream, MSG_UNAVAILABLE, "the agent is shutting down", NULL, 0);
		return;
	}
	buf_init(&buf, FRAME_MAX_PAYLOAD - 64);
	(void)!compose(status, &buf); /* an error sticks */
	methods_respond_document(stream, &buf);
	buf_fini(&buf);
}

/* ---- birth and death ---- */

int status_open(struct worker *worker)
{
	struct status *status = xcalloc(1, sizeof(*status));
	int rc;

	status->worker = worker;
	status->items = status_items_new();
	list_init(&status->watchers);
	worker->status = status;
	uv_timer_init(&worker->loop, &status->timer);
	rc = uv_poll_init(&worker->loop, &status->poll, worker->opts->probes_fd);
	if (rc == 0)
		rc = uv_poll_start(&status->poll, UV_READABLE, on_notes);
	/* they may have told an earlier worker all they know, and think somebody watches */
	tell(status, NOTE_WATCH, 0);
	tell(status, NOTE_AGAIN, 0);
	return rc;
}

static void on_closed(uv_handle_t *handle)
{
	struct status *status = handle->data;

	if (--status->n_open != 0)
		return;
	status_items_free(status->items);
	free(status);
}

void status_close(struct worker *worker)
{
	struct status *status = worker->status;

	if (status == NULL)
		return;
	worker->status = NULL;
	while (!list_empty(&status->watchers))
		list_remove(status->watchers.next);
	status->n_open = 2;
	status->poll.data = status->timer.data = status;
	uv_close((uv_handle_t *)&status->poll, on_closed);
	uv_close((uv_handle_t *)&status->timer, on_closed);
}
