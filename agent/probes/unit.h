/* What systemd says of one unit, and what to think of it. Pure: units.c asks the bus. */
#ifndef OPS_AGENT_PROBES_UNIT_H
#define OPS_AGENT_PROBES_UNIT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/probes/report.h"

#define UNIT_MAX_NAME 256
#define UNIT_NONE UINT64_MAX /* as systemd has it: not accounted, never */

struct unit {
	char name[UNIT_MAX_NAME]; /* caddy.service; as status.yml has it */
	char id[UNIT_MAX_NAME];	  /* what it is an alias of, or the same */
	char title[REPORT_MAX_TITLE];
	bool is_listed;	   /* status.yml names it; else it is here because it failed */
	bool is_triggered; /* a timer, socket or path starts it */

	/* in systemd's words */
	char description[256], load[32], active[32], sub[32], enabled[32], result[64], type[32];
	char starts[UNIT_MAX_NAME]; /* of a timer: what it starts */
	uint64_t since_us;	    /* unix time; 0: never changed */
	uint64_t pid, restarts;
	uint64_t memory_bytes, cpu_ns;		 /* UNIT_NONE */
	uint64_t next_us, next_mono_us, last_us; /* of a timer; 0 or UNIT_NONE */
};

/* Nothing is known but the name. */
void unit_init(struct unit *unit, const char *name);
/* The property of this name has come, as a text or as a number; those that nobody needs are
 * ignored, texts that are too long are cut. */
void unit_set_text(struct unit *unit, const char *property, const char *text);
void unit_set_number(struct unit *unit, const char *property, uint64_t number);
/* "Service" for x.service: what its interface on the bus is called; NULL when it has none that
 * says more than every unit does. */
const char *unit_interface(const char *name);
/* Adds the unit to the report. mono_us and wall_us are now: the monotonic clock and unix time. */
void unit_report(
	const struct unit *unit, uint64_t mono_us, uint64_t wall_us, struct report *report);

#endif
