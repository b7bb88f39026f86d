#include "agent/monitor/watchman.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"

#define EXIT_CONFIG 78

extern char **environ;

int watchman_init(struct watchman *watchman, const char *verb, int extra_fd, struct err *err)
{
	int pair[2];

	*watchman = (struct watchman){
		.verb = verb,
		.peer_fd = -1,
		.own_fd = -1,
		.extra_fd = extra_fd,
		.backoff_ms = WATCHMAN_BACKOFF_MIN_MS,
	};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
		return err_set_errno(err, -errno, "cannot make the socket pair of '%s'", verb);
	watchman->peer_fd = pair[0];
	watchman->own_fd = pair[1];
	return 0;
}

void watchman_configure(struct watchman *watchman, bool wanted, const char *argument)
{
	free(watchman->argument);
	watchman->argument = xstrdup(argument);
	watchman->wanted = wanted;
	watchman->backoff_ms = WATCHMAN_BACKOFF_MIN_MS;
	watchman->respawn_us = 0;
	if (watchman->pid != 0) {
		watchman->replaced = true;
		kill(watchman->pid, SIGKILL);
	}
}

static int spawn(struct watchman *watchman)
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
	posix_spawn_file_actions_adddup2(&actions, watchman->own_fd, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
	if (watchman->extra_fd >= 0)
		posix_spawn_file_actions_adddup2(&actions, watchman->extra_fd, WATCHMAN_EXTRA_FD);
	rc = posix_spawn(&watchman->pid, "/proc/self/exe", &actions, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	if (rc != 0)
		watchman->pid = 0;
	return -rc;
}

static void back_off(struct watchman *watchman, uint64_t now_us)
{
	watchman->respawn_us = now_us + watchman->backoff_ms * UINT64_C(1000);
	watchman->backoff_ms = MIN(2 * watchman->backoff_ms, (unsigned)WATCHMAN_BACKOFF_MAX_MS);
}

uint64_t watchman_run(struct watchman *watchman, uint64_t now_us)
{
	if (!watchman->wanted || watchman->pid != 0)
		return 0;
	if (now_us < watchman->respawn_us)
		return watchman->respawn_us;
	watchman->started_us = now_us;
	if (spawn(watchman) == 0)
		return 0;
	log_error(LOG_EV("process.spawn_failed"), LOG_STR("process", watchman->verb));
	back_off(watchman, now_us);
	return watchman->respawn_us;
}

bool watchman_exited(struct watchman *watchman, pid_t pid, int status)
{
	uint64_t now = clock_mono_us();
	bool replaced = watchman->replaced;

	if (pid != watchman->pid || pid == 0)
		return false;
	watchman->pid = 0;
	watchman->replaced = false;
	if (replaced)
		return true;
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_CONFIG) {
		watchman->respawn_us = now + WATCHMAN_REST_MS * UINT64_C(1000);
		return true;
	}
	if (now - watchman->started_us > WATCHMAN_STEADY_US)
		watchman->backoff_ms = WATCHMAN_BACKOFF_MIN_MS;
	back_off(watchman, now);
	if (watchman->wanted)
		log_warn(LOG_EV("process.died"), LOG_STR("process", watchman->verb),
			LOG_INT("status", WIFEXITED(status) ? WEXITSTATUS(status) : -1),
			LOG_INT("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0));
	return true;
}

void watchman_stop(struct watchman *watchman)
{
	watchman->wanted = false;
	if (watchman->pid != 0)
		kill(watchman->pid, SIGKILL);
}

void watchman_fini(struct watchman *watchman)
{
	free(watchman->argument);
	watchman->argument = NULL;
}
