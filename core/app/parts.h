/* The state of the daemon's parts as members of a JSON object: agent, database, archiver. */
#ifndef OPS_CORE_APP_PARTS_H
#define OPS_CORE_APP_PARTS_H

#include <stdbool.h>

#include "core/base/json.h"

struct server;

/* detailed: with names and reasons, which are not for somebody who is not signed in. */
void parts_write_agent(struct json *json, const struct server *server, bool detailed);
void parts_write(struct json *json, const struct server *server, bool detailed);

#endif
