/* The state of the daemon's parts as members of a JSON object: agent (of the primary host), agents,
 * database, archiver (of all together). */
#ifndef OPS_CORE_APP_PARTS_H
#define OPS_CORE_APP_PARTS_H

#include <stdbool.h>

#include "core/base/json.h"

struct host;
struct server;

/* detailed: with names and reasons, which are not for somebody who is not signed in. */
void parts_write_agent(struct json *json, const struct host *host, bool detailed);
/* The members of a host: its name, title, state and what its agent said of itself. */
void parts_write_host(struct json *json, const struct host *host);
void parts_write(struct json *json, const struct server *server, bool detailed);

#endif
