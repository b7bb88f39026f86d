/*
 * Viewers of one run's log share what is fetched of it: many of them cost the agent one stream, not
 * one each. Every viewer goes at its own pace, gets every byte once and in order, and cannot tell.
 *
 * A viewer begins with a log source of its own (logsource.h). As soon as it is within what another
 * viewer's source has just brought (LIMIT_LOG_SHARED_BYTES of it are kept while there are others),
 * it goes on with that one, and its own is closed. One that falls further behind than that gets its
 * own again. More than LIMIT_LOG_FEEDS sources at a time, or LIMIT_LOG_HELD_BYTES kept in all: who
 * comes then waits its turn, and who is ahead waits for who is behind.
 */
#ifndef OPS_CORE_APP_LOGS_LOGFAN_H
#define OPS_CORE_APP_LOGS_LOGFAN_H

#include <stddef.h>
#include <stdint.h>

#include "core/app/logs/logsource.h"

struct logfan;	/* of a dashboard: all its viewers */
struct logview; /* one viewer */
struct server;

struct logview_callbacks {
	/* It is there; records follow as credit allows. */
	void (*on_opened)(struct logview *view, const struct logsource_opened *opened, void *arg);
	/* Whole records, of which the first begins at offset; valid during the call. */
	void (*on_records)(struct logview *view, uint64_t offset, const uint8_t *records,
		size_t len, void *arg);
	/* Once, last; also in place of on_opened. The view is freed after it. */
	void (*on_end)(struct logview *view, const struct logsource_end *end, void *arg);
};

struct logfan *logfan_open(struct server *server);
/* After every view is closed; on_closed comes from the loop, once, when all of it is released. */
void logfan_close(struct logfan *fan, void (*on_closed)(void *arg), void *arg);

/* offset and run: as logsource_open(). The first FRAME_INITIAL_CREDIT bytes may come without
 * further credit. Callbacks come from the loop; no view may be closed within one. callbacks must
 * outlive the view. */
struct logview *logview_open(struct logfan *fan, const char *run, int64_t offset,
	const struct logview_callbacks *callbacks, void *arg);
/* That many more record bytes may come. */
void logview_credit(struct logview *view, uint32_t bytes);
/* No callback comes any more; frees it. NULL is fine; a no-op in on_end. */
void logview_close(struct logview *view);

#endif
