/* run.tail: a journal's records from an offset on, live at its end. */
#ifndef OPS_AGENT_WORKER_TAIL_H
#define OPS_AGENT_WORKER_TAIL_H

#include "agent/worker/conn.h"

#define TAIL_CHUNK_BYTES (128u << 10) /* records in one CHUNK, about */

/* Answers the request and makes the stream send CHUNKs. */
void tail_start(struct stream *stream, struct run *run, uint64_t offset);
/* The run's journal or state has changed: its tails look again. */
void tail_wake(struct run *run);

struct tail_cut {
	size_t bytes;  /* whole records at the start of the data that may be sent */
	bool finished; /* the last of them is run.finished */
};

/*
 * How much of the n bytes at data, which start at a record boundary, may go into one CHUNK: whole
 * records only, until credit is used up (the last one may overshoot it). 0, or -EBADMSG when there
 * is no record where one should begin.
 */
MUSTCHECK int tail_cut(const uint8_t *data, size_t n, int64_t credit, struct tail_cut *ret_cut);

#endif
