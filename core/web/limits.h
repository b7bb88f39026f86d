/* Every bound of the web server. The compile-time ones size buffers and tables; those in struct
 * web_limits may be set by whoever opens a server (tests use short deadlines). */
#ifndef OPS_CORE_WEB_LIMITS_H
#define OPS_CORE_WEB_LIMITS_H

#include <stddef.h>

#define WEB_MAX_HEAD (16u << 10)	  /* request line and header fields, bytes: 431 */
#define WEB_MAX_HEADERS 100		  /* header fields: 431 */
#define WEB_MAX_TARGET (8u << 10)	  /* request target, bytes: 414 */
#define WEB_MAX_BODY (64u << 10)	  /* of a route that names no maximum: 413 */
#define WEB_MAX_CHUNK_EXT 256		  /* bytes of extensions on one chunk: 400 */
#define WEB_MAX_CHUNKS (16u << 10)	  /* chunks in one body: 400 */
#define WEB_MAX_DISCARD (64u << 10)	  /* unread body skipped to keep a connection open */
#define WEB_MAX_LINGER (256u << 10)	  /* bytes thrown away before a refused peer is cut off */
#define WEB_MAX_QUERY 32		  /* name=value pairs in a query: 400 */
#define WEB_MAX_COOKIES 64		  /* pairs looked at in one request */
#define WEB_MAX_SEGMENTS 12		  /* path segments of a route */
#define WEB_MAX_PARAMS 4		  /* {names} in a route's pattern */
#define WEB_MAX_ROUTES 256		  /* in one table */
#define WEB_MAX_LISTENERS 4		  /* addresses of one server */
#define WEB_MAX_RESPONSE_HEAD (16u << 10) /* status line and fields of an answer */
#define WEB_READ_BUFFER (64u << 10)	  /* one per server, shared by all connections */
#define WEB_STREAM_HIGH (256u << 10) /* queued bytes at which a streaming handler should pause */
#define WEB_STREAM_MAX (8u << 20)    /* queued bytes at which the connection is cut */
#define WEB_MAX_QUEUED (256u << 20)  /* queued bytes of all connections, by default */
#define WEB_REFUSED_MAX 64	     /* connections over the maximum that are being told 503 */

#define WS_MAX_MESSAGE (64u << 10) /* received message, bytes: 1009 */
#define WS_MAX_FRAGMENTS 1000	   /* frames of one received message: 1008 */
#define WS_MAX_QUEUE (8u << 20)	   /* queued bytes at which a WebSocket is cut: 1008 */
#define WS_HIGH_WATER (256u << 10) /* on_drain after the queue was above this */

struct web_limits {
	size_t max_connections; /* somebody who is not being served makes room, else 503 */
	size_t max_queued;	/* bytes of all: whoever is above its high water then goes */
	unsigned header_ms;	/* from the first byte of a request to the end of its head: 408 */
	unsigned head_grace_ms; /* after this an unfinished head makes room before an idle peer */
	unsigned body_ms;	/* for the whole body: 408 */
	unsigned idle_ms;	/* keep-alive without a request */
	unsigned write_ms;	/* without the peer taking a byte of what is queued */
	unsigned handle_ms;	/* for a handler to begin its answer (503), or to go on with it */
	unsigned linger_ms;	/* between our last byte and cutting the peer off */
	unsigned ws_ping_ms;	/* a ping after so much silence */
	unsigned ws_pong_ms;	/* silence that ends a WebSocket */
	unsigned ws_close_ms;	/* for the peer to answer our close frame */
};

/* 1024 connections; WEB_MAX_QUEUED; 10 s, 1 s, 30 s, 75 s, 30 s, 60 s, 2 s, 20 s, 45 s, 3 s. */
extern const struct web_limits web_limits_default;

#endif
