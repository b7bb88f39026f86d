/*
 * The sockets of /api/v1/live and what is said on them.
 *
 * Owns: every socket with its subscriptions. A socket is tied to its session: when that ends, the
 * socket is closed with 4401.
 *
 * Happy path: accepted -> subscribe -> the topic's module sends a snapshot, then what changes ->
 * unsubscribe, answered by an end -> closed by the client; on_close frees all of it.
 *
 * Failure modes: a malformed message is answered with an error event; LIMIT_BAD_MESSAGES of them
 * close the socket with 1008. A socket that does not read is cut by the web server when its queue
 * is full; logs never get it there (live_log.c). All sends may fail because the socket is going:
 * on_close follows then, so nobody looks at their result.
 */
#include "core/app/live/live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/http.h"
#include "core/app/limits.h"
#include "core/app/live/live_internal.h"
#include "core/base/json.h"
#include "core/base/log.h"

#define CLOSE_SESSION_OVER 4401

struct live *live_new(struct server *server)
{
	struct live *live = xcalloc(1, sizeof(*live));

	live->server = server;
	list_init(&live->sockets);
	return live;
}

void live_free(struct live *live)
{
	if (live == NULL)
		return;
	free(live->system);
	free(live);
}

size_t live_socket_count(const struct live *live)
{
	return live->n_sockets;
}

struct sub *sub_find(struct socket *socket, uint32_t id)
{
	list_foreach(pos, tmp, &socket->subs)
	{
		struct sub *sub = container_of(pos, struct sub, link);

		if (sub->id == id)
			return sub;
	}
	return NULL;
}

void sub_free(struct sub *sub)
{
	list_remove(&sub->link);
	sub->socket->n_subs--;
	if (sub_is_log(sub))
		sub->socket->n_logs--;
	if (sub->watched != NULL && sub->topic == TOPIC_STATUS)
		status_unsubscribed(sub->watched->status);
	runs_page_forget(sub->page);
	runfind_forget(sub->find);
	link_call_forget(sub->call);
	history_forget(sub->history_call);
	logview_close(sub->view);
	link_close_stream(sub->tail);
	buf_fini(&sub->held);
	free(sub);
}

static void send_text(
	struct socket *socket, uint32_t id, const char *event, const char *data, size_t len)
{
	struct buf text;

	buf_init(&text, HTTP_MAX_DOCUMENT + 256);
	if (id != 0)
		buf_printf(&text, "{\"id\":%u,\"event\":\"%s\"", id, event);
	else
		buf_printf(&text, "{\"id\":null,\"event\":\"%s\"", event);
	if (data != NULL) {
		buf_append_str(&text, ",\"data\":");
		buf_append(&text, data, len);
	}
	buf_append_byte(&text, '}');
	if (buf_err(&text) < 0)
		ws_close(socket->ws, WS_CLOSE_INTERNAL, "out of memory");
	else
		(void)!ws_send_text(socket->ws, (const char *)text.data, text.len);
	buf_fini(&text);
}

void sub_send(struct sub *sub, const char *event, const char *data, size_t len)
{
	send_text(sub->socket, sub->id, event, data, len);
}

static void send_error(struct socket *socket, uint32_t id, const char *code, const char *message)
{
	struct json json;
	struct buf data;

	buf_init(&data, 4096);
	json_init(&json, &data);
	json_open_object(&json);
	json_kv_str(&json, "code", code);
	json_kv_str(&json, "message", message);
	json_close_object(&json);
	if (buf_err(&data) == 0)
		send_text(socket, id, "error", (const char *)data.data, data.len);
	buf_fini(&data);
}

void sub_fail(struct sub *sub, const char *code, const char *message)
{
	send_error(sub->socket, sub->id, code, message);
	sub_free(sub);
}

/* The client said what it may not. An id that is in use is not blamed: its subscription lives. */
static void socket_blame(struct socket *socket, uint32_t id, const char *message)
{
	if (id != 0 && sub_find(socket, id) != NULL)
		id = 0;
	send_error(socket, id, "bad_message", message);
	if (++socket->n_bad >= LIMIT_BAD_MESSAGES) {
		log_warn(LOG_EV("live.abuse"), LOG_STR("address", ws_remote(socket->ws)),
			LOG_STR("request_id", ws_request_id(socket->ws)));
		ws_close(socket->ws, WS_CLOSE_POLICY, "too many malformed messages");
	}
}

