#include "core/app/logs/locate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/archive/history.h"
#include "core/app/server.h"

struct locate {
	struct server *server;
	char run[64];
	uint8_t kind;
	uint64_t value;
	bool agent_away;
	locate_fn cb;
	void *arg;
};

static void finish(struct locate *locate, int err, uint64_t offset, uint64_t line, uint64_t time_us)
{
	locate->cb(err, offset, line, time_us, locate->arg);
	free(locate);
}

static void on_history(const struct history_locate_reply *reply, void *arg)
{
	if (reply->err == 0)
		finish(arg, 0, reply->offset, reply->line, reply->time_us);
	else
		finish(arg, reply->err == -ENOENT ? -ERANGE : -ENOTCONN, 0, 0, 0);
}

static void on_run(const struct history_get_reply *reply, void *arg)
{
	struct locate *locate = arg;

	if (reply->err == 0)
		history_locate(locate->server->pool, &reply->run.id, locate->kind, locate->value,
			on_history, locate);
	else
		finish(locate, reply->err == -ENOENT && !locate->agent_away ? -ENOENT : -ENOTCONN,
			0, 0, 0);
}

static void on_agent(const struct link_reply *reply, void *arg)
{
	struct locate *locate = arg;
	struct msg_run_locate_reply found;

	locate->agent_away = reply->err != 0;
	if (reply->err == 0 && reply->status == MSG_OK &&
		msg_run_locate_reply_decode(reply->fields, reply->fields_len, &found) == 0)
		finish(locate, 0, found.offset, found.line, found.time_us);
	else if (reply->err != 0 || reply->status == MSG_NOT_FOUND)
		history_get(locate->server->pool, locate->run, on_run, locate);
	else
		finish(locate, -ERANGE, 0, 0, 0);
}

void locate_start(struct server *server, struct host *host, const char *run, uint8_t kind,
	uint64_t value, locate_fn cb, void *arg)
{
	struct locate *locate = xcalloc(1, sizeof(*locate));
	struct msg_run_locate request = {.kind = kind, .value = value};
	uint8_t fields[128];
	int n;

	locate->server = server;
	strncpy(locate->run, run, sizeof(locate->run) - 1);
	locate->kind = kind;
	locate->value = value;
	locate->cb = cb;
	locate->arg = arg;
	request.run = wire_str_of(locate->run);
	n = msg_run_locate_encode(&request, fields, sizeof(fields));
	if (n < 0)
		abort(); /* all of it is of constant size */
	if (host == NULL)
		history_get(server->pool, locate->run, on_run, locate);
	else
		link_request(host->link, MSG_RUN_LOCATE,
			&(struct wire_str){(const char *)fields, (uint32_t)n}, 0, on_agent, locate);
}
