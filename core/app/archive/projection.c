#include "core/app/archive/projection.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/hex.h"
#include "core/base/json.h"
#include "proto/record.h"

void projection_init(struct projection *p)
{
	*p = (struct projection){
		.exit_code = PROJECTION_NONE,
		.signal = PROJECTION_NONE,
		.started_us = PROJECTION_NONE,
		.finished_us = PROJECTION_NONE,
	};
	crypto_sha256_init(&p->headers);
}

void projection_fini(struct projection *p)
{
	for (size_t i = 0; i < p->n_steps; i++) {
		free(p->steps[i].id);
		free(p->steps[i].uses);
		free(p->steps[i].title);
		free(p->steps[i].phase);
	}
	free(p->steps);
	p->steps = NULL;
	p->n_steps = 0;
}

static void copy_name(char out[PROJECTION_MAX_NAME], const json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));
	snprintf(out, PROJECTION_MAX_NAME, "%s", text != NULL ? text : "");
}

static int64_t number_of(const json_t *event, const char *key)
{
	const json_t *value = json_object_get(event, key);
	return json_is_integer(value) ? json_integer_value(value) : PROJECTION_NONE;
}

static uint64_t count_of(const json_t *event, const char *key)
{
	int64_t n = number_of(event, key);
	return n > 0 ? (uint64_t)n : 0;
}

/* Step number i, made when it was not named before; NULL when there are too many. */
static struct projection_step *step_at(struct projection *p, size_t i)
{
	if (i >= PROJECTION_MAX_STEPS)
		return NULL;
	if (p->steps == NULL)
		p->steps = xcalloc(PROJECTION_MAX_STEPS, sizeof(*p->steps));
	while (p->n_steps <= i) {
		p->steps[p->n_steps++] = (struct projection_step){
			.status = "pending",
			.attempt = 0,
			.exit_code = PROJECTION_NONE,
			.signal = PROJECTION_NONE,
			.started_us = PROJECTION_NONE,
			.finished_us = PROJECTION_NONE,
			.offset = PROJECTION_NONE,
			.changed = true,
		};
	}
	return &p->steps[i];
}

static void keep_text(char **text, const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));
	if (value != NULL && *text == NULL)
		*text = xstrdup(value);
}

static void on_created(struct projection *p, const json_t *event)
{
	size_t i;
	json_t *one;
	json_array_foreach(json_object_get(event, "steps"), i, one)
	{
		struct projection_step *step = step_at(p, i);
		if (step == NULL)
			return;
		keep_text(&step->id, one, "id");
		keep_text(&step->uses, one, "uses");
		keep_text(&step->title, one, "title");
		keep_text(&step->phase, one, "phase");
	}
}

static void on_step_started(struct projection *p, struct projection_step *step,
	const struct record *rec, const json_t *event)
{
	step->attempt = (int64_t)count_of(event, "attempt");
	step->exit_code = step->signal = step->finished_us = PROJECTION_NONE;
	step->reason[0] = '\0';
	snprintf(step->status, sizeof(step->status), "running");
	if (step->started_us == PROJECTION_NONE) {
		step->started_us = (int64_t)rec->time_us;
		step->offset = (int64_t)p->offset;
	}
	if (p->started_us == PROJECTION_NONE)
		p->started_us = (int64_t)rec->time_us;
}

static void on_step_finished(
	struct projection_step *step, const struct record *rec, const json_t *event)
{
	copy_name(step->status, event, "status");
	copy_name(step->reason, event, "reason");
	step->attempt = (int64_t)count_of(event, "attempt");
	step->exit_code = number_of(event, "exit_code");
	step->signal = number_of(event, "signal");
	step->finished_us = (int64_t)rec->time_us;
}

