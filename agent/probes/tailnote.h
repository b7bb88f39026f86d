/*
 * What worker and probes tell each other about live tails (tail.open), on the same pair as the
 * notes of note.h; the first byte tells them apart. The worker asks with OPEN; the probes answer
 * with OPENED, which carries one end of a stream socket pair, with whole records to read, as
 * SCM_RIGHTS, or with REFUSED. There is no word for closing: whoever closes an end of the pair ends
 * the tail.
 */
#ifndef OPS_AGENT_PROBES_TAILNOTE_H
#define OPS_AGENT_PROBES_TAILNOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/mem.h"
#include "proto/wire.h"

#define TAILNOTE_MAX_NAME 256	 /* of a unit or container */
#define TAILNOTE_MAX_MESSAGE 300 /* why it is refused */
#define TAILNOTE_MAX_BYTES 1024

/* Follow the numbers of enum note_kind. */
enum tailnote_kind {
	TAILNOTE_OPEN = 7,    /* worker: source, name, backlog_lines */
	TAILNOTE_OPENED = 8,  /* probes: a descriptor comes along */
	TAILNOTE_REFUSED = 9, /* probes: status, text */
};

struct tailnote {
	uint8_t kind;
	uint8_t source;	 /* enum msg_tail_kind */
	uint16_t status; /* enum msg_status */
	uint32_t backlog_lines;
	uint64_t tail;	      /* the worker's number, unique over all workers since boot */
	struct wire_str text; /* OPEN: name; REFUSED: message */
};

/* Whether a message of the pair is one of these. */
bool tailnote_is(const uint8_t *data, size_t n);
/* Bytes written to out, or -EMSGSIZE. */
MUSTCHECK int tailnote_encode(const struct tailnote *note, uint8_t *out, size_t cap);
/* 0, or -EBADMSG. The text points into data. */
MUSTCHECK int tailnote_decode(const uint8_t *data, size_t n, struct tailnote *ret_note);

/* Encodes and sends, with pass_fd (-1: none) as SCM_RIGHTS; never blocks. The descriptor stays the
 * caller's. 0 or a negative errno (-EAGAIN: the socket is full). */
MUSTCHECK int tailnote_send(int fd, const struct tailnote *note, int pass_fd);
/* recv(2) without blocking that also takes one descriptor: *ret_fd, -1 when none came; it is the
 * caller's, close-on-exec. Any beyond the first are closed. Returns what recvmsg(2) does. */
MUSTCHECK ssize_t tailnote_recv(int fd, void *data, size_t cap, int *ret_fd);

#endif