static void subscribe(struct socket *socket, const struct live_msg *msg)
{
	struct sub *sub;

	if (sub_find(socket, msg->id) != NULL) {
		socket_blame(socket, msg->id, "this id is in use");
		return;
	}
	if (msg->topic == TOPIC_UNSUPPORTED) {
		send_error(socket, msg->id, "unsupported", "This topic is not known here.");
		return;
	}
	if (socket->n_subs == LIMIT_SUBSCRIPTIONS ||
		(topic_is_log(msg->topic) && socket->n_logs == LIMIT_LOG_SUBSCRIPTIONS)) {
		send_error(socket, msg->id, "too_many", "Too many subscriptions on one socket.");
		return;
	}
	sub = xcalloc(1, sizeof(*sub));
	sub->socket = socket;
	sub->id = msg->id;
	sub->topic = msg->topic;
	memcpy(sub->name, msg->name, sizeof(sub->name));
	sub->wanted = msg->offset;
	memcpy(sub->run, msg->run, sizeof(sub->run));
	memcpy(sub->host, msg->host, sizeof(sub->host));
	buf_init(&sub->held, LIMIT_HELD_BYTES);
	list_append(&socket->subs, &sub->link);
	socket->n_subs++;
	if (sub_is_log(sub)) {
		socket->n_logs++;
		if (sub->topic == TOPIC_RUN_LOG)
			log_start(sub);
		else
			tail_start(sub);
	} else {
		topic_start(sub);
	}
}

static void unsubscribe(struct socket *socket, const struct live_msg *msg)
{
	struct sub *sub = sub_find(socket, msg->id);

	/* Its end may have crossed the message: not a fault. */
	if (sub == NULL)
		return;
	if (sub_is_log(sub))
		log_unsubscribe(sub);
	else
		sub_send(sub, "end", NULL, 0);
	sub_free(sub);
}

/* The client has sent a message. */
static void on_text(struct ws *ws, const char *text, size_t len)
{
	struct socket *socket = ws_arg(ws);
	struct live_msg msg;
	const char *fault;
	struct sub *sub;

	if (live_msg_parse(text, len, &msg, &fault) < 0) {
		socket_blame(socket, msg.id, fault);
		return;
	}
	switch (msg.op) {
	case LIVE_SUBSCRIBE:
		subscribe(socket, &msg);
		return;
	case LIVE_CREDIT:
		sub = sub_find(socket, msg.id);
		if (sub != NULL && sub_is_log(sub))
			log_credit(sub, msg.bytes);
		return;
	case LIVE_UNSUBSCRIBE:
		unsubscribe(socket, &msg);
		return;
	case LIVE_HUSH:
		sub = sub_find(socket, msg.id);
		if (sub != NULL)
			sub->hushed = true;
		return;
	}
}

/* The client has taken much of what was queued. */
static void on_drain(struct ws *ws)
{
	struct socket *socket = ws_arg(ws);

	list_foreach(pos, tmp, &socket->subs)
	{
		struct sub *sub = container_of(pos, struct sub, link);

		if (sub_is_log(sub))
			log_drained(sub);
	}
}

/* It is over, whoever ended it. */
static void on_close(struct ws *ws, unsigned code)
{
	struct socket *socket = ws_arg(ws);

	log_debug(LOG_EV("live.closed"), LOG_STR("request_id", ws_request_id(ws)),
		LOG_INT("code", code));
	while (!list_empty(&socket->subs))
		sub_free(container_of(socket->subs.next, struct sub, link));
	caller_untie(socket->live->server, socket->session, socket->token, &socket->tie);
	list_remove(&socket->link);
	socket->live->n_sockets--;
	free(socket);
}

/* The session was ended, here or in another window. */
static void on_session_over(struct session_tie *tie)
{
	struct socket *socket = container_of(tie, struct socket, tie);

	ws_close(socket->ws, CLOSE_SESSION_OVER, "the session has ended");
}

void live_handle(struct request *req)
{
	static const struct ws_callbacks callbacks = {
		.on_text = on_text,
		.on_drain = on_drain,
		.on_close = on_close,
	};
	static const struct ws_opts opts = {
		.subprotocol = "ops.v1",
		.max_message = LIMIT_MESSAGE_BYTES,
		.high_water = LIMIT_SOCKET_QUEUE_BYTES,
	};
	struct live *live = server_of(req)->live;
	struct socket *socket = xcalloc(1, sizeof(*socket));

	socket->live = live;
	socket->session = session_of(req);
	socket->token = caller_of(req)->token;
	socket->tie.on_over = on_session_over;
	list_init(&socket->link);
	list_init(&socket->tie.link);
	list_init(&socket->subs);
	if (live->n_sockets == LIMIT_SOCKETS || caller_tie(req, &socket->tie) < 0) {
		free(socket);
		response_problem(
			req, 503, "too_many_sockets", "Too many live connections are open.");
		return;
	}
	socket->ws = ws_accept(req, &callbacks, &opts, socket);
	if (socket->ws == NULL) {
		caller_untie(live->server, socket->session, socket->token, &socket->tie);
		free(socket);
		return;
	}
	list_append(&live->sockets, &socket->link);
	live->n_sockets++;
}

