/*
 * What the monitor gives up for good, and with it all that it forks: worker, Docker relay, and the
 * probes where they are no service of their own; there they do it themselves, with no folder at
 * all. Only where runners are systemd's (monitor/units.h): a forked runner inherits everything, and
 * needs the rights to become any account, to write where its command may, and to let it do so.
 *
 *	capabilities	all but CHOWN SETUID SETGID SETPCAP KILL, from the bounding set, too
 *	no_new_privs	so that nothing executed has more
 *	Landlock	no file is made, written or removed outside the agent's own folders
 *	seccomp		no mounts, namespaces, modules, tracing, clocks, swap, reboot, keys, bpf
 *
 * It stays root, and what systemd does for root on the bus it does for the monitor: a monitor that
 * was taken over can start what it likes, outside of all this. These walls are for mistakes, and
 * for whoever gets no further than a file name or a system call.
 */
#ifndef OPS_AGENT_MONITOR_CONFINE_H
#define OPS_AGENT_MONITOR_CONFINE_H

#include <stddef.h>

#include "core/base/err.h"

/* Enters all of it; folders (n of them, absolute) are where files may be written: those that are
 * there by now, one that is made later is not. A kernel without Landlock or seccomp is told of in
 * the log. 0 or a negative errno with err set.
 */
MUSTCHECK int confine_enter(const char *const *folders, size_t n, struct err *err);

#endif
