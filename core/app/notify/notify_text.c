#include "core/app/notify/notify_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/utf8.h"

/* The words of the language. A macro: the compiler sees both formats. */
#define SAY(w, en, nl) ((w)->language == NOTIFY_NL ? (nl) : (en))

/* Cut texts end at a whole character. */
static void trim(char *text)
{
	size_t n = strlen(text);

	while (n > 0 && !utf8_is_valid(text, n))
		text[--n] = '\0';
}

PRINTF_LIKE(3, 4) static void put(char *out, size_t cap, const char *fmt, ...)
{
	size_t n = strlen(out);
	va_list args;

	va_start(args, fmt);
	vsnprintf(out + n, cap - n, fmt, args);
	va_end(args);
	trim(out);
}

#define TITLE(event, ...) put((event)->title, sizeof((event)->title), __VA_ARGS__)
#define TEXT(event, ...) put((event)->text, sizeof((event)->text), __VA_ARGS__)

static const char *text_of(const json_t *doc, const char *key)
{
	const char *text = json_string_value(json_object_get(doc, key));

	return text != NULL ? text : "";
}

static void put_time(struct notify_event *event, uint64_t us)
{
	time_t s = (time_t)(us / CLOCK_SECOND_US);
	char text[32];
	struct tm tm;

	gmtime_r(&s, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm);
	TEXT(event, "%s", text);
}

/* 38 s, 4 min 3 s, 2 h 5 min */
static void put_duration(struct notify_event *event, const struct notify_words *w, uint64_t us)
{
	uint64_t s = us / CLOCK_SECOND_US;
	const char *hour = SAY(w, "h", "u");

	if (s < 60)
		TEXT(event, "%" PRIu64 " s", s);
	else if (s < 3600)
		TEXT(event, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
	else
		TEXT(event, "%" PRIu64 " %s %" PRIu64 " min", s / 3600, hour, s / 60 % 60);
}

/* ---- runs ---- */

static const char *name_of(const struct rundoc *doc)
{
	return doc->title[0] != '\0' ? doc->title : doc->name;
}

static void put_status(
	const struct notify_words *w, const struct rundoc *doc, struct notify_event *event)
{
	if (strcmp(doc->status, "timed_out") == 0)
		TEXT(event, "%s", SAY(w, "took too long", "duurde te lang"));
	else if (strcmp(doc->status, "lost") == 0)
		TEXT(event, "%s",
			SAY(w, "was lost: what ran it died",
				"is verloren: wat het uitvoerde is gestopt"));
	else if (strcmp(doc->status, "succeeded") == 0)
		TEXT(event, "%s", SAY(w, "succeeded", "geslaagd"));
	else
		TEXT(event, "%s", SAY(w, "failed", "mislukt"));
	if (doc->signal > 0)
		TEXT(event, ", %s %" PRId64, SAY(w, "signal", "signaal"), doc->signal);
	else if (doc->exit_code > 0)
		TEXT(event, ", exit code %" PRId64, doc->exit_code);
}

static void fill_run(
	const struct notify_words *w, const struct rundoc *doc, struct notify_event *event)
{
	struct uuid id = doc->id;

	uuid_format(&id, event->run);
	snprintf(event->name, sizeof(event->name), "%s", doc->name);
	snprintf(
		event->host, sizeof(event->host), "%s", doc->host[0] != '\0' ? doc->host : w->host);
	if (doc->number > 0)
		snprintf(event->link, sizeof(event->link), "%s/runs/%" PRId64, w->origin,
			doc->number);
	else
		snprintf(event->link, sizeof(event->link), "%s/runs/%s", w->origin, event->run);
}

void notify_text_run(const struct notify_words *w, const struct rundoc *doc, const char *line,
	struct notify_event *event)
{
	bool failed = event->on == NOTIFY_RUN_FAILED;

	fill_run(w, doc, event);
	event->time_us = doc->finished_us > 0 ? (uint64_t)doc->finished_us : clock_wall_us();
	TITLE(event,
		failed ? SAY(w, "%s failed on %s", "%s is mislukt op %s")
		       : SAY(w, "%s works again on %s", "%s werkt weer op %s"),
		name_of(doc), event->host);
	if (doc->number > 0)
		TEXT(event, "#%" PRId64 " ", doc->number);
	TEXT(event, "%s: ", doc->name);
	put_status(w, doc, event);
	if (doc->started_us > 0 && doc->finished_us > doc->started_us) {
		TEXT(event, "%s", SAY(w, ", after ", ", na "));
		put_duration(event, w, (uint64_t)(doc->finished_us - doc->started_us));
	}
	TEXT(event, "\n%s ", SAY(w, "Started by", "Gestart door"));
	TEXT(event, "%s\n", doc->actor);
	if (line[0] != '\0')
		TEXT(event, "%s %.*s\n", SAY(w, "Last line:", "Laatste regel:"), NOTIFY_LINE_BYTES,
			line);
}

void notify_text_approval(const struct notify_words *w, const struct rundoc *doc,
	const json_t *step, struct notify_event *event)
{
	const json_t *approve = json_object_get(step, "approve");
	const char *prompt = text_of(approve, "prompt");

	fill_run(w, doc, event);
	event->time_us = clock_wall_us();
	TITLE(event, SAY(w, "%s waits for an answer on %s", "%s wacht op antwoord op %s"),
		name_of(doc), event->host);
	TEXT(event, "%s\n", prompt[0] != '\0' ? prompt : text_of(step, "id"));
	TEXT(event, "#%" PRId64 " %s, %s %s\n", doc->number > 0 ? doc->number : 0, doc->name,
		SAY(w, "step", "stap"), text_of(step, "id"));
}

/* ---- the machine ---- */

void notify_text_item(const struct notify_words *w, const json_t *item, struct notify_event *event)
{
	const char *message = text_of(item, "message"), *title = text_of(item, "title");
	json_int_t since = json_integer_value(json_object_get(item, "since_us"));

	snprintf(event->host, sizeof(event->host), "%s", w->host);
	snprintf(event->link, sizeof(event->link), "%s/", w->origin);
	event->time_us = since > 0 ? (uint64_t)since : clock_wall_us();
	if (title[0] == '\0')
		title = event->name;
	switch (event->on) {
	case NOTIFY_STATUS_OK:
		TITLE(event, SAY(w, "%s is well again on %s", "%s is weer in orde op %s"), title,
			w->host);
		break;
	case NOTIFY_STATUS_UNKNOWN:
		TITLE(event, SAY(w, "%s is unknown on %s", "%s is onbekend op %s"), title, w->host);
		break;
	case NOTIFY_STATUS_WARN:
		TITLE(event, SAY(w, "%s needs attention on %s", "%s vraagt aandacht op %s"), title,
			w->host);
		break;
	default:
		TITLE(event, SAY(w, "%s is bad on %s", "%s is niet in orde op %s"), title, w->host);
	}
	if (message[0] != '\0')
		TEXT(event, "%.*s\n", NOTIFY_LINE_BYTES, message);
	TEXT(event, "%s/%s %s ", event->section, event->name, SAY(w, "since", "sinds"));
	put_time(event, event->time_us);
	TEXT(event, "\n");
}

void notify_text_agent(const struct notify_words *w, const char *reason, uint64_t since_us,
	struct notify_event *event)
{
	bool lost = event->on == NOTIFY_AGENT_LOST;
	const char *host = w->host[0] != '\0' ? w->host : SAY(w, "the server", "de server");

	snprintf(event->host, sizeof(event->host), "%s", w->host);
	snprintf(event->link, sizeof(event->link), "%s/", w->origin);
	event->time_us = clock_wall_us();
	TITLE(event,
		lost ? SAY(w, "The agent of %s is away", "De agent van %s is weg")
		     : SAY(w, "The agent of %s is back", "De agent van %s is terug"),
		host);
	TEXT(event, "%s ",
		lost ? SAY(w, "Since", "Sinds") : SAY(w, "It was away since", "Weg sinds"));
	put_time(event, since_us);
	TEXT(event, "\n");
	if (lost && reason[0] != '\0')
		TEXT(event, "%s\n", reason);
	if (lost)
		TEXT(event, "%s\n",
			SAY(w, "Runs go on; nothing can be started or cancelled from the page.",
				"Wat loopt gaat door; vanaf de pagina kan niets worden gestart of "
				"gestopt."));
}

/* ---- the rest ---- */

void notify_text_test(const struct notify_words *w, const char *target, struct notify_event *event)
{
	event->on = NOTIFY_TEST;
	event->time_us = clock_wall_us();
	snprintf(event->host, sizeof(event->host), "%s", w->host);
	snprintf(event->link, sizeof(event->link), "%s/settings", w->origin);
	TITLE(event, "%s", SAY(w, "Test of Ops Dashboard", "Test van Ops Dashboard"));
	TEXT(event, SAY(w, "Notifications reach the target %s.\n", "Meldingen komen aan bij %s.\n"),
		target);
}

static bool are_of_one_host(const struct notify_event *const *events, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		if (strcmp(events[i]->host, events[0]->host) != 0)
			return false;
	}
	return true;
}

