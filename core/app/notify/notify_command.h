/* `ops-dashboard notify-test [TARGET]` */
#ifndef OPS_CORE_APP_NOTIFY_NOTIFY_COMMAND_H
#define OPS_CORE_APP_NOTIFY_NOTIFY_COMMAND_H

#include "core/base/mem.h"

/* Sends a test to one target, or (NULL) to each, and prints what they answered. 0 when all took it,
 * else EX_UNAVAILABLE; EX_USAGE for a target that there is not, EX_CONFIG. Blocking. */
MUSTCHECK int command_notify_test(char *const envp[], const char *target);

#endif
