#include "agent/probes/dockerwatch.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/probes/engine.h"
#include "core/base/clock.h"

void dockerwatch_init(struct dockerwatch *watch)
{
	*watch = (struct dockerwatch){.fd = -1, .wait_us = DOCKERWATCH_RETRY_MIN_US};
}

static void try_later(struct dockerwatch *watch, uint64_t now_us)
{
	watch->retry_us = now_us + watch->wait_us;
	watch->wait_us = MIN(2 * watch->wait_us, DOCKERWATCH_RETRY_MAX_US);
}

uint64_t dockerwatch_run(struct dockerwatch *watch, uint64_t now_us)
{
	struct relay_ask ask = {.endpoint = RELAY_EVENTS, .api = watch->api};

	if (watch->fd >= 0)
		return UINT64_MAX;
	if (now_us < watch->retry_us)
		return watch->retry_us;
	watch->fd = relay_open(ENGINE_RELAY_FD, &ask, NULL);
	watch->opened_us = now_us;
	if (watch->fd >= 0)
		return UINT64_MAX;
	watch->fd = -1;
	try_later(watch, now_us);
	return watch->retry_us;
}

bool dockerwatch_read(struct dockerwatch *watch)
{
	uint8_t piece[16384];
	uint64_t now;
	ssize_t n = recv(watch->fd, piece, sizeof(piece), MSG_DONTWAIT);

	if (n > 0)
		return true;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	/* the engine is gone, or refuses this version of its API */
	now = clock_mono_us();
	close(watch->fd);
	watch->fd = -1;
	watch->api = (uint8_t)((watch->api + 1) % RELAY_APIS);
	if (now - watch->opened_us > DOCKERWATCH_STEADY_US)
		watch->wait_us = DOCKERWATCH_RETRY_MIN_US;
	try_later(watch, now);
	return true;
}
