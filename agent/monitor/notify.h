/* sd_notify(3): one datagram to NOTIFY_SOCKET, when a service manager gave one. */
#ifndef OPS_AGENT_MONITOR_NOTIFY_H
#define OPS_AGENT_MONITOR_NOTIFY_H

#include <stdint.h>

/* "READY=1", "STOPPING=1", "WATCHDOG=1" … Does nothing without a socket. */
void notify_send(const char *state);
/* How often "WATCHDOG=1" is wanted: half of WATCHDOG_USEC; 0: not at all. */
uint64_t notify_watchdog_us(void);

#endif
