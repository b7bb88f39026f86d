/* From `ops-agent runner RUN_DIR` to a struct run that is ready to go. */
#ifndef OPS_AGENT_RUNNER_SETUP_H
#define OPS_AGENT_RUNNER_SETUP_H

#include "agent/runner/run.h"

/* Reads the plan, takes the lock unless lock_fd holds it, makes the files, detaches the process. 0,
 * or an enum runner_exit with err set; run_fini() is for success only. */
MUSTCHECK int run_init(struct run *run, const char *run_dir, int lock_fd, struct err *err);
void run_fini(struct run *run);

#endif
