#include "agent/worker/document.h"

#include <errno.h>

#include "agent/run/meta.h"

static const char *const phase_names[] = {"main", "on_failure", "finally"};

static void kv_time(struct json *json, const char *key, uint64_t us)
{
	if (us != 0)
		json_kv_uint(json, key, us);
	else
		json_kv_null(json, key);
}

static void kv_ending(struct json *json, uint8_t reason, int exit_code, int signal)
{
	json_kv_str(json, "reason", run_reason_name((enum run_reason)reason));
	if (exit_code >= 0)
		json_kv_int(json, "exit_code", exit_code);
	else
		json_kv_null(json, "exit_code");
	if (signal != 0)
		json_kv_int(json, "signal", signal);
	else
		json_kv_null(json, "signal");
}

/* Of each name the last item counts: a later attempt set it again. */
static void write_outputs(struct json *json, const struct outputs *outputs, uint16_t step)
{
	json_key(json, "outputs");
	json_open_object(json);
	for (size_t i = 0; i < outputs->n; i++) {
		const struct output *output = &outputs->items[i];

		if (output->step == step &&
			outputs_get(outputs, step, output->name) == output->value)
			json_kv_str(json, output->name, output->value);
	}
	json_close_object(json);
}

static void write_step(struct json *json, const struct plan_step *step,
	const struct step_state *state, uint16_t index, const struct outputs *outputs)
{
	json_open_object(json);
	json_kv_uint(json, "index", index);
	json_kv_str(json, "id", step->id);
	json_kv_str(json, "uses", step->uses);
	json_kv_str(json, "title", step->title);
	json_kv_str(json, "phase", phase_names[step->phase]);
	json_key(json, "needs");
	json_open_array(json);
	for (size_t i = 0; i < step->n_needs; i++)
		json_uint(json, step->needs[i]);
	json_close_array(json);
	json_kv_str(json, "status", step_status_name((enum step_status)state->status));
	json_kv_uint(json, "attempt", state->attempt);
	kv_ending(json, state->reason, state->exit_code, state->signal);
	kv_time(json, "started_us", state->started_us);
	kv_time(json, "finished_us", state->finished_us);
	if (state->offset != UINT64_MAX)
		json_kv_uint(json, "offset", state->offset);
	else
		json_kv_null(json, "offset");
	write_outputs(json, outputs, index);
	plan_approve_write_json(&step->approve, json);
	json_close_object(json);
}

static void write_inputs(struct json *json, const struct plan *meta)
{
	json_key(json, "inputs");
	json_open_object(json);
	for (size_t i = 0; i < meta->n_inputs; i++)
		json_kv_str(json, meta->inputs[i].name, meta->inputs[i].value);
	json_close_object(json);
}

void document_write(struct json *json, const struct plan *meta, const struct run_state *state,
	const struct outputs *outputs)
{
	static const struct step_state pending = {.exit_code = -1, .offset = UINT64_MAX};
	char id[UUID_TEXT_BYTES];

	uuid_format(&meta->id, id);
	json_open_object(json);
	json_kv_str(json, "id", id);
	json_kv_uint(json, "number", meta->number);
	json_kv_str(json, "host", meta->host);
	json_kv_str(json, "kind", meta->is_flow ? "flow" : "command");
	json_kv_str(json, "name", meta->name);
	json_kv_str(json, "title", meta->title);
	json_kv_str(json, "status", run_status_name((enum run_status)state->status));
	kv_ending(json, state->reason, state->exit_code, state->signal);
	write_inputs(json, meta);
	json_kv_str(json, "actor", meta->actor);
	json_kv_str(json, "trigger", meta->trigger);
	json_kv_str(json, "config_digest", meta->config_digest);
	json_kv_uint(json, "created_us", meta->created_us);
	kv_time(json, "started_us", state->started_us);
	kv_time(json, "finished_us", state->finished_us);
	json_kv_uint(json, "bytes", state->bytes);
	json_kv_uint(json, "lines", state->lines);
	json_kv_uint(json, "size", state->size);
	json_kv_uint(json, "durable_offset", state->durable_offset);
	json_kv_bool(json, "truncated", state->truncated);
	json_key(json, "steps");
	json_open_array(json);
	for (uint16_t i = 0; i < meta->n_steps; i++)
		write_step(json, &meta->steps[i], i < state->n_steps ? &state->steps[i] : &pending,
			i, outputs);
	json_close_array(json);
	json_close_object(json);
}

int document_compose(int run_dir_fd, struct json *json, struct err *err)
{
	struct run_state state;
	struct outputs outputs;
	struct plan *meta = meta_read(run_dir_fd, err);
	int rc;

	if (meta == NULL)
		return err != NULL && err->code != 0 ? err->code : -EBADMSG;
	outputs_init(&outputs);
	rc = state_read(run_dir_fd, &state);
	if (rc != 0)
		err_set_errno(err, rc, "cannot read the run's state");
	else
		rc = outputs_read(run_dir_fd, &outputs, err);
	if (rc == 0)
		document_write(json, meta, &state, &outputs);
	outputs_fini(&outputs);
	meta_free(meta);
	return rc;
}
