/*
 * Idempotency keys, STATE_DIR/keys: which run an actor's key made, for KEYS_KEEP_US, so that a
 * request sent twice makes one run, also when the agent was restarted in between. Entries of fixed
 * size, only ever appended; the file is rewritten when it holds mostly old ones.
 *
 *	u64 time_us, 32 bytes SHA-256 of actor and key, 32 bytes SHA-256 of the request, 16 bytes
 *run, u32 crc32c of all before
 */
#ifndef OPS_AGENT_MONITOR_KEYS_H
#define OPS_AGENT_MONITOR_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/uuid.h"
#include "proto/msg.h"

#define KEYS_FILE "keys"
#define KEYS_MAX 16384 /* kept at a time; more: -ENOBUFS until some are old */
#define KEYS_MAX_KEY_BYTES 255
#define KEYS_KEEP_US (UINT64_C(24) * 3600 * 1000000)

struct keys;

struct key {
	uint8_t name[32];    /* of actor and key */
	uint8_t request[32]; /* of what was asked for */
};

/* The key of a request: its actor, its idempotency key, and what it asks for. */
void key_of(const struct msg_run_start *start, struct key *ret_key);

/* Opens the file or makes it. NULL with err set. */
struct keys *keys_open(int state_dir_fd, uint64_t now_us, struct err *err);
/* NULL is fine. */
void keys_close(struct keys *keys);

/* 0 with the run that the key made, -ENOENT, or -EEXIST: it was used for another request. */
MUSTCHECK int keys_find(
	const struct keys *keys, const struct key *key, uint64_t now_us, struct uuid *ret_run);
/* Remembers the key; it is durable after the next keys_sync(). 0 or a negative errno. */
MUSTCHECK int keys_add(
	struct keys *keys, const struct key *key, uint64_t now_us, const struct uuid *run);
/* fdatasync(2) if anything was added since the last time. */
MUSTCHECK int keys_sync(struct keys *keys);

#endif
