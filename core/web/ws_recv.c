#include "core/web/ws_recv.h"

#include <string.h>

#include "core/web/limits.h"
#include "core/web/ws.h"
#include "core/web/ws_frame.h"

/* What one read may cause: no pong is longer than its ping. */
#define MAX_REPLIES (WEB_MAX_HEAD + WEB_READ_BUFFER)

void ws_recv_init(struct ws_recv *recv, const struct ws_recv_events *events, void *arg,
	size_t max_message, unsigned max_fragments)
{
	*recv = (struct ws_recv){.events = events,
		.arg = arg,
		.max_message = max_message,
		.max_fragments = max_fragments};
	buf_init(&recv->replies, MAX_REPLIES);
}

static void drop_parser(struct ws_recv *recv)
{
	if (recv->parser == NULL)
		return;
	wslay_event_context_free(recv->parser);
	recv->parser = NULL;
}

void ws_recv_fini(struct ws_recv *recv)
{
	drop_parser(recv);
	buf_fini(&recv->replies);
}

/* wslay asks for bytes. */
static ssize_t on_recv(
	wslay_event_context_ptr parser, uint8_t *buf, size_t len, int flags, void *arg)
{
	struct ws_recv *recv = arg;
	size_t n = MIN(len, recv->feed_len);

	(void)flags;
	if (n == 0) {
		wslay_event_set_error(parser, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	memcpy(buf, recv->feed, n);
	recv->feed += n;
	recv->feed_len -= n;
	recv->fed += n;
	return (ssize_t)n;
}

/* wslay has something to send; it is passed on when it is whole (flush_replies()). */
static ssize_t on_send(
	wslay_event_context_ptr parser, const uint8_t *data, size_t len, int flags, void *arg)
{
	struct ws_recv *recv = arg;

	(void)flags;
	buf_append(&recv->replies, data, len);
	if (buf_err(&recv->replies) != 0) {
		wslay_event_set_error(parser, WSLAY_ERR_CALLBACK_FAILURE);
		return -1;
	}
	return (ssize_t)len;
}

static void stop(struct ws_recv *recv, unsigned code)
{
	if (recv->code == 0)
		recv->code = code;
	wslay_event_shutdown_read(recv->parser);
}

/* A frame's header has been read. */
static void on_frame_start(wslay_event_context_ptr parser,
	const struct wslay_event_on_frame_recv_start_arg *frame, void *arg)
{
	struct ws_recv *recv = arg;

	(void)parser;
	/* The masking key, and as long a header as a frame of ours of that length has. */
	recv->used += 4 + ws_frame_header_len(frame->payload_length);
	recv->frame_left = frame->payload_length;
	/* wslay takes this one for a close without a code. */
	if (frame->opcode == WSLAY_CONNECTION_CLOSE && frame->payload_length == 1)
		stop(recv, WS_CLOSE_PROTOCOL);
	if (wslay_is_ctrl_frame(frame->opcode))
		return;
	recv->in_message = !frame->fin;
	if (++recv->fragments > recv->max_fragments)
		stop(recv, WS_CLOSE_POLICY);
}

/* Some of a frame's payload has been read. */
static void on_frame_chunk(wslay_event_context_ptr parser,
	const struct wslay_event_on_frame_recv_chunk_arg *chunk, void *arg)
{
	struct ws_recv *recv = arg;

	(void)parser;
	recv->used += chunk->data_length;
	recv->frame_left -= chunk->data_length;
}

/* Passes on what wslay wants to send. */
static void flush_replies(struct ws_recv *recv)
{
	uint8_t *frames;
	size_t len;

	if (wslay_event_want_write(recv->parser) && wslay_event_send(recv->parser) != 0) {
		stop(recv, WS_CLOSE_INTERNAL);
		return;
	}
	frames = recv->replies.data;
	len = recv->replies.len;
	if (len == 0)
		return;
	/* The bytes are the callee's now. */
	buf_init(&recv->replies, MAX_REPLIES);
	recv->events->on_replies(recv->arg, frames, len);
}

/* A whole message, or a control frame. */
static void on_message(
	wslay_event_context_ptr parser, const struct wslay_event_on_msg_recv_arg *msg, void *arg)
{
	struct ws_recv *recv = arg;
	unsigned code;

	(void)parser;
	if (recv->code != 0)
		return;
	if (msg->opcode == WSLAY_CONNECTION_CLOSE)
		recv->events->on_peer_close(
			recv->arg, msg->status_code != 0 ? msg->status_code : WS_CLOSE_NO_STATUS);
	if (wslay_is_ctrl_frame(msg->opcode))
		return;
	recv->fragments = 0;
	/* What answers this message stays behind the pongs for pings that came before it. */
	flush_replies(recv);
	/* wslay gives no pointer for an empty message. */
	code = recv->events->on_message(recv->arg, msg->opcode == WSLAY_TEXT_FRAME,
		msg->msg != NULL ? msg->msg : (const uint8_t *)"", msg->msg_length);
	if (code != 0)
		stop(recv, code);
}

static bool make_parser(struct ws_recv *recv)
{
	static const struct wslay_event_callbacks callbacks = {
		.recv_callback = on_recv,
		.send_callback = on_send,
		.on_frame_recv_start_callback = on_frame_start,
		.on_frame_recv_chunk_callback = on_frame_chunk,
		.on_msg_recv_callback = on_message,
	};

	if (recv->parser != NULL)
		return true;
	if (wslay_event_context_server_init(&recv->parser, &callbacks, recv) != 0)
		return false;
	wslay_event_config_set_max_recv_msg_length(recv->parser, recv->max_message);
	recv->fed = recv->used = recv->frame_left = 0;
	recv->fragments = 0;
	recv->in_message = false;
	return true;
}

/* wslay has stopped reading: by the peer's close frame, or by a violation that it has put a code
 * to, which it tells only when that frame is sent. */
static unsigned close_result(struct ws_recv *recv)
{
	if (wslay_event_get_close_received(recv->parser)) {
		flush_replies(recv);
		return recv->code != 0 ? recv->code : WS_RECV_CLOSED;
	}
	if (wslay_event_send(recv->parser) != 0)
		return WS_CLOSE_PROTOCOL;
	return wslay_event_get_status_code_sent(recv->parser);
}

/* Gives these bytes to wslay. */
static unsigned parse(struct ws_recv *recv, const char *data, size_t n)
{
	int result;

	if (!make_parser(recv))
		return WS_CLOSE_INTERNAL;
	recv->feed = data;
	recv->feed_len = n;
	result = wslay_event_recv(recv->parser);
	recv->feed = NULL;
	recv->feed_len = 0;
	if (recv->code != 0)
		return recv->code;
	if (result == WSLAY_ERR_NOMEM)
		return WS_CLOSE_INTERNAL;
	/* A malformed frame: the close frame that wslay would send has no code. */
	if (result != 0)
		return WS_CLOSE_PROTOCOL;
	if (!wslay_event_want_read(recv->parser))
		return close_result(recv);
	flush_replies(recv);
	if (recv->used == recv->fed && recv->frame_left == 0 && !recv->in_message)
		drop_parser(recv);
	return recv->code;
}

/* ---- control frames are given to wslay whole ---- */

/* Of a frame's header, by its second byte. */
static unsigned header_size(uint8_t second)
{
	unsigned len = second & 0x7f;

	return 2u + (len == 126 ? 2u : len == 127 ? 8u : 0u) + ((second & 0x80) != 0 ? 4u : 0u);
}

static uint64_t payload_size(const uint8_t *header)
{
	unsigned len = header[1] & 0x7f, n = len == 126 ? 2 : len == 127 ? 8 : 0;
	uint64_t size = 0;

	if (n == 0)
		return len;
	for (unsigned i = 0; i < n; i++)
		size = size << 8 | header[2 + i];
	return size;
}

/* Of the control frame, as far as it is known. One that is too long or not masked is refused for
 * its first two bytes. */
static size_t control_size(const struct ws_recv *recv)
{
	uint8_t second = recv->control[1];

	if (recv->control_len < 2 || (second & 0x80) == 0 || (second & 0x7f) > 125)
		return 2;
	return 2 + 4 + (second & 0x7fu);
}

/* How many of the bytes belong to data frames, up to the first byte of a control frame. */
static size_t measure_data(struct ws_recv *recv, const uint8_t *data, size_t n)
{
	size_t i = 0, step;

	while (i < n) {
		if (recv->payload_left > 0) {
			step = (size_t)MIN(recv->payload_left, (uint64_t)(n - i));
			recv->payload_left -= step;
			i += step;
			continue;
		}
		if (recv->header_len == 0 && (data[i] & 0x08) != 0)
			break;
		recv->header[recv->header_len++] = data[i++];
		if (recv->header_len >= 2 && recv->header_len == header_size(recv->header[1])) {
			recv->payload_left = payload_size(recv->header);
			recv->header_len = 0;
		}
	}
	return i;
}

/* Adds to the control frame, up to its end; how many of the bytes were taken. */
static size_t take_control(struct ws_recv *recv, const uint8_t *data, size_t n)
{
	size_t i = 0;

	while (i < n && recv->control_len < control_size(recv))
		recv->control[recv->control_len++] = data[i++];
	return i;
}

/* wslay checks a reason that comes in pieces only from the third byte of each piece on, and then as
 * if those bytes followed each other. */
unsigned ws_recv_feed(struct ws_recv *recv, const char *data, size_t n)
{
	const uint8_t *bytes = (const uint8_t *)data;
	unsigned code = 0;
	size_t step;

	while (n > 0 && code == 0) {
		if (recv->control_len == 0 && (step = measure_data(recv, bytes, n)) > 0) {
			code = parse(recv, (const char *)bytes, step);
		} else {
			step = take_control(recv, bytes, n);
			if (recv->control_len == control_size(recv)) {
				code = parse(recv, (const char *)recv->control, recv->control_len);
				recv->control_len = 0;
			}
		}
		bytes += step;
		n -= step;
	}
	return code;
}
