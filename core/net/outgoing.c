/*
 * Owns: libcurl's multi handle, one poll handle for each of its sockets, its timer, and the calls.
 *
 * Happy path: outgoing_send() -> the first time, libcurl is loaded in a thread (outgoing_curl.c)
 * and the call waits -> an easy handle joins the multi -> libcurl names sockets and a timeout ->
 * their events go to curl_multi_socket_action() -> a finished transfer is taken off and marked as
 * ended -> on_soon() calls back. A mail waits for the thread instead (outgoing_mail.c).
 *
 * Failure modes: what cannot be begun ends at once, and is called back from on_soon() too; without
 * libcurl that is all, and the next call looks for it again. Closing: transfers are taken off, the
 * mail in the thread is told to stop, and when the last handle is closed everybody is called back
 * with -ECANCELED.
 *
 * Names are looked up in libcurl's own thread; CURLOPT_QUICK_EXIT lets go of one that hangs. No
 * connection is kept: messages are rare, and who keeps none has none to tidy up.
 *
 * Over 500 lines: a call's states are all changed here.
 */
#include "core/net/outgoing.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/net/outgoing_internal.h"

struct watch {
	uv_poll_t poll;
	curl_socket_t fd;
	struct outgoing *outgoing;
};

/* ---- calls ---- */

static void free_secret(char *s)
{
	if (s != NULL)
		mem_wipe(s, strlen(s));
	free(s);
}

/* libcurl's own list, made by us: there may be no libcurl yet. One may carry a token. */
static void free_lines(struct curl_slist *list)
{
	for (struct curl_slist *next; list != NULL; list = next) {
		next = list->next;
		free_secret(list->data);
		free(list);
	}
}

static struct curl_slist *copy_lines(const char *const *lines, size_t n)
{
	struct curl_slist *first = NULL, **end = &first;

	for (size_t i = 0; i < n; i++) {
		*end = xcalloc(1, sizeof(**end));
		(*end)->data = xstrdup(lines[i]);
		end = &(*end)->next;
	}
	return first;
}

static void call_free(struct outgoing_call *call)
{
	list_remove(&call->link);
	call->outgoing->n_calls--;
	if (call->easy != NULL)
		call->outgoing->curl.easy_cleanup(call->easy);
	free_lines(call->headers);
	free_lines(call->recipients);
	free(call->url);
	free(call->from);
	free_secret(call->user);
	free_secret(call->password);
	free(call->ca_file);
	free(call->body);
	free(call);
}

static void call_tell(struct outgoing_call *call)
{
	struct outgoing_result result = {call->err, call->status, call->message};
	outgoing_fn cb = call->cb;

	call->cb = NULL;
	if (cb != NULL)
		cb(&result, call->arg);
	call_free(call);
}

static int errno_of(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
		return -ECONNREFUSED;
	case CURLE_LOGIN_DENIED:
	case CURLE_SEND_ERROR:
		return -EACCES;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
		return -EINVAL;
	case CURLE_ABORTED_BY_CALLBACK:
		return -ECANCELED;
	default:
		return -EPROTO;
	}
}

void outgoing_call_fail(struct outgoing_call *call, int err, const char *message)
{
	call->err = err;
	call->ended = true;
	snprintf(call->message, sizeof(call->message), "%s", message);
	outgoing_wake(call->outgoing);
}

void outgoing_call_end(struct outgoing_call *call, CURLcode code)
{
	const struct outgoing_curl *curl = &call->outgoing->curl;

	curl->easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &call->status);
	/* An answer's body is nothing to us: too much of it is no error. */
	if (code == CURLE_WRITE_ERROR && !call->is_mail && call->status > 0)
		code = CURLE_OK;
	call->err = errno_of(code);
	if (call->err != 0)
		snprintf(call->message, sizeof(call->message), "%s",
			call->text[0] != '\0' ? call->text : curl->easy_strerror(code));
	else
		snprintf(call->message, sizeof(call->message), "answered %ld", call->status);
	call->ended = true;
}

