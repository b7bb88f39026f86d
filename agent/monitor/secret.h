/* The agent's secret: what every request must carry. */
#ifndef OPS_AGENT_MONITOR_SECRET_H
#define OPS_AGENT_MONITOR_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/err.h"
#include "proto/wire.h"

#define SECRET_MIN_BYTES 16
#define SECRET_MAX_BYTES 512

struct secret {
	char text[SECRET_MAX_BYTES + 1]; /* NUL-terminated */
	size_t len;
};

/* Reads the file: a regular one, not for others to read, at least SECRET_MIN_BYTES once trailing
 * white space is dropped. On failure *ret_secret is untouched and err says what to do. */
MUSTCHECK int secret_load(const char *path, struct secret *ret_secret, struct err *err);

/* Whether an authorization field is "Bearer " and this secret; takes the same time for every wrong
 * one of a length. */
bool secret_matches(const struct secret *secret, struct wire_str authorization);

void secret_wipe(struct secret *secret);

#endif
