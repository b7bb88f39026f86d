#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/build.h"
#include "agent/config/expr.h"
#include "agent/config/template.h"
#include "core/base/mem.h"
#include "core/yaml/suggest.h"

/* A step being built: where it stands and what may be referred to. */
struct step_site {
	const struct raw_step *raw;
	struct catalog_flow *flow;
	size_t index;
};

static const struct catalog_command *find_command(struct build *b, const struct raw_text *uses)
{
	const struct catalog *catalog = b->catalog;
	const struct catalog_command *command =
		catalog_find_command(catalog, uses->text, strlen(uses->text));
	char text[SUGGEST_TEXT_BYTES];
	struct suggest near;

	if (command != NULL)
		return command;
	suggest_init(&near, uses->text, strlen(uses->text));
	for (size_t i = 0; i < catalog->n_commands; i++)
		suggest_offer(&near, catalog->commands[i].id);
	build_error(b, uses, "no command named '%.64s'%s", uses->text, suggest_text(&near, text));
	return NULL;
}

/* ---- references to other steps ---- */

/* Index of the named step among the first n, or SIZE_MAX after an error. */
static size_t find_step(struct build *b, const struct raw_text *at, const struct catalog_flow *flow,
	size_t n, const char *id)
{
	char text[SUGGEST_TEXT_BYTES];
	struct suggest near;

	suggest_init(&near, id, strlen(id));
	for (size_t i = 0; i < flow->n_steps; i++) {
		if (flow->steps[i].id == NULL)
			continue;
		if (strcmp(flow->steps[i].id, id) != 0) {
			suggest_offer(&near, flow->steps[i].id);
		} else if (i < n) {
			return i;
		} else {
			build_error(b, at, "step '%.48s' does not come before this one", id);
			return SIZE_MAX;
		}
	}
	build_error(b, at, "no step named '%.48s'%s", id, suggest_text(&near, text));
	return SIZE_MAX;
}

static bool has_output(struct build *b, const struct raw_text *at,
	const struct catalog_command *command, const char *name)
{
	char text[SUGGEST_TEXT_BYTES];
	struct suggest near;

	suggest_init(&near, name, strlen(name));
	for (size_t i = 0; i < command->n_outputs; i++) {
		if (strcmp(command->outputs[i], name) == 0)
			return true;
		suggest_offer(&near, command->outputs[i]);
	}
	build_error(b, at, "%.64s has no output '%.48s'%s", command->id, name,
		suggest_text(&near, text));
	return false;
}

/* Whether step `at` starts only after step `before` is through: needed, directly or through others.
 * Needs point backwards. */
static bool comes_after(const struct catalog_flow *flow, size_t at, size_t before)
{
	bool needed[PLAN_MAX_STEPS] = {false};

	/* of the other phases everything before is through */
	if (flow->steps[at].phase != PLAN_MAIN)
		return before < at;
	needed[at] = true;
	for (size_t i = at + 1; i-- > before;) {
		for (size_t k = 0; needed[i] && k < flow->steps[i].n_needs; k++)
			needed[flow->steps[i].needs[k]] = true;
	}
	return before != at && needed[before];
}

static void read_step_reference(struct build *b, const struct step_site *site,
	const struct raw_text *raw, const struct template *t, struct plan_text *value)
{
	size_t i = find_step(b, raw, site->flow, site->index, t->step);

	if (i == SIZE_MAX)
		return;
	if (!comes_after(site->flow, site->index, i)) {
		build_error(
			b, raw, "step '%.48s' may still be running; add it to 'needs'", t->step);
		return;
	}
	if (t->ref == PLAN_STEP_OUTPUT) {
		const struct catalog_command *command = site->flow->steps[i].command;

		if (command == NULL && site->flow->steps[i].approve.prompt != NULL)
			build_error(
				b, raw, "step '%.48s' is an approval, it has no outputs", t->step);
		if (command == NULL || !has_output(b, raw, command, t->name))
			return;
		value->name = xstrdup(t->name);
	}
	value->ref = t->ref;
	value->index = (uint16_t)i;
}

