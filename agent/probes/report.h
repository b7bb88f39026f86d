/*
 * What one probe found: items, each with a level, a reason and values. A probe that runs in a
 * process of its own writes its report into a pipe; whoever reads it takes nothing in it for
 * granted.
 */
#ifndef OPS_AGENT_PROBES_REPORT_H
#define OPS_AGENT_PROBES_REPORT_H

#include <stdint.h>

#include "agent/probes/note.h"
#include "core/base/buf.h"
#include "core/base/json.h"

#define REPORT_MAX_BYTES (1u << 20)
#define REPORT_MAX_ITEMS 512
#define REPORT_MAX_TITLE 256
#define REPORT_MAX_MESSAGE 512
#define REPORT_MAX_VALUES 40000u
#define REPORT_MAX_CODE 32
#define REPORT_MAX_PARAMS 1024 /* of its JSON */

struct finding {
	char id[NOTE_MAX_ID];
	char title[REPORT_MAX_TITLE];
	char message[REPORT_MAX_MESSAGE]; /* why it is not ok; "" when it is */
	/* The same for who reads another language: which sentence it is, and what is filled in, as
	 * a JSON array of strings. Both "": the text is all there is. */
	char code[REPORT_MAX_CODE], params[REPORT_MAX_PARAMS];
	enum level level;
	/* A worse level is shown after this many findings in a row, a better one likewise; 0 is 1.
	 */
	uint8_t rise, fall;
	struct buf values; /* text of a JSON object */
	struct json json;  /* writes it */
};

struct report {
	struct buf bytes;   /* encoded findings, each behind its u32 length */
	struct finding now; /* between report_begin() and report_end() */
};

void report_init(struct report *report);
void report_fini(struct report *report);

/* Begins a finding that is ok; the caller sets its level and writes its values (members of an
 * object) with ->json, then ends it. Texts that are too long are cut. */
struct finding *report_begin(struct report *report, const char *id, const char *title);
void report_end(struct report *report);
/* The worse of its level and this one; with the first text of the worst. code names the sentence
 * (ui/src/i18n/status.nl.ts has each in Dutch, a test says), its params are what fmt fills in, in
 * that order; NULL: what is filled in is a sentence itself. fmt has only %d, %ld, %lld, %u, %lu,
 * %llu, %zu, %s, %.Ns, %.*s and %%. */
void finding_raise(struct finding *finding, enum level level, const char *code, const char *fmt,
	...) PRINTF_LIKE(4, 5);
/* Adds a number with one decimal: value is in tenths. */
void finding_tenths(struct finding *finding, const char *key, int64_t tenths);

/* The next finding of a report's bytes at *at. 1: ret_finding is set (its values must be freed with
 * buf_fini()); 0: there are no more; -EBADMSG. */
MUSTCHECK int report_next(const uint8_t *data, size_t n, size_t *at, struct finding *ret_finding);

#endif
