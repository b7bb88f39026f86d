/*
 * What notifications say, in English and Dutch, and the messages they are sent as. Pure.
 */
#ifndef OPS_CORE_APP_NOTIFY_NOTIFY_TEXT_H
#define OPS_CORE_APP_NOTIFY_NOTIFY_TEXT_H

#include <jansson.h>
#include <stdint.h>

#include "core/app/notify/notify_conf.h"
#include "core/app/runs/rundoc.h"
#include "core/base/buf.h"

#define NOTIFY_TITLE_BYTES 160
#define NOTIFY_TEXT_BYTES 1024
#define NOTIFY_LINK_BYTES 512
#define NOTIFY_LINE_BYTES 300	/* of a run's last line */
#define NOTIFY_DIGEST_TITLES 20 /* named in one digest; the rest is counted */

/* What there is to tell. */
struct notify_event {
	enum notify_on on;
	char key[200]; /* what it is about: the same event has the same key and state */
	char state[24];
	char name[160];	  /* for rules: a run's name, an item's id */
	char section[64]; /* of an item */
	char host[80];
	char run[40]; /* id; "" : none */
	uint64_t time_us;
	char title[NOTIFY_TITLE_BYTES], text[NOTIFY_TEXT_BYTES], link[NOTIFY_LINK_BYTES];
};

struct notify_words {
	enum notify_language language;
	const char *origin; /* PUBLIC_ORIGIN */
	const char *host;   /* the agent's, when the document names none */
};

/* A run has failed, or succeeded after it had failed. line: its last, or "". */
void notify_text_run(const struct notify_words *words, const struct rundoc *doc, const char *line,
	struct notify_event *event);
/* One of its steps (of the run's document) waits for an answer. */
void notify_text_approval(const struct notify_words *words, const struct rundoc *doc,
	const json_t *step, struct notify_event *event);
/* An item of the status document is at another level. */
void notify_text_item(
	const struct notify_words *words, const json_t *item, struct notify_event *event);
/* The agent is away since then, or back. reason: why it is away. */
void notify_text_agent(const struct notify_words *words, const char *reason, uint64_t since_us,
	struct notify_event *event);
void notify_text_test(
	const struct notify_words *words, const char *target, struct notify_event *event);

/* Several as one: of n events, the newest last, and more that are only counted. */
void notify_text_digest(const struct notify_words *words, const struct notify_event *const *events,
	size_t n, uint64_t more, struct notify_event *ret_event);

#endif
