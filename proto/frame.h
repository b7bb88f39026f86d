/*
 * Frames on the agent's socket, and on the dashboard's WebSocket for CHUNK and END. PROTOCOL.md,
 * "Frames". All integers are little-endian.
 *
 *	 0 u32 length   payload bytes, 0..1 MiB
 *	 4 u8  version  1
 *	 5 u8  type     enum frame_type
 *	 6 u16 flags    0
 *	 8 u32 stream   chosen by the client, unique while open; 0 = the connection itself
 *	12 u32 reserved 0
 */
#ifndef OPS_PROTO_FRAME_H
#define OPS_PROTO_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER_BYTES 16
#define FRAME_MAX_PAYLOAD (1024u * 1024u)
#define FRAME_VERSION 1
#define FRAME_MAX_PING 64
#define FRAME_INITIAL_CREDIT (1024u * 1024u) /* record bytes a new stream may be sent */

enum frame_type {
	FRAME_REQUEST = 1,
	FRAME_RESPONSE = 2,
	FRAME_CHUNK = 3,
	FRAME_CREDIT = 4,
	FRAME_EVENT = 5,
	FRAME_END = 6,
	FRAME_CLOSE = 7,
	FRAME_PING = 8,
	FRAME_PONG = 9,
	FRAME_GOAWAY = 10,
};

struct frame {
	uint32_t length; /* payload bytes */
	uint32_t stream;
	uint8_t type;
};

void frame_encode_header(const struct frame *frame, uint8_t out[FRAME_HEADER_BYTES]);

/*
 * Decodes a header: 0, -EAGAIN (fewer than 16 bytes), or why the connection must end:
 * -EPROTONOSUPPORT (version), -EMSGSIZE (length over the maximum, or over 64 for PING and PONG),
 * -EBADMSG (unknown type, non-zero flags or reserved bytes).
 */
int frame_decode_header(const uint8_t *data, size_t n, struct frame *ret_frame);

#endif
