/* What clients may ask: one row per method of proto/msg.h. */
#ifndef OPS_AGENT_WORKER_METHODS_H
#define OPS_AGENT_WORKER_METHODS_H

#include "agent/worker/conn.h"

/* Handles an authorized request: answers it, now or later, or ends the connection when the fields
 * are not the method's. */
void methods_dispatch(struct stream *stream, const struct msg_request *request);

/* For handlers: the fields are not what the method has. */
void methods_malformed(struct stream *stream);
/* Answers with {json} of the buffer as msg_document, or internal when it is broken. */
void methods_respond_document(struct stream *stream, struct buf *json);

#endif
