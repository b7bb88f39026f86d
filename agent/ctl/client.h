/*
 * opsctl's side of the agent's socket: blocking, one connection, one request at a time, or one
 * stream. PINGs are answered while waiting.
 */
#ifndef OPS_AGENT_CTL_CLIENT_H
#define OPS_AGENT_CTL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "proto/frame.h"
#include "proto/msg.h"

#define CLIENT_TIMEOUT_MS 15000 /* for an answer; streams wait for as long as it takes */

struct client;

/* Reads the secret and connects. err->code: -EACCES or -ENOENT for the secret file, -ENOTCONN when
 * no agent answers on the socket. */
MUSTCHECK int client_open(const char *socket_path, const char *secret_path,
	struct client **ret_client, struct err *err);
/* NULL is fine. */
void client_close(struct client *client);

/*
 * Sends a request whose fields are the n bytes at fields and waits for its answer. 0 whatever the
 * answer's status is; *ret_reply points into the client's memory until its next call.
 * -ENOTCONN: the agent went away; -ETIMEDOUT; -EPROTO: it spoke nonsense.
 */
MUSTCHECK int client_call(struct client *client, uint16_t method, const void *fields, size_t n,
	struct msg_response *ret_reply, struct err *err);

/* Waits until something of the stream has come: 1, 0 after wait_ms without, or -EINTR when a signal
 * came. The end of the connection counts as something. */
MUSTCHECK int client_wait(struct client *client, int wait_ms);

/* The next frame of the stream that the last client_call() opened. payload as above. -EINTR when a
 * signal came. */
MUSTCHECK int client_next(struct client *client, struct frame *ret_frame,
	const uint8_t **ret_payload, struct err *err);

/* Allows the agent to send that many more record bytes on this stream. */
MUSTCHECK int client_credit(struct client *client, uint32_t bytes, struct err *err);

#endif
