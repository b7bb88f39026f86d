/*
 * How the machine is: the agent's status document with the sections that the dashboard adds itself.
 * The agent is watched all the time, closely while somebody looks at the topic `status`, slowly
 * otherwise. What changed between two documents is told to pages as small puts, and to the rest of
 * the program as changes of level.
 */
#ifndef OPS_CORE_APP_STATUS_STATUS_H
#define OPS_CORE_APP_STATUS_STATUS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/list.h"
#include "core/base/mem.h"

#define STATUS_WATCHED_MS 1000 /* between two documents while somebody looks */
#define STATUS_IDLE_MS 10000   /* and while nobody does */
#define STATUS_MAX_LEVELS 2048 /* items whose level is remembered */
#define STATUS_GONE_US                                                                             \
	UINT64_C(60000000) /* an item that is missing for so long is watched no more */

struct host;
struct request;
struct status;

/* Watches host->link, which must be open. */
struct status *status_open(struct host *host);
void status_close(struct status *status);

/* Handles GET /api/v1/status. */
void status_get(struct request *req);

/* One more subscription to the topic: the newest document, or NULL when it is still to come (`live`
 * is told). The text is valid until the loop runs again. */
const char *status_subscribed(struct status *status, size_t *ret_len);
/* One less; after the last one the agent looks at the machine only seldom. */
void status_unsubscribed(struct status *status);
/* Whether anybody looks. */
bool status_is_watched(const struct status *status);

/* Opens the watch again that was lost while the agent stayed; called every few seconds. */
void status_ensure(struct status *status);

/* The newest document with all sections, or NULL: the agent is away, or has not answered yet. Valid
 * until the loop runs again. */
const json_t *status_document(const struct status *status);
/* How long ago the agent last told something; UINT64_MAX without a document. */
uint64_t status_age_us(const struct status *status);

/* What the dashboard knows itself: the items (StatusItem) of a section, in place of those before.
 * Takes the reference over. */
void status_put_section(struct status *status, const char *section, json_t *items);

/* An item's level is another one than it was. All texts are valid during the call. */
struct status_change {
	const char *section, *id, *title;
	const char *before;  /* ok, warn, bad or unknown; NULL: seen for the first time */
	const char *level;   /* the same; NULL: not watched any more */
	const char *message; /* why; "" when there is nothing to say */
	const char *action;  /* the command or flow that would help, or NULL */
	uint64_t since_us;   /* at this level since; 0: not known */
};

/*
 * Listeners are told of each change, whether anybody looks or not. An item that is seen for the
 * first time is told when it is not ok. What is remembered outlives losses of the agent's
 * connection, so coming back changes nothing by itself. The memory is the caller's.
 */
struct status_listener {
	struct list link; /* status.listeners */
	void (*on_change)(struct status_listener *listener, const struct status_change *change);
};
void status_listen(struct status *status, struct status_listener *listener);
void status_unlisten(struct status_listener *listener); /* twice is fine */

#endif
