#include "agent/monitor/watchman.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/config/errand.h"
#include "core/base/clock.h"
#include "core/base/log.h"

#define EXIT_CONFIG 78
#define PAIR_TYPE (SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK)

extern char **environ;

int watchman_init(struct watchman *watchman, const char *verb, struct err *err)
{
	int pair[2];

	*watchman = (struct watchman){
		.verb = verb,
		.peer_fd = -1,
		.own_fd = -1,
		.relay_fd = -1,
		.status_fd = -1,
		.life_fd = -1,
		.pid_fd = -1,
		.backoff_ms = WATCHMAN_BACKOFF_MIN_MS,
	};
	if (socketpair(AF_UNIX, PAIR_TYPE, 0, pair) != 0)
		return err_set_errno(err, -errno, "cannot make the socket pair of '%s'", verb);
	watchman->peer_fd = pair[0];
	watchman->own_fd = pair[1];
	return 0;
}

void watchman_give(struct watchman *watchman, int relay_fd, const char *service)
{
	watchman->has_errand = true;
	watchman->relay_fd = relay_fd;
	watchman->service = service;
}

/* ---- ending ---- */

static void end(struct watchman *watchman)
{
	if (watchman->pid != 0)
		kill(watchman->pid, SIGKILL);
	if (watchman->life_fd >= 0 && watchman->end_us == 0) {
		(void)shutdown(watchman->life_fd, SHUT_WR);
		watchman->end_us = clock_mono_us() + WATCHMAN_END_US;
	}
}

static void let_go(struct watchman *watchman)
{
	close(watchman->life_fd);
	if (watchman->pid_fd >= 0)
		close(watchman->pid_fd);
	watchman->life_fd = watchman->pid_fd = -1;
	watchman->killed = false;
	watchman->end_us = 0;
}

static void back_off(struct watchman *watchman, uint64_t now_us)
{
	watchman->respawn_us = now_us + watchman->backoff_ms * UINT64_C(1000);
	watchman->backoff_ms = MIN(2 * watchman->backoff_ms, (unsigned)WATCHMAN_BACKOFF_MAX_MS);
}

/* It is not there any more. Whether that is to be told: nobody wanted it. */
static bool gone(struct watchman *watchman, bool refused)
{
	uint64_t now = clock_mono_us();
	bool replaced = watchman->replaced;

	watchman->replaced = false;
	if (replaced)
		return false;
	if (refused) {
		watchman->respawn_us = now + WATCHMAN_REST_MS * UINT64_C(1000);
		return false;
	}
	if (now - watchman->started_us > WATCHMAN_STEADY_US)
		watchman->backoff_ms = WATCHMAN_BACKOFF_MIN_MS;
	back_off(watchman, now);
	return watchman->wanted;
}

