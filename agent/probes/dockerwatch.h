/*
 * Knows when something has happened to a container, in the probes' own process: an events stream of
 * the engine through the relay, of which not a byte is understood. That some came is the news.
 */
#ifndef OPS_AGENT_PROBES_DOCKERWATCH_H
#define OPS_AGENT_PROBES_DOCKERWATCH_H

#include <stdbool.h>
#include <stdint.h>

#define DOCKERWATCH_RETRY_MIN_US UINT64_C(500000)
#define DOCKERWATCH_RETRY_MAX_US UINT64_C(30000000)
#define DOCKERWATCH_STEADY_US UINT64_C(10000000)

struct dockerwatch {
	int fd;	     /* the stream; -1: none */
	uint8_t api; /* of the engine; another one is tried when it hangs up */
	uint64_t opened_us, retry_us, wait_us; /* monotonic */
};

void dockerwatch_init(struct dockerwatch *watch);
/* Opens the stream when that is due. Returns when to be called again; UINT64_MAX: not by time. */
uint64_t dockerwatch_run(struct dockerwatch *watch, uint64_t now_us);
/* There is something to read, or it has ended. True: something may have changed. */
bool dockerwatch_read(struct dockerwatch *watch);

#endif
