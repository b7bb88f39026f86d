/*
 * Requests and streams on the link's connection.
 *
 * Owns the table of outstanding ops (by stream id), their deadlines, and their one callback.
 *
 * Happy path of a request: an id is taken, the REQUEST is queued, the op waits in `ops`; its
 * RESPONSE detaches it, calls back and frees it. A stream whose RESPONSE is MSG_OK stays in `ops`
 * without a deadline, hands out CHUNKs and EVENTs, and is detached by END.
 *
 * Failures: no connection, too many ops or a full queue put the op into `failed`, called back by
 * the `soon` timer; a deadline that passes ends the op with -ETIMEDOUT; a lost connection ends all
 * with -ECONNRESET.
 *
 * What its owner gave up while the agent still owes an answer stays as an orphan, without
 * callbacks: it counts (the agent counts it too), and a stream may only be closed once it was
 * answered.
 *
 * An op is always in exactly one list (`ops`, `failed`, or a local one being drained), so that
 * forgetting it is: remove, free. State first, callback last: after a callback only the op itself
 * is touched, and only when the callback was its last one (`finished`).
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/agentlink/internal.h"

static struct link_call *call_of(struct link_op *op)
{
	return container_of(op, struct link_call, op);
}

static struct link_stream *stream_of(struct link_op *op)
{
	return container_of(op, struct link_stream, op);
}

void link_ops_init(struct link *link)
{
	for (size_t i = 0; i < LINK_BUCKETS; i++)
		list_init(&link->buckets[i]);
	list_init(&link->ops);
	list_init(&link->failed);
	link->next_id = 1;
}

static struct link_op *op_find(struct link *link, uint32_t id)
{
	list_foreach(pos, tmp, &link->buckets[id % LINK_BUCKETS])
	{
		struct link_op *op = container_of(pos, struct link_op, bucket);

		if (op->id == id)
			return op;
	}
	return NULL;
}

/* Takes the op out of every list and count; what is left is memory. */
static void op_detach(struct link_op *op)
{
	struct link *link = op->link;

	list_remove(&op->all);
	list_remove(&op->bucket);
	if (op->id == 0)
		return;
	op->id = 0;
	link->n_ops--;
}

static void op_free(struct link_op *op)
{
	if (op->is_stream)
		free(stream_of(op));
	else
		free(call_of(op));
}

static void send_close(struct link_op *op)
{
	if (op->id == 0 || op->link->conn == NULL)
		return;
	/* A queue that is full ends the connection, and with it the stream. */
	(void)!framed_send(op->link->conn, FRAME_CLOSE, op->id, NULL, 0);
}

/* Whether the agent still owes an answer. */
static bool op_is_unanswered(const struct link_op *op)
{
	return op->id != 0 && op->deadline_ms != 0 && op->link->conn != NULL;
}

/* Its owner is done with it, the agent is not. */
static void op_orphan(struct link_op *op)
{
	op->is_orphan = true;
	op->finished = true;
	op->deadline_ms = UINT64_MAX;
	list_remove(&op->all);
	list_append(&op->link->ops, &op->all);
}

/* The op's answer, or its failure to get one: its last callback, unless it becomes a stream. */
static void op_reply(struct link_op *op, const struct link_reply *reply)
{
	bool lives = op->is_stream && reply->err == 0 && reply->status == MSG_OK;
	bool late = reply->err == -ETIMEDOUT && op_is_unanswered(op);

	if (lives) {
		op->deadline_ms = 0;
		stream_of(op)->callbacks.on_reply(stream_of(op), reply);
		return;
	}
	if (late)
		op_orphan(op);
	else
		op_detach(op);
	op->finished = true;
	if (op->is_stream)
		stream_of(op)->callbacks.on_reply(stream_of(op), reply);
	else
		call_of(op)->cb(reply, op->arg);
	if (!late)
		op_free(op);
}

/* Forgets it, now or when its answer comes. */
static void op_abandon(struct link_op *op)
{
	if (op->finished)
		return;
	if (op_is_unanswered(op)) {
		op_orphan(op);
		return;
	}
	if (op->is_stream)
		send_close(op);
	op_detach(op);
	op_free(op);
}

static void stream_end(struct link_op *op, const struct link_end *end)
{
	op_detach(op);
	op->finished = true;
	stream_of(op)->callbacks.on_end(stream_of(op), end);
	op_free(op);
}

static void op_fail(struct link_op *op, int err)
{
	if (op->is_orphan) {
		op_detach(op);
		op_free(op);
	} else if (op->is_stream && op->deadline_ms == 0) {
		stream_end(op, &(struct link_end){.err = err});
	} else {
		op_reply(op, &(struct link_reply){.err = err});
	}
}

static void ops_fail(struct list *from, int err)
{
	struct list batch;

	list_move_all(from, &batch);
	while (!list_empty(&batch)) {
		struct link_op *op = container_of(batch.next, struct link_op, all);

		op_fail(op, op->err != 0 ? op->err : err);
	}
}

