/*
 * `status` and `status.watch`: how the machine is, as the probes tell it. The worker keeps the
 * newest text of each item as it came, bounded, and composes the document from them; it reads none
 * of it.
 */
#ifndef OPS_AGENT_WORKER_STATUS_H
#define OPS_AGENT_WORKER_STATUS_H

#include "agent/probes/note.h"
#include "agent/worker/conn.h"

#define STATUS_MAX_ITEMS 1024
#define STATUS_MAX_BYTES (900u << 10) /* of the document */
#define STATUS_MIN_INTERVAL_MS 500
#define STATUS_MAX_INTERVAL_MS 60000

struct status;

/* Listens to the worker's end of the pair to the probes. 0 or a negative errno. */
MUSTCHECK int status_open(struct worker *worker);
void status_close(struct worker *worker);

void status_handle_get(struct stream *stream, const struct msg_request *request);
void status_handle_watch(struct stream *stream, const struct msg_request *request);

/* The items by section, kept by status.c; for tests. */
struct status_items;
struct status_items *status_items_new(void);
void status_items_free(struct status_items *items);
/* Takes one note of the probes; returns whether the document is another one now. */
bool status_items_take(struct status_items *items, const struct note *note, uint64_t wall_us);
/* Writes the document (openapi.json, Status). */
void status_items_write(const struct status_items *items, const char *host, struct json *json);

#endif
