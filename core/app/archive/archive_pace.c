#include "core/app/archive/archive_pace.h"

#include "core/base/mem.h"

#define STALE_MS (10u * ARCHIVE_PACE_LOOK_MS) /* a look so old says nothing of now */

static void look(struct archive_pace *pace, uint64_t now_ms, uint64_t watched_bytes)
{
	uint64_t elapsed = now_ms - pace->looked_ms;

	if (elapsed < ARCHIVE_PACE_LOOK_MS)
		return;
	pace->flood = elapsed < STALE_MS && (watched_bytes - pace->seen_bytes) * 1000 / elapsed >=
						    ARCHIVE_PACE_FLOOD_BYTES;
	pace->looked_ms = now_ms;
	pace->seen_bytes = watched_bytes;
}

static uint64_t pause_ms(const struct archive_pace *pace, uint64_t behind_bytes)
{
	uint64_t share = behind_bytes > ARCHIVE_PACE_HALF_BYTES ? 1 : ARCHIVE_PACE_SHARE;

	if (!pace->flood || behind_bytes > ARCHIVE_PACE_NONE_BYTES)
		return 0;
	return MIN(MAX(share * pace->took_ms, (uint64_t)ARCHIVE_PACE_MIN_MS),
		(uint64_t)ARCHIVE_PACE_MAX_MS);
}

unsigned archive_pace_wait_ms(
	struct archive_pace *pace, uint64_t now_ms, uint64_t watched_bytes, uint64_t behind_bytes)
{
	uint64_t free_ms;

	look(pace, now_ms, watched_bytes);
	free_ms = pace->done_ms + pause_ms(pace, behind_bytes);
	return free_ms > now_ms ? (unsigned)(free_ms - now_ms) : 0;
}

void archive_pace_done(struct archive_pace *pace, uint64_t now_ms, uint64_t took_ms)
{
	pace->done_ms = now_ms;
	pace->took_ms = took_ms;
}
