/*
 * core/db against a real server, driven by a test through lines: db_tool DATABASE_URL
 * [CONNECTIONS].
 *
 * In:  query ID FLAGS DEADLINE_MS SQL    FLAGS: letters i (idempotent) b (background) or -
 *      batch ID DEADLINE_MS SQL; SQL …   one transaction
 *      echo ID HEX                       the bytes there and back, as a parameter of type bytea
 *      forget ID                         of a query that is out
 *      info                              the pool's state
 *      quit                              close everything and exit
 * Out: state STATE READ_ONLY REASON · done ID ERR SQLSTATE VALUE-OR-MESSAGE · info … · partitions …
 *      closed (the very last one; then the loop is empty, which is checked)
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "core/base/hex.h"
#include "core/db/partitions.h"
#include "core/db/pool.h"

#define TOOL_MAX_CALLS 4096
#define TOOL_MAX_LINE (4u << 20)

struct tool;

struct tool_call {
	struct tool *tool;
	struct pool_call *call; /* NULL: answered */
	char id[32];
	bool hex; /* the answer is bytea */
};

struct tool {
	uv_loop_t loop;
	uv_pipe_t in;
	uv_timer_t tick;
	uint64_t ticks;
	struct pool *pool;
	struct partitions *partitions;
	struct pool_watch watch;
	struct tool_call calls[TOOL_MAX_CALLS];
	size_t n_calls;
	char *line;
	size_t line_len;
	bool quitting;
};

static void on_state(struct pool_watch *watch, const struct pool_info *info)
{
	(void)watch;
	printf("state %s %d %s\n", pool_state_name(info->state), info->read_only, info->reason);
}

static void on_partitions(const char *problem, void *arg)
{
	(void)arg;
	printf("partitions %s\n", problem[0] != '\0' ? problem : "ok");
}

static void print_value(const struct pg_result *result, bool hex)
{
	if (pg_rows(result) == 0) {
		printf("(%" PRIu64 ")", pg_affected(result));
		return;
	}
	struct pg_bytes_view view = hex ? pg_get_bytes(result, 0, 0) : pg_get_text(result, 0, 0);
	for (size_t i = 0; i < view.len; i++)
		if (hex)
			printf("%02x", view.data[i]);
		else
			putchar(view.data[i]);
}

static void on_done(const struct pg_reply *reply, void *arg)
{
	struct tool_call *call = arg;
	call->call = NULL;
	printf("done %s %s %s ", call->id, reply->err == 0 ? "ok" : uv_err_name(reply->err),
		reply->sqlstate[0] != '\0' ? reply->sqlstate : "-");
	if (reply->err == 0)
		print_value(reply->results[reply->n_results - 1], call->hex);
	else
		printf("%s%s", pg_reply_is_temporary(reply) ? "temporary: " : "", reply->message);
	printf("\n");
}

static struct tool_call *tool_call_new(struct tool *tool, const char *id)
{
	if (tool->n_calls == TOOL_MAX_CALLS) {
		fprintf(stderr, "too many calls\n");
		exit(1);
	}
	struct tool_call *call = &tool->calls[tool->n_calls++];
	call->tool = tool;
	snprintf(call->id, sizeof(call->id), "%s", id);
	return call;
}

static void do_query(struct tool *tool, char *rest)
{
	char *save = NULL;
	const char *id = strtok_r(rest, " ", &save), *flags = strtok_r(NULL, " ", &save);
	const char *deadline = strtok_r(NULL, " ", &save);
	struct tool_call *call = tool_call_new(tool, id);
	unsigned bits = (strchr(flags, 'i') != NULL ? POOL_IDEMPOTENT : 0) |
			(strchr(flags, 'b') != NULL ? POOL_BACKGROUND : 0);
	/* Texts are constants elsewhere; here the batch takes the copy along. */
	char *sql = strdup(save);
	struct pg_batch *batch = pg_batch_one(sql, NULL, 0);
	pg_batch_adopt(batch, sql);
	call->call = pool_run(tool->pool, batch, bits, (unsigned)atoi(deadline), on_done, call);
}

static void do_batch(struct tool *tool, char *rest)
{
	char *save = NULL;
	const char *id = strtok_r(rest, " ", &save), *deadline = strtok_r(NULL, " ", &save);
	struct tool_call *call = tool_call_new(tool, id);
	char *sql = strdup(save), *inner = NULL;
	struct pg_batch *batch = pg_batch_new();
	pg_batch_adopt(batch, sql);
	for (char *one = strtok_r(sql, ";", &inner); one != NULL; one = strtok_r(NULL, ";", &inner))
		pg_batch_add(batch, one, NULL, 0);
	call->call = pool_run(tool->pool, batch, 0, (unsigned)atoi(deadline), on_done, call);
}

