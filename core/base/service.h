/*
 * What a service manager gives and is told: sockets (sd_listen_fds(3)) and one datagram to
 * NOTIFY_SOCKET (sd_notify(3)). Environment variables and one sendto(2): libsystemd would bring six
 * libraries into a process for that. All of it does nothing without a service manager.
 */
#ifndef OPS_CORE_BASE_SERVICE_H
#define OPS_CORE_BASE_SERVICE_H

#include <stdint.h>

#include "core/base/mem.h"

#define SERVICE_FIRST_FD 3	/* passed descriptors are this one and the next ones */
#define SERVICE_MAX_SOCKETS 256 /* passed on; more is a mistake */

/* "READY=1", "STOPPING=1", "WATCHDOG=1" … Does nothing without a socket. */
void service_tell(const char *state);
/* How often "WATCHDOG=1" is wanted of this process: half of WATCHDOG_USEC; 0: not at all. */
uint64_t service_watchdog_us(void);

/* How many descriptors were passed to this process (LISTEN_PID), from SERVICE_FIRST_FD on; children
 * do not inherit them, and a second call finds none. -EINVAL when LISTEN_FDS is no such number. */
MUSTCHECK int service_take_sockets(void);

#endif