/* ---- calling back ---- */

/* Some calls have ended. */
static void on_soon(uv_timer_t *timer)
{
	struct outgoing *o = timer->data;

	/* A callback may forget or begin others: begin again after each. */
	for (bool again = true; again;) {
		again = false;
		list_foreach(pos, tmp, &o->calls)
		{
			struct outgoing_call *call = container_of(pos, struct outgoing_call, link);

			if (!call->ended)
				continue;
			call_tell(call);
			again = true;
			break;
		}
	}
}

void outgoing_wake(struct outgoing *o)
{
	if (!o->closing)
		uv_timer_start(&o->soon, on_soon, 0, 0);
}

/* Takes off the multi whatever is finished. */
static void collect(struct outgoing *o)
{
	CURLMsg *msg;
	int left;

	while ((msg = o->curl.multi_info_read(o->multi, &left)) != NULL) {
		CURLcode code = msg->data.result;
		CURL *easy = msg->easy_handle;
		char *private = NULL;
		struct outgoing_call *call;

		if (msg->msg != CURLMSG_DONE)
			continue;
		o->curl.easy_getinfo(easy, CURLINFO_PRIVATE, &private);
		call = (void *)private;
		outgoing_call_end(call, code);
		o->curl.multi_remove_handle(o->multi, easy);
		o->curl.easy_cleanup(easy);
		call->easy = NULL;
		outgoing_wake(o);
	}
}

/* ---- libcurl's sockets and timer on the loop ---- */

void outgoing_free_when_closed(struct outgoing *o)
{
	void (*on_closed)(void *) = o->on_closed;
	void *arg = o->closed_arg;

	if (!o->closing || o->n_handles > 0 || o->mail != NULL || o->loading)
		return;
	while (!list_empty(&o->calls)) {
		struct outgoing_call *call =
			container_of(o->calls.next, struct outgoing_call, link);

		call->err = -ECANCELED;
		snprintf(call->message, sizeof(call->message), "the daemon is stopping");
		call_tell(call);
	}
	if (o->multi != NULL)
		o->curl.multi_cleanup(o->multi);
	free(o);
	on_closed(arg);
}

static void on_watch_closed(uv_handle_t *handle)
{
	struct watch *watch = container_of((uv_poll_t *)handle, struct watch, poll);
	struct outgoing *o = watch->outgoing;

	free(watch);
	o->n_handles--;
	outgoing_free_when_closed(o);
}

/* A socket may be read or written. */
static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = container_of(poll, struct watch, poll);
	struct outgoing *o = watch->outgoing;
	int flags = 0, running;

	if (status < 0)
		flags = CURL_CSELECT_ERR;
	if ((events & UV_READABLE) != 0)
		flags |= CURL_CSELECT_IN;
	if ((events & UV_WRITABLE) != 0)
		flags |= CURL_CSELECT_OUT;
	o->curl.multi_socket_action(o->multi, watch->fd, flags, &running);
	collect(o);
}

