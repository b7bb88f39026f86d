/* What live.c (sockets), live_topics.c (documents), live_log.c (logs) and live_tail.c share. */
#ifndef OPS_CORE_APP_LIVE_LIVE_INTERNAL_H
#define OPS_CORE_APP_LIVE_LIVE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/app/archive/history.h"
#include "core/app/hosts/runfind.h"
#include "core/app/live/live.h"
#include "core/app/live/live_msg.h"
#include "core/app/logs/logfan.h"
#include "core/app/runs/runs_page.h"
#include "core/app/server.h"
#include "core/base/buf.h"
#include "core/web/ws.h"

struct live {
	struct server *server;
	struct list sockets; /* socket.link */
	size_t n_sockets;
	char *system; /* the last document of the topic `system`, or NULL */
	/* With which status runs were told last, in a ring: for who was told to hush. */
	struct {
		char id[UUID_TEXT_BYTES], status[16];
	} told[LIMIT_TOLD_RUNS];
	unsigned next_told;
};

struct socket {
	struct list link; /* live.sockets */
	struct live *live;
	struct ws *ws;
	session_ref session; /* one of the two */
	token_ref token;
	struct session_tie tie;
	struct list subs; /* sub.link */
	unsigned n_subs, n_logs, n_bad;
};

struct sub {
	struct list link; /* socket.subs */
	struct socket *socket;
	uint32_t id;
	enum live_topic topic;
	char run[LIVE_RUN_BYTES];    /* as asked for */
	char name[LIVE_NAME_BYTES];  /* of a tail */
	char host[LIMIT_HOST_BYTES]; /* as asked for; "": the primary one, or any */
	bool hushed;		     /* of runs: only what changes a run's status */
	struct host *watched;	     /* of a status (subscribed to) or tail; NULL: none */

	/* documents: a snapshot is being fetched by one of these */
	struct runs_page *page;
	struct runfind *find;
	struct link_call *call;
	struct history_call *history_call;
	bool waiting; /* neither agent nor database could be asked; or a lost log */
	bool refetch; /* what was held did not fit: fetch once more */
	char id_text[UUID_TEXT_BYTES]; /* TOPIC_RUN: of the snapshot */
	struct buf held;	       /* puts that came meanwhile, a line each */

	/* logs */
	struct logview *view;	  /* of a run's log */
	struct link_stream *tail; /* of a container or unit */
	uint64_t offset;	  /* the next record's */
	int64_t wanted;		  /* what the subscription asked for, until it is opened */
	int64_t credit;		  /* record bytes the client still takes */
	int64_t outstanding;	  /* of these, what the view or stream may still bring */
};

/* live.c */
struct sub *sub_find(struct socket *socket, uint32_t id);
void sub_free(struct sub *sub);
/* {"id":K,"event":E,"data":DATA}; data NULL: no member. data is JSON text. */
void sub_send(struct sub *sub, const char *event, const char *data, size_t len);
/* An error event; the subscription is over and freed. */
void sub_fail(struct sub *sub, const char *code, const char *message);

/* live_topics.c */
void topic_start(struct sub *sub);
/* Fetches the snapshot again: the agent or the database came back. */
void topic_restart(struct sub *sub);
/* The host of a status may be another one, or none, now. */
void topic_rehost(struct sub *sub);
void topic_on_run(struct sub *sub, const char *id, const char *number, const char *text);
char *topic_system_document(struct live *live);

/* live_log.c */
void log_start(struct sub *sub);
void log_restart(struct sub *sub);
void log_credit(struct sub *sub, uint32_t bytes);
void log_drained(struct sub *sub);
/* Answers an unsubscribe; does not free. */
void log_unsubscribe(struct sub *sub);
/* Records that begin at offset go to the viewer, and what they took from the credit is asked for
 * again. */
void log_pass(struct sub *sub, uint64_t offset, const uint8_t *records, size_t len);
void log_send_end(struct sub *sub, uint16_t reason, uint64_t offset);

/* live_tail.c: credit, drained and unsubscribe are live_log.c's */
void tail_start(struct sub *sub);
void tail_restart(struct sub *sub);

/* Whether its records are sent as binary frames, with credit. */
static inline bool topic_is_log(enum live_topic topic)
{
	return topic == TOPIC_RUN_LOG || topic == TOPIC_TAIL_DOCKER || topic == TOPIC_TAIL_UNIT;
}

static inline bool sub_is_log(const struct sub *sub)
{
	return topic_is_log(sub->topic);
}

#endif
