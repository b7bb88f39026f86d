/*
 * A page of runs, newest first: what each agent still has, merged with what PostgreSQL holds, each
 * run once, an agent's word before the database's. Any of them may be missing; the page says so.
 */
#ifndef OPS_CORE_APP_RUNS_RUNS_PAGE_H
#define OPS_CORE_APP_RUNS_RUNS_PAGE_H

#include <stddef.h>

#include "core/app/archive/history.h"
#include "core/base/buf.h"
#include "core/base/uuid.h"

struct runs_page;
struct server;

struct runs_query {
	char before[UUID_TEXT_BYTES]; /* "": from the newest */
	unsigned limit;		      /* 1..LIMIT_RUN_LIST */
	char status[HISTORY_MAX_TEXT + 1], name[HISTORY_MAX_TEXT + 1], q[HISTORY_MAX_TEXT + 1];
	char host[HISTORY_MAX_TEXT + 1]; /* "": all */
};

/* err 0: body is {"runs":[…],"next":ID|null,"agent":"connected|away",
 * "hosts":[{"host":…,"agent":"connected|away"}],"history":"ok|unavailable"}, which the callee may
 * take; `agent` is away when one of them is. -EINVAL: the query is malformed. */
typedef void (*runs_page_fn)(int err, struct buf *body, void *arg);

/* cb comes once, from the loop. The page is valid until then. */
struct runs_page *runs_page_get(
	struct server *server, const struct runs_query *query, runs_page_fn cb, void *arg);
/* The caller is going away: cb does not come. NULL is fine. */
void runs_page_forget(struct runs_page *page);

#endif