void notify_text_digest(const struct notify_words *w, const struct notify_event *const *events,
	size_t n, uint64_t more, struct notify_event *event)
{
	const struct notify_event *last = events[n - 1];
	size_t first = n > NOTIFY_DIGEST_TITLES ? n - NOTIFY_DIGEST_TITLES : 0;
	uint64_t all = n + more, unsaid = all;
	size_t room;

	memset(event, 0, sizeof(*event));
	event->on = last->on;
	for (size_t i = 0; i < n; i++) { /* the gravest gives the message its weight */
		if (events[i]->on == NOTIFY_RUN_FAILED || events[i]->on == NOTIFY_AGENT_LOST ||
			events[i]->on == NOTIFY_STATUS_BAD)
			event->on = events[i]->on;
	}
	event->time_us = last->time_us;
	snprintf(event->host, sizeof(event->host), "%s", last->host);
	snprintf(event->link, sizeof(event->link), "%s/%s", w->origin,
		last->run[0] != '\0' ? "history" : "");
	TITLE(event, SAY(w, "%" PRIu64 " events on %s", "%" PRIu64 " gebeurtenissen op %s"), all,
		are_of_one_host(events, n) ? last->host
					   : SAY(w, "several hosts", "verschillende hosts"));
	for (size_t i = n; i > first; i--) {
		room = sizeof(event->text) - strlen(event->text);
		if (room < NOTIFY_TITLE_BYTES + 64)
			break;
		TEXT(event, "- %s\n", events[i - 1]->title);
		unsaid--;
	}
	if (unsaid > 0)
		TEXT(event, SAY(w, "and %" PRIu64 " more\n", "en nog %" PRIu64 "\n"), unsaid);
}
