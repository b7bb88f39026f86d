/*
 * Answers. Each function says whether it is the request's end (request.h): after an end the
 * pointer must not be used. All of them may be called from within the handler or from any later
 * callback; none calls back before it returns. When the peer has gone they do nothing but free.
 *
 * Every answer carries the security headers, Date and X-Request-Id; `Cache-Control: no-store` and
 * a Content-Security-Policy that allows nothing unless response_header() set others. HEAD,
 * 204 and 304 never carry a body.
 */
#ifndef OPS_CORE_WEB_RESPONSE_H
#define OPS_CORE_WEB_RESPONSE_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/web/request.h"

/* Adds a header field to whatever answer will be sent (also from the hooks: a renewed cookie).
 * Content-Type, Content-Length, Transfer-Encoding, Connection, Date and X-Request-Id are the
 * server's own and may not be set. A name or value that cannot stand on one line, and fields
 * beyond WEB_MAX_RESPONSE_HEAD, turn the answer into a 500. */
void response_header(struct request *req, const char *name, const char *value);

/* An answer in one go, copied as far as the kernel does not take it at once. END. */
void response_send(struct request *req, unsigned status, const char *content_type, const void *body,
	size_t len);
/* The same for bytes that live as long as the process (assets). END. */
void response_send_static(struct request *req, unsigned status, const char *content_type,
	const void *body, size_t len);
/* A JSON document; takes the buffer's bytes (it is empty afterwards). A buffer in error makes a
 * 500. END. */
void response_json(struct request *req, unsigned status, struct buf *json);
/* No body: 204, 304, or a redirect whose Location was set. END. */
void response_empty(struct request *req, unsigned status);

/* RFC 9457 problem details: type about:blank, title (the status's phrase), status, detail, code,
 * request_id. */
struct problem {
	unsigned status;
	const char *code;   /* for programs, as "reauth_required"; never NULL */
	const char *detail; /* one sentence for a person; NULL: none */
	const char *extra;  /* further members as JSON text without braces
			     * ("\"errors\":[…]"), or NULL */
};
/* END. */
void response_problem(struct request *req, unsigned status, const char *code, const char *detail);
void response_problem_ex(struct request *req, const struct problem *problem);

/*
 * A streamed answer: begin, write as much as you like but stop when response_is_full(), go on in
 * on_writable, end. Blocks are sent in order; nothing is ever dropped.
 */
#define RESPONSE_LENGTH_UNKNOWN UINT64_MAX /* chunked; until the connection's end for HTTP/1.0 */

/* Sends the head. on_writable (may be NULL) is called from the loop each time the queue has fallen
 * to half of WEB_STREAM_HIGH or less after response_is_full() had become true. Not an end. */
void response_begin(struct request *req, unsigned status, const char *content_type, uint64_t length,
	void (*on_writable)(struct request *req));
/* Queues bytes, copied as far as the kernel does not take them at once. Does nothing when aborted
 * or HEAD. Writing past the announced length aborts. Past WEB_STREAM_MAX queued bytes the
 * connection is cut (on_abort follows). */
void response_write(struct request *req, const void *data, size_t len);
/* The same for a heap block, freed by the server in every case: no copy. */
void response_write_block(struct request *req, uint8_t *block, size_t len);
/* The handler is at work on a streamed answer that has nothing to send yet: its deadline begins
 * anew. */
void response_is_coming(struct request *req);
/* Bytes queued that the kernel has not taken; and whether they are more than WEB_STREAM_HIGH. */
size_t response_queued(const struct request *req);
bool response_is_full(const struct request *req);
/* Ends a streamed answer. With fewer bytes than announced the connection is cut. END. */
void response_end(struct request *req);

/* Gives up: before response_begin() the peer gets a 500; after it, the connection is cut so that
 * the peer sees a broken answer and no short one; when aborted nothing. END. */
void response_abandon(struct request *req);

#endif
