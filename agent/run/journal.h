/*
 * RUN_DIR/journal: the writer that the runner uses, and what reads a whole journal. Records are
 * those of proto/record.h, one after the other from byte 0; a position is a byte offset at a record
 * boundary. All blocking.
 */
#ifndef OPS_AGENT_RUN_JOURNAL_H
#define OPS_AGENT_RUN_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/run/state.h"
#include "core/base/buf.h"
#include "core/base/crypto.h"
#include "core/base/err.h"
#include "proto/record.h"

/* Kept allocated behind the journal's end, so that events and run.finished can still be written
 * when the disk is full. Output never uses it. */
#define JOURNAL_RESERVE (64u << 10)
#define JOURNAL_MAX_PENDING (1u << 20) /* events that wait for room */

/* What a journal holds so far, as run.finished tells it. */
struct journal_totals {
	uint64_t bytes;	  /* of stdout and stderr payloads */
	uint64_t lines;	  /* newlines in them */
	uint64_t records; /* of any kind */
	uint64_t size;	  /* journal bytes */
	uint64_t time_us; /* of the last record: time never goes back in a journal */
};

/* ---- writing ---- */

struct journal {
	int fd;
	int index_fd;		      /* -1: gave up on the index, which can be rebuilt */
	struct journal_totals totals; /* includes what is pending */
	struct crypto_sha256 digest;  /* over the headers of all records */
	uint64_t allocated;	      /* file bytes that exist or are fallocated */
	uint64_t index_next;	      /* offset from which on the next index entry is due */
	bool no_fallocate;	      /* the file system cannot */
	struct buf pending;	      /* bytes accepted and not yet written: the disk is full */
};

/* Makes journal and index in the folder, which must not hold records yet (-EEXIST). 0 or a
 * negative errno. */
MUSTCHECK int journal_create(struct journal *journal, int run_dir_fd, struct err *err);
void journal_fini(struct journal *journal);

struct journal_output {
	uint16_t step;
	enum record_kind kind;
	uint8_t flags; /* RECORD_FLAG_* */
};

/*
 * Appends one record of output. buf is RECORD_HEADER_BYTES of room and then n payload bytes
 * (1..RECORD_MAX_PAYLOAD), so that header and payload leave in one write(2). 0: accepted; -ENOSPC:
 * nothing was taken, there is no room that is not reserved, call again later with the same bytes;
 * other errnos: the journal cannot be written any more.
 */
MUSTCHECK int journal_append_output(
	struct journal *journal, const struct journal_output *output, uint8_t *buf, size_t n);
/* Appends one event record (json at most RECORD_MAX_PAYLOAD bytes, without error). It may use the
 * reserve, and waits in memory when even that is used up: 0 in both cases. -ENOBUFS: more than
 * JOURNAL_MAX_PENDING would wait; other errnos as above. */
MUSTCHECK int journal_append_event(struct journal *journal, uint16_t step, const struct buf *json);
/* Whether accepted bytes wait for room. Until they are written no output is accepted. */
bool journal_is_stuck(const struct journal *journal);
/* Tries to write what waits, and to allocate room for more output. 0: there is room; -ENOSPC: still
 * none; other errnos as above. */
MUSTCHECK int journal_flush(struct journal *journal);
/* The digest over the headers so far. */
void journal_digest(const struct journal *journal, uint8_t out[32]);
/* fdatasync. 0 or a negative errno (never retry: what failed once is not durable). */
MUSTCHECK int journal_sync(int journal_fd);
/* Gives back what was allocated beyond the end. */
void journal_trim(struct journal *journal);

/* ---- reading ---- */

struct journal_walk {
	struct journal_totals totals; /* up to the first byte that is no good record */
	uint8_t digest[32];	      /* over the headers of the records before run.finished */
	bool finished;		      /* the last good record is run.finished */
	uint64_t finished_offset;
	uint8_t finished_digest[32]; /* what run.finished says digest is; zeroes: nothing */
	uint64_t file_size;	     /* beyond totals.size: a torn tail */
};

/*
 * Walks the journal from its start. Payload checksums are verified from verify_from on (0: all;
 * what was durable needs no second look), headers always. 0, or a negative errno of reading.
 */
MUSTCHECK int journal_walk(int journal_fd, uint64_t verify_from, struct journal_walk *ret_walk);

/* How many of the n bytes are whole records; 0 when not even one is. For readers that take pieces
 * of a journal and pass on records. -EBADMSG: the bytes do not start with a record. */
MUSTCHECK int64_t journal_cut(const uint8_t *data, size_t n);

/*
 * Ends the run of a dead runner: takes the lock, cuts the torn tail, writes step.finished with
 * status lost for steps that were running, run.finished with status lost and this reason
 * (REASON_RUNNER_DIED or REASON_HOST_RESTARTED), all durable, and makes the state final. A journal
 * without a first record gets run.created from RUN_DIR/meta. A journal that has its end record
 * already (the runner died after writing it) only gets its state repaired from it. The caller has
 * seen to it that no process of the run is alive (run/killtree.h).
 * 0 with *ret_state (may be NULL) as it is now; -EAGAIN: the runner lives; -EALREADY: the state was
 * final before; others with err set.
 */
MUSTCHECK int journal_append_lost(
	int run_dir_fd, enum run_reason reason, struct run_state *ret_state, struct err *err);

#endif
