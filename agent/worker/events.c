/*
 * Owns, per stream, how far it has come: a position in the ledger and the number of the last change
 * of a run that it was sent. Nothing is queued for a slow client but what the connection holds: the
 * ledger is on disk, and of a run that changes faster than the client reads only the newest
 * document goes out.
 *
 * Failure modes: a document that cannot be composed is skipped (the run is gone). A ledger record
 * that is damaged ends the stream with END 4.
 */
#include "agent/worker/events.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/worker/document.h"
#include "proto/frame.h"
#include "proto/record.h"

struct listener {
	uint64_t position;
	uint64_t change;
};

int events_compose(const struct record *rec, uint64_t position, struct buf *json)
{
	if (rec->length < 2 || rec->payload[0] != '{')
		return -EBADMSG;
	buf_printf(
		json, "{\"position\":%" PRIu64 ",\"time_us\":%" PRIu64 ",", position, rec->time_us);
	buf_append(json, rec->payload + 1, rec->length - 1);
	return buf_err(json);
}

static void send_event(struct stream *stream, const struct buf *json)
{
	uint8_t len[4];
	struct wire_writer w;

	wire_writer_init(&w, len, sizeof(len));
	wire_put_u32(&w, (uint32_t)json->len);
	(void)!framed_send(stream->conn->framed, FRAME_EVENT, stream->id,
		(const struct framed_part[]){{len, sizeof(len)}, {json->data, json->len}}, 2);
}

/* Sends the whole records of a window of the ledger. */
static int send_window(struct stream *stream, const uint8_t *data, size_t n)
{
	struct listener *listener = stream->arg;
	struct buf json;
	size_t at = 0;
	int rc = 0;

	buf_init(&json, RECORD_MAX_BYTES + 64);
	while (rc == 0) {
		struct record rec;
		int size = record_decode(data + at, n - at, &rec);

		if (size < 0) {
			rc = size;
			break;
		}
		at += (size_t)size;
		buf_reset(&json);
		rc = events_compose(&rec, listener->position + (uint64_t)size, &json);
		if (rc == 0)
			send_event(stream, &json);
		listener->position += (uint64_t)size;
	}
	buf_fini(&json);
	return rc == -EAGAIN ? 0 : rc;
}

static enum stream_step pump_ledger(struct stream *stream)
{
	struct worker *worker = stream->conn->worker;
	struct listener *listener = stream->arg;
	uint64_t left = worker->ledger_end - listener->position;
	size_t want = (size_t)MIN(left, (uint64_t)EVENTS_READ_BYTES);
	uint8_t *window = malloc(want);
	ssize_t n;

	if (window == NULL)
		return STREAM_WAIT;
	n = pread(worker->ledger_fd, window, want, (off_t)listener->position);
	if (n <= 0 || send_window(stream, window, (size_t)n) != 0) {
		free(window);
		stream_end(stream, MSG_END_SHORTENED);
		return STREAM_GONE;
	}
	free(window);
	return STREAM_MORE;
}

static void send_change(struct stream *stream, struct run *run)
{
	struct err err = {0};
	struct json json;
	struct buf buf;

	buf_init(&buf, DOCUMENT_MAX_BYTES);
	json_init(&json, &buf);
	json_open_object(&json);
	json_kv_str(&json, "event", "run.changed");
	json_key(&json, "run");
	if (runset_document(run, &json, &err) == 0) {
		json_close_object(&json);
		if (buf_err(&buf) == 0)
			send_event(stream, &buf);
	}
	buf_fini(&buf);
}

static enum stream_step events_pump(struct stream *stream)
{
	struct worker *worker = stream->conn->worker;
	struct listener *listener = stream->arg;
	struct run *run;

	if (listener->position < worker->ledger_end)
		return pump_ledger(stream);
	run = runset_next_change(&worker->runs, listener->change);
	if (run == NULL)
		return STREAM_WAIT;
	listener->change = run->change;
	send_change(stream, run);
	return STREAM_MORE;
}

static uint64_t events_offset(const struct stream *stream)
{
	return ((const struct listener *)stream->arg)->position;
}

static void events_free(struct stream *stream)
{
	free(stream->arg);
}

static const struct stream_ops events_ops = {
	.pump = events_pump,
	.offset = events_offset,
	.free = events_free,
};

void events_wake(struct worker *worker)
{
	list_foreach(pos, tmp, &worker->listeners)
	{
		stream_wake(container_of(pos, struct stream, all_link));
	}
}

/* Size of the whole record at this offset of the ledger; 0 when there is none (yet). */
static uint32_t record_at(struct worker *worker, uint64_t offset)
{
	uint8_t bytes[RECORD_MAX_BYTES];
	struct record rec;
	ssize_t n = pread(worker->ledger_fd, bytes, RECORD_HEADER_BYTES, (off_t)offset);

	if (n != RECORD_HEADER_BYTES || record_decode_header(bytes, (size_t)n, &rec) != 0)
		return 0;
	n = pread(
		worker->ledger_fd, bytes, RECORD_HEADER_BYTES + (size_t)rec.length, (off_t)offset);
	if (n <= 0 || record_decode(bytes, (size_t)n, &rec) <= 0)
		return 0;
	return RECORD_HEADER_BYTES + rec.length;
}

void events_advance(struct worker *worker)
{
	uint32_t size;

	while ((size = record_at(worker, worker->ledger_end)) != 0)
		worker->ledger_end += size;
}

void events_start(struct stream *stream, uint64_t position)
{
	struct worker *worker = stream->conn->worker;
	struct listener *listener;
	struct msg_events_reply reply;
	uint8_t bytes[16];
	int n;

	events_advance(worker);
	if (position == UINT64_MAX)
		position = worker->ledger_end;
	if (position > worker->ledger_end ||
		(position < worker->ledger_end && record_at(worker, position) == 0)) {
		stream_respond(stream, MSG_BAD_OFFSET, "no event begins at this position", NULL, 0);
		return;
	}
	reply.position = position;
	n = msg_events_reply_encode(&reply, bytes, sizeof(bytes));
	stream_respond_keep(stream, bytes, n > 0 ? (size_t)n : 0);
	listener = xcalloc(1, sizeof(*listener));
	listener->position = position;
	listener->change = worker->runs.last_change;
	list_append(&worker->listeners, &stream->all_link);
	stream_start(stream, &events_ops, listener);
}
