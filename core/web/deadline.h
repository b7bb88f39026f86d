/*
 * Many deadlines on one timer. Each kind has a fixed length, so its waiting entries are in the
 * order they run out, and setting, moving or clearing one costs the same however many there are.
 * No entry: no timer, no wake-up. Setting an entry does not move the timer back: it fires early
 * once and arms itself anew.
 */
#ifndef OPS_CORE_WEB_DEADLINE_H
#define OPS_CORE_WEB_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/base/list.h"

#define DEADLINE_KINDS 10

struct deadline {
	struct list link; /* deadlines.kinds[kind] */
	uint64_t due_ms;  /* loop time */
	uint8_t kind;
};

struct deadlines {
	uv_timer_t timer;
	uint64_t timer_due_ms;		   /* 0: not running */
	struct list kinds[DEADLINE_KINDS]; /* deadline.link */
	unsigned length_ms[DEADLINE_KINDS];
	/* It has run out and is no longer set. */
	void (*on_due)(struct deadline *deadline);
	void (*on_closed)(struct deadlines *deadlines);
};

void deadlines_init(
	struct deadlines *deadlines, uv_loop_t *loop, void (*on_due)(struct deadline *deadline));
/* Before the first deadline_set() of that kind. 0: never. */
void deadlines_set_length(struct deadlines *deadlines, unsigned kind, unsigned length_ms);
/* All entries must be cleared. */
void deadlines_close(struct deadlines *deadlines, void (*on_closed)(struct deadlines *deadlines));

void deadline_init(struct deadline *deadline);
/* Sets or moves it: due in the kind's length from now. */
void deadline_set(struct deadlines *deadlines, struct deadline *deadline, unsigned kind);
void deadline_clear(struct deadline *deadline);
bool deadline_is_set(const struct deadline *deadline);
/* How long ago one that is set was set. */
uint64_t deadline_age_ms(const struct deadlines *deadlines, const struct deadline *deadline);
/* The one of a kind that runs out first; NULL when there is none. */
struct deadline *deadlines_first(struct deadlines *deadlines, unsigned kind);

#endif
