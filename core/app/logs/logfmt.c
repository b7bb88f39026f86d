#include "core/app/logs/logfmt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/app/logs/pen.h"
#include "core/base/clock.h"
#include "core/net/record_json.h"
#include "proto/record.h"

struct logfmt {
	struct logfmt_opts opts;
	struct pens pens;
	struct buf *out; /* during a call */
};

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

/* A line, or a piece of a long one. */
static void on_text(struct pen *pen, bool ends, void *arg)
{
	struct logfmt *fmt = arg;

	if (fmt->opts.times && !pen->in_pieces)
		put_time(fmt->out, pen->time_us);
	buf_append(fmt->out, pen->line.data, pen->line.len);
	if (ends)
		buf_append_byte(fmt->out, '\n');
}

struct logfmt *logfmt_new(const struct logfmt_opts *opts)
{
	struct logfmt *fmt = xcalloc(1, sizeof(*fmt));

	fmt->opts = *opts;
	pens_init(&fmt->pens, on_text, fmt);
	return fmt;
}

void logfmt_free(struct logfmt *fmt)
{
	if (fmt == NULL)
		return;
	pens_fini(&fmt->pens);
	free(fmt);
}

static void put_text(struct logfmt *fmt, uint64_t offset, const struct record *rec, struct buf *out)
{
	struct pen *pen = pens_get(&fmt->pens, rec->step, rec->kind);

	fmt->out = out;
	for (size_t i = 0; i < rec->length;)
		i += pens_write(
			&fmt->pens, pen, rec->payload + i, rec->length - i, rec->time_us, offset);
	fmt->out = NULL;
}

void logfmt_end(struct logfmt *fmt, struct buf *out)
{
	fmt->out = out;
	pens_end(&fmt->pens);
	fmt->out = NULL;
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
			put_text(fmt, offset, &rec, out);
		break;
	case LOGFMT_NDJSON:
		record_json(&rec, offset, out);
		break;
	}
	return size;
}

static const struct {
	const char *name, *mime, *extension;
} kinds[] = {
	[LOGFMT_RECORDS] = {"records", "application/vnd.ops.records", "journal"},
	[LOGFMT_RAW] = {"raw", "application/octet-stream", "log"},
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
