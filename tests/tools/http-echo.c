/*
 * http-echo PORT [limit=value ...]: a server of core/web that answers with what it was sent, for
 * tests and benchmarks. Never installed.
 *
 * GET /json small document · GET /static 2 KiB · POST /echo (or any method but GET at /) the body ·
 * PUT /small at most 16 bytes · POST /later authorized in a later loop iteration · GET
 * /show/{a}/{b} what was understood · GET /stream?blocks=&size=[&length=1][&hang=1] streamed,
 * waiting for room · GET /never answers only by deadline · GET /aborts how often on_abort came ·
 * GET /denied 403 by the hook · GET /counts · else the page.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/web/asset.h"
#include "core/web/response.h"
#include "tests/tools/echo_server.h"

enum access {
	FREE,
	DENIED,
	LATER,
};

struct http_echo {
	struct echo_server base;
	struct assets *assets;
	uint64_t aborts, finished;
};

static struct http_echo *app(struct request *req)
{
	return container_of((struct echo_server *)request_app(req), struct http_echo, base);
}

static void get_json(struct request *req)
{
	static const char json[] = "{\"id\":1482,\"name\":\"backup\",\"status\":\"succeeded\"}";

	response_send_static(req, 200, "application/json", json, sizeof(json) - 1);
}

static void get_static(struct request *req)
{
	static char body[2048];

	memset(body, 'x', sizeof(body));
	response_send_static(req, 200, "text/plain; charset=utf-8", body, sizeof(body));
}

static void echo_body(struct request *req)
{
	size_t len;
	const uint8_t *body = request_body(req, &len);

	response_send(req, 200, "application/octet-stream", body, len);
}

static void write_cookie(struct json *json, struct request *req)
{
	const char *value;
	int r = request_cookie(req, "session", &value);

	json_kv_str(json, "cookie", r == 0 ? value : r == -EEXIST ? "DOUBLED" : NULL);
}

static void show(struct request *req)
{
	struct json json;
	struct buf buf;

	buf_init(&buf, 64u << 10);
	json_init(&json, &buf);
	json_open_object(&json);
	json_kv_str(&json, "method", request_method(req));
	json_kv_bool(&json, "head", request_is_head(req));
	json_kv_str(&json, "path", request_path(req));
	json_kv_str(&json, "a", request_param(req, "a"));
	json_kv_str(&json, "b", request_param(req, "b"));
	json_kv_str(&json, "q", request_query(req, "q"));
	json_kv_str(&json, "q2", request_query_nth(req, "q", 1));
	json_kv_str(&json, "host", request_host(req));
	json_kv_str(&json, "x", request_header(req, "X-Test"));
	json_kv_str(&json, "remote", request_remote(req));
	write_cookie(&json, req);
	json_close_object(&json);
	response_json(req, 200, &buf);
}

/* A streamed answer of blocks that are written as there is room. */
struct stream {
	uint64_t blocks, size;
	bool hang;
};

static uint64_t number(struct request *req, const char *name)
{
	const char *value = request_query(req, name);

	return value != NULL ? strtoull(value, NULL, 10) : 0;
}

static void on_stream_abort(struct request *req)
{
	app(req)->aborts++;
	free(request_arg(req));
	response_abandon(req);
}

static void pump(struct request *req)
{
	struct stream *s = request_arg(req);

	while (s->blocks > 0 && !response_is_full(req)) {
		uint8_t *block = malloc(s->size);

		memset(block, 'a' + (int)(s->blocks % 26), s->size);
		s->blocks--;
		response_write_block(req, block, s->size);
	}
	if (s->blocks == 0 && !s->hang) {
		free(s);
		response_end(req);
	}
}

static void get_stream(struct request *req)
{
	struct stream *s = xcalloc(1, sizeof(*s));

	s->blocks = number(req, "blocks");
	s->size = MAX(number(req, "size"), 1u);
	s->hang = number(req, "hang") != 0;
	request_set_arg(req, s);
	request_on_abort(req, on_stream_abort);
	response_begin(req, 200, "text/plain",
		number(req, "length") != 0 ? s->blocks * s->size : RESPONSE_LENGTH_UNKNOWN, pump);
	pump(req);
}

static void on_never_abort(struct request *req)
{
	app(req)->aborts++;
	response_send(req, 200, "text/plain", "too late", 8);
}

static void get_never(struct request *req)
{
	request_on_abort(req, on_never_abort);
}

