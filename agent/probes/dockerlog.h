/*
 * What a container without a terminal wrote, as the Docker engine sends it: frames of 8 bytes
 * (stream, three zeros, length as big-endian u32) and as many bytes, which begin with when they
 * were written (timestamps=1). Pure; nothing is kept but where it stands.
 */
#ifndef OPS_AGENT_PROBES_DOCKERLOG_H
#define OPS_AGENT_PROBES_DOCKERLOG_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/mem.h"
#include "proto/record.h"

#define DOCKERLOG_HEAD 8
#define DOCKERLOG_MAX_STAMP 40 /* bytes of a time and the space behind it */

typedef void (*dockerlog_fn)(
	void *arg, enum record_kind kind, uint64_t time_us, const uint8_t *data, size_t n);

struct dockerlog {
	dockerlog_fn on_output;
	void *arg;

	uint8_t head[DOCKERLOG_HEAD], stamp[DOCKERLOG_MAX_STAMP];
	size_t head_len, stamp_len;
	uint32_t left;	  /* bytes of the frame that have not come */
	uint64_t time_us; /* of the frame; 0: it does not say */
	enum {
		DOCKERLOG_IN_HEAD,
		DOCKERLOG_IN_STAMP,
		DOCKERLOG_IN_TEXT
	} where;
};

void dockerlog_init(struct dockerlog *log, dockerlog_fn on_output, void *arg);
/* Takes more bytes; each frame's text is passed on as it comes, in pieces. 0, or -EBADMSG: these
 * are no frames. */
MUSTCHECK int dockerlog_feed(struct dockerlog *log, const uint8_t *data, size_t n);

#endif
