/*
 * What the probes and the worker tell each other: one SOCK_SEQPACKET message each, of one shape.
 * The pair outlives both, so either may come anew at any time: RESET says that what was told before
 * no longer holds, AGAIN asks for all of it.
 */
#ifndef OPS_AGENT_PROBES_NOTE_H
#define OPS_AGENT_PROBES_NOTE_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/mem.h"
#include "proto/wire.h"

#define NOTE_MAX_BYTES 65536u /* of one message */
#define NOTE_MAX_SECTION 32   /* of a section's name */
#define NOTE_MAX_ID 512	      /* of an item's id within its section */
#define NOTE_MAX_JSON 60000u  /* of one item */

enum note_kind {
	NOTE_RESET =
		1,    /* probes: what is not told again before the next BEAT is gone; interval_ms */
	NOTE_PUT = 2, /* probes: section, id, level, json (a StatusItem) */
	NOTE_DEL = 3, /* probes: section, id */
	NOTE_BEAT = 4,	/* probes: alive, all that is known has been told */
	NOTE_WATCH = 5, /* worker: how often somebody wants to know (interval_ms 0: nobody) */
	NOTE_AGAIN = 6, /* worker: tell everything again */
	/* 7 to 9 are tailnote.h's */
	NOTE_VERIFIED = 10, /* worker: the command or flow id succeeded last at time_us */
	NOTE_ENDED = 11,    /* worker: a run of the command or flow id has ended */
};

enum level {
	LEVEL_OK = 0,
	LEVEL_WARN = 1,
	LEVEL_BAD = 2,
	LEVEL_UNKNOWN = 3,
};

struct note {
	uint8_t kind;
	uint8_t level;
	uint32_t interval_ms;
	uint64_t time_us; /* unix time */
	struct wire_str section, id, json;
};

/* Bytes written to out (at least NOTE_MAX_BYTES), or -EMSGSIZE. */
MUSTCHECK int note_encode(const struct note *note, uint8_t *out, size_t cap);
/* 0, or -EBADMSG. The texts point into data. */
MUSTCHECK int note_decode(const void *data, size_t n, struct note *ret_note);

const char *level_name(enum level level);
/* For the whole: bad before warn before unknown before ok. */
enum level level_worse(enum level a, enum level b);

#endif
