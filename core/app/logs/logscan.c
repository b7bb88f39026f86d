/*
 * Owns: the pens, the last lines as context, and the matches whose lines of context behind them are
 * still to come; all of them want equally many, so they are complete in the order they were found.
 */
#include "core/app/logs/logscan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/logs/pen.h"
#include "core/base/clock.h"
#include "core/base/json.h"
#include "proto/record.h"

#define MAX_MATCH_JSON (1u << 20)
#define LINES_BETWEEN_CLOCKS 64
#define BYTES_BETWEEN_CLOCKS 4096 /* of text: an expression may be slow */

/* A match that waits for its lines behind. */
struct match {
	struct list link; /* logscan.open */
	unsigned missing;
	struct json json;
	struct buf text;
};

struct logscan {
	struct logscan_opts opts;
	struct matcher *matcher;
	struct pens pens;
	struct list open; /* match.link */
	struct buf before[LOGSCAN_MAX_CONTEXT];
	size_t n_before, next_before; /* a ring */
	uint64_t total, told, given_up;
	uint64_t newlines; /* so far, in all streams */
	size_t in_record;  /* payload bytes of the current record that are done */
	bool stopped;	   /* out is full enough */
	struct buf *out;   /* during a call */
};

static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

static size_t count_characters(const char *text, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += !is_continuation(text[i]);
	return count;
}

/* The largest length up to n that does not cut a character of text. */
static size_t whole_characters(const char *text, size_t len, size_t n)
{
	if (n >= len)
		return len;
	while (n > 0 && is_continuation(text[n]))
		n--;
	return n;
}

static void match_finish(struct logscan *scan, struct match *match)
{
	json_close_array(&match->json);
	json_close_object(&match->json);
	buf_append_byte(&match->text, '\n');
	/* What does not fit is a match that is counted and not told. */
	if (buf_err(&match->text) == 0)
		buf_append(scan->out, match->text.data, match->text.len);
	list_remove(&match->link);
	buf_fini(&match->text);
	free(match);
	scan->stopped |= scan->out->len >= LOGSCAN_OUT_BYTES;
}

/* A line is behind every open match. */
static void add_after(struct logscan *scan, const char *text, size_t n)
{
	list_foreach(pos, tmp, &scan->open)
	{
		struct match *match = container_of(pos, struct match, link);

		json_strn(&match->json, text, n);
		if (--match->missing == 0)
			match_finish(scan, match);
	}
}

static void add_before(struct logscan *scan, const char *text, size_t n)
{
	struct buf *slot;

	if (scan->opts.before == 0)
		return;
	slot = &scan->before[scan->next_before];
	buf_reset(slot);
	buf_append(slot, text, n);
	scan->next_before = (scan->next_before + 1) % scan->opts.before;
	scan->n_before = MIN(scan->n_before + 1, scan->opts.before);
}

/* Writes the ranges of all matches within text, which begins at start of the line. */
static void put_ranges(struct logscan *scan, struct json *json, const char *line, size_t start,
	size_t end, size_t from, size_t to)
{
	unsigned n = 0;
	int r = 1;

	json_key(json, "ranges");
	json_open_array(json);
	while (r == 1 && from < end && n < LOGSCAN_MAX_RANGES) {
		if (to > from) {
			json_open_array(json);
			json_uint(json, count_characters(line + start, from - start));
			json_uint(json, count_characters(line + start, MIN(to, end) - start));
			json_close_array(json);
			n++;
		} else {
			/* An empty match: look for the next one behind one character. */
			do
				to++;
			while (to < end && is_continuation(line[to]));
		}
		r = to < end ? matcher_find(scan->matcher, line, end, to, &from, &to) : 0;
	}
	json_close_array(json);
}

static void tell_match(
	struct logscan *scan, const struct pen *pen, uint64_t line, size_t from, size_t to)
{
	const char *text = (const char *)pen->line.data;
	size_t len = pen->line.len, start = 0, end;
	struct match *match = xcalloc(1, sizeof(*match));
	struct json *json = &match->json;

	if (len > LOGSCAN_TEXT && from > LOGSCAN_LEAD)
		start = whole_characters(text, len, from - LOGSCAN_LEAD);
	end = start + whole_characters(text + start, len - start, LOGSCAN_TEXT);
	match->missing = scan->opts.after;
	buf_init(&match->text, MAX_MATCH_JSON);
	json_init(json, &match->text);
	json_open_object(json);
	json_kv_uint(json, "offset", pen->offset);
	json_kv_uint(json, "line", line);
	json_kv_uint(json, "step", pen->step);
	json_kv_str(json, "stream", pen->kind == RECORD_STDOUT ? "stdout" : "stderr");
	json_kv_uint(json, "time_us", pen->time_us);
	json_key(json, "text");
	json_strn(json, text + start, end - start);
	put_ranges(scan, json, text, start, end, from, to);
	json_key(json, "before");
	json_open_array(json);
	for (size_t i = 0; i < scan->n_before; i++) {
		size_t at = (scan->next_before + scan->opts.before - scan->n_before + i) %
			    scan->opts.before;

		json_strn(json, scan->before[at].data, scan->before[at].len);
	}
	json_close_array(json);
	json_key(json, "after");
	json_open_array(json);
	list_append(&scan->open, &match->link);
	if (match->missing == 0)
		match_finish(scan, match);
}

