/*
 * Writes a run's output as it comes: standard output to standard output, standard error to standard
 * error, byte for byte. Goes on from the offset it had when the agent is restarted meanwhile.
 */
#ifndef OPS_AGENT_CTL_FOLLOW_H
#define OPS_AGENT_CTL_FOLLOW_H

#include <stdbool.h>

#include "core/base/err.h"

struct follow_opts {
	const char *socket_path, *secret_path;
	const char *run;
	bool live;	/* wait for run.finished; false: stop at what is there now */
	bool headlines; /* name each step on standard error as it starts and ends, with a line of
			   progress below when that is a terminal */
	bool json;	/* one JSON object a record on standard output, in place of all that */
};

#define FOLLOW_UNFINISHED (-1) /* the run is still going */

/*
 * 0, with *ret_exit the exit code that stands for the run's end (exitcode.h) or FOLLOW_UNFINISHED.
 * -EINTR: a signal came; -ENOTCONN: the agent went away and did not come back; -ENOENT: no such
 * run; -EPIPE: nobody reads our output any more.
 */
MUSTCHECK int follow_run(const struct follow_opts *opts, int *ret_exit, struct err *err);

#endif
