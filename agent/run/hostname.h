/*
 * What this host is called, in hello, in every run and in the status document: OPS_AGENT_HOST, so
 * that two agents on one machine can be told apart, else gethostname(2).
 */
#ifndef OPS_AGENT_RUN_HOSTNAME_H
#define OPS_AGENT_RUN_HOSTNAME_H

#include <stddef.h>

#include "core/base/err.h"

#define HOSTNAME_MAX_GIVEN 64 /* bytes of OPS_AGENT_HOST: [A-Za-z0-9][A-Za-z0-9._-]* */

/* Writes at most size bytes with the NUL. "localhost" when the kernel knows no name. -EINVAL:
 * OPS_AGENT_HOST is no such name. */
MUSTCHECK int hostname_read(char *ret_name, size_t size, struct err *err);

#endif
