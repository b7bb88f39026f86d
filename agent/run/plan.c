#include "agent/run/plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

static void free_text(char *s)
{
	if (s != NULL)
		mem_wipe(s, strlen(s));
	free(s);
}

static void free_list(char **list, size_t n)
{
	for (size_t i = 0; i < n && list != NULL; i++)
		free(list[i]);
	free(list);
}

void plan_text_fini(struct plan_text *text)
{
	free_text(text->prefix);
	free(text->name);
	*text = (struct plan_text){0};
}

static void step_fini(struct plan_step *step)
{
	free(step->id);
	free(step->uses);
	free(step->title);
	free(step->needs);
	free(step->condition);
	free(step->retry.exit_codes);
	free(step->approve.prompt);
	for (size_t i = 0; i < step->n_inputs; i++) {
		input_spec_fini(&step->inputs[i].spec);
		plan_text_fini(&step->inputs[i].value);
	}
	free(step->inputs);
	free(step->executable);
	for (size_t i = 0; i < step->n_argv; i++)
		plan_text_fini(&step->argv[i]);
	free(step->argv);
	for (size_t i = 0; i < step->n_env; i++) {
		free(step->env[i].name);
		plan_text_fini(&step->env[i].value);
		free(step->env[i].secret_path);
	}
	free(step->env);
	plan_text_fini(&step->stdin_text);
	free(step->user);
	free(step->cwd);
	free(step->success_codes);
	free_list(step->outputs, step->n_outputs);
}

void plan_free(struct plan *plan)
{
	if (plan == NULL)
		return;
	for (size_t i = 0; i < plan->n_inputs; i++) {
		free(plan->inputs[i].name);
		free_text(plan->inputs[i].value);
	}
	free(plan->inputs);
	for (size_t i = 0; i < plan->n_steps; i++)
		step_fini(&plan->steps[i]);
	free(plan->steps);
	free(plan->name);
	free(plan->title);
	free(plan->host);
	free(plan->actor);
	free(plan->trigger);
	free(plan->config_digest);
	free(plan->default_user_override);
	free(plan);
}

void plan_text_show(const struct plan *plan, const struct plan_step *step,
	const struct plan_text *text, struct buf *out)
{
	static const struct uuid none; /* a dry run has no id */
	char id[UUID_TEXT_BYTES];

	if (text->prefix != NULL)
		buf_append_str(out, text->prefix);
	switch (text->ref) {
	case PLAN_LITERAL:
		break;
	case PLAN_INPUT:
		assert(text->index < step->n_inputs);
		if (step->inputs[text->index].spec.type == INPUT_SECRET)
			buf_append_str(out, "***");
		else
			plan_text_show(plan, step, &step->inputs[text->index].value, out);
		break;
	case PLAN_STEP_OUTPUT:
		buf_printf(out, "${steps.%s.outputs.%s}", plan->steps[text->index].id, text->name);
		break;
	case PLAN_STEP_STATUS:
		buf_printf(out, "${steps.%s.status}", plan->steps[text->index].id);
		break;
	case PLAN_RUN_ID:
		uuid_format(&plan->id, id);
		buf_append_str(out, memcmp(&plan->id, &none, sizeof(none)) != 0 ? id : "${run.id}");
		break;
	}
}

void plan_approve_write_json(const struct plan_approve *approve, struct json *json)
{
	if (approve->prompt == NULL) {
		json_kv_null(json, "approve");
		return;
	}
	json_key(json, "approve");
	json_open_object(json);
	json_kv_str(json, "prompt", approve->prompt);
	if (approve->timeout_us != 0)
		json_kv_uint(json, "timeout_us", approve->timeout_us);
	else
		json_kv_null(json, "timeout_us");
	json_kv_str(json, "on_timeout", approve->on_timeout ? "approve" : "reject");
	json_close_object(json);
}
