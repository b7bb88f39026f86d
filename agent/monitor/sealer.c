#include "agent/monitor/sealer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/monitor/seal.h"
#include "agent/monitor/state.h"
#include "agent/run/rundir.h"
#include "core/base/clock.h"
#include "core/base/hex.h"
#include "core/base/log.h"

extern char **environ;

void sealer_init(struct sealer *sealer)
{
	*sealer = (struct sealer){.fd = -1, .retry_us = SEALER_RETRY_US};
}

void sealer_want(struct sealer *sealer, uint64_t now_us)
{
	if (sealer->due_us == 0)
		sealer->due_us = now_us + SEALER_PAUSE_US;
}

static int spawn(struct monitor *m, int out_fd)
{
	char program[] = "ops-agent", verb[] = "seal", parent[16];
	char *const argv[] = {program, verb, parent, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc;

	snprintf(parent, sizeof(parent), "%d", getpid());
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, m->launch.runs_fd, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
	rc = posix_spawn(&m->sealer.pid, "/proc/self/exe", &actions, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	if (rc != 0)
		m->sealer.pid = 0;
	return -rc;
}

/* The look failed, or could not begin: later again, once more told. */
static void back_off(struct sealer *sealer, uint64_t now_us, const char *why)
{
	log_error(LOG_EV("seal.failed"), LOG_STR("error", why),
		LOG_INT("retry_s", sealer->retry_us / 1000000));
	sealer->due_us = now_us + sealer->retry_us;
	sealer->retry_us = MIN(2 * sealer->retry_us, SEALER_RETRY_MAX_US);
}

uint64_t sealer_step(struct monitor *m, uint64_t now_us)
{
	struct sealer *sealer = &m->sealer;
	int fds[2], rc;

	if (sealer->pid != 0 || sealer->fd >= 0 || m->stopping)
		return 0;
	if (sealer->due_us == 0 || now_us < sealer->due_us)
		return sealer->due_us;
	sealer->due_us = 0;
	if (pipe2(fds, O_CLOEXEC) != 0) {
		back_off(sealer, now_us, strerror(errno));
		return sealer->due_us;
	}
	(void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
	rc = spawn(m, fds[1]);
	close(fds[1]);
	if (rc != 0) {
		close(fds[0]);
		back_off(sealer, now_us, strerror(-rc));
		return sealer->due_us;
	}
	sealer->fd = fds[0];
	return 0;
}

static int note(struct monitor *m, const struct seal_report *report)
{
	struct json *json =
		ledger_begin(m->ledger, report->error == 0 ? "run.sealed" : "run.not_sealed");
	char sha256[2 * CRYPTO_SHA256_BYTES + 1];
	struct err err = {0};

	requests_kv_run(json, &report->run);
	if (report->error == 0) {
		hex_encode(report->seal.sha256, CRYPTO_SHA256_BYTES, sha256);
		json_kv_uint(json, "size", report->seal.size);
		json_kv_str(json, "sha256", sha256);
	} else {
		json_kv_str(json, "error", strerror(-report->error));
		log_error(LOG_EV("run.not_sealed"), LOG_STR("error", strerror(-report->error)));
	}
	return requests_commit(m, &err);
}

static int mark(struct monitor *m, const struct uuid *run)
{
	int dir_fd = active_open(&m->active, run);
	int fd = dir_fd >= 0 ? rundir_create(dir_fd, SEAL_FILE, O_WRONLY) : dir_fd;

	if (fd >= 0)
		close(fd);
	if (dir_fd >= 0)
		close(dir_fd);
	return fd >= 0 || fd == -ENOENT ? 0 : fd;
}

/* Ends the process; what it had not told yet is found by a later look. */
static void give_up(struct monitor *m, const char *why)
{
	sealer_stop(&m->sealer);
	back_off(&m->sealer, clock_mono_us(), why);
}

void sealer_serve(struct monitor *m)
{
	struct seal_report reports[SEALER_BATCH];
	ssize_t got = read(m->sealer.fd, reports, sizeof(reports));
	size_t n = got > 0 ? (size_t)got / sizeof(reports[0]) : 0;
	int rc = 0;

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = note(m, &reports[i]);
	if (rc == 0 && n != 0)
		rc = ledger_sync(m->ledger);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = mark(m, &reports[i].run);
	if (rc != 0) {
		give_up(m, strerror(-rc));
	} else if (n == 0 || (size_t)got % sizeof(reports[0]) != 0) {
		close(m->sealer.fd); /* the end, or half a report of a process that was killed */
		m->sealer.fd = -1;
	}
	if (n != 0 && m->care.awaits_seals)
		m->care.looked_us = 0; /* what waited for that may go now */
}

bool sealer_exited(struct monitor *m, pid_t pid, int status)
{
	struct sealer *sealer = &m->sealer;

	if (pid == 0 || pid != sealer->pid)
		return false;
	sealer->pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		sealer->retry_us = SEALER_RETRY_US;
	else if (!m->stopping && sealer->due_us == 0)
		back_off(sealer, clock_mono_us(), "the process that hashes journals failed");
	return true;
}

void sealer_stop(struct sealer *sealer)
{
	if (sealer->fd >= 0)
		close(sealer->fd);
	sealer->fd = -1;
	if (sealer->pid != 0)
		kill(sealer->pid, SIGKILL);
}