static void do_echo(struct tool *tool, char *rest)
{
	char *save = NULL;
	const char *id = strtok_r(rest, " ", &save), *hex = strtok_r(NULL, " ", &save);
	struct tool_call *call = tool_call_new(tool, id);
	size_t n = hex != NULL ? strlen(hex) / 2 : 0;
	uint8_t *bytes = malloc(n + 1);
	if (n > 0 && hex_decode(hex, 2 * n, bytes, n) != 0) {
		fprintf(stderr, "bad hex\n");
		exit(1);
	}
	const struct pg_param param = pg_bytes(bytes, n);
	call->hex = true;
	call->call =
		pool_run(tool->pool, pg_batch_one("SELECT $1", &param, 1), 0, 0, on_done, call);
	free(bytes);
}

static void do_info(struct tool *tool)
{
	struct pool_info info;
	pool_get_info(tool->pool, &info);
	printf("info state=%s read_only=%d connections=%u busy=%u waiting=%u outages=%" PRIu64
	       " ticks=%" PRIu64 " where=%s\n",
		pool_state_name(info.state), info.read_only, info.connections, info.busy,
		info.waiting, info.outages, tool->ticks, info.where);
}

static void do_forget(struct tool *tool, const char *id)
{
	for (size_t i = 0; i < tool->n_calls; i++) {
		if (strcmp(tool->calls[i].id, id) == 0 && tool->calls[i].call != NULL) {
			pool_call_forget(tool->calls[i].call);
			tool->calls[i].call = NULL;
		}
	}
}

static void on_pool_closed(void *arg)
{
	(void)arg;
}

static void on_partitions_closed(void *arg)
{
	struct tool *tool = arg;
	pool_close(tool->pool, on_pool_closed, tool);
}

static void do_quit(struct tool *tool)
{
	if (!tool->quitting) {
		tool->quitting = true;
		uv_close((uv_handle_t *)&tool->in, NULL);
		uv_close((uv_handle_t *)&tool->tick, NULL);
		partitions_close(tool->partitions, on_partitions_closed, tool);
	}
}

static void do_line(struct tool *tool, char *line)
{
	if (strncmp(line, "query ", 6) == 0) {
		do_query(tool, line + 6);
	} else if (strncmp(line, "batch ", 6) == 0) {
		do_batch(tool, line + 6);
	} else if (strncmp(line, "echo ", 5) == 0) {
		do_echo(tool, line + 5);
	} else if (strncmp(line, "forget ", 7) == 0) {
		do_forget(tool, line + 7);
	} else if (strcmp(line, "info") == 0) {
		do_info(tool);
	} else if (strcmp(line, "quit") == 0) {
		do_quit(tool);
	} else {
		fprintf(stderr, "what is '%s'?\n", line);
		exit(1);
	}
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
	(void)buf;
	if (n < 0) {
		do_quit(tool);
		return;
	}
	tool->line_len += (size_t)n;
	char *start = tool->line, *newline;
	while ((newline = memchr(start, '\n', tool->line_len - (size_t)(start - tool->line))) !=
		NULL) {
		*newline = '\0';
		do_line(tool, start);
		start = newline + 1;
	}
	tool->line_len -= (size_t)(start - tool->line);
	memmove(tool->line, start, tool->line_len);
}

static void on_tick(uv_timer_t *timer)
{
	struct tool *tool = container_of(timer, struct tool, tick);
	tool->ticks++;
}

int main(int argc, char **argv)
{
	struct tool *tool = calloc(1, sizeof(*tool));
	struct err err = {0};
	const struct pool_opts opts = {
		.database_url = argc > 1 ? argv[1] : "",
		.max_connections = argc > 2 ? (unsigned)atoi(argv[2]) : 0,
		.migrate = true,
	};

	setvbuf(stdout, NULL, _IOLBF, 0);
	uv_loop_init(&tool->loop);
	tool->line = malloc(TOOL_MAX_LINE);
	tool->pool = pool_open(&tool->loop, &opts, &err);
	if (tool->pool == NULL) {
		printf("refused %s\n", err.msg);
		return 78;
	}
	tool->watch.on_state = on_state;
	pool_watch_add(tool->pool, &tool->watch);
	tool->partitions = partitions_open(&tool->loop, tool->pool, 0, on_partitions, tool);
	uv_pipe_init(&tool->loop, &tool->in, 0);
	uv_pipe_open(&tool->in, 0);
	tool->in.data = tool;
	uv_read_start((uv_stream_t *)&tool->in, on_alloc, on_read);
	uv_timer_init(&tool->loop, &tool->tick);
	uv_timer_start(&tool->tick, on_tick, 10, 10);
	uv_run(&tool->loop, UV_RUN_DEFAULT);
	int rc = uv_loop_close(&tool->loop);
	assert(rc == 0);
	free(tool->line);
	free(tool);
	printf("closed\n");
	return rc;
}
