/*
 * The dashboard's connection to the agent: one Unix socket, kept open for as long as the daemon
 * runs. Reconnects by itself (0.2 s doubling to 5 s, with jitter), says hello, keeps the shared
 * `events` stream open, and notices a peer that no longer answers (PING).
 *
 * Nothing here blocks, and no callback comes from within the call that asked for it. A request is
 * called back exactly once; without a connection that is soon, with -ENOTCONN.
 */
#ifndef OPS_CORE_AGENTLINK_LINK_H
#define OPS_CORE_AGENTLINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "core/base/list.h"
#include "core/base/mem.h"
#include "proto/msg.h"

#define LINK_MAX_OPS 512	    /* requests and streams at a time, or what the agent allows */
#define LINK_MAX_QUEUE (8u << 20)   /* bytes waiting for the agent to read them */
#define LINK_MAX_FIELDS (64u << 10) /* of one request */
#define LINK_TIMEOUT_MS 10000	    /* a request's deadline when it names none */
#define LINK_PING_EVERY_MS 10000    /* of silence */
#define LINK_PING_ANSWER_MS 5000    /* then the connection is given up */
#define LINK_BACKOFF_MIN_MS 200
#define LINK_BACKOFF_MAX_MS 5000

struct link;
struct link_call;
struct link_stream;

enum link_state {
	LINK_CONNECTING, /* never connected yet, the first attempts */
	LINK_CONNECTED,	 /* hello was answered */
	LINK_REFUSED,	 /* the agent answers, but not to us: wrong secret, uid or version */
	LINK_AWAY,	 /* no connection; trying again */
};

/* All texts belong to the link and are valid until the loop runs again. */
struct link_info {
	enum link_state state;
	uint64_t since_us;  /* wall clock: in this state since */
	const char *reason; /* why it is not connected, for a person; "" when it is */
	/* what the agent said in its last hello; empty before the first */
	const char *host, *agent_id, *agent_version, *config_digest;
	uint64_t agent_started_us;
	uint64_t reconnects; /* connections made after the first */
};

struct link_opts {
	const char *socket_path;
	const char *secret; /* without "Bearer " */
	const char *client; /* "ops-dashboard/0.1.0", for the agent's log */
	const char *host; /* what the agent must call its host, else LINK_REFUSED; NULL: anything */
};

/* Copies the options and starts connecting; the watchers are told how that goes. Never fails:
 * what cannot be reached is LINK_AWAY with a reason. */
struct link *link_open(uv_loop_t *loop, const struct link_opts *opts);

/* Another secret (copied). The connection is made anew: what is under way ends with -ECONNRESET,
 * from within this call. */
void link_set_secret(struct link *link, const char *secret);

/* Ends it. Calls and streams are called back with -ECANCELED, then on_closed comes, once, and the
 * link is freed after it. Watchers are not called any more. */
void link_close(struct link *link, void (*on_closed)(void *arg), void *arg);

void link_get_info(const struct link *link, struct link_info *ret_info);
bool link_is_connected(const struct link *link);
const char *link_state_name(enum link_state state); /* connecting connected refused away */

/*
 * Watchers: told of every change of state, and of every EVENT of the agent's `events` stream (the
 * stream is opened before LINK_CONNECTED is told, "only what is new"; so a snapshot asked for from
 * on_state misses nothing). The memory is the caller's; remove it before freeing.
 */
struct link_watch {
	struct list link; /* link.watchers */
	void (*on_state)(struct link_watch *watch, const struct link_info *info);
	/* json: one event, valid during the call. NULL: not interested. */
	void (*on_event)(struct link_watch *watch, struct wire_str json);
};

void link_watch_add(struct link *link, struct link_watch *watch);
void link_watch_remove(struct link_watch *watch); /* twice is fine */

/* The answer to a request. err: 0 (then status and the rest are the agent's), -ENOTCONN,
 * -ECONNRESET (lost while waiting: the agent may or may not have acted), -ETIMEDOUT, -ENOBUFS,
 * -EMSGSIZE, -ECANCELED (the link is closing). Pointers are valid during the callback only. */
struct link_reply {
	int err;
	uint16_t status; /* enum msg_status */
	struct wire_str message;
	const uint8_t *fields; /* for the method's reply decoder */
	size_t fields_len;
};

typedef void (*link_reply_fn)(const struct link_reply *reply, void *arg);

/* Sends one request. fields: what msg_<method>_encode() wrote (copied). timeout_ms 0:
 * LINK_TIMEOUT_MS. Returns the call, valid until cb is called. */
struct link_call *link_request(struct link *link, uint16_t method, const struct wire_str *fields,
	unsigned timeout_ms, link_reply_fn cb, void *arg);

/* Forgets a call whose caller is going away: cb will not be called. What was asked for may still
 * happen in the agent. */
void link_call_forget(struct link_call *call);

/* How a stream ended. err: 0 (then reason is the agent's END), -ECONNRESET, -ECANCELED. */
struct link_end {
	int err;
	uint16_t reason; /* enum msg_end_reason */
	uint64_t offset; /* final offset; of no meaning when err is not 0 */
};

/*
 * A stream is answered by on_reply first. When that carries an error or a status other than
 * MSG_OK, the stream is over and is freed after on_reply returns; else chunks come as credit
 * allows, and at last on_end, after which it is freed.
 */
struct link_stream_callbacks {
	void (*on_reply)(struct link_stream *stream, const struct link_reply *reply);
	/* The CHUNK frame's payload: u64 offset and whole records. Valid during the call. */
	void (*on_chunk)(struct link_stream *stream, const uint8_t *payload, size_t len);
	void (*on_event)(struct link_stream *stream, struct wire_str json); /* may be NULL */
	void (*on_end)(struct link_stream *stream, const struct link_end *end);
};

/* Opens a stream (MSG_RUN_TAIL, MSG_STATUS_WATCH, MSG_TAIL_OPEN). Like link_request(), it never
 * fails at once. */
struct link_stream *link_stream_open(struct link *link, uint16_t method,
	const struct wire_str *fields, const struct link_stream_callbacks *callbacks, void *arg);

/* run.tail from offset (a record boundary) on. run is a UUID or a decimal number. */
struct link_stream *link_tail(struct link *link, const char *run, uint64_t offset,
	const struct link_stream_callbacks *callbacks, void *arg);

void *link_stream_arg(const struct link_stream *stream);

/* Allows the agent to send that many more record bytes (a new stream has FRAME_INITIAL_CREDIT).
 * Failure to send shows as the stream's end. */
void link_credit(struct link_stream *stream, uint32_t bytes);

/* The owner is going away: no further callback comes, the agent is told to CLOSE. The stream must
 * not be used after this. */
void link_close_stream(struct link_stream *stream);

#endif
