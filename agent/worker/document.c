#include "agent/worker/document.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/run/meta.h"
#include "agent/run/rundir.h"
#include "core/base/utf8.h"

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

static void write_cancel(struct json *json, const struct document_cancel *cancel)
{
	if (!cancel->asked) {
		json_kv_null(json, "cancel");
		return;
	}
	json_key(json, "cancel");
	json_open_object(json);
	json_kv_str(json, "actor", cancel->actor);
	kv_time(json, "time_us", cancel->time_us);
	json_kv_bool(json, "kill", cancel->kill);
	json_close_object(json);
}

void document_write(struct json *json, const struct plan *meta, const struct run_state *state,
	const struct outputs *outputs, const struct document_cancel *cancel)
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
	write_cancel(json, cancel);
	json_key(json, "steps");
	json_open_array(json);
	for (uint16_t i = 0; i < meta->n_steps; i++)
		write_step(json, &meta->steps[i], i < state->n_steps ? &state->steps[i] : &pending,
			i, outputs);
	json_close_array(json);
	json_close_object(json);
}

/* What the monitor wrote into control/ (agent/monitor/requests.c): the actor is its first line. */
static bool read_order(int run_dir_fd, const char *name, struct document_cancel *cancel)
{
	int fd = openat(run_dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	char text[DOCUMENT_ACTOR_BYTES];
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (utf8_is_valid(text, strlen(text)))
		snprintf(cancel->actor, sizeof(cancel->actor), "%s", text);
	if (fstat(fd, &st) == 0)
		cancel->time_us =
			(uint64_t)st.st_mtim.tv_sec * 1000000 + (uint64_t)st.st_mtim.tv_nsec / 1000;
	close(fd);
	return true;
}

static void read_cancel(
	int run_dir_fd, const struct run_state *state, struct document_cancel *ret_cancel)
{
	/* Without an order it is the host that shuts down (agent/runner/runner.c). */
	*ret_cancel = (struct document_cancel){.actor = "host"};
	if (run_status_is_final((enum run_status)state->status))
		return;
	ret_cancel->asked = state->cancel_requested;
	if (read_order(run_dir_fd, RUNDIR_CONTROL_CANCEL, ret_cancel))
		ret_cancel->asked = true;
	if (read_order(run_dir_fd, RUNDIR_CONTROL_KILL, ret_cancel))
		ret_cancel->asked = ret_cancel->kill = true;
}

int document_compose(int run_dir_fd, struct json *json, struct err *err)
{
	struct run_state state;
	struct outputs outputs;
	struct document_cancel cancel;
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
	if (rc == 0) {
		read_cancel(run_dir_fd, &state, &cancel);
		document_write(json, meta, &state, &outputs, &cancel);
	}
	outputs_fini(&outputs);
	meta_free(meta);
	return rc;
}
