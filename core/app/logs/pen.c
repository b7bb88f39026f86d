#include "core/app/logs/pen.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/utf8.h"

void pens_init(struct pens *pens, pen_text_fn on_text, void *arg)
{
	list_init(&pens->all);
	pens->n = 0;
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
	struct pen *pen = NULL;

	list_foreach(pos, tmp, &pens->all)
	{
		pen = container_of(pos, struct pen, link);
		if (pen->step == step && pen->kind == kind)
			return pen;
	}
	if (pens->n == PENS_MAX) {
		pen->step = step;
		pen->kind = kind;
		return pen;
	}
	pens->n++;
	pen = xcalloc(1, sizeof(*pen));
	pen->step = step;
	pen->kind = kind;
	buf_init(&pen->line, PEN_MAX_LINE + 64);
	list_append(&pens->all, &pen->link);
	return pen;
}

/* Characters that are no spaces. */
static size_t count_ink(const uint8_t *bytes, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += bytes[i] > ' ' && (bytes[i] & 0xc0) != 0x80;
	return count;
}

bool pen_is_red(const struct pen *pen)
{
	return pen->begins_red ||
	       (pen->n_red > 0 && pen->n_red * 4 >= count_ink(pen->line.data, pen->line.len));
}

static void begin_anew(struct pen *pen)
{
	buf_reset(&pen->line);
	pen->begins_red = false;
	pen->n_red = 0;
}

static void hand_out(struct pens *pens, struct pen *pen, bool ends)
{
	size_t keep = ends ? 0 : MIN(pens->overlap, pen->line.len);

	pens->on_text(pen, ends, pens->arg);
	while (keep > 0 && (pen->line.data[pen->line.len - keep] & 0xc0) == 0x80)
		keep--; /* not from the middle of a character */
	buf_consume(&pen->line, pen->line.len - keep);
	pen->in_pieces = !ends;
	if (ends) {
		pen->has_begun = pen->is_marked = pen->begins_red = false;
		pen->n_red = 0;
	}
}

static void put_red(struct pen *pen, const uint8_t *bytes, size_t n)
{
	size_t ink = count_ink(bytes, n);

	if (ink > 0 && pen->n_red == 0 && !pen->is_inverse && !pen->in_pieces)
		pen->begins_red = count_ink(pen->line.data, pen->line.len) == 0;
	pen->n_red += ink;
}

static void put(struct pens *pens, struct pen *pen, const uint8_t *bytes, size_t n)
{
	if (pen->line.len + n > PEN_MAX_LINE)
		hand_out(pens, pen, false);
	if (pen->is_red)
		put_red(pen, bytes, n);
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
			begin_anew(pen);
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
			begin_anew(pen);
		put(pens, pen, &byte, 1);
	} else {
		pen->pending_cr = was_cr; /* other control bytes are nothing to read */
	}
}

/* ---- SGR, as far as red needs it ---- */

/* The colour behind 38 or 48 at i: 1 to 16, 0: another one; and the index of its last part. -1: it
 * cannot be told apart from its parts. */
static int extended_colour(const struct pen *pen, size_t i, size_t *ret_last)
{
	unsigned space = i + 1 < pen->n_params ? pen->params[i + 1] : 0;
	unsigned n = i + 2 < pen->n_params ? pen->params[i + 2] & 255u : 0;

	if (space != 5 && space != 2)
		return -1;
	/* 38:2::r:g:b has the name of a space of colours before its numbers. */
	*ret_last = space == 5 ? i + 2 : i + 4 + (pen->has_colon && pen->n_params == 6);
	return space == 5 && n < 16 ? (int)n + 1 : 0;
}

static void apply_sgr(struct pen *pen)
{
	if (pen->has_colon && pen->params[0] == 4)
		return; /* a kind of underline */
	for (size_t i = 0; i < pen->n_params; i++) {
		unsigned v = pen->params[i];

		if (v == 0) {
			pen->is_red = pen->is_inverse = false;
		} else if (v == 7 || v == 27) {
			pen->is_inverse = v == 7;
		} else if ((v >= 30 && v <= 37) || v == 39 || (v >= 90 && v <= 97)) {
			pen->is_red = v == 31 || v == 91;
		} else if (v == 38 || v == 48) {
			int colour = extended_colour(pen, i, &i);

			if (colour < 0)
				return;
			if (v == 38)
				pen->is_red = colour == 2 || colour == 10;
		}
	}
}

static void begin_csi(struct pen *pen)
{
	pen->state = PEN_CSI;
	pen->is_private = pen->has_colon = false;
	pen->params[0] = 0;
	pen->n_params = 1;
}

/* A byte of a CSI sequence before its last. */
static void on_csi(struct pen *pen, uint8_t byte)
{
	uint16_t *param = &pen->params[pen->n_params - 1];

	if (byte >= '0' && byte <= '9') {
		*param = (uint16_t)MIN(*param * 10u + (unsigned)(byte - '0'), 9999u);
	} else if (byte == ';' || byte == ':') {
		pen->has_colon |= byte == ':';
		if (pen->n_params < PEN_MAX_PARAMS)
			pen->params[pen->n_params++] = 0;
		else
			pen->is_private = true;
	} else {
		pen->is_private = true;
	}
}

/* A byte within an escape sequence. A newline ends any of them: nothing swallows the rest of a log,
 * and lines are counted alike everywhere. */
static void on_escaped(struct pens *pens, struct pen *pen, uint8_t byte)
{
	switch (pen->state) {
	case PEN_ESCAPE:
		if (byte == '[')
			begin_csi(pen);
		else if (byte == ']' || byte == 'P' || byte == '_' || byte == '^' || byte == 'X')
			pen->state = PEN_STRING;
		else if (byte < 0x20 || byte > 0x2f) /* 0x20-0x2f: more of the escape follows */
			pen->state = PEN_GROUND;
		break;
	case PEN_CSI:
		if (byte >= 0x20 && byte <= 0x3f) {
			on_csi(pen, byte);
			return;
		}
		pen->state = PEN_GROUND;
		if (byte == 'm' && !pen->is_private)
			apply_sgr(pen);
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
