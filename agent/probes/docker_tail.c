/*
 * What a container writes, live: what `docker logs --follow` would show, through the relay. Its two
 * streams are records of two kinds, with the time Docker noted; one with a terminal has one stream,
 * and no times but when it came.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/probes/container.h"
#include "agent/probes/dockerlog.h"
#include "agent/probes/engine.h"
#include "agent/probes/tails.h"
#include "core/base/clock.h"

#define MAX_CONTAINERS 1024 /* that are looked through for the name */
#define FIND_US 10000000    /* for the container to be found */
#define MAX_REFUSAL 4096    /* bytes of why the engine refuses */

struct docker_tail {
	struct tailout *out;
	struct container container;
	uint8_t api;
	struct engine_answer *answer;
	struct dockerlog log;
	struct buf refusal;
};

/* ---- which container ---- */

static int list_all(struct docker_tail *tail, struct engine_question *q, uint64_t until_us)
{
	for (tail->api = 0;; tail->api++) {
		*q = (struct engine_question){
			.ask = {.endpoint = RELAY_CONTAINERS, .api = tail->api}};
		engine_ask(ENGINE_RELAY_FD, q, 1, until_us);
		if (q->status != 400 || tail->api + 1 == RELAY_APIS)
			return q->err.code;
		engine_questions_fini(q, 1);
	}
}

static int find(struct docker_tail *tail, const char *name, uint64_t until_us, struct err *err)
{
	struct container *list = xcalloc(MAX_CONTAINERS, sizeof(*list));
	struct engine_question q;
	size_t total = 0;
	int rc = list_all(tail, &q, until_us);

	if (rc == 0)
		rc = container_read_list(
			q.body.data, q.body.len, list, MAX_CONTAINERS, &total, err);
	else
		*err = q.err;
	if (rc == 0)
		rc = err_set(err, -ENOENT, "there is no container '%s'", name);
	for (size_t i = 0; i < MIN(total, (size_t)MAX_CONTAINERS) && rc == -ENOENT; i++) {
		if (strcmp(list[i].name, name) != 0 &&
			(strlen(name) < RELAY_MIN_ID ||
				strncmp(list[i].id, name, strlen(name)) != 0))
			continue;
		tail->container = list[i];
		rc = 0;
	}
	engine_questions_fini(&q, 1);
	free(list);
	return rc;
}

static struct relay_ask ask_of(const struct docker_tail *tail, enum relay_endpoint endpoint)
{
	struct relay_ask ask = {.endpoint = (uint8_t)endpoint, .api = tail->api};

	memcpy(ask.id, tail->container.id, sizeof(ask.id));
	return ask;
}

static int read_details(struct docker_tail *tail, uint64_t until_us, struct err *err)
{
	struct engine_question q = {.ask = ask_of(tail, RELAY_CONTAINER)};
	int rc;

	engine_ask(ENGINE_RELAY_FD, &q, 1, until_us);
	rc = q.err.code;
	if (rc == 0)
		rc = container_read_details(q.body.data, q.body.len, &tail->container, err);
	else
		*err = q.err;
	engine_questions_fini(&q, 1);
	return rc;
}

/* ---- what it writes ---- */

static void on_output(
	void *arg, enum record_kind kind, uint64_t time_us, const uint8_t *data, size_t n)
{
	struct docker_tail *tail = arg;

	tailout_write(tail->out, kind, time_us, data, n);
}

static int on_body(void *arg, const uint8_t *data, size_t n)
{
	struct docker_tail *tail = arg;

	if (engine_answer_status(tail->answer) != 200) {
		buf_append(&tail->refusal, data, n);
		return buf_err(&tail->refusal);
	}
	if (!tail->container.tty)
		return dockerlog_feed(&tail->log, data, n);
	tailout_write(tail->out, RECORD_STDOUT, 0, data, n);
	return 0;
}

/* The most lines of before that are no more than what is asked for. */
static uint8_t tail_index(uint32_t lines)
{
	uint8_t index = RELAY_TAILS - 1;

	while (index > 0 && relay_tail_lines(index) > lines)
		index--;
	return index;
}

/* Until the engine ends it (1), or somebody hangs up (0); a negative errno with a text. */
static int follow(struct docker_tail *tail, int fd, struct err *err)
{
	static uint8_t piece[RECORD_MAX_PAYLOAD];
	int rc = 0;

	while (rc == 0) {
		struct pollfd fds[] = {
			{.fd = fd, .events = POLLIN},
			{.fd = tail->out->fd}, /* its error is what is waited for */
		};
		ssize_t n;

		if (poll(fds, ARRAY_LEN(fds), -1) < 0)
			continue;
		if (fds[1].revents & (POLLERR | POLLHUP))
			return 0;
		n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		rc = engine_answer_feed(tail->answer, piece, n > 0 ? (size_t)n : 0, err);
	}
	return rc;
}

static int run(struct docker_tail *tail, const struct tail_spec *spec, struct err *err)
{
	uint64_t until_us = clock_mono_us() + FIND_US;
	struct relay_ask ask;
	int fd, rc;

	rc = find(tail, spec->name, until_us, err);
	if (rc == 0)
		rc = read_details(tail, until_us, err);
	if (rc != 0)
		return rc;
	ask = ask_of(tail, tail->container.tty ? RELAY_TTY_LOGS : RELAY_LOGS);
	ask.tail = tail_index(spec->backlog_lines);
	fd = relay_open(ENGINE_RELAY_FD, &ask, err);
	if (fd < 0)
		return fd;
	tail->answer = engine_answer_new(on_body, tail);
	rc = follow(tail, fd, err);
	if (rc == 1 && engine_answer_status(tail->answer) != 200) {
		engine_explain(engine_answer_status(tail->answer), tail->refusal.data,
			tail->refusal.len, err);
		rc = err->code;
	}
	engine_answer_free(tail->answer);
	close(fd);
	return rc;
}

void docker_tail_run(const struct tail_spec *spec, struct tailout *out)
{
	struct docker_tail *tail = xcalloc(1, sizeof(*tail));
	struct err err = {0};
	int rc;

	tail->out = out;
	dockerlog_init(&tail->log, on_output, tail);
	buf_init(&tail->refusal, MAX_REFUSAL);
	rc = run(tail, spec, &err);
	if (rc == 1)
		tailout_end(out, "the container writes no more");
	else if (rc < 0)
		tailout_end(out, "%s", err.msg);
	buf_fini(&tail->refusal);
	free(tail);
}
