/*
 * Records turned into what somebody asked to read: the bytes as they are, what the command wrote,
 * text for people and grep, or one JSON object a record. Pure; fed with whole records in order.
 */
#ifndef OPS_CORE_APP_LOGS_LOGFMT_H
#define OPS_CORE_APP_LOGS_LOGFMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/mem.h"

enum logfmt_kind {
	LOGFMT_RECORDS, /* unchanged */
	LOGFMT_RAW,	/* payloads of stdout and stderr, byte for byte */
	LOGFMT_TEXT,	/* whole lines: escapes stripped, UTF-8 repaired */
	LOGFMT_NDJSON,	/* {"offset","time_us","line","step","stream","text"} or …"event" */
};

struct logfmt_opts {
	enum logfmt_kind kind;
	int step;   /* -1: all */
	int stream; /* RECORD_STDOUT, RECORD_STDERR, 0: both (and events in ndjson) */
	bool times; /* text: each line begins with the time of its first byte */
};

struct logfmt;

struct logfmt *logfmt_new(const struct logfmt_opts *opts);
void logfmt_free(struct logfmt *fmt);

/*
 * Formats the first record of the n bytes at records, which begin at offset in the journal, onto
 * out. Returns its size or -EBADMSG. Errors of out stay in out.
 */
MUSTCHECK int logfmt_record(
	struct logfmt *fmt, uint64_t offset, const uint8_t *records, size_t n, struct buf *out);
/* Writes what lines are still open. */
void logfmt_end(struct logfmt *fmt, struct buf *out);

/* records raw text ndjson; -EINVAL otherwise. */
MUSTCHECK int logfmt_parse_kind(const char *text, enum logfmt_kind *ret_kind);
const char *logfmt_mime(enum logfmt_kind kind);
const char *logfmt_extension(enum logfmt_kind kind); /* of a downloaded file */

#endif