/* Calls each subscription of every socket that body wants; body may free the one it is given. */
#define live_foreach(live, sub)                                                                    \
	list_foreach(sock_pos, sock_tmp, &(live)->sockets) list_foreach(sub_pos, sub_tmp,          \
		&container_of(sock_pos, struct socket, link)                                       \
			 ->subs) for (struct sub *sub = container_of(sub_pos, struct sub, link);   \
				      sub != NULL; sub = NULL)

/* Whether it has another status than when it was told last, or was not told for long. */
static bool run_moved(struct live *live, const char *id, const char *status)
{
	size_t i = 0;

	while (i < ARRAY_LEN(live->told) && strcmp(live->told[i].id, id) != 0)
		i++;
	if (i < ARRAY_LEN(live->told) && strcmp(live->told[i].status, status) == 0)
		return false;
	if (i == ARRAY_LEN(live->told))
		i = live->next_told++ % ARRAY_LEN(live->told);
	snprintf(live->told[i].id, sizeof(live->told[i].id), "%s", id);
	snprintf(live->told[i].status, sizeof(live->told[i].status), "%s", status);
	return true;
}

void live_on_run(struct live *live, const json_t *run)
{
	const char *id = json_string_value(json_object_get(run, "id"));
	const char *status = json_string_value(json_object_get(run, "status"));
	bool moved;
	char *text, *brief, number[32];
	json_t *copy;

	if (id == NULL || list_empty(&live->sockets))
		return;
	moved = status == NULL || run_moved(live, id, status);
	snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
		json_integer_value(json_object_get(run, "number")));
	copy = json_copy((json_t *)(uintptr_t)run);
	errorlines_put(live->server->errorlines, copy);
	text = json_dumps(copy, JSON_COMPACT);
	json_object_del(copy, "steps");
	brief = json_dumps(copy, JSON_COMPACT);
	if (text != NULL && brief != NULL) {
		live_foreach(live, sub)
		{
			if (moved || !sub->hushed)
				topic_on_run(
					sub, id, number, sub->topic == TOPIC_RUNS ? brief : text);
		}
	}
	json_decref(copy);
	free(text);
	free(brief);
}

void live_on_catalog(struct live *live)
{
	size_t len;
	const char *text = hosts_catalog(live->server->hosts, &len);

	live_foreach(live, sub)
	{
		if (sub->topic == TOPIC_CATALOG && text != NULL) {
			sub_send(sub, sub->waiting ? "snapshot" : "put", text, len);
			sub->waiting = false;
		}
	}
}

void live_on_agent(struct live *live)
{
	live_foreach(live, sub)
	{
		if (sub->topic == TOPIC_RUN_LOG)
			log_restart(sub);
		else if (sub_is_log(sub))
			tail_restart(sub);
		else if (sub->topic == TOPIC_RUN || sub->topic == TOPIC_RUNS)
			topic_restart(sub);
	}
}

void live_on_status(const struct host *host, const char *event, const char *text, size_t len)
{
	const struct live *live = host->server->live;
	bool snapshot = strcmp(event, "snapshot") == 0;

	live_foreach(live, sub)
	{
		if (sub->topic != TOPIC_STATUS || sub->watched != host ||
			(sub->waiting && !snapshot))
			continue;
		sub->waiting = false;
		sub_send(sub, event, text, len);
	}
}

void live_on_host_gone(struct live *live, const struct host *host)
{
	live_foreach(live, sub)
	{
		if (sub->watched != host)
			continue;
		if (sub->topic == TOPIC_STATUS)
			status_unsubscribed(host->status);
		link_close_stream(sub->tail);
		sub->tail = NULL;
		sub->watched = NULL;
		sub->waiting = true;
	}
}

void live_on_hosts(struct live *live)
{
	live_on_system(live);
	live_on_agent(live);
	live_foreach(live, sub)
	{
		if (sub->topic == TOPIC_STATUS)
			topic_rehost(sub);
	}
}

void live_on_system(struct live *live)
{
	char *text = topic_system_document(live);

	if (text == NULL || (live->system != NULL && strcmp(text, live->system) == 0)) {
		free(text);
		return;
	}
	free(live->system);
	live->system = text;
	live_foreach(live, sub)
	{
		if (sub->topic == TOPIC_SYSTEM)
			sub_send(sub, "put", text, strlen(text));
	}
}
