/*
 * The agent's secret: what every request must carry. While it is being rotated there are two: the
 * file holds the new one, and STATE_DIR/secret.old the one before, with the time until which it
 * stays good. That file is written first, so whoever meets a new secret finds the old one as well.
 */
#ifndef OPS_AGENT_MONITOR_SECRET_H
#define OPS_AGENT_MONITOR_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/err.h"
#include "proto/wire.h"

#define SECRET_MIN_BYTES 16
#define SECRET_MAX_BYTES 512
#define SECRET_NEW_BYTES 32 /* random ones of a new secret; the file has them in hex */
#define SECRET_OLD_FILE "secret.old"
#define SECRET_MAX_GRACE_S (7u * 86400u)

struct secret {
	char text[SECRET_MAX_BYTES + 1]; /* NUL-terminated */
	size_t len;			 /* 0: there is none, and nothing matches it */
};

/* The one before, and when it is good (unix time). */
struct secret_old {
	uint64_t from_us, until_us;
	struct secret secret; /* len 0: rotated without grace */
};

/* Reads the file: a regular one, not for others to read, at least SECRET_MIN_BYTES once trailing
 * white space is dropped. On failure *ret_secret is untouched and err says what to do. */
MUSTCHECK int secret_load(const char *path, struct secret *ret_secret, struct err *err);

/* Whether an authorization field is "Bearer " and this secret; takes the same time for every wrong
 * one of a length. */
bool secret_matches(const struct secret *secret, struct wire_str authorization);

void secret_wipe(struct secret *secret);

/* A new one, random. */
void secret_make(struct secret *ret_secret);
/* Puts another secret into the file, all at once, with the owner, group and mode of the one that is
 * there. 0 or a negative errno; then the file is as it was. */
MUSTCHECK int secret_replace(const char *path, const struct secret *secret, struct err *err);

/* STATE_DIR/secret.old; gid: of the file, (gid_t)-1: leave. */
MUSTCHECK int secret_old_write(
	int state_dir_fd, const struct secret_old *old, gid_t gid, struct err *err);
/* -ENOENT: no rotation is under way. -EBADMSG: bytes that secret_old_write() does not write. */
MUSTCHECK int secret_old_read(const char *state_dir, struct secret_old *ret_old);
/* How long it is still good, in microseconds; 0: it is not, or the clock was set back to before the
 * rotation. */
uint64_t secret_old_left_us(const struct secret_old *old, uint64_t wall_us);

#endif
