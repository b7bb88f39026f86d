/*
 * The file behind $OPS_OUTPUT: BASE/RUN/STEP/output, folders 0711 and ours, the file 0600 and the
 * command's. It is opened before the command starts and read only through that descriptor, so
 * whatever the command does to the name changes nothing.
 */
#ifndef OPS_AGENT_RUNNER_OPSOUT_H
#define OPS_AGENT_RUNNER_OPSOUT_H

#include "agent/runner/account.h"
#include "core/base/buf.h"
#include "core/base/err.h"

struct opsout {
	int run_fd;  /* folder of the run */
	int step_fd; /* folder of the step */
	int fd;	     /* the file */
	char *path;
	const char *step_id;
};

void opsout_init(struct opsout *opsout);
/* Makes folders and file anew. step_id is kept, not copied. 0 or a negative errno. */
MUSTCHECK int opsout_open(struct opsout *opsout, const char *base, const char *run_id,
	const char *step_id, const struct account *account, struct err *err);
/* What the command wrote, at most max + 1 bytes of it. 0 or a negative errno. */
MUSTCHECK int opsout_read(const struct opsout *opsout, size_t max, struct buf *buf);
/* Removes file and folder of the step. Fine after a failed or no open. */
void opsout_close(struct opsout *opsout);
/* Removes the folder of the run. */
void opsout_remove_run(const char *base, const char *run_id);

#endif
