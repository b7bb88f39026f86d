/*
 * The worker's end of the pair to the monitor: questions go out in order and are answered once,
 * by sequence number.
 */
#ifndef OPS_AGENT_WORKER_MONLINK_H
#define OPS_AGENT_WORKER_MONLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "agent/monitor/imsg.h"
#include "core/base/list.h"
#include "core/base/mem.h"

#define MONLINK_MAX_QUESTIONS 256     /* unanswered; more: -ENOBUFS */
#define MONLINK_MAX_QUEUED (2u << 20) /* bytes not yet taken by the kernel; more: -ENOBUFS */
#define MONLINK_TIMEOUT_MS 30000

/* The answer; NULL: none came in time, or the monitor is gone. Valid during the call. */
typedef void (*monlink_answer_fn)(const struct imsg *answer, void *arg);

struct monlink_callbacks {
	/* A message that is no answer. */
	void (*on_notice)(const struct imsg *msg, void *arg);
	/* The monitor is gone, or sent what it never does. Nothing more comes. */
	void (*on_gone)(void *arg);
};

struct monlink {
	const struct monlink_callbacks *callbacks;
	void *arg;
	int fd;
	uv_poll_t poll;
	uv_timer_t timer;
	struct list questions; /* question.link, oldest first */
	struct list queue;     /* packet.link: waiting for the kernel */
	unsigned n_questions;
	size_t queued;
	uint32_t next_seq;
	bool closed;
};

/* Takes over the descriptor. 0 or a negative errno. */
MUSTCHECK int monlink_open(struct monlink *link, uv_loop_t *loop, int fd,
	const struct monlink_callbacks *callbacks, void *arg);
/* Ends it; unanswered questions are answered NULL. Memory may go when the loop has run. */
void monlink_close(struct monlink *link);

/* Asks: msg->seq is set here. fn is called once, never before this returns 0; on failure (a
 * negative errno) it is not called. */
MUSTCHECK int monlink_ask(struct monlink *link, struct imsg *msg, monlink_answer_fn fn, void *arg);
/* Sends a message that has no answer; dropped when the queue is full. */
void monlink_tell(struct monlink *link, const struct imsg *msg);

#endif
