/*
 * What may be asked of the Docker engine through the relay (relay.h): a handful of fixed GETs,
 * chosen by number, with nothing of the asker's in them but a checked id. One SOCK_SEQPACKET
 * message of exactly RELAY_ASK_BYTES, and with it one end of a Unix stream socket pair, to which
 * the engine's answer goes as it came:
 *
 *  0 u8 endpoint   enum relay_endpoint
 *  1 u8 api        index of the Engine API's version: 0 is 1.44, 1 is 1.41
 *  2 u8 tail       logs: index of how many lines of before (relay_tail_lines()); else 0
 *  3 u8 length     of the id: 12 to 64, or 0 where the endpoint has none
 *  4    id         lower case hex, then zeros up to the end
 *
 * Nothing is ever answered on the socket that asks, so that any number of processes may share it.
 */
#ifndef OPS_AGENT_RELAY_ASK_H
#define OPS_AGENT_RELAY_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

#define RELAY_MIN_ID 12
#define RELAY_MAX_ID 64
#define RELAY_ASK_BYTES (4 + RELAY_MAX_ID)
#define RELAY_MAX_REQUEST 512 /* bytes of a GET */
#define RELAY_APIS 2
#define RELAY_TAILS 8

enum relay_endpoint {
	RELAY_CONTAINERS = 1, /* all of them */
	RELAY_CONTAINER = 2,  /* one in full */
	RELAY_STATS = 3,      /* one's processor time and memory, once */
	RELAY_IMAGE = 4,      /* one in full */
	RELAY_EVENTS = 5,     /* of containers, for as long as somebody reads */
	RELAY_LOGS = 6,	      /* of one container, likewise: frames, each begins with its time */
	RELAY_TTY_LOGS = 7,   /* of one with a terminal: as it wrote it */
};

struct relay_ask {
	uint8_t endpoint, api, tail;
	char id[RELAY_MAX_ID + 1]; /* of a container or image; "" where there is none */
};

/* Whether the endpoint's answer goes on until somebody hangs up. */
bool relay_follows(uint8_t endpoint);
/* 0; -EINVAL when it asks for what there is not. Pure, as are the next two. */
MUSTCHECK int relay_encode(const struct relay_ask *ask, uint8_t ret_bytes[RELAY_ASK_BYTES]);
/* 0, or -EBADMSG. */
MUSTCHECK int relay_decode(const void *data, size_t n, struct relay_ask *ret_ask);
/* The GET of what relay_decode() accepted. */
void relay_request(const struct relay_ask *ask, char ret_text[RELAY_MAX_REQUEST]);
/* How many lines of before an index of tails means. */
unsigned relay_tail_lines(uint8_t tail);

/* Asks. A descriptor from which the answer can be read: the engine's HTTP answer, or the relay's
 * own (status 502 or 503, text/plain: why the engine was not reached), or nothing when it was
 * refused. Otherwise a negative errno with a text. */
MUSTCHECK int relay_open(int relay_fd, const struct relay_ask *ask, struct err *err);

#endif
