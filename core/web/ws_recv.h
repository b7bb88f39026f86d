/*
 * The receiving half of a WebSocket, and the only place that knows wslay: it unmasks, assembles and
 * checks what the peer sends, and answers pings and closes. wslay's context costs 8 KiB, so there
 * is one only while a frame or message is incomplete. Used within core/web only.
 */
#ifndef OPS_CORE_WEB_WS_RECV_H
#define OPS_CORE_WEB_WS_RECV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <wslay/wslay.h>

#include "core/base/buf.h"
#include "core/base/mem.h"

#define WS_RECV_HEADER_MAX 14		  /* RFC 6455, 5.2: of a masked frame */
#define WS_RECV_CONTROL_MAX (2 + 4 + 125) /* and 5.5: of a control frame with all of it */

#define WS_RECV_CLOSED 1 /* what ws_recv_feed() returns for the peer's close frame */

struct ws_recv_events {
	/* A whole message; data is never NULL. Returns 0, or the close code it is refused with. */
	unsigned (*on_message)(void *arg, bool is_text, const uint8_t *data, size_t len);
	/* Whole control frames to send, on the heap: the callee's from now on. */
	void (*on_replies)(void *arg, uint8_t *frames, size_t len);
	/* The peer's close frame; code is enum ws_close_code or 4xxx. Its answer comes as replies.
	 */
	void (*on_peer_close)(void *arg, unsigned code);
};

struct ws_recv {
	const struct ws_recv_events *events;
	void *arg;
	size_t max_message;
	unsigned max_fragments;
	wslay_event_context_ptr parser; /* NULL between messages */
	const char *feed;		/* bytes that wslay has not taken yet */
	size_t feed_len;
	uint64_t fed, used;  /* bytes given to this parser, and accounted for by its frames */
	uint64_t frame_left; /* payload bytes that the current frame still lacks */
	unsigned fragments;  /* frames of the message that is being received */
	unsigned code;	     /* of a violation seen within wslay's callbacks */
	bool in_message;
	struct buf replies;

	/* Where in a data frame the bytes are that come next, ahead of wslay. */
	uint8_t header[WS_RECV_HEADER_MAX];
	unsigned header_len;
	uint64_t payload_left;
	uint8_t control[WS_RECV_CONTROL_MAX]; /* a control frame that is not whole yet */
	size_t control_len;
};

void ws_recv_init(struct ws_recv *recv, const struct ws_recv_events *events, void *arg,
	size_t max_message, unsigned max_fragments);
void ws_recv_fini(struct ws_recv *recv);

/* Takes n bytes from the peer and calls back for what is complete. Returns 0 to go on,
 * WS_RECV_CLOSED, or the close code of a violation; after the latter two it must not be called
 * again. */
MUSTCHECK unsigned ws_recv_feed(struct ws_recv *recv, const char *data, size_t n);

#endif