static void get_aborts(struct request *req)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "{\"aborts\":%llu,\"finished\":%llu}",
		(unsigned long long)app(req)->aborts, (unsigned long long)app(req)->finished);

	response_send(req, 200, "application/json", text, (size_t)n);
}

static void on_authorize_timer(uv_timer_t *timer)
{
	web_authorized(timer->data);
	uv_close((uv_handle_t *)timer, (uv_close_cb)free);
}

static enum web_verdict authorize(struct request *req, const struct route *route)
{
	uv_timer_t *timer;

	switch (route->access) {
	case DENIED:
		response_problem(req, 403, "denied", "Not you.");
		return WEB_ANSWERED;
	case LATER:
		timer = xcalloc(1, sizeof(*timer));
		uv_timer_init(&app(req)->base.loop, timer);
		timer->data = req;
		uv_timer_start(timer, on_authorize_timer, 5, 0);
		return WEB_LATER;
	default:
		return WEB_ALLOW;
	}
}

static enum web_verdict admit(struct request *req)
{
	if (strcmp(request_host(req), "evil.example") != 0)
		return WEB_ALLOW;
	response_problem(req, 421, "misdirected", "This is not that host.");
	return WEB_ANSWERED;
}

static void on_page(struct request *req)
{
	assets_handle(app(req)->assets, req);
}

static void on_finished(const struct web_finished *finished, void *arg)
{
	struct http_echo *echo = container_of((struct echo_server *)arg, struct http_echo, base);

	(void)finished;
	echo->finished++;
}

static const struct route routes[] = {
	{.method = "GET", .pattern = "/json", .handle = get_json},
	{.method = "GET", .pattern = "/static", .handle = get_static},
	{.method = "POST", .pattern = "/echo", .handle = echo_body},
	{.method = "GET", .pattern = "/", .handle = on_page},
	{.method = "POST", .pattern = "/", .handle = echo_body},
	{.method = "PUT", .pattern = "/", .handle = echo_body},
	{.method = "PATCH", .pattern = "/", .handle = echo_body},
	{.method = "DELETE", .pattern = "/", .handle = echo_body},
	{.method = "POST", .pattern = "/later", .access = LATER, .handle = echo_body},
	{.method = "GET", .pattern = "/later", .access = LATER, .handle = get_json},
	{.method = "GET", .pattern = "/denied", .access = DENIED, .handle = get_json},
	{.method = "POST", .pattern = "/denied", .access = DENIED, .handle = echo_body},
	{.method = "PUT", .pattern = "/small", .max_body = 16, .handle = echo_body},
	{.method = "POST", .pattern = "/typed", .accepts = "application/json", .handle = echo_body},
	{.method = "GET", .pattern = "/show/{a}/{b}", .handle = show},
	{.method = "GET", .pattern = "/stream", .flags = ROUTE_STREAM, .handle = get_stream},
	{.method = "GET", .pattern = "/never", .handle = get_never},
	{.method = "GET", .pattern = "/aborts", .handle = get_aborts},
	{.method = "GET", .pattern = "/counts", .handle = echo_server_counts},
};

#define BYTES(text)                                                                                \
	{                                                                                          \
		(const uint8_t *)(text), sizeof(text) - 1                                          \
	}

static const struct asset assets[] = {
	{.path = "/index.html",
		.mime = "text/html; charset=utf-8",
		.etag = "aa11",
		.raw = BYTES("<!doctype html><title>echo</title>"),
		.gz = BYTES("not really gzip")},
	{.path = "/assets/app-1a2b.js",
		.mime = "text/javascript; charset=utf-8",
		.etag = "bb22",
		.immutable = true,
		.raw = BYTES("console.log(1);"),
		.gz = BYTES("gz"),
		.br = BYTES("br")},
	{.path = "/assets/packed-3c4d.js",
		.mime = "text/javascript; charset=utf-8",
		.etag = "cc33",
		.immutable = true,
		.gz = BYTES("packed gz"),
		.br = BYTES("packed br")},
};

int main(int argc, char **argv)
{
	struct http_echo echo = {.assets = assets_new(assets, ARRAY_LEN(assets))};
	struct web_opts opts = {
		.routes = routes,
		.n_routes = ARRAY_LEN(routes),
		.public_origin = "https://ops.example.org",
		.admit = admit,
		.authorize = authorize,
		.fallback = on_page,
		.on_finished = on_finished,
	};
	int r = echo_server_main(argc, argv, &opts, &echo.base);

	assets_free(echo.assets);
	return r;
}
