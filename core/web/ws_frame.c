#include "core/web/ws_frame.h"

#include <string.h>

#include "core/base/utf8.h"

#define FIN 0x80

size_t ws_frame_header_len(uint64_t len)
{
	return len < 126 ? 2 : len <= UINT16_MAX ? 4 : 10;
}

size_t ws_frame_header(uint8_t opcode, uint64_t len, uint8_t out[WS_FRAME_HEADER_MAX])
{
	size_t n = ws_frame_header_len(len);

	out[0] = (uint8_t)(FIN | opcode);
	out[1] = (uint8_t)(n == 2 ? len : n == 4 ? 126 : 127);
	for (size_t i = n; i > 2; i--, len >>= 8)
		out[i - 1] = (uint8_t)len;
	return n;
}

size_t ws_frame_close(unsigned code, const char *reason, uint8_t out[2 + WS_FRAME_CLOSE_MAX])
{
	size_t len = 0, n = 0;

	if (code != 0) {
		out[2] = (uint8_t)(code >> 8);
		out[3] = (uint8_t)code;
		len = 2;
		for (size_t step; reason != NULL && reason[n] != '\0'; n += step) {
			step = utf8_sequence((const uint8_t *)reason + n, strlen(reason + n));
			if (step == 0 || n + step > WS_FRAME_CLOSE_MAX - 2)
				break;
		}
		if (n > 0)
			memcpy(out + 4, reason, n);
		len += n;
	}
	ws_frame_header(WS_FRAME_CLOSE, len, out);
	return 2 + len;
}