/* libcurl wants to hear of a socket, or no longer. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct outgoing *o = arg;
	struct watch *watch = socket_arg;
	int events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (watch != NULL) {
			o->curl.multi_assign(o->multi, fd, NULL);
			uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
		}
		return 0;
	}
	if (watch == NULL) {
		watch = xcalloc(1, sizeof(*watch));
		watch->fd = fd;
		watch->outgoing = o;
		if (uv_poll_init(o->loop, &watch->poll, fd) < 0) {
			free(watch);
			return -1;
		}
		o->n_handles++;
		o->curl.multi_assign(o->multi, fd, watch);
	}
	if ((what & CURL_POLL_IN) != 0)
		events |= UV_READABLE;
	if ((what & CURL_POLL_OUT) != 0)
		events |= UV_WRITABLE;
	return uv_poll_start(&watch->poll, events, on_poll) < 0 ? -1 : 0;
}

/* libcurl's time has come. */
static void on_timer(uv_timer_t *timer)
{
	struct outgoing *o = timer->data;
	int running;

	o->curl.multi_socket_action(o->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect(o);
}

static int on_timeout(CURLM *multi, long timeout_ms, void *arg)
{
	struct outgoing *o = arg;

	(void)multi;
	if (o->closing)
		return 0;
	if (timeout_ms < 0)
		uv_timer_stop(&o->timer);
	else
		uv_timer_start(&o->timer, on_timer, (uint64_t)timeout_ms, 0);
	return 0;
}

/* ---- a request ---- */

/* Some of the answer's body. */
static size_t on_answer(char *data, size_t size, size_t n, void *arg)
{
	struct outgoing_call *call = arg;

	(void)data;
	call->answered += size * n;
	return call->answered > OUTGOING_MAX_ANSWER ? 0 : size * n;
}

bool outgoing_call_set_up(struct outgoing_call *call)
{
	const struct outgoing_curl *curl = &call->outgoing->curl;
	CURL *easy = call->easy = curl->easy_init();

	if (easy == NULL)
		abort();
	curl->easy_setopt(easy, CURLOPT_PRIVATE, (void *)call);
	curl->easy_setopt(easy, CURLOPT_ERRORBUFFER, call->text);
	curl->easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl->easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	curl->easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	curl->easy_setopt(easy, CURLOPT_PROXY, "");
	curl->easy_setopt(easy, CURLOPT_PROTOCOLS_STR, call->is_mail ? "smtp,smtps" : "http,https");
	curl->easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl->easy_setopt(
		easy, CURLOPT_CONNECTTIMEOUT_MS, (long)MIN(OUTGOING_CONNECT_MS, call->timeout_ms));
	curl->easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
	curl->easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl->easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer);
	curl->easy_setopt(easy, CURLOPT_WRITEDATA, call);
	if (call->ca_file != NULL) {
		curl->easy_setopt(easy, CURLOPT_CAINFO, call->ca_file);
		curl->easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	if (curl->easy_setopt(easy, CURLOPT_URL, call->url) == CURLE_OK)
		return true;
	snprintf(call->message, sizeof(call->message), "the address cannot be used");
	return false;
}

static void begin_post(struct outgoing_call *call)
{
	struct outgoing *o = call->outgoing;

	call->begun = true;
	if (!outgoing_call_set_up(call)) {
		call->err = -EINVAL;
		call->ended = true;
		outgoing_wake(o);
		return;
	}
	o->curl.easy_setopt(call->easy, CURLOPT_POST, 1L);
	o->curl.easy_setopt(call->easy, CURLOPT_POSTFIELDS, (char *)call->body);
	o->curl.easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE, (long)call->body_len);
	o->curl.easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
	if (o->curl.multi_add_handle(o->multi, call->easy) != CURLM_OK)
		abort(); /* a fresh handle */
}

/* ---- libcurl comes when there is something to send ---- */

