/*
 * The topic run/{id}/log: the journal's records, byte for byte, to one viewer.
 *
 * Owns: the view of the log (logfan.h) and the viewer's credit.
 *
 * Happy path: opened -> snapshot {offset,size,run} -> records, as a CHUNK that names the
 * subscription
 * -> END.
 *
 * Credit: the client allows bytes, the view is allowed no more than LIMIT_LOG_WINDOW_BYTES of
 * them at a time, and nothing while the socket's queue is above its high water. So however much a
 * client allows and however slowly it reads, what waits in memory is bounded; the journal is the
 * buffer. Opening anew starts with FRAME_INITIAL_CREDIT on both sides.
 *
 * Failure modes: the agent goes away in the middle (or shuts down): the subscription waits, and is
 * opened again at its offset when the agent or the database is back, which begins with a new
 * snapshot. An offset that is no longer there: END shortened. No such run: an error event.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/limits.h"
#include "core/app/live/live_internal.h"
#include "core/base/json.h"
#include "proto/frame.h"
#include "proto/msg.h"

static void log_open(struct sub *sub, int64_t offset);

void log_send_end(struct sub *sub, uint16_t reason, uint64_t offset)
{
	struct frame frame = {.stream = sub->id, .type = FRAME_END};
	struct msg_end end = {.offset = offset, .reason = reason};
	uint8_t header[FRAME_HEADER_BYTES], payload[16];
	int n = msg_end_encode(&end, payload, sizeof(payload));

	if (n < 0)
		abort(); /* it fits */
	frame.length = (uint32_t)n;
	frame_encode_header(&frame, header);
	(void)!ws_send_parts(sub->socket->ws, header, sizeof(header), payload, (size_t)n);
}

/* Passes on as much of the client's credit as the window and the socket's queue allow. */
static void grant(struct sub *sub)
{
	int64_t room = MIN(sub->credit, LIMIT_LOG_WINDOW_BYTES) - sub->outstanding;

	if ((sub->view == NULL && sub->tail == NULL) || ws_is_full(sub->socket->ws) || room <= 0)
		return;
	/* Small change is kept until it is worth a frame, or all there is. */
	if (room < LIMIT_LOG_WINDOW_BYTES / 8 && sub->outstanding > 0)
		return;
	sub->outstanding += room;
	if (sub->tail != NULL)
		link_credit(sub->tail, (uint32_t)room);
	else
		logview_credit(sub->view, (uint32_t)room);
}

/* The log is there: the snapshot. */
static void on_opened(struct logview *view, const struct logsource_opened *opened, void *arg)
{
	struct sub *sub = arg;
	struct json json;
	struct buf data;

	(void)view;
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

void log_pass(struct sub *sub, uint64_t offset, const uint8_t *records, size_t len)
{
	struct frame frame = {.length = (uint32_t)(MSG_CHUNK_PREFIX_BYTES + len),
		.stream = sub->id,
		.type = FRAME_CHUNK};
	uint8_t header[FRAME_HEADER_BYTES + MSG_CHUNK_PREFIX_BYTES];
	struct wire_writer w;

	frame_encode_header(&frame, header);
	wire_writer_init(&w, header + FRAME_HEADER_BYTES, MSG_CHUNK_PREFIX_BYTES);
	wire_put_u64(&w, offset);
	(void)!ws_send_parts(sub->socket->ws, header, sizeof(header), records, len);
	sub->offset = offset + len;
	sub->wanted = (int64_t)sub->offset;
	sub->credit -= (int64_t)len;
	sub->outstanding -= (int64_t)len;
	grant(sub);
}

/* Records have come. */
static void on_records(
	struct logview *view, uint64_t offset, const uint8_t *records, size_t len, void *arg)
{
	(void)view;
	log_pass(arg, offset, records, len);
}

/* The source has no more, or was lost. */
static void on_end(struct logview *view, const struct logsource_end *end, void *arg)
{
	struct sub *sub = arg;
	bool lost = end->err == -ECONNRESET || (end->err == 0 && end->reason == MSG_END_SHUTDOWN) ||
		    (end->err == -ENOTCONN && !end->agent_is_there);

	(void)view;
	sub->view = NULL;
	if (lost) {
		sub->waiting = true;
		/* The agent came back while the database was being read: nobody will tell again. */
		if (end->err == -ECONNRESET && end->agent_is_there)
			log_restart(sub);
	} else if (end->err == 0 || end->err == -EINVAL) {
		log_send_end(sub, end->err == 0 ? end->reason : MSG_END_SHORTENED, end->offset);
		sub_free(sub);
	} else if (end->err == -ENOENT) {
		sub_fail(sub, "not_found", "There is no such run.");
	} else if (end->err == -ENOTUNIQ) {
		sub_fail(sub, "ambiguous_number", "Several hosts have a run of this number.");
	} else if (end->err == -EEXIST) {
		sub_fail(sub, "contested_run", RUNFIND_CONTESTED);
	} else {
		sub_fail(sub, "agent_unavailable", end->message);
	}
}

static void log_open(struct sub *sub, int64_t offset)
{
	static const struct logview_callbacks callbacks = {
		.on_opened = on_opened,
		.on_records = on_records,
		.on_end = on_end,
	};

	sub->waiting = false;
	sub->credit = sub->outstanding = FRAME_INITIAL_CREDIT;
	sub->view =
		logview_open(sub->socket->live->server->logfan, sub->run, offset, &callbacks, sub);
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
	log_send_end(sub, MSG_END_CLOSED, sub->offset);
}
