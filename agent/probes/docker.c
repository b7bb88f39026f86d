/*
 * The look at Docker: the list, then each container in full and what it uses, several at a time,
 * and the digest of images that an earlier look did not see. The engine away: what was known is
 * unknown, with the reason. One container for which the engine gives no answer is unknown alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/probes/container.h"
#include "agent/probes/engine.h"
#include "agent/probes/probe.h"
#include "core/base/clock.h"

#define MAX_CONTAINERS 256
#define KNOW_US 6000000	   /* for the list and all in full */
#define MEASURE_US 1000000 /* for what they use: no reason to hold back how they are */
#define SPARE_US 1000000   /* before the look's deadline */

struct look {
	uint8_t api;
	uint64_t until_us;
	struct container *list;
	size_t n, total;
	struct container_before *before; /* of the look before */
	size_t n_before;
};

/* ---- the look before ---- */

static void read_before(const struct probe *probe, struct look *look)
{
	struct finding *found = xcalloc(1, sizeof(*found));
	size_t at = 0;

	look->before = xcalloc(MAX_CONTAINERS, sizeof(*look->before));
	while (look->n_before < MAX_CONTAINERS &&
		report_next(probe->last.data, probe->last.len, &at, found) > 0) {
		if (container_read_before(found->values.data, found->values.len,
			    &look->before[look->n_before]) == 0)
			look->n_before++;
		buf_fini(&found->values);
	}
	free(found);
}

static const struct container_before *before_of(const struct look *look, const struct container *c)
{
	for (size_t i = 0; i < look->n_before; i++) {
		if (strncmp(look->before[i].id, c->id, CONTAINER_SHORT_ID) == 0)
			return &look->before[i];
	}
	return NULL;
}

/* All that was known is still shown, with why it is not known any more. */
static void report_away(const struct probe *probe, const char *why, struct report *report)
{
	struct finding *found = xcalloc(1, sizeof(*found));
	size_t at = 0, n = 0;

	while (report_next(probe->last.data, probe->last.len, &at, found) > 0) {
		struct finding *again;

		/* what was known is only that nothing is */
		if (n == 0 && at == probe->last.len && strcmp(found->id, probe->id) == 0 &&
			found->values.len <= 2) {
			buf_fini(&found->values);
			break;
		}
		again = report_begin(report, found->id, found->title);

		/* between its braces */
		if (found->values.len > 2)
			json_raw(&again->json, (const char *)found->values.data + 1,
				found->values.len - 2);
		finding_raise(again, LEVEL_UNKNOWN, NULL, "%s", why);
		report_end(report);
		buf_fini(&found->values);
		n++;
	}
	if (n == 0) {
		finding_raise(report_begin(report, probe->id, probe->title), LEVEL_UNKNOWN,
			"docker_away", "%s (without Docker here, take 'docker' out of status.yml)",
			why);
		report_end(report);
	}
	free(found);
}

/* ---- asking ---- */

static int read_list(struct look *look, struct err *err)
{
	struct engine_question q;
	int rc;

	for (look->api = 0;; look->api++) {
		q = (struct engine_question){
			.ask = {.endpoint = RELAY_CONTAINERS, .api = look->api}};
		engine_ask(ENGINE_RELAY_FD, &q, 1, look->until_us);
		/* 400: this version of the API is too new for it, or too old */
		if (q.status != 400 || look->api + 1 == RELAY_APIS)
			break;
		engine_questions_fini(&q, 1);
	}
	rc = q.err.code;
	if (rc == 0)
		rc = container_read_list(
			q.body.data, q.body.len, look->list, MAX_CONTAINERS, &look->total, err);
	else
		*err = q.err;
	look->n = MIN(look->total, (size_t)MAX_CONTAINERS);
	engine_questions_fini(&q, 1);
	return rc;
}

static bool is_running(const struct container *c)
{
	return strcmp(c->state, "running") == 0;
}

/* One question for each container, in the order of the list; stats of running ones only. */
static struct engine_question *ask_each(
	const struct look *look, enum relay_endpoint endpoint, uint64_t until_us)
{
	struct engine_question *list = xcalloc(look->n + 1, sizeof(*list));

	for (size_t i = 0; i < look->n; i++) {
		struct relay_ask *ask = &list[i].ask;

		if (endpoint == RELAY_STATS && !is_running(&look->list[i]))
			continue;
		*ask = (struct relay_ask){.endpoint = (uint8_t)endpoint, .api = look->api};
		snprintf(ask->id, sizeof(ask->id), "%s", look->list[i].id);
	}
	engine_ask(ENGINE_RELAY_FD, list, look->n, until_us);
	return list;
}

static void measure(struct look *look)
{
	uint64_t until_us = MIN(look->until_us, clock_mono_us() + MEASURE_US);
	struct engine_question *stats = ask_each(look, RELAY_STATS, until_us);

	for (size_t i = 0; i < look->n; i++) {
		/* what a container uses is no reason to call it unknown */
		if (stats[i].err.code == 0)
			container_read_stats(stats[i].body.data, stats[i].body.len, &look->list[i]);
	}
	engine_questions_fini(stats, look->n);
	free(stats);
}

/* Of a container whose image nobody has asked for yet. */
static void read_digest(const struct look *look, struct container *c)
{
	const struct container_before *before = before_of(look, c);
	struct engine_question q = {.ask = {.endpoint = RELAY_IMAGE, .api = look->api}};

	if (before != NULL && before->digest[0] != '\0') {
		snprintf(c->digest, sizeof(c->digest), "%s", before->digest);
		return;
	}
	if (c->image_id[0] == '\0')
		return;
	snprintf(q.ask.id, sizeof(q.ask.id), "%s", c->image_id);
	engine_ask(ENGINE_RELAY_FD, &q, 1, look->until_us);
	if (q.err.code == 0)
		container_read_image(q.body.data, q.body.len, c);
	engine_questions_fini(&q, 1);
}

static void look_at_all(struct look *look, struct report *report)
{
	uint64_t wall = clock_wall_us();
	struct engine_question *details =
		ask_each(look, RELAY_CONTAINER, clock_mono_us() + KNOW_US);

	for (size_t i = 0; i < look->n; i++) {
		if (details[i].err.code == 0 &&
			container_read_details(details[i].body.data, details[i].body.len,
				&look->list[i], &details[i].err) == 0)
			read_digest(look, &look->list[i]);
	}
	measure(look);
	for (size_t i = 0; i < look->n; i++) {
		const struct container *c = &look->list[i];

		if (details[i].status != 404) /* gone since the list was made */
			container_report(c, before_of(look, c),
				details[i].err.code != 0 ? details[i].err.msg : NULL, wall, report);
	}
	engine_questions_fini(details, look->n);
	free(details);
}

void docker_run(const struct probe *probe, struct report *report)
{
	struct look look = {.until_us = clock_mono_us() + probe->deadline_us - SPARE_US};
	struct err err = {0};

	look.list = xcalloc(MAX_CONTAINERS, sizeof(*look.list));
	read_before(probe, &look);
	if (read_list(&look, &err) != 0) {
		report_away(probe, err.msg, report);
	} else {
		look_at_all(&look, report);
		if (look.total > look.n) {
			finding_raise(report_begin(report, probe->id, probe->title), LEVEL_WARN,
				"containers_hidden", "%zu more containers are not shown",
				look.total - look.n);
			report_end(report);
		}
	}
	free(look.before);
	free(look.list);
}
