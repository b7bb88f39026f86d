#include "agent/ctl/follow.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/ctl/client.h"
#include "agent/ctl/exitcode.h"
#include "core/base/file.h"
#include "proto/record.h"

#define RECONNECT_TRIES 60
#define RECONNECT_PAUSE_NS 250000000L

struct follow {
	const struct follow_opts *opts;
	struct client *client;
	uint64_t offset;  /* everything before it was written */
	uint64_t stop_at; /* when not live: the journal's size at the beginning */
	int exit_code;
};

static const char *text_of(const json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));

	return text != NULL ? text : "";
}

static void show_event(const struct follow *f, const json_t *event)
{
	const char *name = text_of(event, "event");

	if (!f->opts->headlines)
		return;
	if (strcmp(name, "step.started") == 0)
		fprintf(stderr, "── %s\n", text_of(event, "step_id"));
	else if (strcmp(name, "step.finished") == 0 &&
		 strcmp(text_of(event, "status"), "succeeded") != 0)
		fprintf(stderr, "── %s %s %s\n", text_of(event, "step_id"),
			text_of(event, "status"), text_of(event, "message"));
	else if (strcmp(name, "run.cancel_requested") == 0)
		fprintf(stderr, "── cancel requested by %s\n", text_of(event, "actor"));
	else if (strcmp(name, "output.truncated") == 0)
		fprintf(stderr, "── %lld bytes of output were dropped (%s)\n",
			(long long)json_integer_value(json_object_get(event, "bytes")),
			text_of(event, "reason"));
	else if (strcmp(name, "run.finished") == 0)
		fprintf(stderr, "── run %s\n", text_of(event, "status"));
}

static void on_event(struct follow *f, const struct record *rec)
{
	json_t *event = json_loadb((const char *)rec->payload, rec->length, 0, NULL);

	if (event == NULL)
		return; /* the checksum held, so it is an event of a later version */
	show_event(f, event);
	if (strcmp(text_of(event, "event"), "run.finished") == 0)
		f->exit_code = exitcode_of_run(event);
	json_decref(event);
}

static int on_chunk(struct follow *f, const uint8_t *payload, size_t n, struct err *err)
{
	struct msg_chunk chunk;

	if (msg_chunk_decode(payload, n, &chunk) != 0 || chunk.offset != f->offset)
		return err_set(err, -EPROTO, "the agent sent something else than was asked for");
	for (size_t at = 0; at < chunk.records_len;) {
		struct record rec;
		int size = record_decode(chunk.records + at, chunk.records_len - at, &rec);
		int rc = 0;

		if (size < 0)
			return err_set(err, -EBADMSG, "the journal is damaged at byte %llu",
				(unsigned long long)(f->offset));
		if (rec.kind == RECORD_EVENT)
			on_event(f, &rec);
		else
			rc = file_write_all(
				rec.kind == RECORD_STDOUT ? STDOUT_FILENO : STDERR_FILENO,
				rec.payload, rec.length);
		if (rc != 0)
			return err_set_errno(err, rc, "cannot write the output");
		at += (size_t)size;
		f->offset += (uint64_t)size;
	}
	return client_credit(f->client, (uint32_t)chunk.records_len, err);
}

static int open_tail(struct follow *f, struct err *err)
{
	struct msg_run_tail request = {.run = wire_str_of(f->opts->run), .offset = f->offset};
	struct msg_run_tail_reply reply;
	struct msg_response response;
	uint8_t fields[256];
	int n = msg_run_tail_encode(&request, fields, sizeof(fields));
	int rc;

	if (n < 0)
		return err_set(err, -ENOENT, "no run is called that");
	rc = client_open(f->opts->socket_path, f->opts->secret_path, &f->client, err);
	if (rc == 0)
		rc = client_call(f->client, MSG_RUN_TAIL, fields, (size_t)n, &response, err);
	if (rc != 0)
		return rc;
	if (response.status != MSG_OK)
		return err_set(err, response.status == MSG_NOT_FOUND ? -ENOENT : -EPROTO, "%.*s",
			(int)MIN(response.message.len, 200u), response.message.data);
	if (msg_run_tail_reply_decode(response.fields, response.fields_len, &reply) != 0)
		return err_set(err, -EPROTO, "the agent's answer makes no sense");
	if (f->offset == 0)
		f->stop_at = reply.size;
	return 0;
}

/* Until END, the size that was there at the beginning, or an error. */
static int read_tail(struct follow *f, bool *ret_done, struct err *err)
{
	while (f->opts->live || f->offset < f->stop_at) {
		const uint8_t *payload;
		struct frame frame;
		struct msg_end end;
		int rc = client_next(f->client, &frame, &payload, err);

		if (rc == 0 && frame.type == FRAME_CHUNK)
			rc = on_chunk(f, payload, frame.length, err);
		if (rc != 0)
			return rc;
		if (frame.type != FRAME_END)
			continue;
		if (msg_end_decode(payload, frame.length, &end) != 0)
			return err_set(err, -EPROTO, "the agent's answer makes no sense");
		if (end.reason == MSG_END_SHUTDOWN)
			return err_set(err, -ENOTCONN, "the agent is shutting down");
		if (end.reason != MSG_END_FINISHED)
			return err_set(err, -ESTALE, "the journal is no longer there");
		break;
	}
	*ret_done = true;
	return 0;
}

int follow_run(const struct follow_opts *opts, int *ret_exit, struct err *err)
{
	struct follow f = {.opts = opts, .exit_code = FOLLOW_UNFINISHED};
	bool done = false;
	int tries = 0, rc;

	do {
		uint64_t before = f.offset;

		rc = open_tail(&f, err);
		if (rc == 0)
			rc = read_tail(&f, &done, err);
		client_close(f.client);
		f.client = NULL;
		tries = f.offset > before ? 0 : tries + 1;
		if (rc == -ENOTCONN && f.stop_at != 0 && tries < RECONNECT_TRIES) {
			struct timespec pause = {.tv_nsec = RECONNECT_PAUSE_NS};

			if (tries == 1)
				fputs("opsctl: the agent is away; the run goes on, waiting …\n",
					stderr);
			if (nanosleep(&pause, NULL) != 0)
				rc = err_set(err, -EINTR, "interrupted");
		}
	} while (rc == -ENOTCONN && f.stop_at != 0 && tries < RECONNECT_TRIES);
	if (rc == 0)
		*ret_exit = f.exit_code;
	return rc;
}
