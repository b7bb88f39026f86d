/*
 * The archiver and the history against a real server and an agent, driven by a test through lines:
 * archive_tool DATABASE_URL AGENT_SOCKET SECRET.
 *
 * In:  status                          → status STATE behind_runs=… …
 *      log RUN OFFSET                  → log OFFSET HEX for each piece, then log_end ERR OFFSET
 *      locate RUN KIND VALUE           → locate ERR OFFSET LINE TIME_US
 *      get REF                         → get ERR COMPLETE JSON
 *      list LIMIT BEFORE STATUS NAME Q → list ERR N MORE ID…   ("-" for none)
 *      quit
 * Out also: change STATE problem=… whenever the archiver says so.
 */
#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "core/app/archive/archiver.h"
#include "core/app/archive/history.h"
#include "core/db/pool.h"

#define TOOL_MAX_LINE 65536

struct tool {
	uv_loop_t loop;
	uv_pipe_t in;
	struct pool *pool;
	struct channel *channel;
	struct link *link;
	struct archiver *archiver;
	char line[TOOL_MAX_LINE];
	size_t line_len;
	bool quitting;
};

static const char *err_text(int err)
{
	return err == 0 ? "ok" : uv_err_name(err);
}

static void print_status(const char *what, const struct archiver_status *s)
{
	printf("%s %s behind_runs=%" PRIu64 " behind_bytes=%" PRIu64 " archived=%" PRIu64
	       " released=%" PRIu64 " refilled=%" PRIu64 " damaged=%" PRIu64 " problem=%s\n",
		what, archiver_state_name(s->state), s->behind_runs, s->behind_bytes,
		s->archived_bytes, s->released_runs, s->refilled_runs, s->damaged_runs, s->problem);
}

static void on_change(const struct archiver_status *status, void *arg)
{
	(void)arg;
	print_status("change", status);
}

static void on_records(
	struct history_log *log, uint64_t offset, const uint8_t *records, size_t len, void *arg)
{
	(void)arg;
	printf("log %" PRIu64 " ", offset);
	for (size_t i = 0; i < len; i++)
		printf("%02x", records[i]);
	printf("\n");
	history_log_more(log);
}

static void on_log_end(
	struct history_log *log, int err, const char *message, uint64_t offset, void *arg)
{
	(void)arg;
	printf("log_end %s %" PRIu64 " %s\n", err_text(err), offset, message);
	history_log_close(log);
}

static struct uuid parse_run(const char *text)
{
	struct uuid run;
	if (uuid_parse(text, strlen(text), &run) != 0) {
		fprintf(stderr, "'%s' is no run\n", text);
		exit(1);
	}
	return run;
}

static void do_log(struct tool *tool, char *rest)
{
	static const struct history_log_callbacks callbacks = {
		.on_records = on_records, .on_end = on_log_end};
	char *save = NULL;
	struct uuid run = parse_run(strtok_r(rest, " ", &save));
	uint64_t offset = strtoull(strtok_r(NULL, " ", &save), NULL, 10);
	history_log_more(history_log_open(tool->pool, &run, offset, &callbacks, tool));
}

static void on_locate(const struct history_locate_reply *reply, void *arg)
{
	(void)arg;
	printf("locate %s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", err_text(reply->err),
		reply->offset, reply->line, reply->time_us);
}

static void do_locate(struct tool *tool, char *rest)
{
	char *save = NULL;
	struct uuid run = parse_run(strtok_r(rest, " ", &save));
	uint8_t kind = (uint8_t)atoi(strtok_r(NULL, " ", &save));
	uint64_t value = strtoull(strtok_r(NULL, " ", &save), NULL, 10);
	history_locate(tool->pool, &run, kind, value, on_locate, tool);
}

static void on_get(const struct history_get_reply *reply, void *arg)
{
	(void)arg;
	printf("get %s %d %.*s\n", err_text(reply->err), reply->run.complete,
		(int)reply->run.json.len, reply->err == 0 ? reply->run.json.data : "");
}

static void on_list(const struct history_list_reply *reply, void *arg)
{
	(void)arg;
	printf("list %s %zu %d", err_text(reply->err), reply->n_runs, reply->more);
	for (size_t i = 0; i < reply->n_runs; i++) {
		char id[UUID_TEXT_BYTES];
		uuid_format(&reply->runs[i].id, id);
		printf(" %s", id);
	}
	printf("\n");
}

