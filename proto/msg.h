/*
 * The messages inside REQUEST, RESPONSE, CHUNK, CREDIT, EVENT, END and GOAWAY frames. PROTOCOL.md
 * lists every method with its fields; the numbers here are for ever. A new field means a new
 * method number, so decoders refuse trailing bytes.
 *
 * Encoders write into the caller's buffer and return the bytes written or -EMSGSIZE. Decoders
 * return 0 or -EBADMSG (ret_m is untouched then); the wire_str they hand out point into the input.
 * Fields with a listed set of values (kind, filter, flags, yes/no) are refused outside of it,
 * numbers of methods, statuses, reasons and codes are not: whoever gets one it does not know says
 * so.
 */
#ifndef OPS_PROTO_MSG_H
#define OPS_PROTO_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

#define MSG_PROTOCOL_VERSION 1
#define MSG_MAX_INPUTS 64	  /* name/value pairs in run.start */
#define MSG_MAX_PROBLEMS 64	  /* fields named in an invalid_input response */
#define MSG_MAX_START_BYTES 49152 /* of run.start's fields: they fit the monitor's message */
#define MSG_MAX_LIST 200	  /* runs in one answer of run.list */

enum msg_method {
	MSG_HELLO = 1,
	MSG_CATALOG = 2,
	MSG_RUN_START = 3,
	MSG_RUN_GET = 4,
	MSG_RUN_LIST = 5,
	MSG_RUN_TAIL = 6,
	MSG_RUN_CANCEL = 7,
	MSG_RUN_APPROVE = 8,
	MSG_RUN_LOCATE = 9,
	MSG_RUN_RELEASE = 10,
	MSG_EVENTS = 11,
	MSG_STATUS = 12,
	MSG_STATUS_WATCH = 13,
	MSG_SCHEDULE = 14,
	MSG_RELOAD = 15,
	MSG_TAIL_OPEN = 16,
	MSG_SCHEDULE_PAUSE = 17,
	MSG_MAINTENANCE = 18,
	MSG_RUN_CANCEL_ALL = 19,
	MSG_SECRET_ROTATE = 20,
	MSG_RUN_STOP = 21,
};

enum msg_status {
	MSG_OK = 0,
	MSG_MALFORMED = 1,
	MSG_UNAUTHORIZED = 2,
	MSG_FORBIDDEN = 3,
	MSG_NOT_FOUND = 4,
	MSG_CONFLICT = 5,
	MSG_INVALID_INPUT = 6,
	MSG_LIMIT = 7,
	MSG_UNAVAILABLE = 8,
	MSG_INTERNAL = 9,
	MSG_BAD_OFFSET = 10,
	MSG_UNSUPPORTED = 11,
};

enum msg_end_reason {
	MSG_END_FINISHED = 1,  /* all of a finished journal was sent */
	MSG_END_CLOSED = 2,    /* the client sent CLOSE */
	MSG_END_PRUNED = 3,    /* the journal is no longer here */
	MSG_END_SHORTENED = 4, /* the journal is shorter than the offset: start again from 0 */
	MSG_END_SHUTDOWN = 5,  /* the server is shutting down */
};

enum msg_goaway_code {
	MSG_GOAWAY_SHUTDOWN = 0,
	MSG_GOAWAY_MALFORMED = 1,    /* bytes that are no frame or no message */
	MSG_GOAWAY_VERSION = 2,	     /* a frame version this agent does not speak */
	MSG_GOAWAY_TOO_LARGE = 3,    /* a frame over its maximum */
	MSG_GOAWAY_TIMEOUT = 4,	     /* no REQUEST, or half a frame, for too long */
	MSG_GOAWAY_LIMIT = 5,	     /* too many connections or streams */
	MSG_GOAWAY_FORBIDDEN = 6,    /* this uid may not connect */
	MSG_GOAWAY_PROTOCOL = 7,     /* a frame that makes no sense in this state */
	MSG_GOAWAY_UNAUTHORIZED = 8, /* too many wrong secrets */
};

enum msg_kind {
	MSG_KIND_COMMAND = 1,
	MSG_KIND_FLOW = 2,
};

enum msg_locate {
	MSG_LOCATE_LINE = 0,   /* the record that holds newline n, counted from 0: it ends line n */
	MSG_LOCATE_TIME = 1,   /* the first record at or after unix microseconds */
	MSG_LOCATE_OFFSET = 2, /* the record that holds byte n */
	MSG_LOCATE_BEFORE_END = 3, /* the record that holds the n-th byte before the end */
}; /* What is past the end finds the end; more bytes than there are before it find the start. */

