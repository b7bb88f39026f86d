/*
 * One mail, sent by libcurl's blocking interface in a thread of the pool (outgoing.h says why).
 *
 * The loop does not touch the call while the thread has it, but for `stop`. libcurl asks
 * on_progress() at least once a second, also while it waits for the answer to QUIT, so that neither
 * a server that hangs nor a daemon that stops waits longer than that beyond the deadline.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/net/outgoing_internal.h"

/* Some more of the message is wanted. */
static size_t on_read(char *out, size_t size, size_t n, void *arg)
{
	struct outgoing_call *call = arg;
	size_t len = MIN(size * n, call->body_len - call->body_at);

	memcpy(out, call->body + call->body_at, len);
	call->body_at += len;
	return len;
}

static int on_progress(
	void *arg, curl_off_t d_total, curl_off_t d_now, curl_off_t u_total, curl_off_t u_now)
{
	struct outgoing_call *call = arg;

	(void)d_total, (void)d_now, (void)u_total, (void)u_now;
	return atomic_load(&call->stop) || uv_hrtime() / 1000000 >= call->deadline_ms;
}

/* In the thread. */
static void on_work(uv_work_t *work)
{
	struct outgoing *o = container_of(work, struct outgoing, work);
	struct outgoing_call *call = o->mail;
	CURL *easy;

	call->deadline_ms = uv_hrtime() / 1000000 + call->timeout_ms;
	if (!outgoing_call_set_up(call)) {
		call->code = CURLE_URL_MALFORMAT;
		return;
	}
	easy = call->easy;
	o->curl.easy_setopt(easy, CURLOPT_MAIL_FROM, call->from);
	o->curl.easy_setopt(easy, CURLOPT_MAIL_RCPT, call->recipients);
	/* STARTTLS is demanded, not offered: with less a password would go in the clear. */
	o->curl.easy_setopt(
		easy, CURLOPT_USE_SSL, call->plain ? (long)CURLUSESSL_NONE : (long)CURLUSESSL_ALL);
	if (call->user != NULL) {
		o->curl.easy_setopt(easy, CURLOPT_USERNAME, call->user);
		o->curl.easy_setopt(easy, CURLOPT_PASSWORD, call->password);
	}
	o->curl.easy_setopt(easy, CURLOPT_UPLOAD, 1L);
	o->curl.easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
	o->curl.easy_setopt(easy, CURLOPT_READDATA, call);
	o->curl.easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->body_len);
	o->curl.easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
	o->curl.easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
	o->curl.easy_setopt(easy, CURLOPT_XFERINFODATA, call);
	call->code = o->curl.easy_perform(easy);
}

/* The thread is done with it. */
static void on_work_done(uv_work_t *work, int status)
{
	struct outgoing *o = container_of(work, struct outgoing, work);
	struct outgoing_call *call = o->mail;

	(void)status; /* it is never cancelled */
	o->mail = NULL;
	outgoing_call_end(call, call->code);
	if (call->err == -ECANCELED && !atomic_load(&call->stop)) {
		call->err = -ETIMEDOUT;
		snprintf(call->message, sizeof(call->message), "no answer within %u s",
			call->timeout_ms / 1000);
	}
	o->curl.easy_cleanup(call->easy);
	call->easy = NULL;
	outgoing_wake(o);
	outgoing_mail_next(o);
	outgoing_free_when_closed(o);
}

void outgoing_mail_next(struct outgoing *o)
{
	if (o->mail != NULL || o->closing)
		return;
	list_foreach(pos, tmp, &o->calls)
	{
		struct outgoing_call *call = container_of(pos, struct outgoing_call, link);

		if (!call->is_mail || call->ended)
			continue;
		call->begun = true;
		o->mail = call;
		if (uv_queue_work(o->loop, &o->work, on_work, on_work_done) < 0)
			abort();
		return;
	}
}
