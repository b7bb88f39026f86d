/*
 * The line of a log that says what went wrong: of the step that did, the first that is an error
 * (pattern_new_errors(), so what a search for errors in that step finds first), else the last that
 * it wrote to stderr. As text for a list: escapes stripped, valid UTF-8, one line, short. Pure; one
 * thread at a time.
 *
 * It follows from the log alone, so it may be looked for whenever the log is there: when the run is
 * archived (errorlines.h), or when its rows are made again (verify.h).
 */
#ifndef OPS_CORE_APP_LOGS_ERRORLINE_H
#define OPS_CORE_APP_LOGS_ERRORLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/mem.h"

#define ERRORLINE_TEXT 200			 /* bytes */
#define ERRORLINE_LEAD 60			 /* of a long line, before its error */
#define ERRORLINE_MAX_BYTES (256u << 20)	 /* of a log that are looked through */
#define ERRORLINE_JSON (ERRORLINE_TEXT * 6 + 64) /* bytes of errorline_json() at most */

/* Statuses of runs that are asked why, as SQL. */
#define ERRORLINE_STATUSES "('failed', 'timed_out', 'lost')"
bool errorline_is_asked(const char *status);
/* The same of steps: the first with one of these is the one that went wrong. */
#define ERRORLINE_ANY_STEP (-1)

struct errorline {
	uint64_t line; /* from 1, as in a search and in the page; 0: the log does not say */
	char text[ERRORLINE_TEXT + 1];
};

struct errorline_scan;

/* step: only lines of this one count; ERRORLINE_ANY_STEP. */
struct errorline_scan *errorline_scan_new(int step);
void errorline_scan_free(struct errorline_scan *scan); /* NULL is fine */

/* Goes on with n bytes of whole records. 1: it is found, or enough was looked at; 0: more may be
 * needed; -EBADMSG: damaged records. */
MUSTCHECK int errorline_scan_feed(struct errorline_scan *scan, const uint8_t *records, size_t n);
/* Nothing more comes. */
void errorline_scan_end(struct errorline_scan *scan, struct errorline *ret_line);

/* {"line":N,"text":"…"}, or {} when the log does not say. */
void errorline_json(const struct errorline *line, struct buf *out);

#endif
