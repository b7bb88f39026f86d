/* Finding a record in a run's log: the agent's run.locate, or the database's. */
#ifndef OPS_CORE_APP_LOGS_LOCATE_H
#define OPS_CORE_APP_LOGS_LOCATE_H

#include <stdint.h>

struct host;
struct server;

/* err: 0, -ENOENT (no such run), -ERANGE (no such place), -ENOTCONN (nobody can be asked). */
typedef void (*locate_fn)(int err, uint64_t offset, uint64_t line, uint64_t time_us, void *arg);

/* host: whose run it is; NULL: only the database has it. kind: enum msg_locate. cb comes once, from
 * the loop; there is no way to take it back. */
void locate_start(struct server *server, struct host *host, const char *run, uint8_t kind,
	uint64_t value, locate_fn cb, void *arg);

#endif