void link_ops_fail_all(struct link *link, int err)
{
	ops_fail(&link->failed, err);
	ops_fail(&link->ops, err);
}

/* The earliest deadline has come, or was a call's that is gone by now. */
void on_link_sweep(uv_timer_t *timer)
{
	struct link *link = timer->data;
	uint64_t now = uv_now(link->loop), next = UINT64_MAX;
	struct list late;

	list_init(&late);
	list_foreach(pos, tmp, &link->ops)
	{
		struct link_op *op = container_of(pos, struct link_op, all);

		if (op->deadline_ms == 0)
			continue;
		if (op->deadline_ms > now) {
			next = MIN(next, op->deadline_ms);
			continue;
		}
		list_remove(&op->all);
		list_append(&late, &op->all);
	}
	if (next != UINT64_MAX)
		uv_timer_start(timer, on_link_sweep, next - now, 0);
	ops_fail(&late, -ETIMEDOUT);
}

/* Something could not be sent a moment ago. */
void on_link_soon(uv_timer_t *timer)
{
	struct link *link = timer->data;

	ops_fail(&link->failed, -ENOTCONN);
}

static void op_fail_soon(struct link *link, struct link_op *op, int err)
{
	list_remove(&op->all);
	op->err = link->phase == PHASE_CLOSING ? -ECANCELED : err;
	op->deadline_ms = 1; /* unanswered: it ends with a reply */
	list_append(&link->failed, &op->all);
	if (link->phase != PHASE_CLOSING)
		uv_timer_start(&link->soon, on_link_soon, 0, 0);
}

static int op_send(
	struct link *link, struct link_op *op, uint16_t method, const struct wire_str *fields)
{
	uint8_t head[LINK_HEAD_BYTES];
	struct msg_request request = {
		.method = method,
		.authorization = wire_str_of(link->authorization),
	};
	struct framed_part parts[2];
	int n, rc;

	n = msg_request_encode(&request, head, sizeof(head));
	assert(n > 0); /* the configuration bounds the secret */
	parts[0] = (struct framed_part){head, (size_t)n};
	parts[1] = (struct framed_part){NULL, 0};
	if (fields != NULL)
		parts[1] = (struct framed_part){fields->data, fields->len};
	rc = framed_send(link->conn, FRAME_REQUEST, op->id, parts, 2);
	mem_wipe(head, sizeof(head));
	return rc < 0 ? -ECONNRESET : 0;
}

static void op_register(struct link *link, struct link_op *op)
{
	do {
		op->id = link->next_id++;
	} while (op->id == 0 || op_find(link, op->id) != NULL);
	list_append(&link->buckets[op->id % LINK_BUCKETS], &op->bucket);
	list_append(&link->ops, &op->all);
	link->n_ops++;
}

static void op_start(struct link *link, struct link_op *op, uint16_t method,
	const struct wire_str *fields, unsigned timeout_ms)
{
	uint64_t timeout = timeout_ms != 0 ? timeout_ms : LINK_TIMEOUT_MS;
	int rc;

	if (link->conn == NULL) {
		op_fail_soon(link, op, -ENOTCONN);
		return;
	}
	if (fields != NULL && fields->len > LINK_MAX_FIELDS) {
		op_fail_soon(link, op, -EMSGSIZE);
		return;
	}
	if (link->n_ops >= link->max_ops) {
		op_fail_soon(link, op, -ENOBUFS);
		return;
	}
	op_register(link, op);
	rc = op_send(link, op, method, fields);
	if (rc < 0) {
		op_detach(op);
		op_fail_soon(link, op, rc);
		return;
	}
	op->deadline_ms = uv_now(link->loop) + timeout;
	if (!uv_is_active((uv_handle_t *)&link->sweep) ||
		uv_timer_get_due_in(&link->sweep) > timeout)
		uv_timer_start(&link->sweep, on_link_sweep, timeout, 0);
}

static struct link_call *call_new(struct link *link, link_reply_fn cb, void *arg)
{
	struct link_call *call = xcalloc(1, sizeof(*call));

	call->cb = cb;
	call->op.arg = arg;
	call->op.link = link;
	list_init(&call->op.all);
	list_init(&call->op.bucket);
	return call;
}

static struct link_stream *stream_new(
	struct link *link, const struct link_stream_callbacks *callbacks, void *arg)
{
	struct link_stream *stream = xcalloc(1, sizeof(*stream));

	stream->callbacks = *callbacks;
	stream->op.arg = arg;
	stream->op.is_stream = true;
	stream->op.link = link;
	list_init(&stream->op.all);
	list_init(&stream->op.bucket);
	return stream;
}

struct link_call *link_call_now(struct link *link, uint16_t method, const struct wire_str *fields,
	link_reply_fn cb, void *arg)
{
	struct link_call *call = call_new(link, cb, arg);

	op_start(link, &call->op, method, fields, LINK_PING_ANSWER_MS);
	return call;
}

