/* What a client may say on the live WebSocket, parsed and bounded. Pure. */
#ifndef OPS_CORE_APP_LIVE_LIVE_MSG_H
#define OPS_CORE_APP_LIVE_LIVE_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/app/limits.h"
#include "core/base/mem.h"

enum live_op {
	LIVE_SUBSCRIBE,
	LIVE_CREDIT,
	LIVE_UNSUBSCRIBE,
	LIVE_HUSH, /* of runs: only what changes a run's status */
};

enum live_topic {
	TOPIC_UNSUPPORTED, /* well-formed, but nothing this version knows */
	TOPIC_RUNS,
	TOPIC_RUN,
	TOPIC_RUN_LOG,
	TOPIC_CATALOG,
	TOPIC_SYSTEM,
	TOPIC_STATUS,
	TOPIC_TAIL_DOCKER, /* records, as a log, but of no run */
	TOPIC_TAIL_UNIT,
};

#define LIVE_RUN_BYTES 40
#define LIVE_NAME_BYTES 128 /* of a container or unit */

struct live_msg {
	enum live_op op;
	uint32_t id; /* of the subscription; never 0 */
	enum live_topic topic;
	char run[LIVE_RUN_BYTES];    /* TOPIC_RUN, TOPIC_RUN_LOG: UUID or number */
	char name[LIVE_NAME_BYTES];  /* TOPIC_TAIL_*: container or unit */
	char host[LIMIT_HOST_BYTES]; /* subscribe; "" when absent */
	int64_t offset;		     /* subscribe; 0 when absent */
	uint32_t bytes;		     /* credit */
};

/* 0, or -EINVAL with a text for whoever wrote the client; ret_msg->id is its id as far as it could
 * be read, else 0. */
MUSTCHECK int live_msg_parse(
	const char *text, size_t len, struct live_msg *ret_msg, const char **ret_fault);

#endif
