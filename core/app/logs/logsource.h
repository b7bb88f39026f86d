/*
 * A run's log, from whoever has it: the agent as long as it keeps the journal, else the database.
 * The reader cannot tell, and pulls: nothing comes without credit.
 */
#ifndef OPS_CORE_APP_LOGS_LOGSOURCE_H
#define OPS_CORE_APP_LOGS_LOGSOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/uuid.h"
#include "proto/wire.h"

struct logsource;
struct server;

struct logsource_opened {
	uint64_t offset;     /* where the first records will begin */
	uint64_t size;	     /* bytes of the log now */
	struct wire_str run; /* the run's document */
	const char *id;	     /* its id; "" when the document names none */
	bool is_final;	     /* the log will not grow */
};

/* Why it ended. */
struct logsource_end {
	uint16_t reason;     /* enum msg_end_reason; 0: lost, see err */
	int err;	     /* -ENOENT, -EINVAL (bad offset), -ENOTCONN (neither can be asked),
				-ENOTUNIQ (several hosts have a run of that number),
				-EEXIST (RUNFIND_CONTESTED),
				-ECONNRESET (lost in the middle: open it again from offset), -EIO */
	uint64_t offset;     /* how far it came */
	const char *message; /* for a person; valid during the call */
	bool agent_is_there; /* the run's agent is connected now: what was lost can be had again */
};

struct logsource_callbacks {
	/* It is there; records follow as credit allows. */
	void (*on_opened)(
		struct logsource *source, const struct logsource_opened *opened, void *arg);
	/* Whole records, valid during the call. payload points to MSG_CHUNK_PREFIX_BYTES (the
	 * offset, little-endian) followed by them: the payload of a CHUNK frame. */
	void (*on_chunk)(struct logsource *source, const uint8_t *payload, size_t len, void *arg);
	/* Once, last; also in place of on_opened. The source is freed after it. */
	void (*on_end)(struct logsource *source, const struct logsource_end *end, void *arg);
};

/* offset >= 0: a record boundary; < 0: about that many bytes before the end. run: UUID or number.
 * The first FRAME_INITIAL_CREDIT bytes may come without further credit. Callbacks come from the
 * loop. */
struct logsource *logsource_open(struct server *server, const char *run, int64_t offset,
	const struct logsource_callbacks *callbacks, void *arg);
/* That many more record bytes may come. */
void logsource_credit(struct logsource *source, uint32_t bytes);
/* No callback comes any more; frees it. NULL is fine; a no-op in on_end. */
void logsource_close(struct logsource *source);

#endif
