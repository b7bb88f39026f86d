/*
 * Which runs are whose, as far as it was heard lately: LIMIT_HOST_RUNS places, found by the run's
 * id, where a newer one takes the place of an older one.
 *
 * What PostgreSQL has is sure. An agent's word alone is a claim: good enough for a list, and for
 * more only when all others were asked (alone, for a while). A run that two agents claim is
 * nobody's until PostgreSQL says whose it is.
 */
#ifndef OPS_CORE_APP_HOSTS_HOMES_H
#define OPS_CORE_APP_HOSTS_HOMES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/uuid.h"

struct homes;
struct host;

enum home_kind {
	HOME_UNKNOWN,
	HOME_CLAIMED,
	HOME_ALONE,
	HOME_SURE,
	HOME_CONTESTED,
};

struct home {
	enum home_kind kind;
	struct host *host; /* NULL when unknown or contested */
};

struct homes *homes_new(void);
void homes_free(struct homes *homes);

/* now_ms: the loop's clock, by which HOME_ALONE ends. */
struct home homes_get(const struct homes *homes, const struct uuid *run, uint64_t now_ms);
/* An agent says that it has the run. False: so did another one, or PostgreSQL has it as another's:
 * *ret_other then, when that is found for the first time, else NULL. */
bool homes_claim(
	struct homes *homes, const struct uuid *run, struct host *host, struct host **ret_other);
/* PostgreSQL has it as this host's. Returns the other one that claimed it, when that is found for
 * the first time, else NULL. */
struct host *homes_settle(struct homes *homes, const struct uuid *run, struct host *host);
/* PostgreSQL does not say, and no other agent has it. Not of one that is contested. */
void homes_alone(struct homes *homes, const struct uuid *run, struct host *host, uint64_t until_ms);
/* A host is going: nothing is its any more, and what was contested is to be found out anew. */
void homes_forget(struct homes *homes, const struct host *host);

#endif
