/* The agent's socket and the locks that keep two agents apart. */
#ifndef OPS_AGENT_MONITOR_LISTEN_H
#define OPS_AGENT_MONITOR_LISTEN_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/base/err.h"

#define LISTEN_BACKLOG 64
#define LISTEN_MODE 0660

/* Binds the Unix socket, 0660 and of this group (-1: leave). What stands at the path is removed
 * only when it is a socket of ours that nobody listens on. The non-blocking descriptor, or a
 * negative errno (-EADDRINUSE: somebody answers there) with err set. */
MUSTCHECK int listen_open(const char *path, gid_t gid, struct err *err);

/* Makes a folder (0750, this group) unless it is there, and opens it. */
MUSTCHECK int listen_open_dir(int parent_fd, const char *path, gid_t gid, struct err *err);

/* Takes the lock file in the state folder; waits for two seconds, since what a killed agent had
 * just forked may still hold it. The descriptor that holds it, or -EAGAIN: another agent does. */
MUSTCHECK int listen_lock(int state_dir_fd, struct err *err);

#endif
