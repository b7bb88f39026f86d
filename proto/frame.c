#include "proto/frame.h"

#include <errno.h>
#include <stdbool.h>

#include "proto/wire.h"

void frame_encode_header(const struct frame *frame, uint8_t out[FRAME_HEADER_BYTES])
{
	struct wire_writer w;

	wire_writer_init(&w, out, FRAME_HEADER_BYTES);
	wire_put_u32(&w, frame->length);
	wire_put_u8(&w, FRAME_VERSION);
	wire_put_u8(&w, frame->type);
	wire_put_u16(&w, 0);
	wire_put_u32(&w, frame->stream);
	wire_put_u32(&w, 0);
}

static uint32_t max_payload(uint8_t type)
{
	return type == FRAME_PING || type == FRAME_PONG ? FRAME_MAX_PING : FRAME_MAX_PAYLOAD;
}

int frame_decode_header(const uint8_t *data, size_t n, struct frame *ret_frame)
{
	struct wire_reader r;
	struct frame frame;
	uint8_t version;
	bool zeros;

	if (n < FRAME_HEADER_BYTES)
		return -EAGAIN;
	wire_reader_init(&r, data, FRAME_HEADER_BYTES);
	frame.length = wire_get_u32(&r);
	version = wire_get_u8(&r);
	frame.type = wire_get_u8(&r);
	zeros = wire_get_u16(&r) == 0;
	frame.stream = wire_get_u32(&r);
	zeros = wire_get_u32(&r) == 0 && zeros;
	if (version != FRAME_VERSION)
		return -EPROTONOSUPPORT;
	if (frame.type < FRAME_REQUEST || frame.type > FRAME_GOAWAY || !zeros)
		return -EBADMSG;
	if (frame.length > max_payload(frame.type))
		return -EMSGSIZE;
	*ret_frame = frame;
	return 0;
}
