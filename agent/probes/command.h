/* A program whose output a look reads, run by the look's own process and ended with it. */
#ifndef OPS_AGENT_PROBES_COMMAND_H
#define OPS_AGENT_PROBES_COMMAND_H

#include <sys/types.h>

#include "core/base/buf.h"
#include "core/base/err.h"

struct command {
	const char *path;	 /* absolute */
	const char *const *argv; /* argv[0] is its name in messages too; NULL at the end */
	const char *const *env;	 /* all of it; NULL at the end */
	uid_t uid;		 /* whom to become; 0: nobody else */
	gid_t gid;
};

/* Runs it to its end and appends its standard output to out, whose maximum may be exceeded (then
 * -EMSGSIZE). -ENOENT: it is not installed. -EIO: it failed; the text has the first line of its
 * standard error. */
MUSTCHECK int command_run(const struct command *command, struct buf *out, struct err *err);

#endif
