#include "core/app/activation.h"

#include <errno.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "core/base/clock.h"

int activation_listen(struct web_server *web, struct err *err)
{
	int n = sd_listen_fds(1);

	if (n < 0)
		return err_set_errno(err, n, "LISTEN_FDS");
	for (int i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i, r;

		if (sd_is_socket_inet(fd, AF_UNSPEC, SOCK_STREAM, 1, 0) <= 0)
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
	sd_notify(0, "READY=1");
}

void activation_tell_reloading(void)
{
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)clock_mono_us());
}

void activation_tell_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}

/* Half of the interval is over, and the loop is alive. */
static void on_watchdog(uv_timer_t *timer)
{
	(void)timer;
	sd_notify(0, "WATCHDOG=1");
}

void activation_watch(uv_loop_t *loop, uv_timer_t *timer)
{
	uint64_t us = 0;

	uv_timer_init(loop, timer);
	uv_unref((uv_handle_t *)timer);
	if (sd_watchdog_enabled(0, &us) > 0)
		uv_timer_start(timer, on_watchdog, 0, us / 2000 > 0 ? us / 2000 : 1);
}
