/*
 * What commands write, turned into lines of text for people: every (step, stream) has a pen that
 * holds its unfinished line, so that lines of parallel steps do not run into each other and the
 * n-th line is what the n-th newline of the log ends. A pen strips escape sequences (ECMA-48: CSI,
 * OSC and other strings, two-byte escapes) and repairs UTF-8 across record borders; "\r\n" is a
 * line's end, any other '\r' starts the line anew, as a terminal would show a progress bar. Of the
 * colours it keeps whether they are red (pen_is_red()). Pure.
 */
#ifndef OPS_CORE_APP_LOGS_PEN_H
#define OPS_CORE_APP_LOGS_PEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/list.h"

#define PEN_MAX_LINE 16384 /* a longer line comes in pieces */
#define PENS_MAX 1024	   /* two for each of 256 steps, and as many again */
#define PEN_MAX_PARAMS 32  /* of an SGR sequence; one with more is not looked at */

enum pen_state {
	PEN_GROUND,
	PEN_ESCAPE,	   /* after ESC */
	PEN_CSI,	   /* after ESC [ */
	PEN_STRING,	   /* in OSC, DCS, APC, PM or SOS */
	PEN_STRING_ESCAPE, /* ESC within a string: perhaps its end */
};

struct pen {
	struct list link; /* pens.all */
	uint16_t step;
	uint8_t kind; /* RECORD_STDOUT or RECORD_STDERR */
	enum pen_state state;
	bool pending_cr;	  /* a '\r' whose next byte decides what it means */
	bool in_pieces;		  /* the line was too long: its beginning was handed out already */
	bool has_begun;		  /* of the current line these are known: */
	uint64_t time_us, offset; /* of the record that holds its first byte */
	bool is_marked;		  /* the owner's, false at the beginning of each line */
	bool begins_red;	  /* its first character that is no space was */
	size_t n_red;		  /* characters but spaces that were, so far */
	bool is_red, is_inverse;  /* what is written now, on all lines */
	bool is_private;	  /* the CSI sequence is none that everybody knows */
	bool has_colon;
	uint16_t params[PEN_MAX_PARAMS]; /* of it; the last is being read */
	size_t n_params;
	uint8_t partial[4]; /* an unfinished UTF-8 sequence */
	size_t n_partial;
	struct buf line;
};

/* pen->line holds a line that ends here, or (ends false) as much of one as is handed out at a time;
 * it is emptied afterwards. Errors of the owner's memory are its own business. */
typedef void (*pen_text_fn)(struct pen *pen, bool ends, void *arg);

struct pens {
	struct list all; /* pen.link, at most two a step and PENS_MAX */
	size_t n;
	pen_text_fn on_text;
	void *arg;
	size_t overlap; /* bytes of a piece with which the next one begins; 0 after pens_init() */
};

void pens_init(struct pens *pens, pen_text_fn on_text, void *arg);
void pens_fini(struct pens *pens);

/* Within on_text, of the first piece of a line: whether it begins in one of the two reds (not in
 * reverse), or a quarter of its characters is in one. */
bool pen_is_red(const struct pen *pen);

/* The pen of a step's stream, made when it is not there. Where there are PENS_MAX, which no agent
 * of ours makes, the last goes on as that one's, in the middle of its line. */
struct pen *pens_get(struct pens *pens, uint16_t step, uint8_t kind);
/* Writes n bytes of a record that begins at offset. Stops behind the first newline and returns how
 * many bytes that were; n when there is none. */
size_t pens_write(struct pens *pens, struct pen *pen, const uint8_t *bytes, size_t n,
	uint64_t time_us, uint64_t offset);
/* Hands out what lines are still open, as if they ended. */
void pens_end(struct pens *pens);

#endif
