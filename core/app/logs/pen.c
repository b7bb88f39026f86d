#include "core/app/logs/pen.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/utf8.h"

void pens_init(struct pens *pens, pen_text_fn on_text, void *arg)
{
	list_init(&pens->all);
	pens->on_text = on_text;
	pens->arg = arg;
	pens->overlap = 0;
}

void pens_fini(struct pens *pens)
{
	list_foreach(pos, tmp, &pens->all)
	{
		struct pen *pen = container_of(pos, struct pen, link);

		list_remove(&pen->link);
		buf_fini(&pen->line);
		free(pen);
	}
}

struct pen *pens_get(struct pens *pens, uint16_t step, uint8_t kind)
{
	struct pen *pen;

	list_foreach(pos, tmp, &pens->all)
	{
		pen = container_of(pos, struct pen, link);
		if (pen->step == step && pen->kind == kind)
			return pen;
	}
	pen = xcalloc(1, sizeof(*pen));
	pen->step = step;
	pen->kind = kind;
	buf_init(&pen->line, PEN_MAX_LINE + 64);
	list_append(&pens->all, &pen->link);
	return pen;
}

static void hand_out(struct pens *pens, struct pen *pen, bool ends)
{
	size_t keep = ends ? 0 : MIN(pens->overlap, pen->line.len);

	pens->on_text(pen, ends, pens->arg);
	while (keep > 0 && (pen->line.data[pen->line.len - keep] & 0xc0) == 0x80)
		keep--; /* not from the middle of a character */
	buf_consume(&pen->line, pen->line.len - keep);
	pen->in_pieces = !ends;
	if (ends)
		pen->has_begun = pen->is_marked = false;
}

static void put(struct pens *pens, struct pen *pen, const uint8_t *bytes, size_t n)
{
	if (pen->line.len + n > PEN_MAX_LINE)
		hand_out(pens, pen, false);
	buf_append(&pen->line, bytes, n);
}

static const uint8_t replacement[] = {0xef, 0xbf, 0xbd};

