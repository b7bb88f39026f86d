/* One question to the agents of several hosts at once. */
#ifndef OPS_CORE_APP_HOSTS_ASK_H
#define OPS_CORE_APP_HOSTS_ASK_H

#include <stddef.h>

#include "core/agentlink/link.h"
#include "core/app/limits.h"

struct host;
struct request;

struct ask_answer {
	char host[LIMIT_HOST_BYTES];
	struct link_reply reply;
};

/* All answers, in the order of the hosts; valid during the call. */
typedef void (*ask_fn)(struct request *req, const struct ask_answer *answers, size_t n);

/* Asks the given host, or all (NULL). cb comes once, later, when each has answered; where there are
 * several hosts they have LIMIT_HOSTS_CALL_MS, then it is -ETIMEDOUT. Where there is no host any
 * more, since the daemon closes, the request is answered and cb does not come. */
void ask_hosts(struct request *req, struct host *host, enum msg_method method,
	const struct wire_str *fields, ask_fn cb);

#endif
