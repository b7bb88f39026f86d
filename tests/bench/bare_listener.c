/* bare_listener PORT: the least that libuv needs to take connections, beside which the dashboard's
 * start is measured. SIGTERM ends it. */
#include <stdlib.h>
#include <uv.h>

static void on_signal(uv_signal_t *handle, int signum)
{
	(void)signum;
	uv_stop(handle->loop);
}

/* Somebody has connected; that it was possible is all. */
static void on_connection(uv_stream_t *server, int status)
{
	(void)server;
	(void)status;
}

int main(int argc, char **argv)
{
	uv_loop_t *loop = uv_default_loop();
	struct sockaddr_in at;
	uv_signal_t term;
	uv_tcp_t server;

	if (argc != 2 || uv_ip4_addr("127.0.0.1", atoi(argv[1]), &at) < 0)
		return 64;
	if (uv_signal_init(loop, &term) < 0 || uv_signal_start(&term, on_signal, SIGTERM) < 0 ||
		uv_tcp_init(loop, &server) < 0 ||
		uv_tcp_bind(&server, (const struct sockaddr *)&at, 0) < 0 ||
		uv_listen((uv_stream_t *)&server, 16, on_connection) < 0)
		return 1;
	uv_run(loop, UV_RUN_DEFAULT);
	return 0;
}