struct link_stream *link_stream_now(struct link *link, uint16_t method,
	const struct wire_str *fields, const struct link_stream_callbacks *callbacks, void *arg)
{
	struct link_stream *stream = stream_new(link, callbacks, arg);

	op_start(link, &stream->op, method, fields, 0);
	return stream;
}

struct link_call *link_request(struct link *link, uint16_t method, const struct wire_str *fields,
	unsigned timeout_ms, link_reply_fn cb, void *arg)
{
	struct link_call *call = call_new(link, cb, arg);

	if (link_is_connected(link))
		op_start(link, &call->op, method, fields, timeout_ms);
	else
		op_fail_soon(link, &call->op, -ENOTCONN);
	return call;
}

struct link_stream *link_stream_open(struct link *link, uint16_t method,
	const struct wire_str *fields, const struct link_stream_callbacks *callbacks, void *arg)
{
	struct link_stream *stream = stream_new(link, callbacks, arg);

	if (link_is_connected(link))
		op_start(link, &stream->op, method, fields, 0);
	else
		op_fail_soon(link, &stream->op, -ENOTCONN);
	return stream;
}

void link_call_forget(struct link_call *call)
{
	if (call != NULL)
		op_abandon(&call->op);
}

struct link_stream *link_tail(struct link *link, const char *run, uint64_t offset,
	const struct link_stream_callbacks *callbacks, void *arg)
{
	struct msg_run_tail tail = {.run = wire_str_of(run), .offset = offset};
	uint8_t fields[256];
	int n = msg_run_tail_encode(&tail, fields, sizeof(fields));

	assert(n > 0); /* callers check what a run may be called */
	return link_stream_open(link, MSG_RUN_TAIL,
		&(struct wire_str){(const char *)fields, (uint32_t)n}, callbacks, arg);
}

void *link_stream_arg(const struct link_stream *stream)
{
	return stream->op.arg;
}

void link_credit(struct link_stream *stream, uint32_t bytes)
{
	struct msg_credit credit = {.bytes = bytes};
	struct link *link = stream->op.link;
	uint8_t payload[16];
	int n;

	if (stream->op.id == 0 || link->conn == NULL || bytes == 0)
		return;
	n = msg_credit_encode(&credit, payload, sizeof(payload));
	assert(n > 0);
	/* A queue that is full ends the connection, and with it the stream. */
	(void)!framed_send(link->conn, FRAME_CREDIT, stream->op.id,
		&(struct framed_part){payload, (size_t)n}, 1);
}

void link_close_stream(struct link_stream *stream)
{
	if (stream != NULL)
		op_abandon(&stream->op);
}

static int on_response(struct link_op *op, const uint8_t *payload, size_t len)
{
	struct msg_response response;

	if (op->deadline_ms == 0)
		return -EBADMSG; /* answered before */
	if (msg_response_decode(payload, len, &response) < 0)
		return -EBADMSG;
	if (op->is_orphan) {
		if (op->is_stream && response.status == MSG_OK)
			send_close(op);
		op_detach(op);
		op_free(op);
		return 0;
	}
	op_reply(op, &(struct link_reply){
			     .status = response.status,
			     .message = response.message,
			     .fields = response.fields,
			     .fields_len = response.fields_len,
		     });
	return 0;
}

static int on_stream_event(struct link_op *op, const uint8_t *payload, size_t len)
{
	struct msg_document event;
	struct link_stream *stream = stream_of(op);

	if (msg_document_decode(payload, len, &event) < 0)
		return -EBADMSG;
	if (stream->callbacks.on_event != NULL)
		stream->callbacks.on_event(stream, event.json);
	return 0;
}

int link_ops_frame(struct link *link, const struct frame *frame, const uint8_t *payload)
{
	struct link_op *op = op_find(link, frame->stream);
	struct msg_end end;

	if (op == NULL)
		return 0; /* late: it was closed */
	if (frame->type == FRAME_RESPONSE)
		return on_response(op, payload, frame->length);
	if (!op->is_stream || op->deadline_ms != 0)
		return -EBADMSG; /* stream frames before the answer */
	switch (frame->type) {
	case FRAME_CHUNK:
		if (frame->length < MSG_CHUNK_PREFIX_BYTES ||
			stream_of(op)->callbacks.on_chunk == NULL)
			return -EBADMSG;
		stream_of(op)->callbacks.on_chunk(stream_of(op), payload, frame->length);
		return 0;
	case FRAME_EVENT:
		return on_stream_event(op, payload, frame->length);
	case FRAME_END:
		if (msg_end_decode(payload, frame->length, &end) < 0)
			return -EBADMSG;
		stream_end(op, &(struct link_end){.reason = end.reason, .offset = end.offset});
		return 0;
	default:
		return -EBADMSG;
	}
}