static const char *word(char **save)
{
	const char *text = strtok_r(NULL, " ", save);
	return text != NULL && strcmp(text, "-") != 0 ? text : NULL;
}

static void do_list(struct tool *tool, char *rest)
{
	char *save = NULL;
	struct history_filter filter = {.limit = (unsigned)atoi(strtok_r(rest, " ", &save))};
	int err = 0;
	filter.before = word(&save);
	filter.status = word(&save);
	filter.name = word(&save);
	filter.q = word(&save);
	if (history_list(tool->pool, &filter, on_list, tool, &err) == NULL)
		printf("list %s 0 0\n", err_text(err));
}

static void on_closed(void *arg)
{
	(void)arg;
}

static void on_channel_closed(void *arg)
{
	struct tool *tool = arg;
	pool_close(tool->pool, on_closed, tool);
}

static void on_link_closed(void *arg)
{
	struct tool *tool = arg;
	channel_close(tool->channel, on_channel_closed, tool);
}

static void on_archiver_closed(void *arg)
{
	struct tool *tool = arg;
	link_close(tool->link, on_link_closed, tool);
}

static void do_quit(struct tool *tool)
{
	if (tool->quitting)
		return;
	tool->quitting = true;
	uv_close((uv_handle_t *)&tool->in, NULL);
	archiver_close(tool->archiver, on_archiver_closed, tool);
}

static void do_status(struct tool *tool)
{
	struct archiver_status status;
	archiver_get_status(tool->archiver, &status);
	print_status("status", &status);
}

static void do_line(struct tool *tool, char *line)
{
	if (strcmp(line, "status") == 0)
		do_status(tool);
	else if (strncmp(line, "log ", 4) == 0)
		do_log(tool, line + 4);
	else if (strncmp(line, "locate ", 7) == 0)
		do_locate(tool, line + 7);
	else if (strncmp(line, "get ", 4) == 0)
		history_get(tool->pool, line + 4, on_get, tool);
	else if (strncmp(line, "list ", 5) == 0)
		do_list(tool, line + 5);
	else
		do_quit(tool);
}

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
	struct tool *tool = handle->data;
	(void)hint;
	*buf = uv_buf_init(tool->line + tool->line_len, (unsigned)(TOOL_MAX_LINE - tool->line_len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct tool *tool = stream->data;
	char *start = tool->line, *newline;
	(void)buf;
	if (n < 0) {
		do_quit(tool);
		return;
	}
	tool->line_len += (size_t)n;
	while ((newline = memchr(start, '\n', tool->line_len - (size_t)(start - tool->line))) !=
		NULL) {
		*newline = '\0';
		do_line(tool, start);
		start = newline + 1;
	}
	tool->line_len -= (size_t)(start - tool->line);
	memmove(tool->line, start, tool->line_len);
}

int main(int argc, char **argv)
{
	struct tool *tool = calloc(1, sizeof(*tool));
	struct err err = {0};

	if (argc != 4 || tool == NULL) {
		fprintf(stderr, "usage: archive_tool DATABASE_URL AGENT_SOCKET SECRET\n");
		return 64;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN); /* as the daemon does: the agent goes away in the middle */
	uv_loop_init(&tool->loop);
	const struct pool_opts pool_opts = {.database_url = argv[1], .migrate = true};
	tool->pool = pool_open(&tool->loop, &pool_opts, &err);
	if (tool->pool == NULL) {
		fprintf(stderr, "%s\n", err.msg);
		return 78;
	}
	tool->channel = channel_open(&tool->loop, tool->pool);
	const struct link_opts link_opts = {
		.socket_path = argv[2], .secret = argv[3], .client = "archive_tool"};
	tool->link = link_open(&tool->loop, &link_opts);
	const struct archiver_opts opts = {.link = tool->link,
		.pool = tool->pool,
		.channel = tool->channel,
		.on_change = on_change};
	tool->archiver = archiver_open(&tool->loop, &opts);
	uv_pipe_init(&tool->loop, &tool->in, 0);
	uv_pipe_open(&tool->in, 0);
	tool->in.data = tool;
	uv_read_start((uv_stream_t *)&tool->in, on_alloc, on_read);
	uv_run(&tool->loop, UV_RUN_DEFAULT);
	int rc = uv_loop_close(&tool->loop);
	assert(rc == 0);
	free(tool);
	printf("closed\n");
	return rc;
}
