/*
 * tail.open: what a container or a unit says, live. The probes start a process that reads the
 * source and hand over an end of its socket pair; here it is read only as the client's credit
 * allows, so that the socket, and behind it the source, waits for the client.
 */
#ifndef OPS_AGENT_WORKER_LIVE_H
#define OPS_AGENT_WORKER_LIVE_H

#include "agent/probes/tailnote.h"
#include "agent/worker/conn.h"

#define LIVE_MAX 16	  /* open at a time, of all connections; agent/probes/tails.h */
#define LIVE_ASK_MS 10000 /* for the probes to answer */

struct live;

/* Each worker's numbers of tails begin at another place: answers meant for an earlier one are
 * known by that. */
void live_open(struct worker *worker);
/* The streams are gone (their connections were closed). Memory goes when the loop has run. */
void live_close(struct worker *worker);

void live_handle_open(struct stream *stream, const struct msg_request *request);
/* The probes have answered; fd (-1: none) is taken over. */
void live_take(struct worker *worker, const struct tailnote *note, int fd);

struct live_cut {
	size_t bytes; /* whole records at the start of the data that may be sent */
	bool ended;   /* the last of them is tail.ended */
};
/* As tail_cut(), but what comes is checked in full: it was written by a process that reads foreign
 * bytes. -EBADMSG when there is no sound record where one should begin. */
MUSTCHECK int live_cut(const uint8_t *data, size_t n, int64_t credit, struct live_cut *ret_cut);

#endif
