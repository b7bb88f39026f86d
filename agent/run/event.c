#include "agent/run/event.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"

#define ABRIDGED_VALUE_BYTES 128 /* of an input's value when the whole does not fit */

static const char *const phase_names[] = {
	[PLAN_MAIN] = "main",
	[PLAN_ON_FAILURE] = "on_failure",
	[PLAN_FINALLY] = "finally",
};

static void open_event(struct json *json, struct buf *buf, const char *event)
{
	json_init(json, buf);
	json_open_object(json);
	json_kv_str(json, "event", event);
}

static void put_step(struct json *json, const struct event_step *step)
{
	json_kv_str(json, "step_id", step->step_id);
	json_kv_uint(json, "attempt", step->attempt);
}

static void put_exit(struct json *json, int exit_code, int signal)
{
	json_key(json, "exit_code");
	if (exit_code >= 0)
		json_int(json, exit_code);
	else
		json_nil(json);
	json_key(json, "signal");
	if (signal > 0)
		json_int(json, signal);
	else
		json_nil(json);
}

/* ---- run.created ---- */

/* How much of run.created is left out for it to fit a record, one more thing each. */
enum abridge {
	ABRIDGE_NOTHING,
	ABRIDGE_ARGV,
	ABRIDGE_INPUTS,
	ABRIDGE_STEPS,
};

static void put_argv(struct json *json, const struct plan *plan, const struct plan_step *step)
{
	struct buf text;

	json_open_array(json);
	for (size_t i = 0; i < step->n_argv; i++) {
		buf_init(&text, PLAN_MAX_BYTES);
		plan_text_show(plan, step, &step->argv[i], &text);
		if (buf_err(&text) == 0)
			json_strn(json, text.data, text.len);
		else
			json_nil(json);
		buf_fini(&text);
	}
	json_close_array(json);
}

static void put_created_step(
	struct json *json, const struct plan *plan, size_t index, enum abridge abridge)
{
	const struct plan_step *step = &plan->steps[index];

	json_open_object(json);
	json_kv_uint(json, "index", index);
	json_kv_str(json, "id", step->id);
	json_kv_str(json, "uses", step->uses);
	json_kv_str(json, "title", abridge < ABRIDGE_STEPS ? step->title : NULL);
	json_kv_str(json, "phase", phase_names[step->phase]);
	json_key(json, "needs");
	json_open_array(json);
	for (size_t i = 0; i < step->n_needs && abridge < ABRIDGE_STEPS; i++)
		json_str(json, plan->steps[step->needs[i]].id);
	json_close_array(json);
	json_key(json, "argv");
	if (step->n_argv != 0 && abridge < ABRIDGE_ARGV)
		put_argv(json, plan, step);
	else
		json_nil(json);
	json_kv_str(json, "user", abridge < ABRIDGE_STEPS ? step->user : NULL);
	json_kv_str(json, "cwd", abridge < ABRIDGE_STEPS ? step->cwd : NULL);
	json_close_object(json);
}

static void put_created_inputs(struct json *json, const struct plan *plan, enum abridge abridge)
{
	json_key(json, "inputs");
	json_open_object(json);
	for (size_t i = 0; i < plan->n_inputs; i++) {
		const struct plan_run_input *input = &plan->inputs[i];
		const char *value = input->secret ? "***" : input->value;
		size_t n = strlen(value);

		json_key(json, input->name);
		if (abridge >= ABRIDGE_INPUTS && n > ABRIDGED_VALUE_BYTES)
			n = ABRIDGED_VALUE_BYTES;
		json_strn(json, value, n);
	}
	json_close_object(json);
}

static void put_created(struct buf *buf, const struct plan *plan, enum abridge abridge)
{
	char id[UUID_TEXT_BYTES];
	struct json json;

	uuid_format(&plan->id, id);
	open_event(&json, buf, "run.created");
	json_kv_str(&json, "id", id);
	json_kv_uint(&json, "number", plan->number);
	json_kv_str(&json, "host", plan->host);
	json_kv_str(&json, "kind", plan->is_flow ? "flow" : "command");
	json_kv_str(&json, "name", plan->name);
	json_kv_str(&json, "title", plan->title);
	put_created_inputs(&json, plan, abridge);
	json_kv_str(&json, "actor", plan->actor);
	json_kv_str(&json, "trigger", plan->trigger);
	json_kv_str(&json, "config_digest", plan->config_digest);
	json_kv_uint(&json, "created_us", plan->created_us);
	json_kv_uint(&json, "timeout_us", plan->timeout_us);
	json_kv_uint(&json, "max_output", plan->max_output);
	json_key(&json, "steps");
	json_open_array(&json);
	for (size_t i = 0; i < plan->n_steps; i++)
		put_created_step(&json, plan, i, abridge);
	json_close_array(&json);
	json_kv_bool(&json, "abridged", abridge != ABRIDGE_NOTHING);
	json_close_object(&json);
}

void event_run_created(struct buf *buf, const struct plan *plan)
{
	size_t start = buf->len;

	for (enum abridge abridge = ABRIDGE_NOTHING; abridge <= ABRIDGE_STEPS; abridge++) {
		buf->len = start;
		buf->err = 0;
		put_created(buf, plan, abridge);
		if (buf_err(buf) != -EMSGSIZE)
			return;
	}
}

/* ---- the others ---- */

