/*
 * Requests to others: an HTTP POST, or a mail handed to an SMTP server. libcurl does both; it is
 * loaded with the first of them.
 *
 * HTTP goes through libcurl's multi interface on the loop. Mail does not: when libcurl leaves an
 * SMTP server it waits, blocking, for the answer to QUIT, so a mail is sent in the thread pool,
 * one at a time, and stopped there when its time is over.
 *
 * No callback comes from within the call that asked for it, and each comes exactly once. Redirects
 * are not followed, proxies of the environment are not used, certificates are always verified.
 */
#ifndef OPS_CORE_NET_OUTGOING_H
#define OPS_CORE_NET_OUTGOING_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "core/base/mem.h"

#define OUTGOING_MAX_CALLS 64		/* at a time; more: -ENOBUFS */
#define OUTGOING_MAX_HEADERS 16		/* of one request */
#define OUTGOING_MAX_RECIPIENTS 16	/* of one mail */
#define OUTGOING_MAX_BODY (256u << 10)	/* that we send */
#define OUTGOING_MAX_ANSWER (64u << 10) /* that is read of an answer, and thrown away */
#define OUTGOING_CONNECT_MS 10000
#define OUTGOING_TIMEOUT_MS 15000 /* of a call that names none; names, TLS and answer included */

struct outgoing;
struct outgoing_call;

/* Everything is copied. A mail has `from`; a POST has not. */
struct outgoing_request {
	const char *url;	    /* http, https; of a mail smtp, smtps */
	const char *const *headers; /* "Name: value" */
	size_t n_headers;
	const void *body; /* of a mail: the whole message, lines ended by CRLF */
	size_t body_len;
	const char *from; /* addresses without <> */
	const char *const *recipients;
	size_t n_recipients;
	const char *user, *password; /* of a mail; NULL: none */
	bool plain;		     /* smtp: without STARTTLS; it is demanded otherwise */
	const char *ca_file;	     /* PEM; NULL: the system's */
	unsigned timeout_ms;	     /* 0: OUTGOING_TIMEOUT_MS */
};

struct outgoing_result {
	/* 0: answered, see status. -ETIMEDOUT, -ECONNREFUSED (not reached), -EPROTO (TLS, or the
	 * other side broke the protocol), -EACCES (an SMTP server refused sender, recipient or
	 * password), -EINVAL (no such URL), -ENOBUFS, -ELIBACC (libcurl is not installed),
	 * -ECANCELED (closing). */
	int err;
	long status;	     /* of HTTP or SMTP; 0: none came */
	const char *message; /* for a person, without secrets; valid during the call */
};

typedef void (*outgoing_fn)(const struct outgoing_result *result, void *arg);

struct outgoing *outgoing_open(uv_loop_t *loop);
/* Every call still out is called back with -ECANCELED, then on_closed comes and it is freed. Not
 * from within a callback. A mail in its thread may hold this up for a second. */
void outgoing_close(struct outgoing *outgoing, void (*on_closed)(void *arg), void *arg);

/* Valid until cb is called. */
struct outgoing_call *outgoing_send(struct outgoing *outgoing,
	const struct outgoing_request *request, outgoing_fn cb, void *arg);
/* The caller goes away: cb does not come. It may still be sent. NULL is fine. */
void outgoing_forget(struct outgoing_call *call);

#endif
