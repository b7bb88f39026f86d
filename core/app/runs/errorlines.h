/*
 * Why runs have failed: the line of the log that says so (errorline.h), looked for once a run that
 * ended badly is wholly archived, kept in ops.runs, and told with the run's document as
 * `first_error`. What nobody has looked at yet, runs of older programs too, is found in the
 * database itself, newest first, one after the other: so nothing is missed when a dashboard ends.
 *
 * Of runs that the archive does not have the document says nothing.
 */
#ifndef OPS_CORE_APP_RUNS_ERRORLINES_H
#define OPS_CORE_APP_RUNS_ERRORLINES_H

#include <jansson.h>

#include "core/app/logs/errorline.h"
#include "core/base/buf.h"
#include "core/base/uuid.h"
#include "proto/wire.h"

#define ERRORLINES_SETS 1024 /* of … */
#define ERRORLINES_WAYS                                                                            \
	4		       /* lines that are remembered, about 150 bytes each; a newer run's   \
				  takes the place of the oldest of its set */
#define ERRORLINES_LOADED 1000 /* read when the database is there: the newest of … */
#define ERRORLINES_DAYS 15     /* … these days; the agents keep what is released for 14 */
#define ERRORLINES_RETRY_MS 30000
#define ERRORLINES_DEADLINE_MS 30000 /* of one question */

struct errorlines;
struct server;

/* Uses server->pool, channel and live, which must outlive it. */
struct errorlines *errorlines_open(struct server *server);
/* Stops in the middle; on_closed comes later, once, and it is freed. */
void errorlines_close(struct errorlines *e, void (*on_closed)(void *arg), void *arg);

/* Where e may be NULL, the daemon is closing: nothing is known and nothing happens. */

/* A run was wholly archived. */
void errorlines_kick(struct errorlines *e);

/* What the database says of a run; line 0: nothing. */
void errorlines_learn(
	struct errorlines *e, const struct uuid *run, uint64_t line, struct wire_str text);
/* Puts what is known into a run's document; NULL or something else is left alone. */
void errorlines_put(const struct errorlines *e, json_t *run);
/* Appends the text of a run's document, with what is known. */
void errorlines_append(const struct errorlines *e, struct wire_str document, struct buf *out);

#endif
