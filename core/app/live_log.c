/*
 * The topic run/{id}/log: the journal's records, byte for byte, to one viewer.
 *
 * Owns: the log source and the viewer's credit.
 *
 * Happy path: opened -> snapshot {offset,size,run} -> each CHUNK payload behind a frame header that
 * names the subscription -> END.
 *
 * Credit: the client allows bytes, the source is allowed no more than LIMIT_LOG_WINDOW_BYTES of
 * them at a time, and nothing while the socket's queue is above its high water. So however much a
 * client allows and however slowly it reads, what waits in memory is bounded; the journal is the
 * buffer. Opening anew starts with FRAME_INITIAL_CREDIT on both sides.
 *
 * Failure modes: the agent goes away in the middle (or shuts down): the subscription waits, and is
 * opened again at its offset when the agent or the database is back, which begins with a new
 * snapshot. An offset that is no longer there: END shortened. No such run: an error event.
 */
#include <errno.h>
#include <string.h>

#include "core/app/limits.h"
#include "core/app/live_internal.h"
#include "core/base/json.h"
#include "proto/frame.h"
#include "proto/msg.h"

static void log_open(struct sub *sub, int64_t offset);

static void send_frame(struct sub *sub, uint8_t type, const uint8_t *payload, size_t len)
{
	struct frame frame = {.length = (uint32_t)len, .stream = sub->id, .type = type};
	uint8_t header[FRAME_HEADER_BYTES];

	frame_encode_header(&frame, header);
	(void)!ws_send_parts(sub->socket->ws, header, sizeof(header), payload, len);
}

static void send_end(struct sub *sub, uint16_t reason, uint64_t offset)
{
	struct msg_end end = {.offset = offset, .reason = reason};
	uint8_t payload[16];
	int n = msg_end_encode(&end, payload, sizeof(payload));

	if (n > 0)
		send_frame(sub, FRAME_END, payload, (size_t)n);
}

/* Passes on as much of the client's credit as the window and the socket's queue allow. */
static void grant(struct sub *sub)
{
	int64_t room = MIN(sub->credit, LIMIT_LOG_WINDOW_BYTES) - sub->outstanding;

	if (sub->source == NULL || ws_is_full(sub->socket->ws) || room <= 0)
		return;
	/* Small change is kept until it is worth a frame, or all there is. */
	if (room < LIMIT_LOG_WINDOW_BYTES / 8 && sub->outstanding > 0)
		return;
	sub->outstanding += room;
	logsource_credit(sub->source, (uint32_t)room);
}

/* The log is there: the snapshot. */
static void on_opened(struct logsource *source, const struct logsource_opened *opened, void *arg)
{
	struct sub *sub = arg;
	struct json json;
	struct buf data;

	(void)source;
	sub->offset = opened->offset;
	sub->wanted = (int64_t)opened->offset;
	buf_init(&data, HISTORY_MAX_LIST_BYTES);
	json_init(&json, &data);
	json_open_object(&json);
	json_kv_uint(&json, "offset", opened->offset);
	json_kv_uint(&json, "size", opened->size);
	json_key(&json, "run");
	json_raw(&json, opened->run.data, opened->run.len);
	json_close_object(&json);
	if (buf_err(&data) < 0)
		ws_close(sub->socket->ws, WS_CLOSE_INTERNAL, "out of memory");
	else
		sub_send(sub, "snapshot", (const char *)data.data, data.len);
	buf_fini(&data);
}

/* Records have come. */
static void on_chunk(struct logsource *source, const uint8_t *payload, size_t len, void *arg)
{
	struct sub *sub = arg;
	int64_t records = (int64_t)(len - MSG_CHUNK_PREFIX_BYTES);
	struct msg_chunk chunk;

	(void)source;
	if (msg_chunk_decode(payload, len, &chunk) < 0)
		return; /* logsource.h promises the prefix */
	sub->offset = chunk.offset + chunk.records_len;
	sub->wanted = (int64_t)sub->offset;
	sub->credit -= records;
	sub->outstanding -= records;
	send_frame(sub, FRAME_CHUNK, payload, len);
	grant(sub);
}

/* The source has no more, or was lost. */
static void on_end(struct logsource *source, const struct logsource_end *end, void *arg)
{
	struct sub *sub = arg;
	bool lost = end->err == -ECONNRESET || (end->err == 0 && end->reason == MSG_END_SHUTDOWN) ||
		    (end->err == -ENOTCONN && !link_is_connected(sub->socket->live->server->link));

	(void)source;
	sub->source = NULL;
	if (lost) {
		sub->waiting = true;
		/* The agent came back while the database was being read: nobody will tell again. */
		if (end->err == -ECONNRESET && link_is_connected(sub->socket->live->server->link))
			log_restart(sub);
	} else if (end->err == 0 || end->err == -EINVAL) {
		send_end(sub, end->err == 0 ? end->reason : MSG_END_SHORTENED, end->offset);
		sub_free(sub);
	} else if (end->err == -ENOENT) {
		sub_fail(sub, "not_found", "There is no such run.");
	} else {
		sub_fail(sub, "agent_unavailable", end->message);
	}
}

static void log_open(struct sub *sub, int64_t offset)
{
	static const struct logsource_callbacks callbacks = {
		.on_opened = on_opened,
		.on_chunk = on_chunk,
		.on_end = on_end,
	};

	sub->waiting = false;
	sub->credit = sub->outstanding = FRAME_INITIAL_CREDIT;
	sub->source = logsource_open(sub->socket->live->server, sub->run, offset, &callbacks, sub);
}

void log_start(struct sub *sub)
{
	log_open(sub, sub->wanted);
}

void log_restart(struct sub *sub)
{
	if (sub->waiting)
		log_open(sub, sub->wanted);
}

void log_credit(struct sub *sub, uint32_t bytes)
{
	sub->credit = MIN(sub->credit + (int64_t)bytes, (int64_t)LIMIT_CREDIT_BYTES);
	grant(sub);
}

void log_drained(struct sub *sub)
{
	grant(sub);
}

void log_unsubscribe(struct sub *sub)
{
	send_end(sub, MSG_END_CLOSED, sub->offset);
}
