/*
 * Text: every (step, stream) has a pen that holds its unfinished line, so that lines of parallel
 * steps do not run into each other and the n-th line of the text is the n-th line of the log. A
 * pen strips escape sequences (ECMA-48: CSI, OSC and other strings, two-byte escapes) and repairs
 * UTF-8 across record borders; "\r\n" is a line's end, any other '\r' starts the line anew, as a
 * terminal would show a progress bar.
 */
#include "core/app/logfmt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/list.h"
#include "core/base/utf8.h"
#include "proto/record.h"

enum pen_state {
	PEN_GROUND,
	PEN_ESCAPE,	   /* after ESC */
	PEN_CSI,	   /* after ESC [ */
	PEN_STRING,	   /* in OSC, DCS, APC, PM or SOS */
	PEN_STRING_ESCAPE, /* ESC within a string: perhaps its end */
};

struct pen {
	struct list link; /* logfmt.pens */
	uint16_t step;
	uint8_t kind;
	enum pen_state state;
	bool pending_cr; /* a '\r' whose next byte decides what it means */
	bool in_pieces;	 /* the line was too long: its beginning is written already */
	bool has_begun;	 /* time_us is the current line's */
	uint64_t time_us;
	uint8_t partial[4]; /* an unfinished UTF-8 sequence */
	size_t n_partial;
	struct buf line;
};

struct logfmt {
	struct logfmt_opts opts;
	struct list pens; /* pen.link, at most two a step */
};

struct logfmt *logfmt_new(const struct logfmt_opts *opts)
{
	struct logfmt *fmt = xcalloc(1, sizeof(*fmt));

	fmt->opts = *opts;
	list_init(&fmt->pens);
	return fmt;
}

void logfmt_free(struct logfmt *fmt)
{
	if (fmt == NULL)
		return;
	list_foreach(pos, tmp, &fmt->pens)
	{
		struct pen *pen = container_of(pos, struct pen, link);

		buf_fini(&pen->line);
		free(pen);
	}
	free(fmt);
}

static struct pen *pen_of(struct logfmt *fmt, uint16_t step, uint8_t kind)
{
	struct pen *pen;

	list_foreach(pos, tmp, &fmt->pens)
	{
		pen = container_of(pos, struct pen, link);
		if (pen->step == step && pen->kind == kind)
			return pen;
	}
	pen = xcalloc(1, sizeof(*pen));
	pen->step = step;
	pen->kind = kind;
	buf_init(&pen->line, LOGFMT_MAX_LINE + 64);
	list_append(&fmt->pens, &pen->link);
	return pen;
}

static void put_time(struct buf *out, uint64_t time_us)
{
	time_t s = (time_t)(time_us / CLOCK_SECOND_US);
	struct tm tm;

	if (gmtime_r(&s, &tm) == NULL)
		return;
	buf_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%06uZ ", tm.tm_year + 1900, tm.tm_mon + 1,
		tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		(unsigned)(time_us % CLOCK_SECOND_US));
}

static void pen_flush(struct logfmt *fmt, struct pen *pen, struct buf *out)
{
	if (fmt->opts.times && !pen->in_pieces)
		put_time(out, pen->time_us);
	buf_append(out, pen->line.data, pen->line.len);
	buf_reset(&pen->line);
	pen->in_pieces = true;
}

static void pen_newline(struct logfmt *fmt, struct pen *pen, struct buf *out)
{
	pen_flush(fmt, pen, out);
	buf_append_byte(out, '\n');
	pen->in_pieces = false;
	pen->has_begun = false;
}

