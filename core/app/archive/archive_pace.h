/*
 * When the archiver may commit. Archiving takes as much of the processors as showing a log does,
 * and can wait: what is not archived stays with the agent. So while viewers are being given a flood
 * of output, there is a pause after each transaction; the more the archive is behind, the shorter.
 *
 * Pure: times come in. Milliseconds are those of one clock that never goes back.
 */
#ifndef OPS_CORE_APP_ARCHIVE_ARCHIVE_PACE_H
#define OPS_CORE_APP_ARCHIVE_ARCHIVE_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define ARCHIVE_PACE_FLOOD_BYTES (32u << 20) /* a second, given to viewers: they come first */
#define ARCHIVE_PACE_LOOK_MS 100	     /* over which that is measured, at least */
#define ARCHIVE_PACE_SHARE 8		     /* pauses are so many times as long as transactions */
#define ARCHIVE_PACE_MIN_MS 20		     /* of a pause */
#define ARCHIVE_PACE_MAX_MS 250
/* Behind by more than this the pauses are as long as the transactions, beyond that there are none:
 * of the 10 GiB that an agent keeps for runs (OPS_AGENT_MAX_BYTES) most stay free. */
#define ARCHIVE_PACE_HALF_BYTES (UINT64_C(1) << 30)
#define ARCHIVE_PACE_NONE_BYTES (UINT64_C(3) << 30)

struct archive_pace {
	uint64_t looked_ms, seen_bytes;
	bool flood;	  /* at the last look */
	uint64_t done_ms; /* the last transaction ended */
	uint64_t took_ms;
};

/*
 * How long the next transaction is to wait: 0, now; else ask again after so many milliseconds.
 * watched_bytes: given to viewers since the start. behind_bytes: durable and not archived.
 */
unsigned archive_pace_wait_ms(
	struct archive_pace *pace, uint64_t now_ms, uint64_t watched_bytes, uint64_t behind_bytes);
/* A transaction that took so long is through. */
void archive_pace_done(struct archive_pace *pace, uint64_t now_ms, uint64_t took_ms);

#endif
