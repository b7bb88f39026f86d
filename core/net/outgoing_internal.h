/* What outgoing.c and outgoing_mail.c share. */
#ifndef OPS_CORE_NET_OUTGOING_INTERNAL_H
#define OPS_CORE_NET_OUTGOING_INTERNAL_H

#include <stdatomic.h>
#include <stdint.h>

#include "core/base/list.h"
#include "core/net/outgoing.h"
#include "core/net/outgoing_curl.h"

struct outgoing {
	uv_loop_t *loop;
	struct outgoing_curl curl;
	CURLM *multi; /* NULL: libcurl is not there (yet) */
	bool loading; /* a thread has curl and load_err */
	uv_work_t load;
	struct err load_err;
	uv_timer_t timer;  /* libcurl's */
	uv_timer_t soon;   /* calls that ended at once are called back */
	struct list calls; /* outgoing_call.link: all that are out */
	size_t n_calls;
	size_t n_handles;	    /* that are not closed yet, timers included */
	struct outgoing_call *mail; /* the one in the thread */
	uv_work_t work;
	bool closing;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

struct outgoing_call {
	struct list link; /* outgoing.calls */
	struct outgoing *outgoing;
	outgoing_fn cb; /* NULL: forgotten */
	void *arg;
	CURL *easy; /* NULL: not begun, or over */
	struct curl_slist *headers, *recipients;
	char *url, *from, *user, *password, *ca_file;
	uint8_t *body;
	size_t body_len, body_at;
	size_t answered; /* bytes of the answer's body */
	bool is_mail, plain, begun, ended;
	unsigned timeout_ms;
	uint64_t deadline_ms; /* of a mail in the thread, uv_hrtime's clock */
	atomic_bool stop;     /* a mail in the thread is to give up */
	CURLcode code;
	long status;
	int err; /* set with ended */
	char message[256];
	char text[CURL_ERROR_SIZE]; /* libcurl's own */
};

/* What both kinds have in common; false: -EINVAL with a message. */
MUSTCHECK bool outgoing_call_set_up(struct outgoing_call *call);
/* Translates libcurl's code; call->ended follows from it. */
void outgoing_call_end(struct outgoing_call *call, CURLcode code);
/* Ends it without libcurl. */
void outgoing_call_fail(struct outgoing_call *call, int err, const char *message);
/* Calls back those that have ended, soon. */
void outgoing_wake(struct outgoing *outgoing);

/* The end of closing, when nothing is left that it waits for. */
void outgoing_free_when_closed(struct outgoing *outgoing);

/* Begins the next mail when none is in the thread. libcurl must be there. */
void outgoing_mail_next(struct outgoing *outgoing);

#endif
