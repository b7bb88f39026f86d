/*
 * A thread that does nothing but fdatasync(2), so that the loop that reads the command's output
 * never waits for the disk. It is started by the first request; it allocates nothing and takes no
 * lock but its own, so that a fork at any moment is safe.
 */
#ifndef OPS_AGENT_RUNNER_SYNCER_H
#define OPS_AGENT_RUNNER_SYNCER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/mem.h"

struct syncer {
	int fd;	     /* the journal; not owned */
	int dir_fd;  /* its folder, synced once: the journal's name must last too */
	int wake_fd; /* eventfd, readable after each sync */
	bool started;
	bool dir_done; /* the thread's */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work;
	uint64_t wanted, done; /* offsets, under the lock */
	bool stop;
	int error; /* the first failure, sticks: nothing after it is believed */
};

/* 0 or a negative errno. */
MUSTCHECK int syncer_init(struct syncer *syncer, int journal_fd, int dir_fd);
/* Asks that everything before offset be durable; returns at once. Signals must be blocked in the
 * calling thread (the new thread inherits that). While there is no thread to be had, since a
 * command has used up the processes that the run may have, it syncs here instead. */
void syncer_request(struct syncer *syncer, uint64_t offset);
/* Clears wake_fd. The durable offset in *ret_offset; 0 or the errno of a failed sync. */
MUSTCHECK int syncer_result(struct syncer *syncer, uint64_t *ret_offset);
/* Lets the thread finish the sync it is in, joins it, and frees. */
void syncer_fini(struct syncer *syncer);

#endif