static void open_multi(struct outgoing *o)
{
	o->multi = o->curl.multi_init();
	if (o->multi == NULL)
		abort();
	o->curl.multi_setopt(o->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	o->curl.multi_setopt(o->multi, CURLMOPT_SOCKETDATA, o);
	o->curl.multi_setopt(o->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
	o->curl.multi_setopt(o->multi, CURLMOPT_TIMERDATA, o);
}

/* In the thread. */
static void on_load(uv_work_t *work)
{
	struct outgoing *o = container_of(work, struct outgoing, load);

	o->load_err = (struct err){0};
	(void)!outgoing_curl_load(&o->curl, &o->load_err); /* load_err says it */
}

/* What waited for libcurl begins, or is over. */
static void on_loaded(uv_work_t *work, int status)
{
	struct outgoing *o = container_of(work, struct outgoing, load);

	(void)status; /* it is never cancelled */
	o->loading = false;
	if (o->closing) {
		outgoing_free_when_closed(o);
		return;
	}
	if (o->load_err.code == 0)
		open_multi(o);
	list_foreach(pos, tmp, &o->calls)
	{
		struct outgoing_call *call = container_of(pos, struct outgoing_call, link);

		if (call->begun || call->ended)
			continue;
		if (o->multi == NULL)
			outgoing_call_fail(call, o->load_err.code, o->load_err.msg);
		else if (!call->is_mail)
			begin_post(call);
	}
	if (o->multi != NULL)
		outgoing_mail_next(o);
}

/* Begins the call, or lets it wait for libcurl. */
static void begin(struct outgoing_call *call)
{
	struct outgoing *o = call->outgoing;

	if (o->multi == NULL && !o->loading) {
		o->loading = true;
		if (uv_queue_work(o->loop, &o->load, on_load, on_loaded) < 0)
			abort();
	} else if (o->multi != NULL && call->is_mail) {
		outgoing_mail_next(o);
	} else if (o->multi != NULL) {
		begin_post(call);
	}
}

struct outgoing_call *outgoing_send(
	struct outgoing *o, const struct outgoing_request *request, outgoing_fn cb, void *arg)
{
	struct outgoing_call *call = xcalloc(1, sizeof(*call));

	assert(!o->closing && request->body_len <= OUTGOING_MAX_BODY);
	assert(request->n_headers <= OUTGOING_MAX_HEADERS &&
		request->n_recipients <= OUTGOING_MAX_RECIPIENTS);
	call->outgoing = o;
	call->cb = cb;
	call->arg = arg;
	call->is_mail = request->from != NULL;
	call->plain = request->plain;
	call->timeout_ms = request->timeout_ms != 0 ? request->timeout_ms : OUTGOING_TIMEOUT_MS;
	call->url = xstrdup(request->url);
	call->from = xstrdup(request->from);
	call->user = xstrdup(request->user);
	call->password = xstrdup(request->password);
	call->ca_file = xstrdup(request->ca_file);
	call->body = (uint8_t *)xstrndup(request->body, request->body_len);
	call->body_len = request->body_len;
	call->headers = copy_lines(request->headers, request->n_headers);
	call->recipients = copy_lines(request->recipients, request->n_recipients);
	list_append(&o->calls, &call->link);
	if (++o->n_calls > OUTGOING_MAX_CALLS)
		outgoing_call_fail(call, -ENOBUFS, "too many messages at a time");
	else
		begin(call);
	return call;
}

void outgoing_forget(struct outgoing_call *call)
{
	if (call != NULL)
		call->cb = NULL;
}

/* ---- birth and death ---- */

static void open_timer(struct outgoing *o, uv_timer_t *timer)
{
	uv_timer_init(o->loop, timer);
	timer->data = o;
	o->n_handles++;
}

struct outgoing *outgoing_open(uv_loop_t *loop)
{
	struct outgoing *o = xcalloc(1, sizeof(*o));

	o->loop = loop;
	list_init(&o->calls);
	open_timer(o, &o->timer);
	open_timer(o, &o->soon);
	return o;
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct outgoing *o = handle->data;

	o->n_handles--;
	outgoing_free_when_closed(o);
}

void outgoing_close(struct outgoing *o, void (*on_closed)(void *arg), void *arg)
{
	assert(!o->closing);
	o->closing = true;
	o->on_closed = on_closed;
	o->closed_arg = arg;
	list_foreach(pos, tmp, &o->calls)
	{
		struct outgoing_call *call = container_of(pos, struct outgoing_call, link);

		if (call == o->mail) {
			atomic_store(&call->stop, true);
		} else if (call->easy != NULL) {
			o->curl.multi_remove_handle(o->multi, call->easy);
			o->curl.easy_cleanup(call->easy);
			call->easy = NULL;
		}
	}
	uv_close((uv_handle_t *)&o->timer, on_timer_closed);
	uv_close((uv_handle_t *)&o->soon, on_timer_closed);
}