/* A line, or a piece of a long one: is_marked says that a piece of it has matched. */
static void on_text(struct pen *pen, bool ends, void *arg)
{
	struct logscan *scan = arg;
	const char *text = pen->line.len > 0 ? (const char *)pen->line.data : "";
	size_t shown = whole_characters(text, pen->line.len, LOGSCAN_CONTEXT_TEXT), from = 0,
	       to = 0;
	int r = 0;

	scan->newlines += ends;
	/* The first piece stands for the line. */
	if (!pen->in_pieces)
		add_after(scan, text, shown);
	if (!pen->is_marked)
		r = matcher_find(scan->matcher, text, pen->line.len, 0, &from, &to);
	if (r == 0 && !pen->is_marked && !pen->in_pieces &&
		pattern_counts_red(scan->opts.pattern) && pen_is_red(pen)) {
		from = to = 0;
		r = 1;
	}
	if (r < 0) {
		scan->given_up++;
	} else if (r == 1) {
		pen->is_marked = true;
		scan->total++;
		if (scan->told < scan->opts.limit) {
			scan->told++;
			tell_match(scan, pen, scan->newlines + !ends, from, to);
		}
	}
	if (!pen->in_pieces)
		add_before(scan, text, shown);
}

struct logscan *logscan_new(const struct logscan_opts *opts)
{
	struct logscan *scan = xcalloc(1, sizeof(*scan));

	scan->opts = *opts;
	scan->opts.before = MIN(opts->before, LOGSCAN_MAX_CONTEXT);
	scan->opts.after = MIN(opts->after, LOGSCAN_MAX_CONTEXT);
	scan->matcher = matcher_new(opts->pattern);
	list_init(&scan->open);
	pens_init(&scan->pens, on_text, scan);
	scan->pens.overlap = LOGSCAN_OVERLAP;
	for (size_t i = 0; i < LOGSCAN_MAX_CONTEXT; i++)
		buf_init(&scan->before[i], LOGSCAN_CONTEXT_TEXT);
	return scan;
}

void logscan_free(struct logscan *scan)
{
	if (scan == NULL)
		return;
	list_foreach(pos, tmp, &scan->open)
	{
		struct match *match = container_of(pos, struct match, link);

		buf_fini(&match->text);
		free(match);
	}
	for (size_t i = 0; i < LOGSCAN_MAX_CONTEXT; i++)
		buf_fini(&scan->before[i]);
	pens_fini(&scan->pens);
	matcher_free(scan->matcher);
	free(scan);
}

/* What is left of one record. False: it stopped on the way. */
static bool feed_record(
	struct logscan *scan, uint64_t offset, const struct record *rec, uint64_t until_us)
{
	struct pen *pen = pens_get(&scan->pens, rec->step, rec->kind);

	size_t looked_at = scan->in_record;

	for (unsigned lines = 1; scan->in_record < rec->length; lines++) {
		scan->in_record += pens_write(&scan->pens, pen, rec->payload + scan->in_record,
			rec->length - scan->in_record, rec->time_us, offset);
		if (lines % LINES_BETWEEN_CLOCKS == 0 ||
			scan->in_record - looked_at >= BYTES_BETWEEN_CLOCKS) {
			looked_at = scan->in_record;
			if (clock_mono_us() > until_us)
				scan->stopped = true;
		}
		if (scan->stopped && scan->in_record < rec->length)
			return false;
	}
	return true;
}

static bool is_wanted(const struct logscan *scan, const struct record *rec)
{
	return rec->kind != RECORD_EVENT && (scan->opts.step < 0 || rec->step == scan->opts.step) &&
	       (scan->opts.stream == 0 || rec->kind == scan->opts.stream);
}

long logscan_feed(
	struct logscan *scan, uint64_t offset, const uint8_t *records, size_t n, struct buf *out)
{
	uint64_t until_us = clock_mono_us() + LOGSCAN_SLICE_US;
	size_t used = 0;

	scan->out = out;
	scan->stopped = false;
	while (used < n && !scan->stopped) {
		struct record rec;
		int size = record_decode(records + used, n - used, &rec);

		if (size < 0)
			return -EBADMSG;
		if (scan->in_record == 0)
			scan->newlines = rec.line;
		if (is_wanted(scan, &rec) && !feed_record(scan, offset + used, &rec, until_us))
			break;
		scan->in_record = 0;
		used += (size_t)size;
		if (clock_mono_us() > until_us)
			break;
	}
	scan->out = NULL;
	return (long)used;
}

void logscan_end(struct logscan *scan, struct buf *out)
{
	struct json json;

	scan->out = out;
	pens_end(&scan->pens);
	list_foreach(pos, tmp, &scan->open)
		match_finish(scan, container_of(pos, struct match, link));
	scan->out = NULL;
	json_init(&json, out);
	json_open_object(&json);
	json_kv_uint(&json, "total", scan->total);
	json_kv_bool(&json, "truncated", scan->total > scan->told || scan->given_up > 0);
	/* Lines on which the expression ran into its limit. */
	json_kv_uint(&json, "given_up", scan->given_up);
	json_close_object(&json);
	buf_append_byte(out, '\n');
}
