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

#include "core/base/crypto.h"
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

/* A good event on a walk: where its record begins, its JSON, and the head up to and with it. Bytes
 * are the walk's own until the function returns. */
typedef void ledger_event_fn(void *arg, uint64_t offset, const char *json, size_t n,
	const uint8_t head[CRYPTO_SHA256_BYTES]);

/* A walk over a ledger from its start, a window at a time; zeroes begin it. */
struct ledger_walk {
	uint64_t offset; /* behind the last good record */
	uint64_t events;
	uint64_t last_us;		   /* of the last good record */
	uint8_t head[CRYPTO_SHA256_BYTES]; /* digest of the last good record */
	const char *damage;		   /* why it stopped before the end; NULL: it did not */
	bool torn;			   /* the damage is one that a power cut leaves */
	ledger_event_fn *fn;		   /* may be NULL */
	void *arg;
};

/* Walks the ledger, or goes on where an earlier walk ended, and checks every record and the chain.
 * 0, or -EBADMSG with a text that names the position; other errnos as reading gives them. */
MUSTCHECK int ledger_verify(int state_dir_fd, struct ledger_walk *walk, struct err *err);

#endif
