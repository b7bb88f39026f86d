/*
 * Where a socket's bytes arrive: one mapping, held only while there is something in it. Messages
 * are used in place; what has to move is the beginning of a message whose rest would not fit.
 */
#ifndef OPS_NET_RECVBUF_H
#define OPS_NET_RECVBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/mem.h"

#define RECVBUF_BYTES (256u * 1024u)   /* of the mapping; larger only for a larger message */
#define RECVBUF_MIN_READ (16u * 1024u) /* less room than that is not worth a read */

struct recvbuf {
	uint8_t *data; /* NULL: nothing mapped */
	size_t cap;
	size_t start, end; /* arrived and not yet used */
};

/* Makes room at data[end] for a message that begins at data[start] and will be need (> 0) bytes
 * long. 0 or -ENOMEM. A zeroed struct is an empty buffer. */
MUSTCHECK int recvbuf_make_room(struct recvbuf *buf, size_t need);
/* The first n bytes have been used. */
void recvbuf_consume(struct recvbuf *buf, size_t n);
/* Gives the memory back, with whatever is in it. */
void recvbuf_release(struct recvbuf *buf);

#endif
