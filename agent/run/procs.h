/*
 * A look at all processes: /proc/PID/stat of each, in a table sorted by pid. For killtree.c.
 */
#ifndef OPS_AGENT_RUN_PROCS_H
#define OPS_AGENT_RUN_PROCS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/mem.h"

#define PROCS_MAX 131072
#define PROCS_NAME_BYTES 16

struct proc {
	pid_t pid, ppid, session;
	uint64_t start_ticks; /* since boot, in clock ticks: tells a reused pid from the old one */
	char state;
	char name[PROCS_NAME_BYTES];
	bool belongs; /* the caller's marks, false at first */
	bool barred;
};

struct procs {
	struct proc *items; /* by pid */
	size_t n, cap;
};

/* Looks. procs has to be zeroed; the caller frees items, also after a failure. 0 or -errno. */
MUSTCHECK int procs_read(struct procs *procs, int proc_fd);
/* NULL when there was none of that pid. */
struct proc *procs_find(const struct procs *procs, pid_t pid);
/* One process as it is now; false: gone. */
MUSTCHECK bool proc_read(int proc_fd, pid_t pid, struct proc *ret_proc);
/* A file of /proc/PID, at most cap bytes. Bytes read, or -1. */
ssize_t proc_read_file(int proc_fd, pid_t pid, const char *name, char *out, size_t cap);
/* Neither a zombie nor being taken down. */
bool proc_is_alive(const struct proc *proc);

#endif