static void pen_put(
	struct logfmt *fmt, struct pen *pen, const uint8_t *bytes, size_t n, struct buf *out)
{
	if (pen->line.len + n > LOGFMT_MAX_LINE)
		pen_flush(fmt, pen, out);
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
static void pen_put_high(struct logfmt *fmt, struct pen *pen, uint8_t byte, struct buf *out)
{
	pen->partial[pen->n_partial++] = byte;
	if (utf8_sequence(pen->partial, pen->n_partial) == pen->n_partial) {
		pen_put(fmt, pen, pen->partial, pen->n_partial, out);
		pen->n_partial = 0;
	} else if (!may_continue(pen->partial, pen->n_partial)) {
		/* The maximal wrong part becomes one mark; the byte that broke it may begin anew.
		 */
		bool anew = pen->n_partial > 1;

		pen_put(fmt, pen, replacement, sizeof(replacement), out);
		pen->n_partial = 0;
		if (anew)
			pen_put_high(fmt, pen, byte, out);
	}
}

static void pen_end_sequence(struct logfmt *fmt, struct pen *pen, struct buf *out)
{
	if (pen->n_partial == 0)
		return;
	pen->n_partial = 0;
	pen_put(fmt, pen, replacement, sizeof(replacement), out);
}

static void pen_ground(struct logfmt *fmt, struct pen *pen, uint8_t byte, struct buf *out)
{
	bool was_cr = pen->pending_cr;

	pen->pending_cr = false;
	if (byte >= 0x80) {
		if (was_cr)
			buf_reset(&pen->line);
		pen_put_high(fmt, pen, byte, out);
		return;
	}
	pen_end_sequence(fmt, pen, out);
	if (byte == '\n') {
		pen_newline(fmt, pen, out);
	} else if (byte == '\r') {
		pen->pending_cr = true;
	} else if (byte == 0x1b) {
		pen->pending_cr = was_cr;
		pen->state = PEN_ESCAPE;
	} else if (byte == '\t' || (byte >= 0x20 && byte != 0x7f)) {
		if (was_cr)
			buf_reset(&pen->line);
		pen_put(fmt, pen, &byte, 1, out);
	} else {
		pen->pending_cr = was_cr; /* other control bytes are nothing to read */
	}
}

static void pen_byte(struct logfmt *fmt, struct pen *pen, uint8_t byte, struct buf *out)
{
	switch (pen->state) {
	case PEN_GROUND:
		pen_ground(fmt, pen, byte, out);
		return;
	case PEN_ESCAPE:
		if (byte == '[')
			pen->state = PEN_CSI;
		else if (byte == ']' || byte == 'P' || byte == '_' || byte == '^' || byte == 'X')
			pen->state = PEN_STRING;
		else if (byte < 0x20 || byte > 0x2f) /* 0x20-0x2f: more of the escape follows */
			pen->state = PEN_GROUND;
		if (byte == '\n')
			pen_ground(fmt, pen, byte, out);
		return;
	case PEN_CSI:
		if (byte >= 0x20 && byte <= 0x3f)
			return;
		pen->state = PEN_GROUND;
		if (byte < 0x20 || byte > 0x7e) /* broken off: what broke it counts */
			pen_ground(fmt, pen, byte, out);
		return;
	case PEN_STRING:
		if (byte == 0x1b)
			pen->state = PEN_STRING_ESCAPE;
		else if (byte == 0x07)
			pen->state = PEN_GROUND;
		else if (byte == '\n') { /* never ended: do not swallow the rest of the log */
			pen->state = PEN_GROUND;
			pen_ground(fmt, pen, byte, out);
		}
		return;
	case PEN_STRING_ESCAPE:
		pen->state = byte == '\\' ? PEN_GROUND : PEN_STRING;
		return;
	}
}

/* Plain printable ASCII up to the next byte that is anything else. */
static size_t plain_run(const struct pen *pen, const uint8_t *bytes, size_t n)
{
	size_t i = 0;

	if (pen->state != PEN_GROUND || pen->pending_cr || pen->n_partial != 0)
		return 0;
	while (i < n && i < 4096 && bytes[i] >= 0x20 && bytes[i] < 0x7f)
		i++;
	return i;
}

static void put_text(struct logfmt *fmt, const struct record *rec, struct buf *out)
{
	struct pen *pen = pen_of(fmt, rec->step, rec->kind);

	for (uint32_t i = 0; i < rec->length;) {
		size_t n = plain_run(pen, rec->payload + i, rec->length - i);

		if (!pen->has_begun) {
			pen->has_begun = true;
			pen->time_us = rec->time_us;
		}
		if (n > 0) {
			pen_put(fmt, pen, rec->payload + i, n, out);
			i += (uint32_t)n;
		} else {
			pen_byte(fmt, pen, rec->payload[i++], out);
		}
	}
}

void logfmt_end(struct logfmt *fmt, struct buf *out)
{
	list_foreach(pos, tmp, &fmt->pens)
	{
		struct pen *pen = container_of(pos, struct pen, link);

		pen_end_sequence(fmt, pen, out);
		if (pen->line.len > 0 || pen->in_pieces)
			pen_newline(fmt, pen, out);
	}
}

static void put_ndjson(const struct record *rec, uint64_t offset, struct buf *out)
{
	struct json json;

	json_init(&json, out);
	json_open_object(&json);
	json_kv_uint(&json, "offset", offset);
	json_kv_uint(&json, "time_us", rec->time_us);
	json_kv_uint(&json, "line", rec->line);
	if (rec->step == RECORD_STEP_RUN)
		json_kv_null(&json, "step");
	else
		json_kv_uint(&json, "step", rec->step);
	if (rec->kind == RECORD_EVENT) {
		json_kv_str(&json, "stream", "event");
		json_key(&json, "event");
		json_raw(&json, rec->payload, rec->length);
	} else {
		json_kv_str(&json, "stream", rec->kind == RECORD_STDOUT ? "stdout" : "stderr");
		json_key(&json, "text");
		json_strn(&json, rec->payload, rec->length);
	}
	if ((rec->flags & RECORD_FLAG_MASKED) != 0)
		json_kv_bool(&json, "masked", true);
	json_close_object(&json);
	buf_append_byte(out, '\n');
}

static bool is_wanted(const struct logfmt_opts *opts, const struct record *rec)
{
	if (opts->step >= 0 && rec->step != opts->step)
		return false;
	return opts->stream == 0 || rec->kind == opts->stream;
}

int logfmt_record(
	struct logfmt *fmt, uint64_t offset, const uint8_t *records, size_t n, struct buf *out)
{
	struct record rec;
	int size = record_decode(records, n, &rec);

