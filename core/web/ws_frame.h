/* The header of a WebSocket frame of ours: final, unmasked (RFC 6455, 5.2). Pure. */
#ifndef OPS_CORE_WEB_WS_FRAME_H
#define OPS_CORE_WEB_WS_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define WS_FRAME_HEADER_MAX 10
#define WS_FRAME_CLOSE_MAX 125 /* payload of a control frame */

enum ws_frame_opcode {
	WS_FRAME_TEXT = 1,
	WS_FRAME_BINARY = 2,
	WS_FRAME_CLOSE = 8,
	WS_FRAME_PING = 9,
};

/* Writes the header of a frame with that payload length to out. Returns its length: 2, 4 or 10. */
size_t ws_frame_header(uint8_t opcode, uint64_t len, uint8_t out[WS_FRAME_HEADER_MAX]);
/* How long that header is. */
size_t ws_frame_header_len(uint64_t len);
/* A whole close frame: code (0: none) and as much of the reason as fits, cut at a character.
 * Returns its length. */
size_t ws_frame_close(unsigned code, const char *reason, uint8_t out[2 + WS_FRAME_CLOSE_MAX]);

#endif
