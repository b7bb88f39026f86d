#include "tests/tools/echo_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/web/response.h"

#define DRAIN_MS 5000 /* on a loaded machine one second is not enough to be given 6 MiB */

static void on_server_closed(void *arg)
{
	struct echo_server *echo = arg;

	uv_close((uv_handle_t *)&echo->sigterm, NULL);
	uv_close((uv_handle_t *)&echo->sigint, NULL);
}

static void on_drained(int err, void *arg)
{
	struct echo_server *echo = arg;

	fprintf(stderr, "drained %d\n", err);
	web_server_close(echo->server, on_server_closed, echo);
}

/* SIGTERM drains; SIGINT cuts. */
static void on_signal(uv_signal_t *signal, int signum)
{
	struct echo_server *echo = signal->data;

	uv_signal_stop(&echo->sigterm);
	uv_signal_stop(&echo->sigint);
	if (signum == SIGTERM)
		web_server_drain(echo->server, DRAIN_MS, on_drained, echo);
	else
		web_server_close(echo->server, on_server_closed, echo);
}

static bool set_limit(struct web_limits *limits, const char *arg)
{
	const struct {
		const char *name;
		unsigned *value;
	} known[] = {
		{"header_ms=", &limits->header_ms},
		{"head_grace_ms=", &limits->head_grace_ms},
		{"body_ms=", &limits->body_ms},
		{"idle_ms=", &limits->idle_ms},
		{"write_ms=", &limits->write_ms},
		{"handle_ms=", &limits->handle_ms},
		{"linger_ms=", &limits->linger_ms},
		{"ws_ping_ms=", &limits->ws_ping_ms},
		{"ws_pong_ms=", &limits->ws_pong_ms},
		{"ws_close_ms=", &limits->ws_close_ms},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		size_t len = strlen(known[i].name);

		if (strncmp(arg, known[i].name, len) == 0) {
			*known[i].value = (unsigned)strtoul(arg + len, NULL, 10);
			return true;
		}
	}
	if (strncmp(arg, "max_queued=", 11) == 0) {
		limits->max_queued = strtoul(arg + 11, NULL, 10);
		return true;
	}
	if (strncmp(arg, "max_connections=", 16) == 0) {
		limits->max_connections = strtoul(arg + 16, NULL, 10);
		return true;
	}
	return false;
}

static int start(struct echo_server *echo, const char *port, struct web_opts *opts)
{
	char address[64];
	struct err err = {0};

	opts->limits = &echo->limits;
	opts->arg = echo;
	if (opts->public_origin == NULL)
		opts->public_origin = "http://127.0.0.1";
	echo->server = web_server_open(&echo->loop, opts, &err);
	if (echo->server == NULL) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	snprintf(address, sizeof(address), "127.0.0.1:%s", port);
	if (web_server_listen(echo->server, address, &err) != 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	printf("listening %u\n", web_server_port(echo->server, 0));
	fflush(stdout);
	return 0;
}

int echo_server_main(int argc, char **argv, struct web_opts *opts, struct echo_server *echo)
{
	echo->limits = web_limits_default;
	if (argc < 2) {
		fprintf(stderr, "usage: %s PORT [limit=value ...]\n", argv[0]);
		return 64;
	}
	for (int i = 2; i < argc; i++) {
		if (!set_limit(&echo->limits, argv[i])) {
			fprintf(stderr, "%s: unknown limit '%s'\n", argv[0], argv[i]);
			return 64;
		}
	}
	uv_loop_init(&echo->loop);
	uv_signal_init(&echo->loop, &echo->sigterm);
	uv_signal_init(&echo->loop, &echo->sigint);
	echo->sigterm.data = echo->sigint.data = echo;
	uv_signal_start(&echo->sigterm, on_signal, SIGTERM);
	uv_signal_start(&echo->sigint, on_signal, SIGINT);
	if (start(echo, argv[1], opts) != 0)
		return 1;
	uv_run(&echo->loop, UV_RUN_DEFAULT);
	if (uv_loop_close(&echo->loop) != 0) {
		fprintf(stderr, "handles were left open\n");
		return 2;
	}
	return 0;
}

void echo_server_counts(struct request *req)
{
	struct echo_server *echo = request_app(req);
	struct web_counts counts;
	struct json json;
	struct buf buf;

	web_server_get_counts(echo->server, &counts);
	buf_init(&buf, 4096);
	json_init(&json, &buf);
	json_open_object(&json);
	json_kv_uint(&json, "connections", counts.connections);
	json_kv_uint(&json, "websockets", counts.websockets);
	json_kv_uint(&json, "accepted", counts.accepted);
	json_kv_uint(&json, "refused", counts.refused);
	json_kv_uint(&json, "requests", counts.requests);
	json_kv_uint(&json, "malformed", counts.malformed);
	json_close_object(&json);
	response_json(req, 200, &buf);
}
