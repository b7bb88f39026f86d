/*
 * What ps(1) and /proc/PID/cmdline show of a process that was forked and not executed: the monitor
 * forks worker and runners, and an administrator must be able to tell them apart. The text goes
 * where the kernel keeps the arguments, so room is made there by executing the program once more.
 */
#ifndef OPS_AGENT_MONITOR_TITLE_H
#define OPS_AGENT_MONITOR_TITLE_H

#include <stdbool.h>

#define TITLE_BYTES 1024 /* of room; longer titles are cut */

/* Whether these are the arguments that title_reserve() executed us with: verb and then room. */
bool title_is_reserved(int argc, char *const *argv);
/* Executes this program again as `ops-agent verb` with room behind it; returns only when that
 * cannot be done, and then titles stay what they are. */
void title_reserve(const char *verb);
/* Takes the room. argv is that of main(); its strings are gone afterwards. */
void title_init(int argc, char **argv);
/* Shows `ops-agent verb [arg]`. arg may be NULL. */
void title_set(const char *verb, const char *arg);

#endif