/* How many bytes a sequence with this first byte has; 0: it is no first byte. */
static size_t expected_len(uint8_t first)
{
	if (first >= 0xc2 && first <= 0xdf)
		return 2;
	if (first >= 0xe0 && first <= 0xef)
		return 3;
	return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

/* Whether n bytes could be the beginning of a valid sequence of more than n bytes. */
static bool may_continue(const uint8_t *bytes, size_t n)
{
	uint8_t trial[4];

	if (n >= expected_len(bytes[0]))
		return false;
	memcpy(trial, bytes, n);
	/* Any one completion that is valid will do; the second byte's range is what differs. */
	for (unsigned second = 0x80; second <= 0xb0; second += 0x10) {
		memset(trial + n, 0x80, sizeof(trial) - n);
		if (n == 1)
			trial[1] = (uint8_t)second;
		if (utf8_sequence(trial, expected_len(bytes[0])) != 0)
			return true;
	}
	return false;
}

/* A byte of text, at or above 0x80 or in the middle of a sequence. */
static void put_high(struct pens *pens, struct pen *pen, uint8_t byte)
{
	pen->partial[pen->n_partial++] = byte;
	if (utf8_sequence(pen->partial, pen->n_partial) == pen->n_partial) {
		put(pens, pen, pen->partial, pen->n_partial);
		pen->n_partial = 0;
	} else if (!may_continue(pen->partial, pen->n_partial)) {
		/* The maximal wrong part becomes one mark; the byte that broke it may begin anew.
		 */
		bool anew = pen->n_partial > 1;

		put(pens, pen, replacement, sizeof(replacement));
		pen->n_partial = 0;
		if (anew)
			put_high(pens, pen, byte);
	}
}

static void end_sequence(struct pens *pens, struct pen *pen)
{
	if (pen->n_partial == 0)
		return;
	pen->n_partial = 0;
	put(pens, pen, replacement, sizeof(replacement));
}

static void on_ground(struct pens *pens, struct pen *pen, uint8_t byte)
{
	bool was_cr = pen->pending_cr;

	pen->pending_cr = false;
	if (byte >= 0x80) {
		if (was_cr)
			buf_reset(&pen->line);
		put_high(pens, pen, byte);
		return;
	}
	end_sequence(pens, pen);
	if (byte == '\n') {
		hand_out(pens, pen, true);
	} else if (byte == '\r') {
		pen->pending_cr = true;
	} else if (byte == 0x1b) {
		pen->pending_cr = was_cr;
		pen->state = PEN_ESCAPE;
	} else if (byte == '\t' || (byte >= 0x20 && byte != 0x7f)) {
		if (was_cr)
			buf_reset(&pen->line);
		put(pens, pen, &byte, 1);
	} else {
		pen->pending_cr = was_cr; /* other control bytes are nothing to read */
	}
}

/* A byte within an escape sequence. A newline ends any of them: nothing swallows the rest of a log,
 * and lines are counted alike everywhere. */
static void on_escaped(struct pens *pens, struct pen *pen, uint8_t byte)
{
	switch (pen->state) {
	case PEN_ESCAPE:
		if (byte == '[')
			pen->state = PEN_CSI;
		else if (byte == ']' || byte == 'P' || byte == '_' || byte == '^' || byte == 'X')
			pen->state = PEN_STRING;
		else if (byte < 0x20 || byte > 0x2f) /* 0x20-0x2f: more of the escape follows */
			pen->state = PEN_GROUND;
		break;
	case PEN_CSI:
		if (byte >= 0x20 && byte <= 0x3f)
			return;
		pen->state = PEN_GROUND;
		if (byte != '\n' && (byte < 0x20 || byte > 0x7e))
			on_ground(pens, pen, byte); /* broken off: what broke it counts */
		break;
	case PEN_STRING:
		if (byte == 0x1b)
			pen->state = PEN_STRING_ESCAPE;
		else if (byte == 0x07)
			pen->state = PEN_GROUND;
		break;
	case PEN_STRING_ESCAPE:
		pen->state = byte == '\\' ? PEN_GROUND : PEN_STRING;
		break;
	case PEN_GROUND:
		break;
	}
	if (byte == '\n') {
		pen->state = PEN_GROUND;
		on_ground(pens, pen, byte);
	}
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Whether eight bytes are all of 0x20 to 0x7e: none has its highest bit, nor gets it when 1 is
 * added, and subtracting 0x20 borrows from none. */
static bool are_plain(const uint8_t *bytes)
{
	uint64_t v;

	memcpy(&v, bytes, sizeof(v));
	return ((v | (v + EACH(1)) | (v - EACH(0x20))) & EACH(0x80)) == 0;
}

/* Plain printable ASCII up to the next byte that is anything else. */
static size_t plain_run(const struct pen *pen, const uint8_t *bytes, size_t n)
{
	size_t i = 0;

	if (pen->state != PEN_GROUND || pen->pending_cr || pen->n_partial != 0)
		return 0;
	while (i + 8 <= n && i < 4096 && are_plain(bytes + i))
		i += 8;
	while (i < n && i < 4096 && bytes[i] >= 0x20 && bytes[i] < 0x7f)
		i++;
	return i;
}

size_t pens_write(struct pens *pens, struct pen *pen, const uint8_t *bytes, size_t n,
	uint64_t time_us, uint64_t offset)
{
	for (size_t i = 0; i < n;) {
		size_t run = plain_run(pen, bytes + i, n - i);

		if (!pen->has_begun) {
			pen->has_begun = true;
			pen->time_us = time_us;
			pen->offset = offset;
		}
		if (run > 0) {
			put(pens, pen, bytes + i, run);
			i += run;
			continue;
		}
		if (pen->state == PEN_GROUND)
			on_ground(pens, pen, bytes[i]);
		else
			on_escaped(pens, pen, bytes[i]);
		if (bytes[i++] == '\n')
			return i;
	}
	return n;
}

void pens_end(struct pens *pens)
{
	list_foreach(pos, tmp, &pens->all)
	{
		struct pen *pen = container_of(pos, struct pen, link);

		end_sequence(pens, pen);
		if (pen->line.len > 0 || pen->in_pieces)
			hand_out(pens, pen, true);
	}
}
