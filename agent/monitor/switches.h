/*
 * STATE_DIR/switches: what people have switched off. Maintenance (no new runs, whoever asks) and
 * paused schedules, each with who did it and why. Written by the monitor, read by monitor and
 * worker. One line each, fields separated by tabs:
 *
 *	maintenance ACTOR REASON
 *	pause FLOW ACTOR REASON
 */
#ifndef OPS_AGENT_MONITOR_SWITCHES_H
#define OPS_AGENT_MONITOR_SWITCHES_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/err.h"
#include "proto/wire.h"

#define SWITCHES_FILE "switches"
#define SWITCHES_MAX 512 /* paused flows; more cannot be paused */
#define SWITCHES_MAX_BYTES (512u << 10)

struct switch_entry {
	char *flow; /* NULL for maintenance */
	char *actor, *reason;
};

struct switches {
	bool maintenance;
	struct switch_entry why; /* of maintenance */
	size_t n;
	struct switch_entry *paused;
};

/* Reads the file; none is as good as an empty one. 0 or a negative errno with err set; then
 * *ret_switches is untouched. */
MUSTCHECK int switches_read(int state_dir_fd, struct switches *ret_switches, struct err *err);
/* Writes it, durably. */
MUSTCHECK int switches_write(int state_dir_fd, const struct switches *switches, struct err *err);
void switches_fini(struct switches *switches);

/* The entry of a paused flow, or NULL. */
const struct switch_entry *switches_find(const struct switches *switches, const char *flow);
/* Changes it in memory. Control characters in the texts become spaces. -ENOBUFS: too many. */
void switches_set_maintenance(
	struct switches *switches, bool on, struct wire_str actor, struct wire_str reason);
MUSTCHECK int switches_set_paused(struct switches *switches, const char *flow, bool paused,
	struct wire_str actor, struct wire_str reason);

#endif
