/*
 * What the daemon knows about an agent besides the connection: the catalogue, kept while its
 * digest stays the same, and the stream of events, parsed once and handed to `live`.
 */
#ifndef OPS_CORE_APP_HOSTS_HUB_H
#define OPS_CORE_APP_HOSTS_HUB_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/base/mem.h"

struct host;
struct hub;

/* Watches host->link, which must be open. */
struct hub *hub_open(struct host *host);
/* At once; its memory goes with the next turn of the loop. */
void hub_close(struct hub *hub);

/* The catalogue as the agent sent it, each command and flow with its `host`; NULL: it was never
 * fetched. Valid until the loop runs again. */
const json_t *hub_doc(const struct hub *hub);
/* Asks again; `hosts` is told when another one comes. */
void hub_want_catalog(struct hub *hub);

struct hub_entry {
	bool is_flow;
	bool confirm;	   /* the request must repeat the id */
	bool danger_high;  /* the password must have been given just now */
	const json_t *doc; /* valid until the loop runs again */
};

/* One command or flow. 0, -ENOENT (no such id), -EAGAIN (no catalogue). */
MUSTCHECK int hub_find(
	const struct hub *hub, bool is_flow, const char *id, struct hub_entry *ret_entry);

#endif
