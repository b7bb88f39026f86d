/*
 * What is known about the machine: items, each owned by the probe that found it, with levels that
 * do not flicker; and what of it the worker has not been told yet.
 */
#ifndef OPS_AGENT_PROBES_ITEMS_H
#define OPS_AGENT_PROBES_ITEMS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/probes/probe.h"
#include "core/base/list.h"
#include "proto/wire.h"

#define ITEMS_MAX 1024 /* of all probes together; more are not shown */

struct items {
	struct list all; /* item.link */
	size_t n;
	const struct status_config *config;
	bool settling;	      /* probes have yet to answer for the first time: no BEAT */
	bool beat;	      /* the worker is to be told that all is told */
	bool reset;	      /* the worker is to forget what it knows */
	uint32_t interval_ms; /* for RESET */
};

/* config says what to do about an item, and how often it is looked at. */
void items_init(struct items *items, const struct status_config *config);
void items_fini(struct items *items);

/* A look of this probe is over: its findings replace what it found before. n bytes of findings;
 * -EBADMSG when they are none (nothing is changed then but what came before the damage). */
MUSTCHECK int items_take(struct items *items, const struct probe *probe, const uint8_t *data,
	size_t n, uint64_t wall_us);
/* The probe cannot tell any more: all of its items are unknown, for this reason. */
void items_unknown(
	struct items *items, const struct probe *probe, const char *why, uint64_t wall_us);
/* Whether there is an item of this id in the section. */
bool items_has(const struct items *items, const char *section, const char *id);
/* Whether a run of that command or flow is what one would do about one of the probe's items. */
bool items_have_action(
	const struct items *items, const struct probe *probe, struct wire_str runnable);
/* The worker has forgotten everything. */
void items_tell_again(struct items *items);

/* Sends what has not been told. True when the socket is full and there is more. */
bool items_send(struct items *items, int fd);

/* How a level changes: shown stays until the other one was found often enough in a row. Pure. */
struct settle {
	enum level shown, found;
	uint8_t count; /* findings of `found` in a row */
	bool known;    /* there was a finding */
};
/* Takes one finding; returns whether the shown level changed. */
bool settle_level(struct settle *settle, enum level found, uint8_t rise, uint8_t fall);

#endif
