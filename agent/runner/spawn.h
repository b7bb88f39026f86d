/*
 * From a resolved command to a running process: the exec helper. The child makes itself a session,
 * takes the account's identity, drops what a command must not have, checks the program once more,
 * and executes it. What fails there is told through a pipe that a successful execve(2) closes.
 */
#ifndef OPS_AGENT_RUNNER_SPAWN_H
#define OPS_AGENT_RUNNER_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "agent/run/plan.h"
#include "agent/runner/account.h"
#include "core/base/err.h"

#define SPAWN_PIPE_BYTES (1u << 20)
#define SPAWN_MAX_STDIN_BYTES (1u << 20)
#define SPAWN_EXIT_NOT_FOUND 127
#define SPAWN_EXIT_FAILED 126

struct spawn_opts {
	const char *executable; /* absolute, without symbolic links */
	char *const *argv;
	char *const *envp;
	const char *cwd;
	const char *stdin_text; /* NULL: /dev/null */
	const struct account *account;
	uid_t trusted_uid; /* who besides root may own the executable */
	bool new_privileges;
	int cgroup_fd;		   /* folder of the attempt's cgroup; -1: none */
	int procs_fd;		   /* its cgroup.procs, open for writing; -1: none */
	struct plan_limits limits; /* what is left to rlimits: memory a process, pids a user */
};

struct spawned {
	pid_t pid;  /* also its session's and process group's id */
	int out_fd; /* read ends, non-blocking */
	int err_fd;
	int report_fd; /* for spawn_failure() */
};

/* Forks. 0, or a negative errno when not even that was possible. */
MUSTCHECK int spawn_start(
	const struct spawn_opts *opts, struct spawned *ret_spawned, struct err *err);
/* After the child's exit was seen: whether it never became the command; err then says why, with its
 * errno as the code. */
MUSTCHECK bool spawn_failure(int report_fd, struct err *err);

#endif
