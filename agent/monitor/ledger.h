/*
 * The ledger, STATE_DIR/ledger: what happened to the agent itself, one event record
 * (proto/record.h) each, only ever appended to. The JSON of every event ends with "prev", the hex
 * SHA-256 of the record before it (header and payload; 64 zeros for the first), so that nothing in
 * the middle can be changed without all that follows.
 *
 * A position is a byte offset, always at a record boundary. Written by the monitor alone; the
 * worker reads the file.
 */
#ifndef OPS_AGENT_MONITOR_LEDGER_H
#define OPS_AGENT_MONITOR_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/err.h"
#include "core/base/json.h"

#define LEDGER_FILE "ledger"
#define LEDGER_MAX_EVENT_BYTES 8192

struct ledger;

/* Opens the ledger in state_dir, or makes it with this group (-1: leave). A tail that a power cut
 * tore is cut back to the last whole record, which the ledger then tells. NULL with err set. */
struct ledger *ledger_open(int state_dir_fd, gid_t gid, struct err *err);
/* Syncs and closes. NULL is fine. */
void ledger_close(struct ledger *ledger);

/* Begins an event, {"event":NAME,…; the caller adds keys to what is returned and then commits. */
struct json *ledger_begin(struct ledger *ledger, const char *event);
/* Appends the event. 0, or a negative errno: then the ledger is as it was before ledger_begin(). */
MUSTCHECK int ledger_commit(struct ledger *ledger, struct err *err);

/* When the last event was written; 0: none was. */
uint64_t ledger_last_us(const struct ledger *ledger);
/* Where the next event will be. */
uint64_t ledger_position(const struct ledger *ledger);
/* Whether events were appended since the last ledger_sync(). */
bool ledger_is_dirty(const struct ledger *ledger);
/* fdatasync(2). */
MUSTCHECK int ledger_sync(struct ledger *ledger);

/* Walks a whole ledger file and checks every record and the chain. 0 with the number of events, or
 * -EBADMSG with a text that names the position; other errnos as reading gives them. */
MUSTCHECK int ledger_verify(
	int state_dir_fd, uint64_t *ret_events, uint64_t *ret_bytes, struct err *err);

#endif
