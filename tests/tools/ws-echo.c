/*
 * ws-echo PORT [limit=value ...]: WebSocket endpoints of core/web that send back what they get, for
 * tests and benchmarks. Never installed.
 *
 * / echo, messages up to 64 MiB, bounds to match · /ws echo, the usual bounds · /small messages up
 * to 1 KiB, text only, subprotocol ops.v1 · /block binary echoed through ws_send_block() ·
 * /flood?mib= sends blocks as there is room, then closes 1000 · /bye closes 4401 at the first
 * message · /counts · /closes the codes that on_close was given.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/web/response.h"
#include "core/web/ws.h"
#include "tests/tools/echo_server.h"

#define MAX_CODES 4096
#define MAX_MESSAGE (64u << 20)
#define FLOOD_BLOCK (64u << 10)

struct ws_echo {
	struct echo_server base;
	unsigned codes[MAX_CODES];
	size_t n_codes;
};

struct session {
	struct ws_echo *app;
	uint64_t left; /* bytes of a flood */
};

/* Any failure to send ends the WebSocket by itself: on_close follows. */
static void ignore(int result)
{
	(void)result;
}

static void on_text(struct ws *ws, const char *text, size_t len)
{
	ignore(ws_send_text(ws, text, len));
}

static void on_binary(struct ws *ws, const uint8_t *data, size_t len)
{
	ignore(ws_send_binary(ws, data, len));
}

static void on_binary_block(struct ws *ws, const uint8_t *data, size_t len)
{
	uint8_t *block = malloc(WS_HEADER_ROOM + 6 + len);

	if (block == NULL) {
		ws_close(ws, WS_CLOSE_INTERNAL, NULL);
		return;
	}
	memcpy(block + WS_HEADER_ROOM + 6, data, len);
	ignore(ws_send_block(ws, block, WS_HEADER_ROOM + 6, len));
}

static void on_text_bye(struct ws *ws, const char *text, size_t len)
{
	(void)text;
	(void)len;
	ws_close(ws, 4401, "session ended");
}

static void on_close(struct ws *ws, unsigned code)
{
	struct session *session = ws_arg(ws);
	struct ws_echo *app = session->app;

	if (app->n_codes < MAX_CODES)
		app->codes[app->n_codes++] = code;
	free(session);
}

static void pump(struct ws *ws)
{
	struct session *session = ws_arg(ws);

	while (session->left > 0 && !ws_is_full(ws)) {
		uint8_t *block = malloc(WS_HEADER_ROOM + FLOOD_BLOCK);

		if (block == NULL) {
			ws_close(ws, WS_CLOSE_INTERNAL, NULL);
			return;
		}
		memset(block, 'x', WS_HEADER_ROOM + FLOOD_BLOCK);
		session->left -= FLOOD_BLOCK;
		if (ws_send_block(ws, block, WS_HEADER_ROOM, FLOOD_BLOCK) != 0)
			return;
	}
	if (session->left == 0)
		ws_close(ws, WS_CLOSE_NORMAL, "done");
}

static const struct ws_callbacks echo_callbacks = {
	.on_text = on_text, .on_binary = on_binary, .on_close = on_close};
static const struct ws_callbacks text_callbacks = {.on_text = on_text, .on_close = on_close};
static const struct ws_callbacks block_callbacks = {
	.on_text = on_text, .on_binary = on_binary_block, .on_close = on_close};
static const struct ws_callbacks bye_callbacks = {.on_text = on_text_bye, .on_close = on_close};
static const struct ws_callbacks flood_callbacks = {
	.on_text = on_text, .on_drain = pump, .on_close = on_close};

static struct ws *accept_with(
	struct request *req, const struct ws_callbacks *callbacks, const struct ws_opts *opts)
{
	struct session *session = xcalloc(1, sizeof(*session));
	struct ws *ws;

	session->app = container_of((struct echo_server *)request_app(req), struct ws_echo, base);
	ws = ws_accept(req, callbacks, opts, session);
	if (ws == NULL)
		free(session);
	return ws;
}

static void open_echo(struct request *req)
{
	accept_with(req, &echo_callbacks, &(struct ws_opts){.max_message = 16u << 20});
}

static void open_wide(struct request *req)
{
	accept_with(req, &echo_callbacks,
		&(struct ws_opts){.max_message = MAX_MESSAGE,
			.max_fragments = MAX_MESSAGE / 64,
			.max_queue = 2 * MAX_MESSAGE});
}

static void open_small(struct request *req)
{
	accept_with(req, &text_callbacks,
		&(struct ws_opts){.max_message = 1024, .subprotocol = "ops.v1"});
}

static void open_block(struct request *req)
{
	accept_with(req, &block_callbacks, &(struct ws_opts){0});
}

static void open_bye(struct request *req)
{
	accept_with(req, &bye_callbacks, &(struct ws_opts){0});
}

static void open_flood(struct request *req)
{
	const char *mib = request_query(req, "mib");
	uint64_t left = mib != NULL ? strtoull(mib, NULL, 10) << 20 : 0;
	struct ws *ws = accept_with(req, &flood_callbacks, &(struct ws_opts){0});

	if (ws == NULL)
		return;
	((struct session *)ws_arg(ws))->left = left;
	pump(ws);
}

static void get_closes(struct request *req)
{
	struct ws_echo *app =
		container_of((struct echo_server *)request_app(req), struct ws_echo, base);
	struct json json;
	struct buf buf;

	buf_init(&buf, 64u << 10);
	json_init(&json, &buf);
	json_open_array(&json);
	for (size_t i = 0; i < app->n_codes; i++)
		json_uint(&json, app->codes[i]);
	json_close_array(&json);
	app->n_codes = 0;
	response_json(req, 200, &buf);
}

static const struct route routes[] = {
	{.method = "GET", .pattern = "/", .flags = ROUTE_WEBSOCKET, .handle = open_wide},
	{.method = "GET", .pattern = "/ws", .flags = ROUTE_WEBSOCKET, .handle = open_echo},
	{.method = "GET", .pattern = "/small", .flags = ROUTE_WEBSOCKET, .handle = open_small},
	{.method = "GET", .pattern = "/block", .flags = ROUTE_WEBSOCKET, .handle = open_block},
	{.method = "GET", .pattern = "/bye", .flags = ROUTE_WEBSOCKET, .handle = open_bye},
	{.method = "GET", .pattern = "/flood", .flags = ROUTE_WEBSOCKET, .handle = open_flood},
	{.method = "GET", .pattern = "/closes", .handle = get_closes},
	{.method = "GET", .pattern = "/counts", .handle = echo_server_counts},
};

int main(int argc, char **argv)
{
	static struct ws_echo echo;
	struct web_opts opts = {.routes = routes, .n_routes = ARRAY_LEN(routes)};

	return echo_server_main(argc, argv, &opts, &echo.base);
}