enum msg_list_filter {
	MSG_LIST_ALL = 0,
	MSG_LIST_ACTIVE = 1,	 /* queued, running or waiting */
	MSG_LIST_UNRELEASED = 2, /* journals the dashboard has not released */
};

enum msg_tail_kind {
	MSG_TAIL_DOCKER = 1, /* a container's output */
	MSG_TAIL_UNIT = 2,   /* a systemd unit's journal */
};

/* RUN_START flags */
#define MSG_START_DRY_RUN 0x01

/* What every REQUEST begins with; fields is what follows, for the method's own decoder. */
struct msg_request {
	uint16_t method;
	struct wire_str authorization; /* "Bearer " and the secret */
	const uint8_t *fields;
	size_t fields_len;
};

/* What every RESPONSE begins with. fields are empty unless status is MSG_OK or
 * MSG_INVALID_INPUT (then: struct msg_problems). */
struct msg_response {
	uint16_t status;
	struct wire_str message; /* for a person; empty when ok */
	const uint8_t *fields;
	size_t fields_len;
};

struct msg_pair {
	struct wire_str name, value;
};

struct msg_problems {
	uint16_t n;
	struct msg_pair items[MSG_MAX_PROBLEMS]; /* name of the input, what is wrong with it */
};

/* 1 hello */
struct msg_hello {
	uint16_t version;	/* MSG_PROTOCOL_VERSION */
	struct wire_str client; /* name/version, for the agent's log */
};
struct msg_hello_reply {
	uint16_t version;
	struct wire_str agent_version;
	struct wire_str agent_id; /* UUID, made at first start */
	struct wire_str host;
	struct wire_str config_digest; /* hex SHA-256 */
	uint64_t started_us;
	uint64_t ledger_position;
	uint32_t max_payload;	 /* of a frame */
	uint32_t initial_credit; /* of a stream */
	uint32_t max_streams;	 /* of a connection */
};

/* 2 catalog, 12 status, 14 schedule: no fields; the reply is one JSON document. An EVENT frame's
 * payload is one too. */
struct msg_document {
	struct wire_str json;
};

/* 3 run.start */
struct msg_run_start {
	uint8_t kind; /* enum msg_kind */
	uint8_t flags;
	struct wire_str id;
	struct wire_str actor;	 /* user:NAME token:NAME schedule:FLOW hook:NAME opsctl:UID */
	struct wire_str trigger; /* manual, rerun:RUN, hook:NAME, schedule */
	struct wire_str idempotency_key; /* empty: none */
	uint16_t n_inputs;
	struct msg_pair inputs[MSG_MAX_INPUTS];
};
struct msg_run_start_reply {
	uint8_t created;      /* 0: the idempotency key named a run that was there; dry run: 0 */
	struct wire_str json; /* the run, or {"plan":[…]} of a dry run */
};

/* 4 run.get: msg_run_ref, answered by msg_document */
struct msg_run_ref {
	struct wire_str run; /* UUID or decimal number */
};

/* 5 run.list: newest first */
struct msg_run_list {
	uint8_t filter;		/* enum msg_list_filter */
	uint16_t limit;		/* 1..MSG_MAX_LIST */
	struct wire_str before; /* UUID; empty: from the newest */
};
struct msg_run_list_reply {
	struct wire_str json; /* {"runs":[…]} */
	struct wire_str next; /* UUID to pass as before; empty: no more */
};

/* 6 run.tail; then CHUNKs, and END after run.finished */
struct msg_run_tail {
	struct wire_str run;
	uint64_t offset; /* a record boundary */
};
struct msg_run_tail_reply {
	uint64_t offset;      /* where the first CHUNK will begin */
	uint64_t size;	      /* bytes in the journal now */
	struct wire_str json; /* the run */
};

/* 7 run.cancel. Replies that have no struct here have no fields. */
struct msg_run_cancel {
	struct wire_str run, actor, reason;
};

/* 8 run.approve */
struct msg_run_approve {
	struct wire_str run, step;
	uint8_t approve; /* 1 yes, 0 no */
	struct wire_str actor, comment;
};

/* 9 run.locate */
struct msg_run_locate {
	struct wire_str run;
	uint8_t kind; /* enum msg_locate */
	uint64_t value;
};
struct msg_run_locate_reply {
	uint64_t offset, line, time_us;
};

/* 10 run.release: the dashboard holds every byte under this digest; the journal may be pruned */
struct msg_run_release {
	struct wire_str run;
	struct wire_str digest; /* hex, of run.finished */
};

