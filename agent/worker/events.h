/* events: what is in the ledger from a position on, live, and every change of a run's document. */
#ifndef OPS_AGENT_WORKER_EVENTS_H
#define OPS_AGENT_WORKER_EVENTS_H

#include "agent/worker/conn.h"
#include "proto/record.h"

#define EVENTS_READ_BYTES (128u << 10)

/* Answers the request and makes the stream send EVENTs. */
void events_start(struct stream *stream, uint64_t position);
/* The ledger has grown, or a run has changed. */
void events_wake(struct worker *worker);

/* Appends the EVENT's JSON for a ledger record that ends at position: its own object with position
 * and time_us put in front. -EBADMSG when it is no object. */
MUSTCHECK int events_compose(const struct record *rec, uint64_t position, struct buf *json);

/* Looks for whole records behind ledger_end. */
void events_advance(struct worker *worker);

#endif
