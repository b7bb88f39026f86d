/*
 * What is said on a new connection before anybody may use it: hello, then the shared `events`
 * stream. Both answers have a deadline (ops.c); whatever goes wrong ends in link_drop().
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/agentlink/internal.h"

static void on_events_event(struct link_stream *stream, struct wire_str json)
{
	struct link *link = link_stream_arg(stream);

	list_foreach(pos, tmp, &link->watchers)
	{
		struct link_watch *watch = container_of(pos, struct link_watch, link);

		if (watch->on_event != NULL)
			watch->on_event(watch, json);
	}
}

/* Nothing is missed from here on: the link is up. */
static void on_events_reply(struct link_stream *stream, const struct link_reply *reply)
{
	struct link *link = link_stream_arg(stream);
	char reason[LINK_MAX_REASON];

	if (reply->err != 0 || reply->status != MSG_OK) {
		if (link->events != stream)
			return; /* the connection is being dropped */
		link->events = NULL;
		snprintf(reason, sizeof(reason), "the agent refused its event stream: %.*s",
			(int)MIN(reply->message.len, 200u), reply->message.data);
		link_drop(link, LINK_AWAY, reply->err != 0 ? "the agent does not answer" : reason);
		return;
	}
	link_up(link);
}

static void on_events_end(struct link_stream *stream, const struct link_end *end)
{
	struct link *link = link_stream_arg(stream);

	(void)end;
	if (link->events != stream)
		return;
	link->events = NULL;
	link_drop(link, LINK_AWAY, "the agent ended its event stream");
}

static void open_events(struct link *link)
{
	static const struct link_stream_callbacks callbacks = {
		.on_reply = on_events_reply,
		.on_event = on_events_event,
		.on_end = on_events_end,
	};
	struct msg_events events = {.position = UINT64_MAX};
	uint8_t fields[16];
	int n = msg_events_encode(&events, fields, sizeof(fields));

	assert(n > 0);
	link->phase = PHASE_EVENTS;
	link->events = link_stream_now(link, MSG_EVENTS,
		&(struct wire_str){(const char *)fields, (uint32_t)n}, &callbacks, link);
}

static void replace_text(char **slot, struct wire_str text)
{
	free(*slot);
	*slot = xstrndup(text.data != NULL ? text.data : "", text.len);
}

static bool text_is(struct wire_str text, const char *other)
{
	return text.len == strlen(other) && memcmp(text.data, other, text.len) == 0;
}

/* hello was answered, or will never be. */
static void on_hello(const struct link_reply *reply, void *arg)
{
	struct link *link = arg;
	struct msg_hello_reply hello;
	char reason[LINK_MAX_REASON];

	if (link->phase != PHASE_HELLO)
		return; /* the connection was dropped, which told everybody */
	if (reply->err != 0) {
		link_drop(link, LINK_AWAY, "the agent does not answer");
		return;
	}
	if (reply->status != MSG_OK) {
		bool secret = reply->status == MSG_UNAUTHORIZED;

		snprintf(reason, sizeof(reason), "the agent refused %s: %.*s",
			!secret			    ? "us"
			: link->wanted_host != NULL ? "our secret (secret_file)"
						    : "our secret (OPS_AGENT_SECRET)",
			(int)MIN(reply->message.len, 150u), reply->message.data);
		link_drop(link, LINK_REFUSED, reason);
		return;
	}
	if (msg_hello_reply_decode(reply->fields, reply->fields_len, &hello) < 0) {
		link_drop(link, LINK_AWAY, "the agent sent a malformed hello");
		return;
	}
	if (link->wanted_host != NULL && !text_is(hello.host, link->wanted_host)) {
		snprintf(reason, sizeof(reason),
			"the agent says it is '%.*s', AGENTS_FILE calls it '%s'",
			(int)MIN(hello.host.len, 64u), hello.host.data, link->wanted_host);
		link_drop(link, LINK_REFUSED, reason);
		return;
	}
	replace_text(&link->host, hello.host);
	replace_text(&link->agent_id, hello.agent_id);
	replace_text(&link->agent_version, hello.agent_version);
	replace_text(&link->config_digest, hello.config_digest);
	link->agent_started_us = hello.started_us;
	link->max_ops = MIN(hello.max_streams, (uint32_t)LINK_MAX_OPS);
	open_events(link);
}

void link_handshake(struct link *link)
{
	struct msg_hello hello = {
		.version = MSG_PROTOCOL_VERSION,
		.client = wire_str_of(link->client),
	};
	uint8_t fields[512];
	int n = msg_hello_encode(&hello, fields, sizeof(fields));

	assert(n > 0);
	link->phase = PHASE_HELLO;
	link->max_ops = 1;
	link_call_now(link, MSG_HELLO, &(struct wire_str){(const char *)fields, (uint32_t)n},
		on_hello, link);
}