static void on_step_event(
	struct projection *p, const struct record *rec, const char *name, const json_t *event)
{
	struct projection_step *step = step_at(p, rec->step);
	if (step == NULL)
		return;
	keep_text(&step->id, event, "step_id");
	if (strcmp(name, "step.started") == 0)
		on_step_started(p, step, rec, event);
	else if (strcmp(name, "step.finished") == 0)
		on_step_finished(step, rec, event);
	else if (strcmp(name, "step.retrying") == 0)
		snprintf(step->status, sizeof(step->status), "retrying");
	else if (strcmp(name, "step.waiting") == 0)
		snprintf(step->status, sizeof(step->status), "waiting");
	else
		return;
	step->changed = true;
}

static void on_finished(struct projection *p, const struct record *rec, const json_t *event)
{
	const char *hex = json_string_value(json_object_get(event, "digest"));
	uint8_t claimed[CRYPTO_SHA256_BYTES];
	struct crypto_sha256 headers = p->headers;

	p->finished = true;
	crypto_sha256_final(&headers, p->digest);
	p->digest_matches = hex != NULL &&
			    hex_decode(hex, strlen(hex), claimed, sizeof(claimed)) == 0 &&
			    memcmp(claimed, p->digest, sizeof(claimed)) == 0;
	copy_name(p->status, event, "status");
	copy_name(p->reason, event, "reason");
	p->exit_code = number_of(event, "exit_code");
	p->signal = number_of(event, "signal");
	p->bytes = count_of(event, "bytes");
	p->lines = count_of(event, "lines");
	p->truncated = json_is_true(json_object_get(event, "truncated"));
	p->finished_us = (int64_t)rec->time_us;
}

static void feed_event(struct projection *p, const struct record *rec)
{
	json_t *event =
		json_loadb((const char *)rec->payload, rec->length, JSON_REJECT_DUPLICATES, NULL);
	const char *name = json_string_value(json_object_get(event, "event"));

	if (name == NULL) {
		json_decref(event);
		return;
	}
	if (rec->step != RECORD_STEP_RUN)
		on_step_event(p, rec, name, event);
	else if (strcmp(name, "run.created") == 0)
		on_created(p, event);
	else if (strcmp(name, "run.finished") == 0)
		on_finished(p, rec, event);
	json_decref(event);
}

int projection_feed(struct projection *p, const uint8_t *data, size_t n)
{
	struct record rec;
	int size = p->finished ? -EBADMSG : record_decode(data, n, &rec);

	if (size < 0)
		return size;
	if (rec.kind == RECORD_EVENT)
		feed_event(p, &rec);
	crypto_sha256_update(&p->headers, data, RECORD_HEADER_BYTES);
	p->offset += (uint64_t)size;
	p->records++;
	return size;
}

static void put_number(struct json *json, const char *key, int64_t n)
{
	if (n == PROJECTION_NONE)
		json_kv_null(json, key);
	else
		json_kv_int(json, key, n);
}

static void put_text(struct json *json, const char *key, const char *text, const char *fallback)
{
	json_kv_str(json, key, text != NULL && text[0] != '\0' ? text : fallback);
}

static void put_step(struct json *json, size_t i, const struct projection_step *step)
{
	json_open_object(json);
	json_kv_uint(json, "step", i);
	put_text(json, "step_id", step->id, "");
	put_text(json, "uses", step->uses, "");
	put_text(json, "title", step->title, "");
	put_text(json, "phase", step->phase, "main");
	put_text(json, "status", step->status, "pending");
	put_text(json, "reason", step->reason, NULL);
	put_number(json, "attempt", step->attempt);
	put_number(json, "exit_code", step->exit_code);
	put_number(json, "signal", step->signal);
	put_number(json, "started_us", step->started_us);
	put_number(json, "finished_us", step->finished_us);
	put_number(json, "start_offset", step->offset);
	json_close_object(json);
}

bool projection_take_changed(struct projection *p, struct buf *buf)
{
	struct json json;
	bool any = false;

	for (size_t i = 0; i < p->n_steps; i++)
		any |= p->steps[i].changed;
	if (!any)
		return false;
	json_init(&json, buf);
	json_open_array(&json);
	for (size_t i = 0; i < p->n_steps; i++) {
		if (p->steps[i].changed)
			put_step(&json, i, &p->steps[i]);
		p->steps[i].changed = false;
	}
	json_close_array(&json);
	return true;
}
