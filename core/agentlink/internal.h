/*
 * What link.c (the connection) and ops.c (the requests and streams on it) share. Nobody else
 * includes this.
 */
#ifndef OPS_CORE_AGENTLINK_INTERNAL_H
#define OPS_CORE_AGENTLINK_INTERNAL_H

#include "core/agentlink/link.h"
#include "core/net/framed.h"

#define LINK_BUCKETS 256
#define LINK_MAX_REASON 256
#define LINK_HEAD_BYTES 8192 /* method and authorization of a REQUEST */

/* Where a connection stands; what LINK_* state people see follows from it. */
enum link_phase {
	PHASE_WAITING, /* no connection; timer: the next attempt */
	PHASE_HELLO,   /* hello sent; timer: its deadline */
	PHASE_EVENTS,  /* events stream asked for; timer: its deadline */
	PHASE_UP,      /* in use; timer: silence */
	PHASE_PINGED,  /* a PING is out; timer: its deadline */
	PHASE_CLOSING, /* link_close() was called */
};

/* One outstanding request; it becomes a stream when its answer is MSG_OK and it has callbacks. */
struct link_op {
	struct list bucket; /* link.buckets */
	struct list all;    /* link.ops, or link.failed when it never got on the wire */
	struct link *link;
	uint32_t id;
	int err;	      /* in link.failed: what to call back with */
	uint64_t deadline_ms; /* of the answer, uv_now(); 0: answered */
	bool is_stream;
	bool is_orphan; /* given up; the agent still owes its answer */
	bool finished;	/* its last callback is being made: forget and close are no-ops */
	void *arg;
};

struct link_call {
	struct link_op op;
	link_reply_fn cb;
};

struct link_stream {
	struct link_op op;
	struct link_stream_callbacks callbacks;
};

struct link {
	uv_loop_t *loop;
	char *socket_path;
	char *authorization;
	char *client;
	char *wanted_host; /* NULL: any */

	enum link_phase phase;
	enum link_state state;
	uint64_t since_us;
	char reason[LINK_MAX_REASON];
	char *host, *agent_id, *agent_version, *config_digest; /* NULL before the first hello */
	uint64_t agent_started_us;
	uint64_t connections; /* that said hello */
	uint32_t max_ops;
	unsigned failures;    /* in a row, for the backoff */
	struct list watchers; /* link_watch.link */

	struct framed *conn; /* NULL: none, or the last one is being dropped */
	unsigned n_framed;   /* struct framed not yet closed */
	uint64_t heard_ms;   /* uv_now() of the last frame */
	uv_timer_t timer;    /* see enum link_phase */
	unsigned n_handles;  /* timers not yet closed */
	struct link_stream *events;

	struct list buckets[LINK_BUCKETS]; /* link_op.bucket */
	struct list ops;		   /* link_op.all */
	struct list failed;		   /* link_op.all */
	size_t n_ops;			   /* with an id: the agent knows of them */
	uint32_t next_id;
	uv_timer_t sweep; /* the earliest deadline in ops */
	uv_timer_t soon;  /* calls failed back */

	void (*on_closed)(void *arg);
	void *closed_arg;
};

/* link.c: the one way a connection ends while the link lives */
void link_drop(struct link *link, enum link_state state, const char *reason);
/* The handshake is done: requests are let through, watchers are told. */
void link_up(struct link *link);

/* handshake.c: hello and events on the new link->conn */
void link_handshake(struct link *link);

/* ops.c */
void link_ops_init(struct link *link);
/* Ends every op with err, from the loop (callbacks are made). */
void link_ops_fail_all(struct link *link, int err);
/* Opens an op although the link is not LINK_CONNECTED yet: hello and events. */
struct link_call *link_call_now(struct link *link, uint16_t method, const struct wire_str *fields,
	link_reply_fn cb, void *arg);
struct link_stream *link_stream_now(struct link *link, uint16_t method,
	const struct wire_str *fields, const struct link_stream_callbacks *callbacks, void *arg);
/* A frame of an op arrived. 0, or -EBADMSG when it cannot be: the connection must end. */
int link_ops_frame(struct link *link, const struct frame *frame, const uint8_t *payload);
void on_link_sweep(uv_timer_t *timer);
void on_link_soon(uv_timer_t *timer);

#endif