/* ---- with ---- */

static void check_value(struct build *b, const struct raw_text *at, const struct input_spec *spec,
	const char *text, const char *whose)
{
	char *value = input_complete(spec, text, strlen(text));
	struct err err;

	if (input_check_text(spec, value, strlen(value), &err) != 0)
		build_error(b, at, "%s for '%.48s' %s", whose, spec->name, err.msg);
	free(value);
}

/* What a flow's input passes on must suit the command as far as it is known now. */
static void check_passed_on(struct build *b, const struct raw_text *at,
	const struct input_spec *from, const struct input_spec *to)
{
	if (to->type == INPUT_PATH && to->under == NULL)
		return;
	if (from->type == INPUT_SECRET && to->type != INPUT_SECRET)
		build_error(b, at, "'%.48s' is a secret and '%.48s' is not", from->name, to->name);
	if (from->default_value != NULL)
		check_value(b, at, to, from->default_value, "the flow's default");
	for (size_t i = 0; i < from->n_values; i++) {
		if (from->default_value == NULL ||
			strcmp(from->default_value, from->values[i]) != 0)
			check_value(b, at, to, from->values[i], "a value of the flow's input");
	}
}

static void read_with_value(struct build *b, const struct step_site *site,
	const struct raw_text *raw, const struct input_spec *spec, struct plan_text *value)
{
	struct catalog_flow *flow = site->flow;
	struct template t;
	struct err err;
	size_t input;

	value->prefix = xstrdup("");
	if (template_parse(raw->text, false, &t, &err) != 0) {
		build_error(b, raw, "%s", err.msg);
		return;
	}
	switch (t.ref) {
	case PLAN_LITERAL:
		free(value->prefix);
		value->prefix = xstrdup(raw->text);
		if (spec->type == INPUT_SECRET)
			build_error(b, raw, "a secret cannot be written here");
		else if (spec->type != INPUT_PATH || spec->under != NULL)
			check_value(b, raw, spec, raw->text, "the value");
		break;
	case PLAN_RUN_ID:
		value->ref = PLAN_RUN_ID;
		break;
	case PLAN_INPUT:
		input = build_find_input(b, raw, t.name, flow->inputs, flow->n_inputs);
		if (input == SIZE_MAX)
			break;
		value->ref = PLAN_INPUT;
		value->index = (uint16_t)input;
		check_passed_on(b, raw, &flow->inputs[input], spec);
		break;
	case PLAN_STEP_OUTPUT:
	case PLAN_STEP_STATUS:
		read_step_reference(b, site, raw, &t, value);
		break;
	}
}

static void read_with(struct build *b, const struct step_site *site, struct catalog_step *step)
{
	const struct catalog_command *command = step->command;
	const struct raw_pairs *with = site->raw->with;

	step->values = xcalloc(command->n_inputs, sizeof(*step->values));
	for (size_t i = 0; with != NULL && i < with->items_count; i++) {
		const struct raw_pair *pair = &with->items[i];
		size_t input = build_find_input(
			b, &pair->key, pair->key.text, command->inputs, command->n_inputs);

		if (input != SIZE_MAX)
			read_with_value(b, site, &pair->value, &command->inputs[input],
				&step->values[input]);
	}
	for (size_t i = 0; i < command->n_inputs; i++) {
		if (step->values[i].prefix == NULL && command->inputs[i].required)
			build_error(b, site->raw->uses, "%.64s needs the input '%.48s' in 'with'",
				command->id, command->inputs[i].name);
	}
}

/* ---- graph ---- */

static void add_need(struct catalog_step *step, size_t need)
{
	step->needs[step->n_needs++] = (uint16_t)need;
}

