#include "agent/probes/engine.h"

#include <errno.h>
#include <jansson.h>
#include <llhttp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"

#define MAX_EXPLAINED 160 /* bytes of what the engine says */

/* ---- one HTTP answer ---- */

struct engine_answer {
	llhttp_t parser;
	engine_body_fn on_body;
	void *arg;
	int body_rc; /* what on_body said last */
	bool complete;
	bool begun;
};

static int on_body(llhttp_t *parser, const char *at, size_t n)
{
	struct engine_answer *answer = parser->data;

	answer->body_rc = answer->on_body(answer->arg, (const uint8_t *)at, n);
	return answer->body_rc == 0 ? 0 : HPE_USER;
}

/* The answer is whole: what may come behind it is not looked at. */
static int on_complete(llhttp_t *parser)
{
	struct engine_answer *answer = parser->data;

	/* 100 Continue and the like announce another one */
	if (parser->status_code >= 200)
		answer->complete = true;
	return answer->complete ? HPE_PAUSED : 0;
}

static const llhttp_settings_t settings = {
	.on_body = on_body,
	.on_message_complete = on_complete,
};

struct engine_answer *engine_answer_new(engine_body_fn body, void *arg)
{
	struct engine_answer *answer = xcalloc(1, sizeof(*answer));

	llhttp_init(&answer->parser, HTTP_RESPONSE, &settings);
	answer->parser.data = answer;
	answer->on_body = body;
	answer->arg = arg;
	return answer;
}

void engine_answer_free(struct engine_answer *answer)
{
	free(answer);
}

unsigned engine_answer_status(const struct engine_answer *answer)
{
	return answer->parser.status_code;
}

static int at_end(struct engine_answer *answer, struct err *err)
{
	if (!answer->begun)
		return err_set(err, -EPIPE, "the Docker engine hangs up without an answer");
	(void)llhttp_finish(&answer->parser);
	if (answer->complete)
		return 1;
	return err_set(err, -EPIPE, "the Docker engine's answer ends in the middle");
}

int engine_answer_feed(struct engine_answer *answer, const uint8_t *data, size_t n, struct err *err)
{
	llhttp_errno_t rc;

	if (n == 0)
		return at_end(answer, err);
	answer->begun = true;
	rc = llhttp_execute(&answer->parser, (const char *)data, n);
	if (answer->complete)
		return 1;
	if (rc == HPE_OK)
		return 0;
	if (rc == HPE_USER && answer->body_rc != -EMSGSIZE)
		return err_set(err, answer->body_rc, "the Docker engine's answer makes no sense");
	if (rc == HPE_USER)
		return err_set(err, -EMSGSIZE, "the Docker engine's answer is longer than %u MiB",
			ENGINE_MAX_BODY >> 20);
	return err_set(
		err, -EBADMSG, "the Docker engine's answer is no HTTP: %s", llhttp_errno_name(rc));
}

/* ---- why not ---- */

static size_t printable(char *out, size_t cap, const char *text, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n && len + 1 < cap; i++)
		out[len++] = text[i];
	for (size_t i = 0; i < len; i++)
		out[i] = (unsigned char)out[i] < 0x20 || out[i] == 0x7f ? ' ' : out[i];
	while (len > 0 && out[len - 1] == ' ')
		len--;
	out[len] = '\0';
	return len;
}

void engine_explain(unsigned status, const uint8_t *body, size_t n, struct err *err)
{
	json_t *root = json_loadb((const char *)body, n, 0, NULL);
	const json_t *message = json_object_get(root, "message");
	char text[MAX_EXPLAINED];

	if (json_is_string(message))
		printable(text, sizeof(text), json_string_value(message),
			json_string_length(message));
	else
		printable(text, sizeof(text), (const char *)body, n);
	json_decref(root);
	/* the relay's own word: it did not reach the engine */
	if (status == 502 || status == 503)
		err_set(err, -ECONNREFUSED, "the Docker engine is not reached: %s", text);
	else
		err_set(err, -EPROTO, "the Docker engine answers %u%s%s", status,
			text[0] != '\0' ? ": " : "", text);
}

