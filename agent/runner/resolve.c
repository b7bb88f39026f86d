#include "agent/runner/resolve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/input.h"
#include "core/base/mem.h"

/* The values of a step's inputs; NULL: optional and not given. */
struct values {
	char **items;
	size_t n;
};

static void wipe_free(char *text)
{
	if (text != NULL)
		mem_wipe(text, strlen(text));
	free(text);
}

static void wipe_list(char **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		wipe_free(list[i]);
	free(list);
}

/* prefix + value on the heap. */
static char *joined(const char *prefix, const char *value)
{
	return xasprintf("%s%s", prefix != NULL ? prefix : "", value);
}

/* The text's value; *ret_text is NULL when it stands for an input that was not given. */
static int text_value(const struct resolve_source *source, const struct values *values,
	const struct plan_text *text, char **ret_text, struct err *err)
{
	char id[UUID_TEXT_BYTES];
	const char *value = "";

	switch (text->ref) {
	case PLAN_LITERAL:
		break;
	case PLAN_INPUT:
		if (values == NULL || text->index >= values->n)
			return err_set(
				err, -EBADMSG, "the plan refers to an input it does not have");
		value = values->items[text->index];
		break;
	case PLAN_STEP_OUTPUT:
		value = outputs_get(source->outputs, text->index, text->name);
		if (value == NULL)
			return err_set(err, -ENODATA, "step '%s' did not set its output '%s'",
				source->plan->steps[text->index].id, text->name);
		break;
	case PLAN_STEP_STATUS:
		value = step_status_name(
			(enum step_status)source->state->steps[text->index].status);
		break;
	case PLAN_RUN_ID:
		uuid_format(&source->plan->id, id);
		value = id;
		break;
	}
	*ret_text = value != NULL ? joined(text->prefix, value) : NULL;
	return 0;
}

static int resolve_inputs(const struct resolve_source *source, const struct plan_step *step,
	struct values *values, struct err *err)
{
	values->n = step->n_inputs;
	values->items = xcalloc(step->n_inputs, sizeof(*values->items));
	for (size_t i = 0; i < step->n_inputs; i++) {
		const struct plan_input *input = &step->inputs[i];
		int rc = 0;

		if (!input->present)
			continue;
		rc = text_value(source, NULL, &input->value, &values->items[i], err);
		if (rc == 0)
			rc = input_check_final(
				&input->spec, values->items[i], strlen(values->items[i]), err);
		if (rc == 0 && input->spec.type == INPUT_SECRET)
			rc = secrets_add(source->secrets, values->items[i], err);
		if (rc != 0) {
			err_wrap(err, "input '%s'", input->spec.name);
			return rc;
		}
	}
	return 0;
}

static int resolve_argv(const struct resolve_source *source, const struct plan_step *step,
	const struct values *values, struct resolved *resolved, struct err *err)
{
	resolved->argv = xcalloc(step->n_argv + 1, sizeof(*resolved->argv));
	for (size_t i = 0; i < step->n_argv; i++) {
		int rc = text_value(source, values, &step->argv[i], &resolved->argv[i], err);

		if (rc != 0)
			return rc;
		if (resolved->argv[i] == NULL)
			return err_set(err, -EINVAL,
				"input '%s' is not given, and an argument needs it",
				step->inputs[step->argv[i].index].spec.name);
		resolved->n_argv++;
	}
	return step->n_argv != 0 ? 0 : err_set(err, -EINVAL, "the command has no arguments at all");
}

/* Sets name=value, in the place of an earlier one of that name. */
static void set_env(struct resolved *resolved, const char *name, const char *value)
{
	size_t n = strlen(name);
	char *entry = xasprintf("%s=%s", name, value);

	for (size_t i = 0; i < resolved->n_env; i++) {
		if (strncmp(resolved->envp[i], name, n) == 0 && resolved->envp[i][n] == '=') {
			wipe_free(resolved->envp[i]);
			resolved->envp[i] = entry;
			return;
		}
	}
	resolved->envp[resolved->n_env++] = entry;
}

static const char *const fixed_env[][2] = {
	{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	{"LANG", "C.UTF-8"},
	{"TERM", "xterm-256color"},
	{"CLICOLOR_FORCE", "1"},
	{"FORCE_COLOR", "1"},
	{"PAGER", "cat"},
	{"SYSTEMD_PAGER", ""},
	{"LESSSECURE", "1"},
};

#define OWN_ENV 7 /* HOME USER LOGNAME OPS_RUN_ID OPS_STEP OPS_ATTEMPT OPS_OUTPUT */

static int resolve_env(const struct resolve_source *source, const struct plan_step *step,
	const struct values *values, struct resolved *resolved, struct err *err)
{
	char id[UUID_TEXT_BYTES], attempt[8];

	resolved->envp =
		xcalloc(ARRAY_LEN(fixed_env) + OWN_ENV + step->n_env + 1, sizeof(*resolved->envp));
	for (size_t i = 0; i < ARRAY_LEN(fixed_env); i++)
		set_env(resolved, fixed_env[i][0], fixed_env[i][1]);
	set_env(resolved, "HOME", source->account->home);
	set_env(resolved, "USER", source->account->name);
	set_env(resolved, "LOGNAME", source->account->name);
	for (size_t i = 0; i < step->n_env; i++) {
		char *value = NULL;
		int rc;

		if (step->env[i].secret_path != NULL)
			rc = secrets_add_file(source->secrets, step->env[i].secret_path,
				source->trusted_uid, &value, err);
		else
			rc = text_value(source, values, &step->env[i].value, &value, err);
		if (rc != 0) {
			err_wrap(err, "variable '%s'", step->env[i].name);
			return rc;
		}
		if (value != NULL)
			set_env(resolved, step->env[i].name, value);
		wipe_free(value);
	}
	/* Last, so that a command's env cannot take their place. */
	uuid_format(&source->plan->id, id);
	set_env(resolved, "OPS_RUN_ID", id);
	set_env(resolved, "OPS_STEP", step->id);
	snprintf(attempt, sizeof(attempt), "%u", source->attempt);
	set_env(resolved, "OPS_ATTEMPT", attempt);
	set_env(resolved, "OPS_OUTPUT", source->output_path);
	return 0;
}

int resolve_step(const struct resolve_source *source, uint16_t step, struct resolved *ret_resolved,
	struct err *err)
{
	const struct plan_step *s = &source->plan->steps[step];
	struct resolved resolved = {0};
	struct values values = {0};
	int rc = resolve_inputs(source, s, &values, err);

	if (rc == 0)
		rc = resolve_argv(source, s, &values, &resolved, err);
	if (rc == 0)
		rc = resolve_env(source, s, &values, &resolved, err);
	if (rc == 0 && s->stdin_text.prefix != NULL)
		rc = text_value(source, &values, &s->stdin_text, &resolved.stdin_text, err);
	wipe_list(values.items, values.n);
	if (rc == 0)
		*ret_resolved = resolved;
	else
		resolved_fini(&resolved);
	return rc;
}

void resolved_fini(struct resolved *resolved)
{
	wipe_list(resolved->argv, resolved->n_argv);
	wipe_list(resolved->envp, resolved->n_env);
	wipe_free(resolved->stdin_text);
	*resolved = (struct resolved){0};
}
