/*
 * A client's connection and the streams on it. A stream is one REQUEST and what it leads to: it
 * waits for the monitor, or it sends CHUNKs or EVENTs until its END. Streams of a connection that
 * have something to send take fair turns, connections likewise (conn_service()).
 */
#ifndef OPS_AGENT_WORKER_CONN_H
#define OPS_AGENT_WORKER_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "agent/monitor/imsg.h"
#include "agent/worker/state.h"
#include "core/base/list.h"
#include "core/net/framed.h"
#include "proto/msg.h"

#define CONN_MAX_STREAMS 256
#define CONN_MAX_QUEUE (8u << 20)   /* bytes for a client that does not read: then it is dropped */
#define CONN_LOW_WATER (128u << 10) /* bulk data waits while more than this is queued */
#define CONN_REQUEST_MS 10000	    /* until the first good REQUEST */
#define CONN_FRAME_MS 10000	    /* for the rest of a frame that has begun */
#define CONN_FLUSH_MS 2000	    /* for what is queued at the end */
#define CONN_BAD_SECRET_MS 1000	    /* before a wrong secret is answered */
#define CONN_MAX_BAD_SECRETS 5	    /* then GOAWAY */
#define CONN_MAX_REQUEST_BYTES 65536

struct conn;
struct stream;

enum stream_step {
	STREAM_WAIT, /* nothing to send now: stream_wake() brings it back */
	STREAM_MORE, /* sent something, may have more */
	STREAM_GONE, /* the stream was ended */
};

struct stream_ops {
	/* Sends one piece. */
	enum stream_step (*pump)(struct stream *stream);
	/* The client allows this many more bytes; NULL: it has no business to. */
	void (*credit)(struct stream *stream, uint32_t bytes);
	/* Where it stands, for END. */
	uint64_t (*offset)(const struct stream *stream);
	/* The stream ends: frees arg. */
	void (*free)(struct stream *stream);
};

struct stream {
	struct list link;	/* conn.streams */
	struct list ready_link; /* conn.ready */
	struct list all_link;	/* worker.listeners, for events streams */
	struct conn *conn;
	uint32_t id;
	const struct stream_ops *ops; /* NULL: waits for its answer */
	void *arg;
};

struct conn {
	struct list link;	/* worker.conns */
	struct list ready_link; /* worker.ready */
	struct worker *worker;
	struct framed *framed;
	uv_timer_t timer; /* first REQUEST, or the delay of a refusal */
	uint64_t id;
	struct imsg_peer peer;
	uint64_t opened_us;  /* monotonic */
	struct list streams; /* stream.link */
	struct list ready;   /* stream.ready_link */
	unsigned n_streams;
	unsigned bad_secrets;
	uint32_t refused_stream;    /* waits for its unauthorized answer; 0: none */
	bool authorized;	    /* has given the right secret once */
	uint32_t secret_generation; /* of the newest one it gave (worker/secrets.h) */
	bool jammed;		    /* more than CONN_LOW_WATER queued: on_drain goes on */
	bool closing;
	unsigned n_handles;
};

/* Takes over an accepted socket; refuses peers that may not connect. */
void conn_accept(struct worker *worker, int fd);
/* Sends GOAWAY and closes; idempotent. The conn is freed later. */
void conn_goaway(struct conn *conn, enum msg_goaway_code code, const char *message);
/* By id; NULL when it is gone. */
struct conn *conn_find(struct worker *worker, uint64_t id);
/* One turn: one piece of one stream. Takes itself out of worker.ready when there is no more. */
void conn_service(struct conn *conn);

struct stream *stream_find(struct conn *conn, uint32_t id);
/* Gives the stream its behaviour and makes it ready; the OK response was sent before. */
void stream_start(struct stream *stream, const struct stream_ops *ops, void *arg);
/* Something may have happened that lets it send. */
void stream_wake(struct stream *stream);
/* Sends END and frees it. */
void stream_end(struct stream *stream, enum msg_end_reason reason);
/* Frees it without a word: it was answered in full. */
void stream_close(struct stream *stream);

/* Answers a stream's request. With keep the stream goes on (stream_start()), else it is freed. */
void stream_respond(struct stream *stream, enum msg_status status, const char *message,
	const void *fields, size_t n);
void stream_respond_keep(struct stream *stream, const void *fields, size_t n);

#endif
