/* What the relay needs of the kernel, and nothing else: sockets of this host and the descriptors it
 * has. No file can be opened and no program executed. */
#ifndef OPS_AGENT_RELAY_SANDBOX_H
#define OPS_AGENT_RELAY_SANDBOX_H

#include "core/base/mem.h"

/* Installs a seccomp filter that answers EPERM to all else. 0; -ENOTSUP where there is no seccomp
 * or for an architecture it was not written for; or another negative errno. no_new_privs is set. */
MUSTCHECK int relay_sandbox_enter(void);

#endif
