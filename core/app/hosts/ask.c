#include "core/app/hosts/ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/http.h"
#include "core/app/server.h"

struct part {
	struct ask *ask;
	char *message;
	uint8_t *fields;
};

struct ask {
	struct request *req;
	ask_fn cb;
	size_t n, n_waiting;
	struct part parts[LIMIT_HOSTS];
	struct ask_answer answers[LIMIT_HOSTS];
};

static void ask_done(struct ask *ask)
{
	ask->cb(ask->req, ask->answers, ask->n);
	for (size_t i = 0; i < ask->n; i++) {
		free(ask->parts[i].message);
		free(ask->parts[i].fields);
	}
	free(ask);
}

/* An agent has answered, or could not; what it said is kept until all have. */
static void on_reply(const struct link_reply *reply, void *arg)
{
	struct part *part = arg;
	struct ask *ask = part->ask;
	struct ask_answer *answer = &ask->answers[part - ask->parts];

	answer->reply = *reply;
	hosts_note_answer(server_of(ask->req)->hosts, answer->host, reply);
	if (reply->message.len > 0)
		part->message = xstrndup(reply->message.data, reply->message.len);
	if (reply->fields_len > 0) {
		part->fields = xcalloc(1, reply->fields_len);
		memcpy(part->fields, reply->fields, reply->fields_len);
	}
	answer->reply.message.data = part->message;
	answer->reply.fields = part->fields;
	if (--ask->n_waiting == 0)
		ask_done(ask);
}

static void ask_one(
	struct ask *ask, struct host *host, enum msg_method method, const struct wire_str *fields)
{
	struct part *part = &ask->parts[ask->n];

	part->ask = ask;
	snprintf(ask->answers[ask->n].host, LIMIT_HOST_BYTES, "%s", host_name(host));
	ask->n++;
	ask->n_waiting++;
	link_request(host->link, (uint16_t)method, fields, hosts_call_ms(host), on_reply, part);
}

void ask_hosts(struct request *req, struct host *host, enum msg_method method,
	const struct wire_str *fields, ask_fn cb)
{
	const struct hosts *hosts = server_of(req)->hosts;
	struct ask *ask;

	if (host == NULL && hosts_count(hosts) == 0) {
		/* What a switch was set by may be answered when the hosts are closing already. */
		http_agent_problem(req, &(struct link_reply){.err = -ECANCELED});
		return;
	}
	ask = xcalloc(1, sizeof(*ask));
	ask->req = req;
	ask->cb = cb;
	if (host != NULL)
		ask_one(ask, host, method, fields);
	for (size_t i = 0; host == NULL && i < hosts_count(hosts); i++)
		ask_one(ask, hosts_at(hosts, i), method, fields);
}
