/*
 * IANA time zones, as libc knows them. libc keeps one zone a process, which zone_offset() switches
 * when it has to: only for processes with one thread that asks for local time, as the worker and
 * the loader are.
 */
#ifndef OPS_AGENT_CONFIG_ZONE_H
#define OPS_AGENT_CONFIG_ZONE_H

#include <stdbool.h>
#include <stdint.h>

#define ZONE_MAX_NAME 64

/* Whether it has the form of a zone's name: parts of A-Za-z0-9_+- joined by slashes. */
bool zone_name_is_valid(const char *name);
/* Whether this host knows the zone. */
bool zone_exists(const char *name);
/* Seconds east of UTC that this zone (a valid name) has at this unix time. */
int zone_offset(const char *name, int64_t unix_s);

#endif