/* Without `needs` a step follows the one above; in on_failure and finally always. */
static void read_needs(struct build *b, const struct step_site *site, struct catalog_step *step)
{
	const struct raw_texts *raw = site->raw->needs;
	size_t index = site->index;
	size_t n = raw != NULL ? raw->items_count : 1;

	if (n > PLAN_MAX_STEPS) {
		build_error_at(b, &raw->at, "at most %d steps in 'needs'", PLAN_MAX_STEPS);
		return;
	}
	step->needs = xcalloc(n, sizeof(*step->needs));
	if (raw == NULL && index > 0 && site->flow->steps[index - 1].phase == step->phase)
		add_need(step, index - 1);
	for (size_t i = 0; raw != NULL && i < n; i++) {
		const struct raw_text *item = &raw->items[i];
		size_t need = find_step(b, item, site->flow, index, item->text);

		for (size_t k = 0; k < step->n_needs; k++) {
			if (step->needs[k] == need)
				build_error(b, item, "step '%.48s' is there twice", item->text);
		}
		if (need != SIZE_MAX)
			add_need(step, need);
	}
}

static void read_retry(struct build *b, const struct raw_retry *raw, struct plan_retry *retry)
{
	size_t n = raw != NULL && raw->exit_codes != NULL ? raw->exit_codes->items_count : 0;

	retry->backoff = 1;
	if (raw == NULL)
		return;
	retry->limit = (uint16_t)build_int(b, raw->limit, "limit", 0, PLAN_MAX_RETRIES, 0);
	retry->delay_us = build_duration(b, raw->delay, "delay", 0);
	retry->backoff = (uint16_t)build_int(b, raw->backoff, "backoff", 1, 10, 1);
	if (raw->exit_codes != NULL && (n == 0 || n > PLAN_MAX_CODES)) {
		build_error_at(b, &raw->exit_codes->at, "'exit_codes' needs 1 to %d exit codes",
			PLAN_MAX_CODES);
		return;
	}
	retry->exit_codes = xcalloc(n, 1);
	retry->n_exit_codes = n;
	for (size_t i = 0; i < n; i++)
		retry->exit_codes[i] =
			(uint8_t)build_int(b, &raw->exit_codes->items[i], "exit_codes", 0, 255, 0);
}

static void read_approve(struct build *b, const struct raw_step *raw, struct plan_approve *approve)
{
	static const char *const answers[] = {"reject", "approve"};

	if (raw->approve == NULL)
		return;
	approve->prompt =
		build_text(b, raw->approve->prompt, "prompt", BUILD_MAX_DESCRIPTION, true);
	approve->timeout_us = build_duration(b, raw->approve->timeout, "timeout", 0);
	approve->on_timeout = build_choice(b, raw->approve->on_timeout, "on_timeout", answers,
				      ARRAY_LEN(answers), 0) == 1;
	if (raw->approve->on_timeout != NULL && raw->approve->timeout == NULL)
		build_error(b, raw->approve->on_timeout, "'on_timeout' needs a 'timeout'");
	if (raw->with != NULL)
		build_error_at(b, &raw->with->at, "an approval has no 'with'");
	if (raw->retry != NULL)
		build_error_at(b, &raw->retry->at, "an approval has no 'retry'");
}

/* ---- if ---- */

/* A condition's references being checked. */
struct condition_check {
	struct build *b;
	const struct step_site *site;
	const struct raw_text *raw;
};

static bool on_function(void *arg, enum expr_function function)
{
	(void)arg;
	(void)function;
	return true;
}

static const char *on_reference(void *arg, const struct template *reference)
{
	struct condition_check *check = arg;
	struct catalog_flow *flow = check->site->flow;
	struct plan_text ignored = {0};
	size_t input;

	if (reference->ref == PLAN_INPUT) {
		input = build_find_input(
			check->b, check->raw, reference->name, flow->inputs, flow->n_inputs);
		if (input != SIZE_MAX && flow->inputs[input].type == INPUT_SECRET)
			build_error(check->b, check->raw, "'if' cannot look at the secret '%.48s'",
				reference->name);
	} else if (reference->ref != PLAN_RUN_ID) {
		read_step_reference(check->b, check->site, check->raw, reference, &ignored);
		plan_text_fini(&ignored);
	}
	return NULL;
}

