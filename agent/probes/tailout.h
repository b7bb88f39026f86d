/*
 * What a live tail's process writes: whole records of step 0 into a socket whose other end the
 * worker reads for one client. A full one blocks the caller: that is how a client without credit
 * holds the source back. When the reader is gone the process ends, there and then.
 */
#ifndef OPS_AGENT_PROBES_TAILOUT_H
#define OPS_AGENT_PROBES_TAILOUT_H

#include <stdint.h>

#include "core/base/mem.h"
#include "proto/record.h"

struct tailout {
	int fd;	       /* for poll(2) as well: POLLERR says that nobody reads any more */
	uint32_t line; /* newlines so far */
	uint8_t bytes[RECORD_MAX_BYTES];
};

/* n bytes of output as one record, or as several when they are more than one holds. time_us is the
 * source's; 0: now. */
void tailout_write(struct tailout *out, enum record_kind kind, uint64_t time_us,
	const uint8_t *data, size_t n);
/* The source has ended, and why, for a person: writes the event tail.ended. The caller returns. */
void tailout_end(struct tailout *out, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
