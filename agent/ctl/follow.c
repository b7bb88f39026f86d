#include "agent/ctl/follow.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/ctl/client.h"
#include "agent/ctl/exitcode.h"
#include "agent/ctl/term.h"
#include "core/base/buf.h"
#include "core/base/file.h"
#include "core/net/record_json.h"
#include "proto/record.h"

#define RECONNECT_TRIES 60
#define RECONNECT_PAUSE_NS 250000000L
/* A record whose every byte needs six in JSON, and its names. */
#define LINE_MAX_BYTES (6 * RECORD_MAX_PAYLOAD + 512)

struct follow {
	const struct follow_opts *opts;
	struct progress progress;
	bool out_is_terminal;
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

/* ---- for people ---- */

static void headline(const char *status, const char *first, const char *second, const char *third)
{
	term_dim(stderr);
	fputs("── ", stderr);
	term_plain(stderr);
	if (status != NULL)
		term_status_colour(stderr, status);
	term_put(stderr, first);
	if (status != NULL)
		term_plain(stderr);
	if (second[0] != '\0') {
		fputc(' ', stderr);
		term_put(stderr, second);
	}
	if (third[0] != '\0') {
		fputs(": ", stderr);
		term_put(stderr, third);
	}
	fputc('\n', stderr);
}

static void show_dropped(const json_t *event)
{
	char bytes[32];

	snprintf(bytes, sizeof(bytes), "%" JSON_INTEGER_FORMAT,
		json_integer_value(json_object_get(event, "bytes")));
	headline(NULL, bytes, "bytes of output were dropped", text_of(event, "reason"));
}

static void show_waiting(const struct follow *f, const json_t *event)
{
	headline("waiting", text_of(event, "step_id"), "asks", text_of(event, "prompt"));
	fprintf(stderr, "   answer: opsctl approve %s ", f->opts->run);
	term_put(stderr, text_of(event, "step_id"));
	fputs(" [--reject]\n", stderr);
}

static void show_step_finished(const json_t *event)
{
	const char *status = text_of(event, "status");

	if (strcmp(status, "succeeded") != 0)
		headline(status, status, text_of(event, "step_id"), text_of(event, "message"));
}

static void show_event(struct follow *f, const json_t *event)
{
	const char *name = text_of(event, "event");
	const char *step = text_of(event, "step_id");

	progress_hide(&f->progress);
	if (strcmp(name, "step.started") == 0) {
		headline(NULL, step, "", "");
		progress_set(&f->progress, step);
	} else if (strcmp(name, "step.finished") == 0) {
		show_step_finished(event);
	} else if (strcmp(name, "step.waiting") == 0) {
		show_waiting(f, event);
		progress_set(&f->progress, "waiting for an answer");
	} else if (strcmp(name, "step.approved") == 0) {
		headline(NULL, step,
			json_is_true(json_object_get(event, "approve")) ? "approved by"
									: "refused by",
			text_of(event, "actor"));
	} else if (strcmp(name, "step.retrying") == 0) {
		headline("retrying", step, "will be tried again", text_of(event, "reason"));
	} else if (strcmp(name, "run.cancel_requested") == 0) {
		headline(NULL, "cancel requested by", text_of(event, "actor"), "");
	} else if (strcmp(name, "output.truncated") == 0) {
		show_dropped(event);
	} else if (strcmp(name, "run.disk_full") == 0) {
		headline("failed", "the agent's disk is full; the command waits", "", "");
	} else if (strcmp(name, "run.finished") == 0) {
		const char *status = text_of(event, "status");

		headline(status, "run", status, text_of(event, "message"));
	}
}

static int put_output(struct follow *f, const struct record *rec)
{
	bool is_out = rec->kind == RECORD_STDOUT;
	int rc;

	if (rec->length == 0)
		return 0;
	progress_hide(&f->progress);
	rc = file_write_all(is_out ? STDOUT_FILENO : STDERR_FILENO, rec->payload, rec->length);
	progress_wrote(&f->progress, rec->length, (char)rec->payload[rec->length - 1],
		is_out ? f->out_is_terminal : true);
	return rc;
}

/* ---- for programs: as ?format=ndjson of the dashboard ---- */

static int put_json(struct follow *f, const struct record *rec)
{
	struct buf line;
	int rc;

	buf_init(&line, LINE_MAX_BYTES);
	record_json(rec, f->offset, &line);
	rc = buf_err(&line);
	if (rc == 0)
		rc = file_write_all(STDOUT_FILENO, line.data, line.len);
	buf_fini(&line);
	return rc;
}

/* ---- records ---- */

static void on_event(struct follow *f, const struct record *rec)
{
	json_t *event = json_loadb((const char *)rec->payload, rec->length, 0, NULL);

	if (event == NULL)
		return; /* the checksum held, so it is an event of a later version */
	if (f->opts->headlines && !f->opts->json)
		show_event(f, event);
	if (strcmp(text_of(event, "event"), "run.finished") == 0)
		f->exit_code = exitcode_of_run(event);
	json_decref(event);
}

static int on_record(struct follow *f, const struct record *rec)
{
	if (rec->kind == RECORD_EVENT)
		on_event(f, rec);
	if (f->opts->json)
		return put_json(f, rec);
	return rec->kind != RECORD_EVENT ? put_output(f, rec) : 0;
}

static int on_chunk(struct follow *f, const uint8_t *payload, size_t n, struct err *err)
{
	struct msg_chunk chunk;

	if (msg_chunk_decode(payload, n, &chunk) != 0 || chunk.offset != f->offset)
		return err_set(err, -EPROTO, "the agent sent something else than was asked for");
	for (size_t at = 0; at < chunk.records_len;) {
		struct record rec;
		int size = record_decode(chunk.records + at, chunk.records_len - at, &rec);
		int rc;

		if (size < 0)
			return err_set(err, -EBADMSG, "the journal is damaged at byte %llu",
				(unsigned long long)(f->offset));
		rc = on_record(f, &rec);
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

/* Draws the line of progress while nothing comes. */
static int wait_for_more(struct follow *f, struct err *err)
{
	int ready = f->progress.on ? 0 : 1;

	while (ready == 0) {
		ready = client_wait(f->client, PROGRESS_TICK_MS);
		if (ready == 0)
			progress_tick(&f->progress);
	}
	return ready < 0 ? err_set(err, ready, "interrupted") : 0;
}

/* Until END, the size that was there at the beginning, or an error. */
static int read_tail(struct follow *f, bool *ret_done, struct err *err)
{
	while (f->opts->live || f->offset < f->stop_at) {
		const uint8_t *payload;
		struct frame frame;
		struct msg_end end;
		int rc = wait_for_more(f, err);

		if (rc == 0)
			rc = client_next(f->client, &frame, &payload, err);
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

	f.out_is_terminal = isatty(STDOUT_FILENO) == 1;
	progress_init(&f.progress, opts->headlines && !opts->json);
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

			progress_hide(&f.progress);
			if (tries == 1)
				fputs("opsctl: the agent is away; the run goes on, waiting …\n",
					stderr);
			if (nanosleep(&pause, NULL) != 0)
				rc = err_set(err, -EINTR, "interrupted");
		}
	} while (rc == -ENOTCONN && f.stop_at != 0 && tries < RECONNECT_TRIES);
	progress_hide(&f.progress);
	if (rc == 0)
		*ret_exit = f.exit_code;
	return rc;
}
