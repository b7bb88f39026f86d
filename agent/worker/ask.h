/* Methods that the monitor carries out: the worker validates, asks, and passes on the answer. */
#ifndef OPS_AGENT_WORKER_ASK_H
#define OPS_AGENT_WORKER_ASK_H

#include "agent/worker/conn.h"

void ask_start(struct stream *stream, const struct msg_request *request);
void ask_cancel(struct stream *stream, const struct msg_request *request);
void ask_stop(struct stream *stream, const struct msg_request *request);
void ask_approve(struct stream *stream, const struct msg_request *request);
void ask_release(struct stream *stream, const struct msg_request *request);
void ask_pause(struct stream *stream, const struct msg_request *request);
void ask_maintenance(struct stream *stream, const struct msg_request *request);
void ask_cancel_all(struct stream *stream, const struct msg_request *request);
void ask_secret_rotate(struct stream *stream, const struct msg_request *request);
void ask_reload(struct stream *stream, const struct msg_request *request);

#endif
