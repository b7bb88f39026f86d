/*
 * The last line of a run's log: its end is read as a viewer would (logsource.h), and of the lines
 * in it the last that is not blank counts, of stderr rather than of stdout.
 */
#include <stdlib.h>
#include <string.h>

#include "core/app/logs/logfmt.h"
#include "core/app/logs/logsource.h"
#include "core/app/notify/notify_internal.h"
#include "proto/msg.h"
#include "proto/record.h"

#define TAIL_BYTES 8192	      /* of the journal, about */
#define MAX_TEXT (256u << 10) /* of one stream's lines */

struct notify_line {
	struct list link; /* notify.lines */
	struct notify *notify;
	struct logsource *source;
	json_t *run;
	notify_line_fn cb;
	struct logfmt *formats[2]; /* stderr, stdout */
	struct buf texts[2];
};

static void line_free(struct notify_line *line)
{
	list_remove(&line->link);
	line->notify->n_lines--;
	logsource_close(line->source);
	for (int i = 0; i < 2; i++) {
		logfmt_free(line->formats[i]);
		buf_fini(&line->texts[i]);
	}
	json_decref(line->run);
	free(line);
}

static void on_opened(struct logsource *source, const struct logsource_opened *opened, void *arg)
{
	(void)source;
	(void)opened;
	(void)arg;
}

/* Some of the log's end. */
static void on_chunk(struct logsource *source, const uint8_t *payload, size_t len, void *arg)
{
	struct notify_line *line = arg;
	const uint8_t *records = payload + MSG_CHUNK_PREFIX_BYTES;
	size_t n = len - MSG_CHUNK_PREFIX_BYTES;

	for (size_t at = 0; at < n;) {
		int size =
			logfmt_record(line->formats[0], 0, records + at, n - at, &line->texts[0]);

		if (size <= 0 || logfmt_record(line->formats[1], 0, records + at, n - at,
					 &line->texts[1]) < 0)
			break;
		at += (size_t)size;
	}
	logsource_credit(source, (uint32_t)n);
}

/* The last line that is not blank, cut out of text in place; NULL: none. */
static char *last_of(struct buf *text)
{
	char *all, *line;
	size_t n;

	buf_append_byte(text, '\0');
	if (buf_err(text) < 0)
		return NULL;
	all = (char *)text->data;
	n = strlen(all);
	while (n > 0 && strchr(" \t\r\n", all[n - 1]) != NULL)
		all[--n] = '\0';
	line = strrchr(all, '\n');
	return n == 0 ? NULL : line != NULL ? line + 1 : all;
}

/* The log has been read, or cannot be. */
static void on_end(struct logsource *source, const struct logsource_end *end, void *arg)
{
	struct notify_line *line = arg;
	char *found = NULL;

	(void)source;
	(void)end;
	line->source = NULL;
	for (int i = 0; i < 2 && found == NULL; i++) {
		logfmt_end(line->formats[i], &line->texts[i]);
		found = last_of(&line->texts[i]);
	}
	line->cb(line->notify, line->run, found != NULL ? found : "");
	line_free(line);
}

bool notify_line_ask(struct notify *n, json_t *run, notify_line_fn cb)
{
	static const struct logsource_callbacks callbacks = {on_opened, on_chunk, on_end};
	const char *id = json_string_value(json_object_get(run, "id"));
	struct notify_line *line;

	if (n->n_lines == NOTIFY_MAX_LINES || id == NULL)
		return false;
	line = xcalloc(1, sizeof(*line));
	line->notify = n;
	line->cb = cb;
	line->run = json_incref(run);
	for (int i = 0; i < 2; i++) {
		struct logfmt_opts opts = {.kind = LOGFMT_TEXT,
			.step = -1,
			.stream = i == 0 ? RECORD_STDERR : RECORD_STDOUT};

		line->formats[i] = logfmt_new(&opts);
		buf_init(&line->texts[i], MAX_TEXT);
	}
	list_append(&n->lines, &line->link);
	n->n_lines++;
	line->source = logsource_open(n->server, id, -TAIL_BYTES, &callbacks, line);
	return true;
}

bool notify_line_is_asked(const struct notify *n, const char *run)
{
	list_foreach(pos, tmp, &n->lines)
	{
		const struct notify_line *line = container_of(pos, struct notify_line, link);

		if (strcmp(json_string_value(json_object_get(line->run, "id")), run) == 0)
			return true;
	}
	return false;
}

void notify_lines_forget(struct notify *n)
{
	while (!list_empty(&n->lines))
		line_free(container_of(n->lines.next, struct notify_line, link));
}
