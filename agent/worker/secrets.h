/*
 * Which secrets a request may carry: the one in the secret file, and while it is being rotated the
 * one before (monitor/secret.h). When a rotation takes a secret away, connections whose last
 * request came with it are closed, so that nobody goes on listening.
 */
#ifndef OPS_AGENT_WORKER_SECRETS_H
#define OPS_AGENT_WORKER_SECRETS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <uv.h>

#include "agent/monitor/secret.h"
#include "core/base/err.h"

struct worker;

struct secrets {
	struct secret current;
	struct secret old;   /* len 0: none is good */
	uint32_t generation; /* of current; old is of the one before */
	ino_t ino, old_ino;  /* of the files they were read from; 0: there was none */
	uv_timer_t timer;    /* old is good until then */
	bool has_timer;
};

/* Reads both; what is broken stays as it was. */
MUSTCHECK int secrets_load(struct worker *worker, struct err *err);
/* Closes the connections whose secret is not good any more, now. */
void secrets_drop_old(struct worker *worker);
/* The loop goes on without them. */
void secrets_close(struct secrets *secrets);
/* Whether this authorization is one of theirs, and of which generation. Both are compared, however
 * the first comparison ends. During a rotation it may read the files again. */
bool secrets_match(struct worker *worker, struct wire_str authorization, uint32_t *ret_generation);

#endif
