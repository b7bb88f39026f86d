/* The worker's process, seen from the monitor: forked, talked to, and replaced when it dies. */
#ifndef OPS_AGENT_MONITOR_CHILD_H
#define OPS_AGENT_MONITOR_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/monitor/imsg.h"
#include "core/base/err.h"

#define CHILD_BACKOFF_MIN_MS 50
#define CHILD_BACKOFF_MAX_MS 10000
#define CHILD_STEADY_US 10000000 /* alive for so long: the next death starts at the minimum */
#define CHILD_SEND_MS 2000	 /* a worker that takes no message for so long is killed */

struct child {
	pid_t pid;			 /* 0: none */
	int fd;				 /* our end of the pair; -1: none */
	uint64_t started_us, respawn_us; /* monotonic; respawn_us: when there is none */
	uint64_t kill_us; /* it closed its end and should be gone by then; 0: it has not */
	unsigned backoff_ms;
};

void child_init(struct child *child);
/* Forks. In the new process *ret_worker_fd is its end of the pair (-1 in the monitor). 0 or a
 * negative errno. */
MUSTCHECK int child_fork(struct child *child, int *ret_worker_fd, struct err *err);
/* It is gone: closes the pair and says in respawn_us when to fork again. */
void child_gone(struct child *child);
/* Sends a message; a worker that does not take it is killed. */
void child_send(struct child *child, const struct imsg *msg);
/* Receives one message into buf (IMSG_MAX_BYTES). 1: ret_msg is set; 0: nothing there; a negative
 * errno: the worker closed its end or sent what is no message. */
MUSTCHECK int child_receive(struct child *child, uint8_t *buf, struct imsg *ret_msg);

#endif
