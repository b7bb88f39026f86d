#include "core/app/activation.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>

#include "core/base/clock.h"
#include "core/base/service.h"

/* Whether it is a TCP socket that listens. */
static bool is_listener(int fd)
{
	struct sockaddr_storage addr = {0};
	socklen_t addr_len = sizeof(addr), len = sizeof(int);
	int type = 0, listens = 0;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens != 0 &&
	       getsockname(fd, (struct sockaddr *)&addr, &addr_len) == 0 &&
	       (addr.ss_family == AF_INET || addr.ss_family == AF_INET6);
}

int activation_listen(struct web_server *web, struct err *err)
{
	int n = service_take_sockets();

	if (n < 0)
		return err_set_errno(err, n, "LISTEN_FDS");
	for (int i = 0; i < n; i++) {
		int fd = SERVICE_FIRST_FD + i, r;

		if (!is_listener(fd))
			return err_set(err, -EINVAL,
				"LISTEN_FDS: descriptor %d is no listening TCP socket", fd);
		r = web_server_listen_fd(web, fd, err);
		if (r < 0)
			return r;
	}
	return n;
}

void activation_tell_ready(void)
{
	service_tell("READY=1");
}

void activation_tell_reloading(void)
{
	char state[64];

	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_mono_us());
	service_tell(state);
}

void activation_tell_stopping(void)
{
	service_tell("STOPPING=1");
}

/* Half of the interval is over, and the loop is alive. */
static void on_watchdog(uv_timer_t *timer)
{
	(void)timer;
	service_tell("WATCHDOG=1");
}

void activation_watch(uv_loop_t *loop, uv_timer_t *timer)
{
	uint64_t us = service_watchdog_us();

	uv_timer_init(loop, timer);
	uv_unref((uv_handle_t *)timer);
	if (us > 0)
		uv_timer_start(timer, on_watchdog, 0, us / 1000 > 0 ? us / 1000 : 1);
}
