/*
 * `ops-agent runner RUN_DIR`: executes one run (agent/runner/README.md).
 *
 * It is started with the plan (run/plan.h, sealed memfd) as standard input, by an agent that made
 * RUN_DIR with meta and control/ in it. It takes the lock, detaches from whoever started it, and
 * works until it has written run.finished and a final state. It reads one variable from its
 *environment:
 *
 *	OPS_RUNS_DIR	the folder for $OPS_OUTPUT files; /run/ops-runs as root, else RUN_DIR/run
 *
 * Everything else in the environment is ignored, and nothing of it reaches a command.
 */
#ifndef OPS_AGENT_RUNNER_RUNNER_H
#define OPS_AGENT_RUNNER_RUNNER_H

#include "core/base/mem.h"

enum runner_exit {
	RUNNER_EXIT_OK = 0, /* run.finished and the final state are written, whatever the status */
	RUNNER_EXIT_FAILED = 1, /* it could not go on; whoever finds the lock free writes the end */
	RUNNER_EXIT_USAGE = 64, /* no such folder, standard input is no plan */
	RUNNER_EXIT_BUSY = 75,	/* the lock is taken */
};

/* Runs to the end; the caller exits with what it returns. Takes over signals, children, standard
 * input and all descriptors above 2 of the process. lock_fd holds RUN_DIR/lock already, so that
 * there is no moment at which the run seems to be nobody's; -1: it is standard output, or, where
 * that is another file, is taken here. */
MUSTCHECK int runner_main(const char *run_dir, int lock_fd);

#endif
