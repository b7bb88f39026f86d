#include "agent/config/planner.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/yaml/suggest.h"

/* One plan being made. values are the run's own inputs, completed and checked. */
struct planning {
	const struct catalog *catalog;
	const struct planner_request *request;
	struct planner_problems *problems;
	const struct input_spec *inputs;
	size_t n_inputs;
	char **values;
	struct plan *plan;
};

static void add_problem(struct planner_problems *problems, const char *name, size_t n,
	const char *fmt, ...) PRINTF_LIKE(4, 5);

static void add_problem(
	struct planner_problems *problems, const char *name, size_t n, const char *fmt, ...)
{
	struct planner_problem *problem = &problems->items[problems->n];
	va_list args;

	if (problems->n == ARRAY_LEN(problems->items))
		return;
	problems->n++;
	n = MIN(n, sizeof(problem->name) - 1);
	memcpy(problem->name, name, n);
	problem->name[n] = '\0';
	va_start(args, fmt);
	vsnprintf(problem->message, sizeof(problem->message), fmt, args);
	va_end(args);
}

/* One problem an input is enough. */
static bool has_problem(const struct planner_problems *problems, const char *name)
{
	for (size_t i = 0; i < problems->n; i++) {
		if (strcmp(problems->items[i].name, name) == 0)
			return true;
	}
	return false;
}

/* ---- the run's own inputs ---- */

static const struct msg_pair *find_given(const struct planner_request *request, const char *name)
{
	for (size_t i = 0; i < request->n_inputs; i++) {
		if (wire_str_eq(request->inputs[i].name, name))
			return &request->inputs[i];
	}
	return NULL;
}

