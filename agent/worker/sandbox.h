/*
 * What a worker that was taken over cannot do, whoever it runs as: execute or fork, write any file,
 * speak to anything but Unix sockets, look into other processes, mount, load, trace, gain rights. A
 * seccomp filter answers EPERM to all that; it cannot be lifted, and no_new_privs is set with it.
 */
#ifndef OPS_AGENT_WORKER_SANDBOX_H
#define OPS_AGENT_WORKER_SANDBOX_H

#include "core/base/mem.h"

/* Empties the capability bounding set, so that nothing this process could execute gets any. To be
 * called as root, before the account is changed; 0 or a negative errno. */
MUSTCHECK int sandbox_drop_capabilities(void);
/* Installs the filter. 0, -ENOTSUP on an architecture it was not written for or a kernel without
 * seccomp, or another negative errno. */
MUSTCHECK int sandbox_enter(void);

#endif
