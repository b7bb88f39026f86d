#include "agent/probes/check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/probes/engine.h"
#include "core/base/file.h"

#if defined(__SANITIZE_ADDRESS__)
#define LIMIT_MEMORY 0 /* its shadow is terabytes of address space */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LIMIT_MEMORY 0
#endif
#endif
#ifndef LIMIT_MEMORY
#define LIMIT_MEMORY 1
#endif

static void limit(__rlimit_resource_t what, rlim_t most)
{
	struct rlimit value;

	/* what is asked for may be more than there is to have */
	if (most == 0 || getrlimit(what, &value) != 0)
		return;
	value.rlim_max = MIN(value.rlim_max, most);
	value.rlim_cur = value.rlim_max;
	(void)setrlimit(what, &value);
}

void check_enter(int fd, pid_t parent, const struct check_limits *limits)
{
	sigset_t none;

	sigemptyset(&none);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(1);
	/* a group of its own, so that what it starts ends with it */
	(void)setpgid(0, 0);
	if (dup2(fd, STDIN_FILENO) < 0)
		_exit(1);
	close_range(limits->asks_docker ? ENGINE_RELAY_FD + 1 : STDERR_FILENO + 1, ~0u, 0);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (LIMIT_MEMORY)
		limit(RLIMIT_AS, limits->memory);
	limit(RLIMIT_CPU, limits->cpu_s);
	limit(RLIMIT_NOFILE, limits->files);
	(void)setrlimit(RLIMIT_CORE, &(struct rlimit){0});
}

/* In the new process: never returns. */
static _Noreturn void look(const struct probe *probe, int fd, pid_t parent)
{
	const struct check_limits limits = {
		.memory = CHECK_MAX_MEMORY,
		.cpu_s = CHECK_MAX_CPU_S,
		.files = CHECK_MAX_FILES,
		.asks_docker = probe->asks_docker,
	};
	struct report report;
	int rc;

	check_enter(fd, parent, &limits);
	report_init(&report);
	probe->run(probe, &report);
	rc = file_write_all(STDIN_FILENO, report.bytes.data, report.bytes.len);
	_exit(rc == 0 ? 0 : 1);
}

int check_start(struct probe *probe, uint64_t now_us)
{
	pid_t parent = getpid(), pid;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) != 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		look(probe, fds[1], parent);
	close(fds[1]);
	if (pid < 0) {
		int rc = -errno;

		close(fds[0]);
		return rc;
	}
	(void)setpgid(pid, pid); /* by both: whoever comes first */
	(void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
	probe->pid = pid;
	probe->fd = fds[0];
	probe->started_us = now_us;
	probe->kill_us = now_us + probe->deadline_us;
	probe->finished = false;
	buf_init(&probe->out, REPORT_MAX_BYTES + 4096);
	return 0;
}

static void close_pipe(struct probe *probe)
{
	if (probe->fd >= 0)
		close(probe->fd);
	probe->fd = -1;
}

void check_read(struct probe *probe)
{
	uint8_t piece[16384];
	ssize_t n;

	while ((n = read(probe->fd, piece, sizeof(piece))) > 0)
		buf_append(&probe->out, piece, (size_t)n);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	probe->finished = n == 0;
	close_pipe(probe);
}

void check_kill(struct probe *probe)
{
	probe->kill_us = 0;
	if (kill(-probe->pid, SIGKILL) != 0)
		(void)kill(probe->pid, SIGKILL);
	close_pipe(probe);
}

int check_finish(struct probe *probe, int wait_status, struct err *err)
{
	bool in_time = probe->kill_us != 0;

	/* what it left behind ends with it */
	(void)kill(-probe->pid, SIGKILL);
	if (probe->fd >= 0)
		check_read(probe);
	close_pipe(probe);
	probe->pid = 0;
	probe->kill_us = 0;
	if (!in_time)
		return err_set(err, -ETIMEDOUT, "no answer within %u s",
			(unsigned)(probe->deadline_us / 1000000));
	if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGXCPU)
		return err_set(err, -ETIMEDOUT, "the probe used too much processor time");
	if (WIFSIGNALED(wait_status))
		return err_set(
			err, -ECHILD, "the probe crashed: %s", strsignal(WTERMSIG(wait_status)));
	if (!WIFEXITED(wait_status) || WEXITSTATUS(wait_status) != 0)
		return err_set(err, -ECHILD, "the probe failed with %d", WEXITSTATUS(wait_status));
	if (!probe->finished || buf_err(&probe->out) != 0)
		return err_set(err, -EBADMSG, "the probe's report is not whole");
	return 0;
}