	if (size < 0)
		return -EBADMSG;
	if (!is_wanted(&fmt->opts, &rec))
		return size;
	switch (fmt->opts.kind) {
	case LOGFMT_RECORDS:
		buf_append(out, records, (size_t)size);
		break;
	case LOGFMT_RAW:
		if (rec.kind != RECORD_EVENT)
			buf_append(out, rec.payload, rec.length);
		break;
	case LOGFMT_TEXT:
		if (rec.kind != RECORD_EVENT)
			put_text(fmt, &rec, out);
		break;
	case LOGFMT_NDJSON:
		put_ndjson(&rec, offset, out);
		break;
	}
	return size;
}

static const struct {
	const char *name, *mime, *extension;
} kinds[] = {
	[LOGFMT_RECORDS] = {"records", "application/vnd.ops.records", "journal"},
	[LOGFMT_RAW] = {"raw", "application/octet-stream", "raw"},
	[LOGFMT_TEXT] = {"text", "text/plain; charset=utf-8", "txt"},
	[LOGFMT_NDJSON] = {"ndjson", "application/x-ndjson", "ndjson"},
};

int logfmt_parse_kind(const char *text, enum logfmt_kind *ret_kind)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strcmp(kinds[i].name, text) == 0) {
			*ret_kind = (enum logfmt_kind)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *logfmt_mime(enum logfmt_kind kind)
{
	return kinds[kind].mime;
}

const char *logfmt_extension(enum logfmt_kind kind)
{
	return kinds[kind].extension;
}
