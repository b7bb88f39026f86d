/* What http-echo and ws-echo share: a loop, a server on 127.0.0.1, limits from the command line,
 * and an orderly end on SIGTERM that checks that nothing was left open. */
#ifndef OPS_TESTS_TOOLS_ECHO_SERVER_H
#define OPS_TESTS_TOOLS_ECHO_SERVER_H

#include <stdbool.h>
#include <uv.h>

#include "core/web/server.h"

struct echo_server {
	uv_loop_t loop;
	uv_signal_t sigterm, sigint;
	struct web_server *server;
	struct web_limits limits;
};

/* Reads PORT [header_ms=200 …], opens the server with these options (limits and arg are filled in),
 * prints "listening PORT", runs until SIGTERM, and returns the exit status. */
int echo_server_main(int argc, char **argv, struct web_opts *opts, struct echo_server *echo);

/* GET /counts: what the server has counted, as JSON. */
void echo_server_counts(struct request *req);

#endif
