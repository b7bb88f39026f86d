/*
 * Runs a probe's function in a forked process with a deadline, limits on memory, time and
 * descriptors, and a pipe for its report. What the process does to itself is its own matter: it is
 * killed when its time is over, and what it writes is bounded and checked.
 */
#ifndef OPS_AGENT_PROBES_CHECK_H
#define OPS_AGENT_PROBES_CHECK_H

#include <sys/resource.h>

#include "agent/probes/probe.h"
#include "core/base/err.h"

#define CHECK_MAX_MEMORY (1u << 30)
#define CHECK_MAX_CPU_S 20
#define CHECK_MAX_FILES 1024 /* sd-journal opens every file of the journal */

struct check_limits {
	rlim_t memory; /* bytes of address space */
	rlim_t cpu_s;  /* 0: any */
	rlim_t files;
	bool asks_docker; /* keeps the relay's socket, ENGINE_RELAY_FD */
};

/* What a process does first that was just forked for a look or a live tail: it dies with its
 * parent, leads a group of its own, has fd as its standard input and no other descriptor above
 * standard error, and is limited. Does not return when the parent is gone. */
void check_enter(int fd, pid_t parent, const struct check_limits *limits);

/* Starts a look; probe->pid is 0. 0 or a negative errno. */
MUSTCHECK int check_start(struct probe *probe, uint64_t now_us);
/* There is something to read on probe->fd. */
void check_read(struct probe *probe);
/* Its time is over. */
void check_kill(struct probe *probe);
/* The process is gone. 0: probe->out is a whole report; else a negative errno, and err says what
 * went wrong, for a person. */
MUSTCHECK int check_finish(struct probe *probe, int wait_status, struct err *err);

#endif
