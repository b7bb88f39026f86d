/*
 * Messages between worker and monitor over a SOCK_SEQPACKET pair: one message a packet, at most
 * IMSG_MAX_BYTES, in the integer and string encoding of proto/wire.h. Questions go from the worker
 * to the monitor and carry a sequence number that their IMSG_ANSWER repeats; the rest is one-way.
 * Decoders are strict: the monitor treats the worker as somebody who may have been taken over.
 *
 *	u8 type, u32 seq, then the type's fields in the order of the table in imsg.c
 */
#ifndef OPS_AGENT_MONITOR_IMSG_H
#define OPS_AGENT_MONITOR_IMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/mem.h"
#include "core/base/uuid.h"
#include "proto/wire.h"

#define IMSG_MAX_BYTES 65536
#define IMSG_MAX_ACTOR 128  /* bytes of an actor */
#define IMSG_MAX_REASON 512 /* bytes of a reason a person gives */

enum imsg_type {
	/* worker to monitor */
	IMSG_START = 1,	     /* seq config_digest peer fields: start a run */
	IMSG_CANCEL = 2,     /* seq run peer actor reason */
	IMSG_RELEASE = 3,    /* seq run digest */
	IMSG_RELOAD = 4,     /* seq peer actor */
	IMSG_BAD_SECRET = 5, /* peer: somebody gave a wrong secret */
	IMSG_BAD_PEER = 6,   /* peer: a uid that may not connect */
	/* monitor to worker */
	IMSG_ANSWER = 7,   /* seq status message fields: what the client is to be answered */
	IMSG_CONFIG = 8,   /* message: the config was read again; empty: load it, else why not */
	IMSG_SHUTDOWN = 9, /* end, with a GOAWAY to every client */
	/* worker to monitor */
	IMSG_APPROVE = 10,     /* seq run peer actor reason step: answer an approval */
	IMSG_PAUSE = 11,       /* seq peer actor reason step: the flow; approve: pause it, or not */
	IMSG_MAINTENANCE = 12, /* seq peer actor reason step: none; approve: on or off */
	IMSG_CANCEL_ALL = 13,  /* seq peer actor reason */
	IMSG_ROTATE = 14,      /* seq peer fields: as the client sent them: make a new secret */
	IMSG_STOP = 15,	       /* seq run peer actor reason step: none; approve: kill, or not */
};

struct imsg_peer {
	uint32_t uid;
	int32_t pid;
};

struct imsg {
	uint8_t type;
	uint32_t seq; /* 0: no answer is expected, or none was asked for */
	struct imsg_peer peer;
	struct uuid run; /* ANSWER to START: the run */
	bool created;	 /* ANSWER to START: false when the idempotency key was known */
	uint16_t status; /* ANSWER: enum msg_status */
	struct wire_str message;
	struct wire_str config_digest; /* START: what the worker validated by; RELOAD's ANSWER */
	struct wire_str digest;	       /* RELEASE: hex, of run.finished */
	struct wire_str actor, reason;
	struct wire_str step; /* APPROVE: its id */
	bool approve;
	/* START, ROTATE: the request's fields as the client sent them; ANSWER with invalid_input:
	 * what msg_problems_encode() wrote. */
	struct wire_str fields;
};

/* Writes the message; the bytes written, or -EMSGSIZE (does not fit cap). */
MUSTCHECK int imsg_encode(const struct imsg *msg, void *out, size_t cap);
/* 0, or -EBADMSG for what imsg_encode() does not write. Strings point into data. */
MUSTCHECK int imsg_decode(const uint8_t *data, size_t n, struct imsg *ret_msg);

/* Whether an actor is one of user:NAME token:NAME schedule:FLOW hook:NAME opsctl:UID, printable
 * and short, and, for opsctl, the peer's own uid. */
bool imsg_actor_is_valid(struct wire_str actor, uint32_t peer_uid);

#endif