static bool same_name(struct wire_str a, struct wire_str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* What was given and is no input, or was given before. */
static void check_given(struct planning *p)
{
	for (size_t i = 0; i < p->request->n_inputs; i++) {
		struct wire_str name = p->request->inputs[i].name;
		char text[SUGGEST_TEXT_BYTES];
		struct suggest near;
		bool known = false;
		size_t first = 0;

		suggest_init(&near, name.data, name.len);
		for (size_t j = 0; j < p->n_inputs; j++) {
			known = known || wire_str_eq(name, p->inputs[j].name);
			suggest_offer(&near, p->inputs[j].name);
		}
		while (!same_name(p->request->inputs[first].name, name))
			first++;
		if (!known)
			add_problem(p->problems, name.data, name.len, "there is no such input%s",
				suggest_text(&near, text));
		else if (first != i)
			add_problem(p->problems, name.data, name.len, "is given twice");
	}
}

static void take_value(struct planning *p, size_t i)
{
	const struct input_spec *spec = &p->inputs[i];
	const struct msg_pair *given = find_given(p->request, spec->name);
	struct plan_run_input *shown = &p->plan->inputs[i];
	struct err err;

	if (given != NULL && given->value.len > INPUT_MAX_VALUE_BYTES) {
		add_problem(p->problems, spec->name, strlen(spec->name),
			"may have at most %d bytes; this one has %u", INPUT_MAX_VALUE_BYTES,
			given->value.len);
	} else if (given != NULL) {
		/* before it becomes a C string: a NUL would cut what is checked */
		const char *data = given->value.len != 0 ? given->value.data : "";

		if (memchr(data, '\0', given->value.len) != NULL)
			add_problem(p->problems, spec->name, strlen(spec->name),
				"must not hold control characters (U+0000)");
		else
			p->values[i] = input_complete(spec, data, given->value.len);
	} else if (spec->default_value != NULL) {
		p->values[i] =
			input_complete(spec, spec->default_value, strlen(spec->default_value));
	} else {
		add_problem(p->problems, spec->name, strlen(spec->name), "is required");
	}
	if (p->values[i] == NULL)
		p->values[i] = xstrdup("");
	else if (input_check(spec, p->values[i], strlen(p->values[i]), &err) != 0)
		add_problem(p->problems, spec->name, strlen(spec->name), "%s", err.msg);
	shown->name = xstrdup(spec->name);
	shown->secret = spec->type == INPUT_SECRET;
	shown->value = xstrdup(shown->secret ? "***" : p->values[i]);
}

static void take_values(struct planning *p)
{
	p->values = xcalloc(p->n_inputs, sizeof(*p->values));
	p->plan->inputs = xcalloc(p->n_inputs, sizeof(*p->plan->inputs));
	p->plan->n_inputs = p->n_inputs;
	check_given(p);
	for (size_t i = 0; i < p->n_inputs; i++)
		take_value(p, i);
}

/* ---- copies: a plan shares nothing with the catalogue ---- */

static char **copy_strs(char *const *list, size_t n)
{
	char **copy = xcalloc(n, sizeof(*copy));

	for (size_t i = 0; i < n; i++)
		copy[i] = xstrdup(list[i]);
	return copy;
}

static void copy_text(struct plan_text *to, const struct plan_text *from)
{
	*to = *from;
	to->prefix = xstrdup(from->prefix);
	to->name = xstrdup(from->name);
}

static void copy_spec(struct input_spec *to, const struct input_spec *from)
{
	*to = *from;
	to->name = xstrdup(from->name);
	to->default_value = xstrdup(from->default_value);
	to->title = xstrdup(from->title);
	to->description = NULL; /* for the page, which has the catalogue */
	to->pattern = xstrdup(from->pattern);
	to->under = xstrdup(from->under);
	to->values = copy_strs(from->values, from->n_values);
	to->schemes = copy_strs(from->schemes, from->n_schemes);
}

static void copy_command(struct plan_step *step, const struct catalog_command *command)
{
	step->uses = xstrdup(command->id);
	step->title = xstrdup(command->title);
	step->inputs = xcalloc(command->n_inputs, sizeof(*step->inputs));
	step->n_inputs = command->n_inputs;
	for (size_t i = 0; i < command->n_inputs; i++) {
		copy_spec(&step->inputs[i].spec, &command->inputs[i]);
		step->inputs[i].present = true;
	}
	step->executable = xstrdup(command->executable);
	step->argv = xcalloc(command->n_argv, sizeof(*step->argv));
	step->n_argv = command->n_argv;
	for (size_t i = 0; i < command->n_argv; i++)
		copy_text(&step->argv[i], &command->argv[i]);
	step->env = xcalloc(command->n_env, sizeof(*step->env));
	step->n_env = command->n_env;
	for (size_t i = 0; i < command->n_env; i++) {
		step->env[i].name = xstrdup(command->env[i].name);
		copy_text(&step->env[i].value, &command->env[i].value);
		step->env[i].secret_path = xstrdup(command->env[i].secret_path);
	}
	copy_text(&step->stdin_text, &command->stdin_text);
	step->user = xstrdup(command->user);
	step->cwd = xstrdup(command->cwd);
	step->timeout_us = command->timeout_us;
	step->kill_after_us = command->kill_after_us;
	step->success_codes = xcalloc(command->n_success_codes, 1);
	memcpy(step->success_codes, command->success_codes, command->n_success_codes);
	step->n_success_codes = command->n_success_codes;
	step->outputs = copy_strs(command->outputs, command->n_outputs);
	step->n_outputs = command->n_outputs;
	step->leave_children = command->leave_children;
	step->new_privileges = command->new_privileges;
	step->limits = command->limits;
}

/* ---- steps ---- */

static void plan_command(struct planning *p, const struct catalog_command *command)
{
	struct plan_step *step = xcalloc(1, sizeof(*step));

	p->plan->steps = step;
	p->plan->n_steps = 1;
	copy_command(step, command);
	step->id = xstrdup(command->id);
	for (size_t i = 0; i < command->n_inputs; i++)
		step->inputs[i].value.prefix = xstrdup(p->values[i]);
}

/* A flow's input arrives at a step: it must suit the command's type too. Whether a path is there is
 * left to the moment the step starts, since a step before may make it. */
static void pass_on(struct planning *p, const struct catalog_step *from, size_t input,
	size_t flow_input, struct plan_text *value)
{
	const struct input_spec *spec = &from->command->inputs[input];
	const char *name = p->inputs[flow_input].name;
	char *text = input_complete(spec, p->values[flow_input], strlen(p->values[flow_input]));
	struct err err;

	if (!has_problem(p->problems, name) &&
		input_check_text(spec, text, strlen(text), &err) != 0)
		add_problem(p->problems, name, strlen(name), "%s (step %s)", err.msg, from->id);
	value->prefix = text;
}

static uint8_t *copy_codes(const uint8_t *codes, size_t n)
{
	uint8_t *copy = xcalloc(n, 1);

	if (n != 0)
		memcpy(copy, codes, n);
	return copy;
}

/* What an approval has instead of a command. */
static void copy_approve(struct plan_step *step, const struct catalog_step *from)
{
	step->approve = from->approve;
	step->approve.prompt = xstrdup(from->approve.prompt);
	step->uses = xstrdup("");
	step->title = xstrdup(from->id);
	step->executable = xstrdup("");
	step->user = xstrdup("");
	step->cwd = xstrdup("");
}

static void copy_place(struct plan_step *step, const struct catalog_step *from)
{
	step->id = xstrdup(from->id);
	step->phase = from->phase;
	step->continue_on_error = from->continue_on_error;
	step->condition = xstrdup(from->condition);
	step->retry = from->retry;
	step->retry.exit_codes = copy_codes(from->retry.exit_codes, from->retry.n_exit_codes);
	step->needs = xcalloc(from->n_needs, sizeof(*step->needs));
	step->n_needs = from->n_needs;
	if (from->n_needs != 0)
		memcpy(step->needs, from->needs, from->n_needs * sizeof(*step->needs));
}

static void plan_step(struct planning *p, const struct catalog_step *from, struct plan_step *step)
{
	const struct catalog_command *command = from->command;

	copy_place(step, from);
	if (command == NULL) {
		copy_approve(step, from);
		return;
	}
	copy_command(step, command);
	for (size_t i = 0; i < command->n_inputs; i++) {
		const struct plan_text *with = &from->values[i];
		struct plan_text *value = &step->inputs[i].value;

		if (with->prefix == NULL) /* not in 'with' */
			value->prefix = input_complete(&command->inputs[i],
				command->inputs[i].default_value,
				strlen(command->inputs[i].default_value));
		else if (with->ref == PLAN_INPUT)
			pass_on(p, from, i, with->index, value);
		else if (with->ref == PLAN_LITERAL)
			value->prefix = input_complete(
				&command->inputs[i], with->prefix, strlen(with->prefix));
		else
			copy_text(value, with);
	}
}

static void plan_flow(struct planning *p, const struct catalog_flow *flow)
{
	p->plan->steps = xcalloc(flow->n_steps, sizeof(*p->plan->steps));
	p->plan->n_steps = flow->n_steps;
	for (size_t i = 0; i < flow->n_steps; i++)
		plan_step(p, &flow->steps[i], &p->plan->steps[i]);
}

/* ---- all of it ---- */

static int not_found(const struct planning *p, struct err *err)
{
	bool is_flow = p->request->kind == MSG_KIND_FLOW;
	struct wire_str id = p->request->id;
	char text[SUGGEST_TEXT_BYTES];
	struct suggest near;

	suggest_init(&near, id.data, id.len);
	for (size_t i = 0; i < (is_flow ? p->catalog->n_flows : p->catalog->n_commands); i++)
		suggest_offer(
			&near, is_flow ? p->catalog->flows[i].id : p->catalog->commands[i].id);
	return err_set(err, -ENOENT, "no %s named '%.*s'%s", is_flow ? "flow" : "command",
		(int)MIN(id.len, 64u), id.data != NULL ? id.data : "", suggest_text(&near, text));
}

static void describe(struct planning *p, const char *name, const char *title, uint64_t timeout_us,
	uint64_t max_output)
{
	const struct planner_request *request = p->request;
	struct plan *plan = p->plan;

	plan->id = request->run_id;
	plan->number = request->number;
	plan->is_flow = request->kind == MSG_KIND_FLOW;
	plan->name = xstrdup(name);
	plan->title = xstrdup(title);
	plan->host = xstrdup(request->host != NULL ? request->host : "");
	plan->actor = xstrndup(request->actor.data, request->actor.len);
	plan->trigger = xstrndup(request->trigger.data, request->trigger.len);
	plan->config_digest = xstrdup(p->catalog->digest);
	plan->created_us = request->created_us;
	plan->timeout_us = timeout_us;
	plan->max_output = max_output;
	plan->default_user_override = xstrdup(p->catalog->override_user);
}

static int check_size(const struct plan *plan, struct err *err)
{
	struct buf buf;
	int rc;

	buf_init(&buf, PLAN_MAX_BYTES);
	rc = plan_encode(plan, &buf);
	if (buf.data != NULL)
		mem_wipe(buf.data, buf.len);
	buf_fini(&buf);
	if (rc != 0)
		err_set(err, rc, "with these inputs the plan is larger than %u KiB",
			PLAN_MAX_BYTES >> 10);
	return rc;
}

static int make(struct planning *p, const struct catalog_command *command,
	const struct catalog_flow *flow, struct err *err)
{
	assert(flow != NULL || command != NULL);
	p->inputs = flow != NULL ? flow->inputs : command->inputs;
	p->n_inputs = flow != NULL ? flow->n_inputs : command->n_inputs;
	take_values(p);
	if (flow != NULL) {
		describe(p, flow->id, flow->title, flow->timeout_us, flow->max_output);
		plan_flow(p, flow);
	} else {
		describe(p, command->id, command->title, 0, command->max_output);
		plan_command(p, command);
	}
	for (size_t i = 0; i < p->n_inputs; i++) {
		mem_wipe(p->values[i], strlen(p->values[i]));
		free(p->values[i]);
	}
	free(p->values);
	if (p->problems->n != 0)
		return err_set(err, -EINVAL, "input '%s' %s", p->problems->items[0].name,
			p->problems->items[0].message);
	return check_size(p->plan, err);
}

int planner_build(const struct catalog *catalog, const struct planner_request *request,
	struct plan **ret_plan, struct planner_problems *problems, struct err *err)
{
	struct planning p = {.catalog = catalog, .request = request, .problems = problems};
	const char *id = request->id.data != NULL ? request->id.data : "";
	const struct catalog_command *command = NULL;
	const struct catalog_flow *flow = NULL;
	int rc;

	problems->n = 0;
	if (request->kind == MSG_KIND_FLOW)
		flow = catalog_find_flow(catalog, id, request->id.len);
	else if (request->kind == MSG_KIND_COMMAND)
		command = catalog_find_command(catalog, id, request->id.len);
	if (flow == NULL && command == NULL)
		return not_found(&p, err);
	p.plan = xcalloc(1, sizeof(*p.plan));
	rc = make(&p, command, flow, err);
	if (rc == 0)
		*ret_plan = p.plan;
	else
		plan_free(p.plan);
	return rc;
}

void planner_write_json(const struct plan *plan, struct json *json)
{
	struct buf text;

	buf_init(&text, PLAN_MAX_BYTES);
	json_open_object(json);
	json_key(json, "plan");
	json_open_array(json);
	for (size_t i = 0; i < plan->n_steps; i++) {
		const struct plan_step *step = &plan->steps[i];

		json_open_object(json);
		json_kv_str(json, "step", step->id);
		json_key(json, "argv");
		json_open_array(json);
		for (size_t j = 0; j < step->n_argv; j++) {
			buf_reset(&text);
			plan_text_show(plan, step, &step->argv[j], &text);
			json_strn(json, text.data, text.len);
		}
		json_close_array(json);
		json_kv_str(json, "user", step->user);
		json_kv_str(json, "cwd", step->cwd);
		json_kv_uint(json, "timeout_us", step->timeout_us);
		json_close_object(json);
	}
	json_close_array(json);
	json_close_object(json);
	buf_fini(&text);
}
