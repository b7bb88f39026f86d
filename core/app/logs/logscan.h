/*
 * A search of a log: fed with whole records in order, it writes a JSON line for each line of text
 * that matches (DESIGN section 5: offset, line, step, stream, time_us, text, ranges, before, after)
 * and at last {"total","truncated"}. Lines are those of pen.h: escapes stripped, the n-th is what
 * the n-th newline ends. Pure; one thread at a time.
 *
 * A line longer than PEN_MAX_LINE is looked at in pieces, which overlap by LOGSCAN_OVERLAP, and is
 * one match at most. Of a long line LOGSCAN_TEXT bytes around its first match are told.
 */
#ifndef OPS_CORE_APP_LOGS_LOGSCAN_H
#define OPS_CORE_APP_LOGS_LOGSCAN_H

#include <stddef.h>
#include <stdint.h>

#include "core/app/logs/pattern.h"
#include "core/base/buf.h"

#define LOGSCAN_MAX_CONTEXT 20	 /* lines before and behind */
#define LOGSCAN_TEXT 4096	 /* bytes of a line that are told */
#define LOGSCAN_LEAD 512	 /* of these, before the first match */
#define LOGSCAN_CONTEXT_TEXT 512 /* bytes of a line of context */
#define LOGSCAN_OVERLAP PATTERN_MAX_BYTES
#define LOGSCAN_MAX_RANGES 64	       /* of one line */
#define LOGSCAN_OUT_BYTES (128u << 10) /* written in one call, or little more */
#define LOGSCAN_SLICE_US 20000	       /* that a call takes, or little more */

struct logscan_opts {
	const struct pattern *pattern; /* must outlive it */
	int step;		       /* -1: all */
	int stream;		       /* RECORD_STDOUT, RECORD_STDERR, 0: both */
	unsigned before, after;	       /* up to LOGSCAN_MAX_CONTEXT */
	uint64_t limit;		       /* matches that are told; further ones are counted */
};

struct logscan;

struct logscan *logscan_new(const struct logscan_opts *opts);
void logscan_free(struct logscan *scan); /* NULL is fine */

/*
 * Goes on with the n bytes of whole records that begin at offset in the journal, and writes to out.
 * Returns how many bytes are done: n, or less when it stopped because out is full enough or its
 * time is over; it is to be called again with what is left. -EBADMSG: damaged records.
 */
MUSTCHECK long logscan_feed(
	struct logscan *scan, uint64_t offset, const uint8_t *records, size_t n, struct buf *out);
/* The log is over: what is still open, and the summary. */
void logscan_end(struct logscan *scan, struct buf *out);

#endif