uint64_t engine_time_us(const char *text)
{
	const char *at;
	uint64_t micros = 0, unit = 100000;
	struct tm tm = {0};
	long offset = 0;
	time_t seconds;

	at = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (at == NULL)
		return 0;
	if (*at == '.') {
		for (at++; *at >= '0' && *at <= '9'; at++, unit /= 10)
			micros += (uint64_t)(*at - '0') * unit;
	}
	if (*at == '+' || *at == '-') {
		int hours = 0, minutes = 0;

		if (sscanf(at + 1, "%2d:%2d", &hours, &minutes) == 2)
			offset = (*at == '-' ? -1 : 1) * (hours * 3600L + minutes * 60L);
	}
	seconds = timegm(&tm) - offset;
	return seconds > 0 ? (uint64_t)seconds * 1000000 + micros : 0;
}

/* ---- questions ---- */

static int keep(void *arg, const uint8_t *data, size_t n)
{
	struct buf *body = arg;

	buf_append(body, data, n);
	return buf_err(body);
}

static void begin(int relay_fd, struct engine_question *q, uint64_t now, uint64_t until_us)
{
	buf_init(&q->body, ENGINE_MAX_BODY);
	q->until_us = MIN(until_us, now + ENGINE_ANSWER_US);
	q->fd = relay_open(relay_fd, &q->ask, &q->err);
	if (q->fd >= 0)
		q->answer = engine_answer_new(keep, &q->body);
}

static void end(struct engine_question *q)
{
	close(q->fd);
	q->fd = -1;
	if (q->answer != NULL)
		q->status = engine_answer_status(q->answer);
	engine_answer_free(q->answer);
	q->answer = NULL;
	if (q->err.code == 0 && q->status != 200)
		engine_explain(q->status, q->body.data, q->body.len, &q->err);
}

/* There is something to read. */
static void take(struct engine_question *q)
{
	uint8_t piece[65536];
	ssize_t n = recv(q->fd, piece, sizeof(piece), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (engine_answer_feed(q->answer, piece, n > 0 ? (size_t)n : 0, &q->err) != 0)
		end(q);
}

/* Those that are being asked: waits until one of them has something. */
static void wait_for(struct engine_question *questions, size_t n)
{
	struct engine_question *of[ENGINE_MAX_AT_ONCE];
	struct pollfd fds[ENGINE_MAX_AT_ONCE];
	uint64_t now = clock_mono_us(), until = UINT64_MAX;
	size_t n_fds = 0;

	for (size_t i = 0; i < n; i++) {
		struct engine_question *q = &questions[i];

		if (q->fd < 0)
			continue;
		if (now >= q->until_us) {
			err_set(&q->err, -ETIMEDOUT, "the Docker engine gives no answer in time");
			end(q);
			continue;
		}
		until = MIN(until, q->until_us);
		of[n_fds] = q;
		fds[n_fds++] = (struct pollfd){.fd = q->fd, .events = POLLIN};
	}
	if (n_fds == 0 || poll(fds, (nfds_t)n_fds, (int)((until - now) / 1000 + 1)) <= 0)
		return;
	for (size_t i = 0; i < n_fds; i++) {
		if (fds[i].revents != 0)
			take(of[i]);
	}
}

static size_t count_open(const struct engine_question *questions, size_t n)
{
	size_t open = 0;

	for (size_t i = 0; i < n; i++)
		open += questions[i].fd >= 0;
	return open;
}

void engine_ask(int relay_fd, struct engine_question *questions, size_t n, uint64_t until_us)
{
	size_t next = 0;

	for (size_t i = 0; i < n; i++)
		questions[i].fd = -1;
	for (;;) {
		while (next < n && count_open(questions, next) < ENGINE_MAX_AT_ONCE)
			begin(relay_fd, &questions[next++], clock_mono_us(), until_us);
		if (count_open(questions, next) == 0 && next == n)
			break;
		wait_for(questions, next);
	}
}

void engine_questions_fini(struct engine_question *questions, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_fini(&questions[i].body);
}