/* 11 events: EVENT frames follow, from ledger position on */
struct msg_events {
	uint64_t position; /* ledger bytes already seen; UINT64_MAX: only what is new */
};
struct msg_events_reply {
	uint64_t position;
};

/* 13 status.watch: EVENT frames with status documents follow, until CLOSE */
struct msg_status_watch {
	uint32_t interval_ms;
};

/* 15 reload */
struct msg_reload {
	struct wire_str actor;
};
struct msg_reload_reply {
	struct wire_str config_digest;
};

/* 16 tail.open: CHUNKs follow; offsets from 0, no resume */
struct msg_tail_open {
	uint8_t kind; /* enum msg_tail_kind */
	struct wire_str name;
	uint32_t backlog_lines;
};

/* 17 schedule.pause */
struct msg_schedule_pause {
	struct wire_str flow;
	uint8_t pause; /* 1 pause, 0 resume */
	struct wire_str actor, reason;
};

/* 18 maintenance */
struct msg_maintenance {
	uint8_t on;
	struct wire_str actor, reason;
};

/* 19 run.cancel_all */
struct msg_run_cancel_all {
	struct wire_str actor, reason;
};
struct msg_run_cancel_all_reply {
	uint32_t n_runs;
};

/* 20 secret.rotate */
struct msg_secret_rotate {
	struct wire_str actor;
	uint32_t grace_s; /* how long the old secret stays good; 0: not at all */
};
struct msg_secret_rotate_reply {
	uint64_t old_valid_until_us;
};

/* 21 run.stop */
struct msg_run_stop {
	struct wire_str run;
	uint8_t kill; /* 1: at once, `finally` too; 0: once, however often it is asked for */
	struct wire_str actor, reason;
};

/* CHUNK: u64 offset of the first byte, then whole records */
#define MSG_CHUNK_PREFIX_BYTES 8
struct msg_chunk {
	uint64_t offset;
	const uint8_t *records;
	size_t records_len;
};

/* How each stream ends. offset: of the byte after the last one sent; 0 where there is no log. */
struct msg_end {
	uint64_t offset;
	uint16_t reason;
};

struct msg_credit {
	uint32_t bytes;
};

struct msg_goaway {
	uint16_t code;
	struct wire_str message;
};

/*
 * Codecs. For each struct msg_x above:
 *	int msg_x_encode(const struct msg_x *m, void *out, size_t cap);
 *	int msg_x_decode(const uint8_t *data, size_t n, struct msg_x *ret_m);
 * Request and reply structs code the fields only, without the REQUEST or RESPONSE head;
 * msg_request and msg_response code the head followed by fields_len bytes of fields, and
 * msg_chunk the offset followed by the records.
 */
#define MSG_CODEC(x)                                                                               \
	int msg_##x##_encode(const struct msg_##x *m, void *out, size_t cap);                      \
	int msg_##x##_decode(const uint8_t *data, size_t n, struct msg_##x *ret_m);

#define MSG_EACH_STRUCT(X)                                                                         \
	X(request)                                                                                 \
	X(response)                                                                                \
	X(problems)                                                                                \
	X(hello)                                                                                   \
	X(hello_reply)                                                                             \
	X(document)                                                                                \
	X(run_start)                                                                               \
	X(run_start_reply)                                                                         \
	X(run_ref)                                                                                 \
	X(run_list)                                                                                \
	X(run_list_reply)                                                                          \
	X(run_tail)                                                                                \
	X(run_tail_reply)                                                                          \
	X(run_cancel)                                                                              \
	X(run_approve)                                                                             \
	X(run_locate)                                                                              \
	X(run_locate_reply)                                                                        \
	X(run_release)                                                                             \
	X(events)                                                                                  \
	X(events_reply)                                                                            \
	X(status_watch)                                                                            \
	X(reload)                                                                                  \
	X(reload_reply)                                                                            \
	X(tail_open)                                                                               \
	X(schedule_pause)                                                                          \
	X(maintenance)                                                                             \
	X(run_cancel_all)                                                                          \
	X(run_cancel_all_reply)                                                                    \
	X(secret_rotate)                                                                           \
	X(secret_rotate_reply)                                                                     \
	X(chunk)                                                                                   \
	X(end)                                                                                     \
	X(credit)                                                                                  \
	X(goaway)                                                                                  \
	X(run_stop)

MSG_EACH_STRUCT(MSG_CODEC)

/* "run.start" for MSG_RUN_START; NULL for a number that is no method. */
const char *msg_method_name(uint16_t method);
/* "not_found" for MSG_NOT_FOUND; "unknown" otherwise. */
const char *msg_status_name(uint16_t status);

#endif
