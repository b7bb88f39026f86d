/*
 * STATE_DIR/state: the little that must survive a restart although PostgreSQL may be down. One
 * append-only file of records (proto/record.h, kind event, one JSON object each), every append
 * fdatasynced. At start a torn tail is cut off; a file that has grown is rewritten with what still
 * matters.
 *
 * The first record is {"event":"store.created","version":1}. Who uses the store knows its own
 * events and ignores others.
 */
#ifndef OPS_CORE_APP_AUTH_STORE_H
#define OPS_CORE_APP_AUTH_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "core/base/err.h"
#include "core/base/mem.h"

#define STORE_FILE "state"
#define STORE_MAX_FILE (16u << 20)
#define STORE_COMPACT_BYTES (1u << 20) /* rewritten at start when larger */
#define STORE_MAX_PENDING 256	       /* appends waiting for the disk */
#define STORE_MAX_EVENT_BYTES 4096

struct store;

/* Opens STATE_DIR (made, 0700, if its parent is there) and the file in it (STORE_FILE; the text
 * must outlive the store), locked against a second dashboard, and hands every event to on_event in
 * order; returning false says that it need not be kept. Blocking: at start only. NULL with a text.
 */
struct store *store_open(uv_loop_t *loop, const char *state_dir, const char *file,
	bool (*on_event)(const char *json, size_t len, void *arg), void *arg, struct err *err);

/* Reads the events of a store that another process may be using. 0, or an errno with a text
 * (-ENOENT: there is none). Blocking. */
MUSTCHECK int store_read(const char *state_dir, const char *file,
	bool (*on_event)(const char *json, size_t len, void *arg), void *arg, struct err *err);

/* Appends one event on the thread pool, in the order of the calls. on_stored (may be NULL) comes
 * once from the loop when it is on the disk, or with an errno when it is not. -ENOBUFS, -EMSGSIZE,
 * -EFBIG (STORE_MAX_FILE).
 */
MUSTCHECK int store_append(struct store *store, const char *json, size_t len,
	void (*on_stored)(int err, void *arg), void *arg);

/* Empties it: nothing in it matters any more. -EBUSY while an append is pending. */
MUSTCHECK int store_reset(struct store *store);

/* What is pending is still written; on_closed comes from the loop, then it is gone. */
void store_close(struct store *store, void (*on_closed)(void *arg), void *arg);

#endif
