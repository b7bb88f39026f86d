/*
 * WebSocket endpoints (RFC 6455, version 13, no extensions). A route with ROUTE_WEBSOCKET gets a
 * request whose handshake is valid; its handler calls ws_accept().
 *
 * Received: whole messages within the endpoint's limits; pings are answered, text is checked to be
 * UTF-8, a violation is answered with its close code (1002, 1007, 1008, 1009) and ends the
 * connection. Sent: frames are queued whole, so control frames always fall between messages.
 * A peer that stays silent is pinged and given up by deadline; one that does not read is cut when
 * its queue is full (WS_MAX_QUEUE) or has not moved for write_ms.
 *
 * Callbacks come from the loop only, never from within ws_*().
 */
#ifndef OPS_CORE_WEB_WS_H
#define OPS_CORE_WEB_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/mem.h"
#include "core/web/limits.h"
#include "core/web/request.h"

#define WS_HEADER_ROOM 10 /* bytes that a frame header of ours takes at most */

enum ws_close_code {
	WS_CLOSE_NORMAL = 1000,
	WS_CLOSE_GOING_AWAY = 1001,
	WS_CLOSE_PROTOCOL = 1002,
	WS_CLOSE_UNSUPPORTED = 1003,
	WS_CLOSE_NO_STATUS = 1005, /* only reported: a close frame without a code */
	WS_CLOSE_ABNORMAL = 1006,  /* only reported: gone without a close frame */
	WS_CLOSE_BAD_TEXT = 1007,
	WS_CLOSE_POLICY = 1008,
	WS_CLOSE_TOO_BIG = 1009,
	WS_CLOSE_INTERNAL = 1011,
	WS_CLOSE_TRY_LATER = 1013,
	/* 4000..4999 are the application's, as 4401 for an ended session */
};

struct ws;

struct ws_callbacks {
	/* A whole message; data is valid during the call only, and not NUL-terminated. on_binary
	 * NULL: binary messages are answered with 1003. */
	void (*on_text)(struct ws *ws, const char *text, size_t len);
	void (*on_binary)(struct ws *ws, const uint8_t *data, size_t len);
	/* The queue has fallen to half of high_water or less after having been above it. May be
	 * NULL. */
	void (*on_drain)(struct ws *ws);
	/* It is over; code is the first one that either side gave (enum ws_close_code or 4xxx).
	 * Comes exactly once; the struct ws is freed right after it returns. Nothing else comes
	 * after it, and after ws_close() nothing but it. */
	void (*on_close)(struct ws *ws, unsigned code);
};

struct ws_opts {
	const char
		*subprotocol; /* "ops.v1": must have been offered, else 400. NULL: none is chosen */
	size_t max_message;   /* received; 0: WS_MAX_MESSAGE */
	unsigned max_fragments; /* of one message; 0: WS_MAX_FRAGMENTS */
	size_t max_queue;	/* 0: WS_MAX_QUEUE */
	size_t high_water;	/* 0: WS_HIGH_WATER */
};

/* Answers 101 and turns the connection into a WebSocket. The request ends here in every case. The
 * texts of the request (id, remote) are kept for ws_request_id() and ws_remote(). Returns NULL when
 * the peer has gone, did not offer the subprotocol or the server drains (then it was told): no
 * callback will come.
 * The callbacks struct must outlive the WebSocket. */
struct ws *ws_accept(struct request *req, const struct ws_callbacks *callbacks,
	const struct ws_opts *opts, void *arg);

void *ws_arg(const struct ws *ws);
void ws_set_arg(struct ws *ws, void *arg);
const char *ws_remote(const struct ws *ws);
const char *ws_request_id(const struct ws *ws);

/* Queues one message (copied as far as the kernel does not take it at once). Text must be valid
 * UTF-8. 0, -EPIPE (closing or gone), -ENOBUFS (its queue is full: it is being cut, on_close
 * follows with 1008) or -ENOMEM (the same with 1011). */
MUSTCHECK int ws_send_text(struct ws *ws, const char *text, size_t len);
MUSTCHECK int ws_send_binary(struct ws *ws, const void *data, size_t len);
/* One binary message made of two parts. Copied only as far as the kernel does not take it at once.
 */
MUSTCHECK int ws_send_parts(
	struct ws *ws, const void *head, size_t head_len, const void *data, size_t len);
/* One binary message without a copy: block is a heap block with header_room (>= WS_HEADER_ROOM)
 * bytes of room before the len bytes of the message. The WebSocket header is written into the end
 * of the room. The block is freed by the server in every case. */
MUSTCHECK int ws_send_block(struct ws *ws, uint8_t *block, size_t header_room, size_t len);

/* Bytes queued that the kernel has not taken; whether that is above high_water. */
size_t ws_queued(const struct ws *ws);
bool ws_is_full(const struct ws *ws);

/* Sends a close frame behind what is queued and waits for the peer's, for ws_close_ms at most.
 * reason: up to 123 bytes of UTF-8, NULL for none. Safe to call twice. */
void ws_close(struct ws *ws, unsigned code, const char *reason);

#endif