bool watchman_exited(struct watchman *watchman, pid_t pid, int status)
{
	if (pid != watchman->pid || pid == 0)
		return false;
	watchman->pid = 0;
	if (gone(watchman, WIFEXITED(status) && WEXITSTATUS(status) == EXIT_CONFIG))
		log_warn(LOG_EV("process.died"), LOG_STR("process", watchman->verb),
			LOG_INT("status", WIFEXITED(status) ? WEXITSTATUS(status) : -1),
			LOG_INT("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0));
	return true;
}

/* A word of the service's. The first comes from the program as it was installed. */
static void hear(struct watchman *watchman, char byte, pid_t pid)
{
	if (byte == ERRAND_HERE && watchman->pid_fd < 0 && pid > 0)
		watchman->pid_fd = pidfd_open(pid, 0);
	watchman->refused = watchman->refused || byte == ERRAND_REFUSED;
}

void watchman_polled(struct watchman *watchman)
{
	char byte;
	pid_t pid;
	int rc;

	if (watchman->life_fd < 0)
		return;
	rc = errand_hear(watchman->life_fd, &byte, &pid);
	if (rc == 0)
		hear(watchman, byte, pid);
	if (rc == 0 || rc == -EAGAIN || rc == -EINTR)
		return;
	/* One that ends is deaf to this; one that only says so would be there beside the next. */
	if (watchman->pid_fd >= 0)
		(void)!pidfd_send_signal(watchman->pid_fd, SIGKILL, NULL, 0);
	let_go(watchman);
	if (gone(watchman, watchman->refused))
		log_warn(LOG_EV("process.died"), LOG_STR("process", watchman->verb),
			LOG_STR("service", watchman->service));
}

void watchman_stop(struct watchman *watchman)
{
	watchman->wanted = false;
	end(watchman);
}

void watchman_fini(struct watchman *watchman)
{
	free(watchman->argument);
	watchman->argument = NULL;
}

/* ---- starting ---- */

static int spawn(struct watchman *watchman, int stdin_fd)
{
	char program[] = "ops-agent", verb[32], parent[16];
	char *const argv[] = {program, verb, parent, watchman->argument, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc;

	snprintf(verb, sizeof(verb), "%s", watchman->verb);
	snprintf(parent, sizeof(parent), "%d", getpid());
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, stdin_fd, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
	rc = posix_spawn(&watchman->pid, "/proc/self/exe", &actions, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	if (rc != 0)
		watchman->pid = 0;
	return -rc;
}

static int send_errand(const struct watchman *watchman, int fd)
{
	return errand_send(fd, &(struct errand){.status_fd = watchman->status_fd,
				       .worker_fd = watchman->own_fd,
				       .relay_fd = watchman->relay_fd});
}

/* The errand waits in the pair, whose other end is closed: what is sent stays. */
static int spawn_with_errand(struct watchman *watchman)
{
	int pair[2];
	int rc;

	if (socketpair(AF_UNIX, PAIR_TYPE, 0, pair) != 0)
		return -errno;
	rc = send_errand(watchman, pair[0]);
	close(pair[0]);
	if (rc == 0)
		rc = spawn(watchman, pair[1]);
	close(pair[1]);
	return rc;
}

/* systemd accepts when it gets to it; nobody waits for that. */
static int ask_for_service(struct watchman *watchman)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const int on = 1;
	int fd, rc = 0;

	if (strlen(watchman->service) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, watchman->service, strlen(watchman->service) + 1);
	fd = socket(AF_UNIX, PAIR_TYPE, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0)
		rc = -errno;
	if (rc == 0 && setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) != 0)
		rc = -errno;
	if (rc == 0)
		rc = send_errand(watchman, fd);
	if (rc != 0) {
		close(fd);
		return rc;
	}
	watchman->life_fd = fd;
	watchman->refused = false;
	return 0;
}

void watchman_configure(struct watchman *watchman, bool wanted, const char *argument, int status_fd)
{
	free(watchman->argument);
	watchman->argument = xstrdup(argument);
	if (watchman->status_fd >= 0)
		close(watchman->status_fd);
	watchman->status_fd = status_fd;
	watchman->wanted = wanted;
	watchman->backoff_ms = WATCHMAN_BACKOFF_MIN_MS;
	watchman->respawn_us = 0;
	watchman->replaced = watchman->pid != 0 || watchman->life_fd >= 0;
	end(watchman);
}

static int start(struct watchman *watchman)
{
	if (!watchman->has_errand)
		return spawn(watchman, watchman->own_fd);
	return watchman->service != NULL ? ask_for_service(watchman) : spawn_with_errand(watchman);
}

/* It was asked to end and did not. With its main process systemd ends all of it. */
static void kill_service(struct watchman *watchman)
{
	log_warn(LOG_EV("process.killed"), LOG_STR("process", watchman->verb),
		LOG_STR("service", watchman->service));
	if (pidfd_send_signal(watchman->pid_fd, SIGKILL, NULL, 0) != 0)
		log_error(LOG_EV("process.kill_failed"), LOG_STR("error", strerror(errno)));
	watchman->killed = true;
}

void watchman_last(struct watchman *watchman)
{
	/* The process itself: on the life line it may still write what it likes. */
	struct pollfd exits = {.fd = watchman->pid_fd, .events = POLLIN};

	if (watchman->pid_fd >= 0 && !watchman->killed && poll(&exits, 1, WATCHMAN_LAST_MS) == 0)
		kill_service(watchman);
}

uint64_t watchman_run(struct watchman *watchman, uint64_t now_us)
{
	int rc;

	if (watchman->end_us != 0) {
		if (now_us < watchman->end_us)
			return watchman->end_us;
		if (watchman->pid_fd >= 0 && !watchman->killed) {
			kill_service(watchman);
			watchman->end_us = now_us + WATCHMAN_KILL_US;
			return watchman->end_us;
		}
		log_error(LOG_EV("process.stuck"), LOG_STR("process", watchman->verb),
			LOG_STR("service", watchman->service));
		let_go(watchman);
		watchman->replaced = false;
	}
	if (!watchman->wanted || watchman->pid != 0 || watchman->life_fd >= 0)
		return 0;
	if (now_us < watchman->respawn_us)
		return watchman->respawn_us;
	watchman->started_us = now_us;
	rc = start(watchman);
	if (rc == 0)
		return 0;
	log_error(LOG_EV("process.spawn_failed"), LOG_STR("process", watchman->verb),
		LOG_STR("error", strerror(-rc)),
		LOG_STR("service", watchman->service != NULL ? watchman->service : ""));
	back_off(watchman, now_us);
	return watchman->respawn_us;
}
