/* What `ops-agent check` prints of when and how often things run, and as whom: beside the argument
 * vectors, which decide what can run at all. */
#ifndef OPS_AGENT_CONFIG_CHECK_RULES_H
#define OPS_AGENT_CONFIG_CHECK_RULES_H

#include <stdint.h>
#include <stdio.h>

#include "agent/config/catalog.h"

#define CHECK_NEXT_FIRES 3 /* shown of each schedule */

/* Group and rate of a command, each a line if there is one. */
void check_print_pace(FILE *out, const struct catalog_command *command);
/* Time limit, concurrency and schedules of a flow; the next times after now_s (unix time), as the
 * schedule's zone shows them. */
void check_print_flow_rules(FILE *out, const struct catalog_flow *flow, int64_t now_s);
/* All groups, then all accounts that anything runs as, with the commands of each. */
void check_print_summary(FILE *out, const struct catalog *catalog);

#endif
