/*
 * The probes' part of live tails (tail.open): a process per tail, like that of a look (check.h) but
 * without a deadline, whose records go straight to the worker through a socket pair. A source is a
 * row of the table in tails.c: what it may be asked for, and the function that its process runs.
 */
#ifndef OPS_AGENT_PROBES_TAILS_H
#define OPS_AGENT_PROBES_TAILS_H

#include <stdbool.h>
#include <sys/types.h>

#include "agent/config/status.h"
#include "agent/probes/items.h"
#include "agent/probes/tailnote.h"
#include "agent/probes/tailout.h"

/* The worker has TAILS_MAX of them open at most; as many again may be about to end. */
#define TAILS_MAX 16
#define TAILS_MAX_PROCESSES (2 * TAILS_MAX)
#define TAILS_MAX_BACKLOG 100000u /* lines; who asks for more gets these */
#define TAILS_MAX_MEMORY (2u << 30)
#define TAILS_MAX_FILES 8192 /* sd-journal opens every file of the journal */

struct tail_spec {
	const char *name; /* of a unit or container that status.yml covers */
	uint32_t backlog_lines;
	const struct status_config *config;
};

struct tails {
	const struct status_config *config;
	const struct items *items;
	pid_t pids[TAILS_MAX_PROCESSES]; /* 0: free */
};

/* The worker asks for a tail: starts it and answers on the pair, or answers why not. */
void tails_open(struct tails *tails, int pair_fd, const struct tailnote *note);
/* A process is gone; whether it was one of these. */
bool tails_reaped(struct tails *tails, pid_t pid);

/* ---- the sources: run in the tail's process, write until there is no more, and return ---- */

void unit_tail_run(const struct tail_spec *spec, struct tailout *out);
void docker_tail_run(const struct tail_spec *spec, struct tailout *out);

#endif
