/*
 * Asking the Docker engine, in a look's or a live tail's own process: through the relay
 * (agent/relay/ask.h), with HTTP taken apart by llhttp. An engine may hang, talk nonsense or send
 * far too much: every question has a deadline and a maximum, and ends with an answer or with why
 * not, for a person.
 */
#ifndef OPS_AGENT_PROBES_ENGINE_H
#define OPS_AGENT_PROBES_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "agent/relay/ask.h"
#include "core/base/buf.h"
#include "core/base/err.h"

#define ENGINE_RELAY_FD 3	   /* where the monitor puts the relay's socket */
#define ENGINE_MAX_BODY (8u << 20) /* bytes of an answer */
#define ENGINE_MAX_AT_ONCE 8	   /* questions */
#define ENGINE_ANSWER_US 3000000   /* a whole answer must come in this time */

/* ---- one HTTP answer, as its bytes come ---- */

struct engine_answer;
/* A piece of the body. 0; a negative errno: no more of it is wanted (-EMSGSIZE: it is too long). */
typedef int (*engine_body_fn)(void *arg, const uint8_t *data, size_t n);

struct engine_answer *engine_answer_new(engine_body_fn on_body, void *arg);
/* NULL is fine. */
void engine_answer_free(struct engine_answer *answer);
/* Takes n more bytes; n 0 is their end. 1: the answer is whole; 0: there is more to come; a
 * negative errno with a text: it is none, it ends in the middle, or its body was not wanted. Not to
 * be called again after anything but 0. */
MUSTCHECK int engine_answer_feed(
	struct engine_answer *answer, const uint8_t *data, size_t n, struct err *err);
/* Of the status line; 0: it has not come yet. */
unsigned engine_answer_status(const struct engine_answer *answer);

/* ---- questions with answers of JSON ---- */

struct engine_question {
	struct relay_ask ask;
	/* the answer */
	struct buf body;
	unsigned status; /* 0: there was none */
	struct err err;	 /* code 0: status is 200 and body is whole */

	/* inside */
	int fd;
	uint64_t until_us;
	struct engine_answer *answer;
};

/* Asks them all, several at once, and returns when each has an answer or failed; at until_us
 * (monotonic) the rest fails. One with endpoint 0 is not asked, and fails. The bodies are freed by
 * engine_questions_fini(). */
void engine_ask(int relay_fd, struct engine_question *questions, size_t n, uint64_t until_us);
void engine_questions_fini(struct engine_question *questions, size_t n);

/* "2026-11-26T13:03:57.376967956Z", or with an offset, as Unix time in microseconds. 0: it is none,
 * or that of the year 1, which is Docker's never. */
uint64_t engine_time_us(const char *text);

/* Why the engine says no: the text of {"message": …}, or what else the body has, on one line. */
void engine_explain(unsigned status, const uint8_t *body, size_t n, struct err *err);

#endif