static void read_condition(struct build *b, const struct step_site *site, struct catalog_step *step)
{
	const struct raw_text *raw = site->raw->condition;
	struct condition_check check = {b, site, raw};
	const struct expr_scope scope = {
		.arg = &check, .function = on_function, .reference = on_reference};
	unsigned mentioned;
	struct err err;
	bool value;

	if (raw == NULL)
		return;
	if (expr_check(raw->text, &err) != 0)
		build_error(b, raw, "'if' %s", err.msg);
	else if (expr_eval(raw->text, &scope, &value, &mentioned, &err) == 0)
		step->condition = xstrdup(raw->text);
}

static void build_step(struct build *b, const struct step_site *site)
{
	const struct raw_step *raw = site->raw;
	struct catalog_step *step = &site->flow->steps[site->index];

	if (raw->uses != NULL && raw->approve != NULL)
		build_error(b, raw->uses, "a step has 'uses' or 'approve', not both");
	else if (raw->uses == NULL && raw->approve == NULL)
		build_error_at(b, &raw->at, "a step needs 'uses' or 'approve'");
	if (raw->uses != NULL)
		step->command = find_command(b, raw->uses);
	read_needs(b, site, step);
	if (step->command != NULL)
		read_with(b, site, step);
	step->continue_on_error = build_bool(b, raw->continue_on_error, "continue_on_error", false);
	read_retry(b, raw->retry, &step->retry);
	read_approve(b, raw, &step->approve);
	read_condition(b, site, step);
}

/* Names first, so that a reference to a later step can be told from one to none. */
static void name_steps(struct build *b, const struct raw_steps *raw, struct catalog_flow *flow,
	size_t first, enum plan_phase phase)
{
	for (size_t i = 0; raw != NULL && i < raw->items_count; i++) {
		struct catalog_step *step = &flow->steps[first + i];
		const struct raw_text *id = raw->items[i].id;

		step->phase = phase;
		if (phase != PLAN_MAIN) {
			step->id = xasprintf(
				"%s.%zu", phase == PLAN_FINALLY ? "finally" : "on_failure", i + 1);
			continue;
		}
		(void)build_name_is_valid(b, id, "step", false, BUILD_MAX_NAME);
		for (size_t j = 0; j < i; j++) {
			if (strcmp(flow->steps[j].id, id->text) == 0)
				build_error(b, id, "step '%.48s' is there twice", id->text);
		}
		step->id = xstrdup(id->text);
	}
}

void build_steps(struct build *b, const struct raw_flow *raw, struct catalog_flow *flow)
{
	const struct raw_steps *parts[] = {raw->steps, raw->on_failure, raw->finally};
	static const enum plan_phase phases[] = {PLAN_MAIN, PLAN_ON_FAILURE, PLAN_FINALLY};
	size_t total = 0;
	size_t at = 0;

	for (size_t p = 0; p < ARRAY_LEN(parts); p++)
		total += parts[p] != NULL ? parts[p]->items_count : 0;
	if (raw->steps->items_count == 0 || total > PLAN_MAX_STEPS) {
		build_error_at(b, &raw->steps->at, "a flow needs 1 to %d steps", PLAN_MAX_STEPS);
		return;
	}
	flow->steps = xcalloc(total, sizeof(*flow->steps));
	flow->n_steps = total;
	for (size_t p = 0; p < ARRAY_LEN(parts); p++) {
		name_steps(b, parts[p], flow, at, phases[p]);
		at += parts[p] != NULL ? parts[p]->items_count : 0;
	}
	at = 0;
	for (size_t p = 0; p < ARRAY_LEN(parts); p++) {
		for (size_t i = 0; parts[p] != NULL && i < parts[p]->items_count; i++)
			build_step(b, &(struct step_site){&parts[p]->items[i], flow, at++});
	}
}
