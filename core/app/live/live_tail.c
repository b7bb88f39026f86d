/*
 * The topics tail/docker/{id} and tail/unit/{name}: what a container or a unit writes, to one
 * viewer, while it looks. Nothing of it is kept: offsets begin at 0 with each opening.
 *
 * Owns: the agent's stream. Frames and credit are live_log.c's, so a viewer that does not read
 * makes the agent wait, and the agent its source.
 *
 * Happy path: tail.open -> the agent agrees -> snapshot {offset: 0} -> CHUNKs -> END when the
 * source has ended.
 *
 * Failure modes: what the agent refuses (it is not watched, too many tails, no such container) is
 * an error event with its words, and the subscription is over. The agent goes away: the
 * subscription waits and begins anew, with a new snapshot.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/app/limits.h"
#include "core/app/live/live_internal.h"
#include "proto/frame.h"
#include "proto/msg.h"

#define SNAPSHOT "{\"offset\":0}"

static void refuse(struct sub *sub, const struct link_reply *reply)
{
	static const struct {
		enum msg_status status;
		const char *code;
	} codes[] = {
		{MSG_NOT_FOUND, "not_found"},
		{MSG_FORBIDDEN, "forbidden"},
		{MSG_LIMIT, "too_many"},
		{MSG_UNSUPPORTED, "unsupported"},
	};
	const char *code = "agent_unavailable";
	char *message;

	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		if (reply->err == 0 && reply->status == (uint16_t)codes[i].status)
			code = codes[i].code;
	}
	message =
		xstrndup(reply->message.len > 0 ? reply->message.data : "The agent cannot show it.",
			reply->message.len > 0 ? reply->message.len : 25);
	sub_fail(sub, code, message);
	free(message);
}

/* The agent opens it, or says why not. */
static void on_reply(struct link_stream *stream, const struct link_reply *reply)
{
	struct sub *sub = link_stream_arg(stream);

	if (reply->err == 0 && reply->status == MSG_OK) {
		sub_send(sub, "snapshot", SNAPSHOT, sizeof(SNAPSHOT) - 1);
		return;
	}
	sub->tail = NULL;
	if (reply->err == -ENOTCONN || reply->err == -ECONNRESET || reply->err == -ECANCELED)
		sub->waiting = true;
	else
		refuse(sub, reply);
}

/* Records have come. */
static void on_chunk(struct link_stream *stream, const uint8_t *payload, size_t len)
{
	struct msg_chunk chunk;

	if (msg_chunk_decode(payload, len, &chunk) == 0) /* link.h promises the prefix */
		log_pass(link_stream_arg(stream), chunk.offset, chunk.records, chunk.records_len);
}

/* The source has ended, or the agent is gone. */
static void on_end(struct link_stream *stream, const struct link_end *end)
{
	struct sub *sub = link_stream_arg(stream);

	sub->tail = NULL;
	if (end->err != 0 || end->reason == MSG_END_SHUTDOWN) {
		sub->waiting = true;
		return;
	}
	log_send_end(sub, end->reason, end->offset);
	sub_free(sub);
}

void tail_start(struct sub *sub)
{
	static const struct link_stream_callbacks callbacks = {
		.on_reply = on_reply,
		.on_chunk = on_chunk,
		.on_end = on_end,
	};
	struct msg_tail_open ask = {
		.kind = sub->topic == TOPIC_TAIL_DOCKER ? MSG_TAIL_DOCKER : MSG_TAIL_UNIT,
		.name = wire_str_of(sub->name),
		.backlog_lines = LIMIT_TAIL_BACKLOG_LINES,
	};
	uint8_t fields[LIVE_NAME_BYTES + 16];
	int n = msg_tail_open_encode(&ask, fields, sizeof(fields));
	struct host *host = hosts_find(sub->socket->live->server->hosts, sub->host);

	if (n < 0)
		abort(); /* live_msg.c bounds the name */
	if (host == NULL) {
		sub_fail(sub, "unknown_host", "There is no such host here.");
		return;
	}
	sub->waiting = false;
	sub->watched = host;
	sub->offset = 0;
	sub->credit = sub->outstanding = FRAME_INITIAL_CREDIT;
	sub->tail = link_stream_open(host->link, MSG_TAIL_OPEN,
		&(struct wire_str){(const char *)fields, (uint32_t)n}, &callbacks, sub);
}

void tail_restart(struct sub *sub)
{
	const struct host *host = hosts_find(sub->socket->live->server->hosts, sub->host);

	if (sub->waiting && (host == NULL || host_is_connected(host)))
		tail_start(sub);
}
