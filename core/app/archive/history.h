/*
 * Runs and logs as PostgreSQL has them. For what the agent still has, its own answers are newer.
 *
 * No callback comes from within the call that asked for it, each comes exactly once; forgetting a
 * call is how its caller goes away early. Errors are those of struct pg_reply, and -ENOENT.
 */
#ifndef OPS_CORE_APP_ARCHIVE_HISTORY_H
#define OPS_CORE_APP_ARCHIVE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/uuid.h"
#include "core/db/pool.h"
#include "proto/msg.h"

#define HISTORY_MAX_LIMIT 200
#define HISTORY_DEFAULT_LIMIT 50
#define HISTORY_MAX_LIST_BYTES (4u << 20) /* of one page's documents; it is shorter then */
#define HISTORY_MAX_TEXT 128		  /* bytes of name and q */

struct history_call;

/* Cancels: the callback will not come. NULL is fine. Not after the callback. */
void history_forget(struct history_call *call);

struct history_filter {
	const char *before; /* UUID: only runs older than it; NULL or "": from the newest */
	unsigned limit;	    /* 0: HISTORY_DEFAULT_LIMIT */
	const char *status; /* exactly; NULL or "": any. "failed,lost" names several */
	const char *name;   /* exactly; NULL or "": any */
	const char *host;   /* exactly; NULL or "": any */
	const char *q;	    /* part of name, title, actor or reason, or "#1482"; NULL or "": any */
};

struct history_run {
	struct uuid id;
	struct wire_str json; /* the run's document; in lists without "steps" */
	bool complete;	      /* the whole log is here */
	uint64_t archived_offset, size;
	uint64_t error_line; /* `first_error` of the document (errorlines.h); 0: none */
	struct wire_str error_text;
};

struct history_list_reply {
	int err;
	const char *message; /* for a person; "" when err is 0 */
	size_t n_runs;
	const struct history_run *runs;
	bool more; /* there are older ones: pass the last id as before */
};

typedef void (*history_list_fn)(const struct history_list_reply *reply, void *arg);

/* Runs, newest first. -EINVAL at once as ret_err when the filter is malformed; then NULL. */
struct history_call *history_list(struct pool *pool, const struct history_filter *filter,
	history_list_fn cb, void *arg, int *ret_err);

struct history_get_reply {
	int err; /* -ENOENT: no such run */
	const char *message;
	struct history_run run;
};

typedef void (*history_get_fn)(const struct history_get_reply *reply, void *arg);

/* One run; ref is a UUID or a decimal number (of several agents' equal numbers the newest). Any
 * other text is answered with -ENOENT. */
struct history_call *history_get(struct pool *pool, const char *ref, history_get_fn cb, void *arg);

#define HISTORY_MAX_HOMES 32
#define HISTORY_HOMES_MS 2000 /* for the answer: agents can be asked without it */

struct history_home {
	struct uuid run;
	char host[64 + 1]; /* "": not known */
};

struct history_homes_reply {
	int err;
	size_t n; /* 0: the database knows of none */
	const struct history_home *homes;
};

typedef void (*history_homes_fn)(const struct history_homes_reply *reply, void *arg);

/* Whose run it is. ref is a UUID, or a decimal number: then the newest run with it of each host, or
 * of the one given (NULL or "": any). */
struct history_call *history_homes(
	struct pool *pool, const char *ref, const char *host, history_homes_fn cb, void *arg);

struct history_locate_reply {
	int err; /* -ENOENT: no such run or nothing of its log is here */
	const char *message;
	uint64_t offset, line, time_us; /* of the record, as the agent's run.locate says them */
};

typedef void (*history_locate_fn)(const struct history_locate_reply *reply, void *arg);

/* The record that kind (enum msg_locate) and value name, within what is archived. */
struct history_call *history_locate(struct pool *pool, const struct uuid *run, uint8_t kind,
	uint64_t value, history_locate_fn cb, void *arg);

/*
 * A log, piece by piece: each history_log_more() is answered by one on_records or by on_end. One
 * row (at most 256 KiB) is in memory at a time and no connection is held in between, so a reader
 * may be as slow as it likes.
 */
struct history_log;

struct history_log_callbacks {
	/* Whole records from offset on; valid during the call. */
	void (*on_records)(struct history_log *log, uint64_t offset, const uint8_t *records,
		size_t len, void *arg);
	/* err 0: all that is archived was given, up to offset. -ENOENT: no such run; -EINVAL: the
	 * first offset is no record boundary or beyond the end; -EIO: a hole or a damaged record at
	 * offset; or an error of struct pg_reply. Only history_log_close() may follow. */
	void (*on_end)(
		struct history_log *log, int err, const char *message, uint64_t offset, void *arg);
};

/* Opens it at offset (a record boundary). Nothing is fetched yet. */
struct history_log *history_log_open(struct pool *pool, const struct uuid *run, uint64_t offset,
	const struct history_log_callbacks *callbacks, void *arg);
/* Fetches the next piece. Not while one is being fetched. May be called from on_records. */
void history_log_more(struct history_log *log);
/* Frees it; no callback comes any more. NULL is fine; also from within its callbacks. */
void history_log_close(struct history_log *log);

#endif