void event_step_started(struct buf *buf, const struct event_step *step,
	const struct plan_step *plan, const char *const *argv, size_t n_argv)
{
	size_t start = buf->len;
	struct json json;

	for (int with_argv = argv != NULL; with_argv >= 0; with_argv--) {
		buf->len = start;
		buf->err = 0;
		open_event(&json, buf, "step.started");
		put_step(&json, step);
		json_key(&json, "argv");
		if (with_argv != 0) {
			json_open_array(&json);
			for (size_t i = 0; i < n_argv; i++)
				json_str(&json, argv[i]);
			json_close_array(&json);
		} else {
			json_nil(&json);
		}
		json_kv_str(&json, "user", plan->user);
		json_kv_str(&json, "cwd", plan->cwd);
		json_close_object(&json);
		if (buf_err(buf) != -EMSGSIZE)
			return;
	}
}

static void put_outputs(struct json *json, const struct event_step_finished *ev)
{
	json_open_object(json);
	for (size_t i = 0; ev->outputs != NULL && i < ev->outputs->n; i++) {
		const struct output *item = &ev->outputs->items[i];

		if (item->step != ev->step_index || item->attempt != ev->step.attempt)
			continue;
		json_kv_str(json, item->name, item->value);
	}
	json_close_object(json);
}

void event_step_finished(struct buf *buf, const struct event_step_finished *ev)
{
	size_t start = buf->len;
	struct json json;

	for (int with_outputs = 1; with_outputs >= 0; with_outputs--) {
		buf->len = start;
		buf->err = 0;
		open_event(&json, buf, "step.finished");
		put_step(&json, &ev->step);
		json_kv_str(&json, "status", step_status_name(ev->status));
		json_kv_str(&json, "reason", run_reason_name(ev->reason));
		put_exit(&json, ev->exit_code, ev->signal);
		json_kv_str(&json, "message", ev->message);
		json_key(&json, "outputs");
		if (with_outputs != 0)
			put_outputs(&json, ev);
		else
			json_nil(&json);
		json_kv_bool(&json, "outputs_omitted", with_outputs == 0);
		json_close_object(&json);
		if (buf_err(buf) != -EMSGSIZE)
			return;
	}
}

void event_step_retrying(
	struct buf *buf, const struct event_step *step, uint64_t delay_us, enum run_reason reason)
{
	struct json json;

	open_event(&json, buf, "step.retrying");
	put_step(&json, step);
	json_kv_uint(&json, "delay_us", delay_us);
	json_kv_str(&json, "reason", run_reason_name(reason));
	json_close_object(&json);
}

void event_step_waiting(struct buf *buf, const char *step_id, const struct plan_approve *approve)
{
	struct json json;

	open_event(&json, buf, "step.waiting");
	json_kv_str(&json, "step_id", step_id);
	json_kv_str(&json, "prompt", approve->prompt);
	if (approve->timeout_us != 0)
		json_kv_uint(&json, "timeout_us", approve->timeout_us);
	else
		json_kv_null(&json, "timeout_us");
	json_kv_str(&json, "on_timeout", approve->on_timeout ? "approve" : "reject");
	json_close_object(&json);
}

void event_step_approved(
	struct buf *buf, const char *step_id, bool approve, const char *actor, const char *comment)
{
	struct json json;

	open_event(&json, buf, "step.approved");
	json_kv_str(&json, "step_id", step_id);
	json_kv_bool(&json, "approve", approve);
	json_kv_str(&json, "actor", actor);
	json_kv_str(&json, "comment", comment);
	json_close_object(&json);
}

void event_cancel_requested(struct buf *buf, const char *actor, const char *reason, bool kill)
{
	struct json json;

	open_event(&json, buf, "run.cancel_requested");
	json_kv_str(&json, "actor", actor);
	json_kv_str(&json, "reason", reason);
	json_kv_bool(&json, "kill", kill);
	json_close_object(&json);
}

void event_step_timed_out(struct buf *buf, const struct event_step *step, uint64_t timeout_us)
{
	struct json json;

	open_event(&json, buf, "step.timed_out");
	put_step(&json, step);
	json_kv_uint(&json, "timeout_us", timeout_us);
	json_close_object(&json);
}

void event_run_timed_out(struct buf *buf, uint64_t timeout_us)
{
	struct json json;

	open_event(&json, buf, "run.timed_out");
	json_kv_uint(&json, "timeout_us", timeout_us);
	json_close_object(&json);
}

void event_children_killed(struct buf *buf, const struct event_killed *ev)
{
	struct json json;

	open_event(&json, buf, "children.killed");
	put_step(&json, &ev->step);
	json_kv_uint(&json, "count", ev->count);
	json_key(&json, "names");
	json_open_array(&json);
	for (size_t i = 0; i < ev->n_names && i < EVENT_MAX_NAMES; i++)
		json_str(&json, ev->names[i]);
	json_close_array(&json);
	json_kv_uint(&json, "left", ev->left);
	json_close_object(&json);
}

void event_output_truncated(
	struct buf *buf, const struct event_step *step, uint64_t bytes, const char *reason)
{
	struct json json;

	open_event(&json, buf, "output.truncated");
	put_step(&json, step);
	json_kv_uint(&json, "bytes", bytes);
	json_kv_str(&json, "reason", reason);
	json_close_object(&json);
}

void event_disk_full(struct buf *buf, const char *message)
{
	struct json json;

	open_event(&json, buf, "run.disk_full");
	json_kv_str(&json, "message", message);
	json_close_object(&json);
}

void event_disk_ok(struct buf *buf)
{
	struct json json;

	open_event(&json, buf, "run.disk_ok");
	json_close_object(&json);
}
