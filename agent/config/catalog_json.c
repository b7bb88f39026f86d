#include "agent/config/catalog_json.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/yaml/scalar.h"

static void write_default(const struct input_spec *spec, struct json *json)
{
	const char *value = spec->default_value;
	int64_t number;

	json_key(json, "default");
	if (value == NULL || spec->type == INPUT_SECRET)
		json_nil(json);
	else if (spec->type == INPUT_INT && scalar_int(value, strlen(value), &number) == 0)
		json_int(json, number);
	else if (spec->type == INPUT_BOOL)
		json_bool(json, strcmp(value, "true") == 0);
	else
		json_str(json, value);
}

static void write_strs(struct json *json, const char *key, char *const *list, size_t n)
{
	json_key(json, key);
	json_open_array(json);
	for (size_t i = 0; i < n; i++)
		json_str(json, list[i]);
	json_close_array(json);
}

static void write_strs_or_null(struct json *json, const char *key, char *const *list, size_t n)
{
	if (n == 0)
		json_kv_null(json, key);
	else
		write_strs(json, key, list, n);
}

static void write_bound(struct json *json, const char *key, bool has, int64_t bound)
{
	if (has)
		json_kv_int(json, key, bound);
	else
		json_kv_null(json, key);
}

static bool has_length(const struct input_spec *spec)
{
	return spec->type == INPUT_STRING || spec->type == INPUT_SLUG || spec->type == INPUT_PATH ||
	       spec->type == INPUT_HOST || spec->type == INPUT_URL || spec->type == INPUT_SECRET;
}

static void write_input(const struct input_spec *spec, struct json *json)
{
	json_open_object(json);
	json_kv_str(json, "name", spec->name);
	json_kv_str(json, "type", input_type_name(spec->type));
	json_kv_str(json, "title", spec->title);
	json_kv_str(json, "description", spec->description);
	json_kv_bool(json, "required", spec->required);
	write_default(spec, json);
	write_bound(json, "min", spec->has_min, spec->min);
	write_bound(json, "max", spec->has_max, spec->max);
	write_bound(json, "max_length", has_length(spec), spec->max_length);
	json_kv_str(json, "pattern", spec->pattern);
	write_strs_or_null(json, "values", spec->values, spec->n_values);
	json_kv_str(json, "under", spec->under);
	write_strs_or_null(json, "schemes", spec->schemes, spec->n_schemes);
	json_close_object(json);
}

static void write_inputs(const struct input_spec *inputs, size_t n, struct json *json)
{
	json_key(json, "inputs");
	json_open_array(json);
	for (size_t i = 0; i < n; i++)
		write_input(&inputs[i], json);
	json_close_array(json);
}

static const char *danger_name(enum catalog_danger danger)
{
	return danger == CATALOG_DANGER_HIGH ? "high" : "low";
}

static void write_argv_shape(const struct catalog_command *command, struct json *json)
{
	struct buf text;

	buf_init(&text, 2 * INPUT_MAX_VALUE_BYTES);
	json_key(json, "argv_shape");
	json_open_array(json);
	for (size_t i = 0; i < command->n_argv; i++) {
		buf_reset(&text);
		catalog_show_text(command, &command->argv[i], &text);
		json_strn(json, text.data, text.len);
	}
	json_close_array(json);
	buf_fini(&text);
}

static void write_command(const struct catalog_command *command, struct json *json)
{
	json_open_object(json);
	json_kv_str(json, "id", command->id);
	json_kv_str(json, "title", command->title);
	json_kv_str(json, "description", command->description);
	if (command->group != NULL)
		json_kv_str(json, "group", command->group->name);
	else
		json_kv_null(json, "group");
	json_kv_str(json, "icon", command->icon);
	write_inputs(command->inputs, command->n_inputs, json);
	json_kv_bool(json, "confirm", command->confirm);
	json_kv_str(json, "danger", danger_name(command->danger));
	json_kv_uint(json, "timeout_us", command->timeout_us);
	json_kv_uint(json, "kill_after_us", command->kill_after_us);
	json_kv_str(json, "user", command->user);
	write_argv_shape(command, json);
	write_strs(json, "outputs", command->outputs, command->n_outputs);
	json_close_object(json);
}

static void write_step(const struct catalog_step *step, size_t index, struct json *json)
{
	static const char *const phases[] = {
		[PLAN_MAIN] = "main",
		[PLAN_ON_FAILURE] = "on_failure",
		[PLAN_FINALLY] = "finally",
	};

	json_open_object(json);
	json_kv_uint(json, "index", index);
	json_kv_str(json, "id", step->id);
	json_kv_str(json, "uses", step->command != NULL ? step->command->id : "");
	json_kv_str(json, "title", step->command != NULL ? step->command->title : step->id);
	json_kv_str(json, "phase", phases[step->phase]);
	json_key(json, "needs");
	json_open_array(json);
	for (size_t i = 0; i < step->n_needs; i++)
		json_uint(json, step->needs[i]);
	json_close_array(json);
	plan_approve_write_json(&step->approve, json);
	json_close_object(json);
}

static void write_flow(
	const struct catalog_flow *flow, catalog_rules_fn rules, void *arg, struct json *json)
{
	json_open_object(json);
	json_kv_str(json, "id", flow->id);
	json_kv_str(json, "title", flow->title);
	json_kv_str(json, "description", flow->description);
	json_kv_str(json, "icon", flow->icon);
	write_inputs(flow->inputs, flow->n_inputs, json);
	json_kv_bool(json, "confirm", flow->confirm);
	json_kv_str(json, "danger", danger_name(flow->danger));
	json_kv_uint(json, "timeout_us", flow->timeout_us);
	json_key(json, "schedule");
	if (rules != NULL && flow->n_schedules != 0)
		rules(flow, json, arg);
	else
		json_nil(json);
	json_key(json, "steps");
	json_open_array(json);
	for (size_t i = 0; i < flow->n_steps; i++)
		write_step(&flow->steps[i], i, json);
	json_close_array(json);
	json_close_object(json);
}

void catalog_write_json(
	const struct catalog *catalog, catalog_rules_fn rules, void *arg, struct json *json)
{
	json_open_object(json);
	json_kv_str(json, "config_digest", catalog->digest);
	json_key(json, "commands");
	json_open_array(json);
	for (size_t i = 0; i < catalog->n_commands; i++)
		write_command(&catalog->commands[i], json);
	json_close_array(json);
	json_key(json, "flows");
	json_open_array(json);
	for (size_t i = 0; i < catalog->n_flows; i++)
		write_flow(&catalog->flows[i], rules, arg, json);
	json_close_array(json);
	json_close_object(json);
}
