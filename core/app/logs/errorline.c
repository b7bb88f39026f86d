#include "core/app/logs/errorline.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/logs/pattern.h"
#include "core/app/logs/pen.h"
#include "core/base/json.h"
#include "proto/record.h"

struct errorline_scan {
	struct pattern *pattern;
	struct matcher *matcher;
	struct pens pens;
	int step;
	uint64_t newlines; /* so far, in all streams */
	uint64_t bytes;
	struct errorline found, stderr_line;
};

bool errorline_is_asked(const char *status)
{
	return strcmp(status, "failed") == 0 || strcmp(status, "timed_out") == 0 ||
	       strcmp(status, "lost") == 0;
}

/* How many bytes of a control character, or of one that would reorder what stands around it, are at
 * text; 0: it is neither. */
static size_t hidden_len(const char *text, size_t n)
{
	const unsigned char *c = (const unsigned char *)text;

	if (c[0] < 0x20 || c[0] == 0x7f)
		return 1;
	if (n >= 2 && ((c[0] == 0xc2 && c[1] < 0xa0) || (c[0] == 0xd8 && c[1] == 0x9c)))
		return 2;
	if (n >= 3 && c[0] == 0xe2 && c[1] == 0x80 &&
		((c[2] >= 0x8e && c[2] <= 0x8f) || (c[2] >= 0xa8 && c[2] <= 0xae)))
		return 3;
	return n >= 3 && c[0] == 0xe2 && c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9 ? 3 : 0;
}

static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* The n bytes of valid UTF-8 at text as one short line: what is hidden becomes a space. */
static void keep_text(struct errorline *line, const char *text, size_t n, bool is_cut)
{
	size_t len = is_cut ? (size_t)snprintf(line->text, sizeof(line->text), "…") : 0;
	size_t i = 0;

	while (i < n) {
		size_t hidden = hidden_len(text + i, n - i), size = 1;

		while (i + size < n && is_continuation(text[i + size]))
			size++;
		if (len + (hidden > 0 ? 1 : size) > ERRORLINE_TEXT)
			break;
		if (hidden > 0 && len > 0)
			line->text[len++] = ' ';
		if (hidden == 0 && (len > 0 || text[i] != ' ')) {
			memcpy(line->text + len, text + i, size);
			len += size;
		}
		i += size;
	}
	while (len > 0 && line->text[len - 1] == ' ')
		len--;
	line->text[len] = '\0';
}

/* A line of pen, of whose text the error begins at from. */
static void keep_line(struct errorline *line, const struct pen *pen, uint64_t number, size_t from)
{
	const char *text = (const char *)pen->line.data;
	size_t start = 0;

	if (from > ERRORLINE_TEXT - ERRORLINE_LEAD) {
		start = from - ERRORLINE_LEAD;
		while (start > 0 && is_continuation(text[start]))
			start--;
	}
	line->line = number;
	keep_text(line, text + start, pen->line.len - start, start > 0);
}

/* A line, or a piece of a long one. */
static void on_text(struct pen *pen, bool ends, void *arg)
{
	struct errorline_scan *scan = arg;
	const char *text = pen->line.len > 0 ? (const char *)pen->line.data : "";
	uint64_t number = scan->newlines + 1;
	struct errorline line = {0};
	size_t from = 0, to;
	bool is_error;

	scan->newlines += ends;
	if (scan->found.line > 0 || pen->line.len == 0)
		return;
	is_error = matcher_find(scan->matcher, text, pen->line.len, 0, &from, &to) == 1;
	if (!is_error && pen->in_pieces)
		return; /* what a line is shown as is its first piece */
	if (is_error || pen->kind == RECORD_STDERR || pen_is_red(pen))
		keep_line(&line, pen, number, is_error ? from : 0);
	if (line.text[0] == '\0')
		return;
	if (is_error || pen_is_red(pen))
		scan->found = line;
	else
		scan->stderr_line = line;
}

struct errorline_scan *errorline_scan_new(int step)
{
	struct errorline_scan *scan = xcalloc(1, sizeof(*scan));

	scan->step = step;
	scan->pattern = pattern_new_errors();
	scan->matcher = matcher_new(scan->pattern);
	pens_init(&scan->pens, on_text, scan);
	scan->pens.overlap = PATTERN_MAX_BYTES;
	return scan;
}

void errorline_scan_free(struct errorline_scan *scan)
{
	if (scan == NULL)
		return;
	pens_fini(&scan->pens);
	matcher_free(scan->matcher);
	pattern_free(scan->pattern);
	free(scan);
}

int errorline_scan_feed(struct errorline_scan *scan, const uint8_t *records, size_t n)
{
	size_t used = 0;

	while (used < n) {
		struct record rec;
		int size = record_decode(records + used, n - used, &rec);

		if (size < 0)
			return -EBADMSG;
		if (scan->found.line > 0 || scan->bytes + (uint64_t)size > ERRORLINE_MAX_BYTES)
			return 1;
		used += (size_t)size;
		scan->bytes += (uint64_t)size;
		scan->newlines = rec.line;
		if (rec.kind == RECORD_EVENT ||
			(scan->step != ERRORLINE_ANY_STEP && scan->step != rec.step))
			continue;
		for (size_t at = 0; at < rec.length;)
			at += pens_write(&scan->pens, pens_get(&scan->pens, rec.step, rec.kind),
				rec.payload + at, rec.length - at, rec.time_us, 0);
	}
	return scan->found.line > 0;
}

void errorline_scan_end(struct errorline_scan *scan, struct errorline *ret_line)
{
	pens_end(&scan->pens);
	*ret_line = scan->found.line > 0 ? scan->found : scan->stderr_line;
}

void errorline_json(const struct errorline *line, struct buf *out)
{
	struct json json;

	json_init(&json, out);
	json_open_object(&json);
	if (line->line > 0) {
		json_kv_uint(&json, "line", line->line);
		json_kv_str(&json, "text", line->text);
	}
	json_close_object(&json);
}
