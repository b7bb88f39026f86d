#include "agent/run/procs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int by_pid(const void *a, const void *b)
{
	const struct proc *p = a, *q = b;

	return (p->pid > q->pid) - (p->pid < q->pid);
}

struct proc *procs_find(const struct procs *procs, pid_t pid)
{
	struct proc key = {.pid = pid};

	return bsearch(&key, procs->items, procs->n, sizeof(key), by_pid);
}

/* Reads a file of /proc/PID. Bytes read, or -1. */
ssize_t proc_read_file(int proc_fd, pid_t pid, const char *name, char *out, size_t cap)
{
	char path[64];
	size_t n = 0;
	int fd;

	snprintf(path, sizeof(path), "%d/%s", pid, name);
	fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	while (n < cap) {
		ssize_t got = read(fd, out + n, cap - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	close(fd);
	return (ssize_t)n;
}

/* pid (name) state ppid pgrp session …, the 22nd field is the start time; the name may hold
 * anything, so its end is the last parenthesis. */
static bool parse_stat(char *text, struct proc *ret_proc)
{
	char *open = strchr(text, '(');
	char *close_at = strrchr(text, ')');
	char *at;

	if (open == NULL || close_at == NULL || close_at[1] != ' ' || close_at[2] == '\0')
		return false;
	*close_at = '\0';
	snprintf(ret_proc->name, sizeof(ret_proc->name), "%s", open + 1);
	ret_proc->state = close_at[2];
	at = close_at + 3;
	for (int field = 4; field <= 22; field++) {
		char *end;
		unsigned long long v = strtoull(at, &end, 10);

		if (end == at)
			return false;
		if (field == 4)
			ret_proc->ppid = (pid_t)v;
		else if (field == 6)
			ret_proc->session = (pid_t)v;
		else if (field == 22)
			ret_proc->start_ticks = v;
		at = end;
	}
	return true;
}

bool proc_read(int proc_fd, pid_t pid, struct proc *ret_proc)
{
	char text[1024];
	ssize_t n = proc_read_file(proc_fd, pid, "stat", text, sizeof(text) - 1);

	if (n <= 0)
		return false;
	text[n] = '\0';
	*ret_proc = (struct proc){.pid = pid};
	return parse_stat(text, ret_proc);
}

int procs_read(struct procs *procs, int proc_fd)
{
	DIR *dir;
	struct dirent *entry;
	int fd = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		int rc = -errno;

		if (fd >= 0)
			close(fd);
		return rc;
	}
	procs->n = 0;
	while ((entry = readdir(dir)) != NULL && procs->n < PROCS_MAX) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);

		if (pid <= 0 || *end != '\0')
			continue;
		if (procs->n == procs->cap) {
			size_t cap = procs->cap != 0 ? 2 * procs->cap : 256;
			struct proc *grown = realloc(procs->items, cap * sizeof(*grown));

			if (grown == NULL)
				break;
			procs->items = grown;
			procs->cap = cap;
		}
		if (proc_read(proc_fd, (pid_t)pid, &procs->items[procs->n]))
			procs->n++;
	}
	closedir(dir);
	if (procs->n != 0)
		qsort(procs->items, procs->n, sizeof(*procs->items), by_pid);
	return 0;
}

bool proc_is_alive(const struct proc *proc)
{
	return proc->state != 'Z' && proc->state != 'X' && proc->state != 'x';
}
