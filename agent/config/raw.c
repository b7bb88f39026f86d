#include "agent/config/raw.h"

#include <string.h>

#include "core/base/mem.h"

/* In every mapping the first field is its place; in a user-keyed entry the second is its key. */
#define POS(type)                                                                                  \
	CYAML_FIELD_MAPPING(SHAPE_POS_KEY, CYAML_FLAG_DEFAULT, struct type, at, shape_pos_fields)
#define KEY(type)                                                                                  \
	CYAML_FIELD_MAPPING(SHAPE_USER_KEY, CYAML_FLAG_DEFAULT, struct type, key, shape_text_fields)
#define NEED(type, name, member)                                                                   \
	CYAML_FIELD_MAPPING_PTR(name, CYAML_FLAG_POINTER, struct type, member, shape_text_fields)
#define TEXT(type, name, member) OBJECT(type, name, member, shape_text_fields)
#define OBJECT(type, name, member, fields)                                                         \
	CYAML_FIELD_MAPPING_PTR(                                                                   \
		name, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct type, member, fields)
#define NEED_OBJECT(type, name, member, fields)                                                    \
	CYAML_FIELD_MAPPING_PTR(name, CYAML_FLAG_POINTER, struct type, member, fields)

/* The needed first key of an entry; a scalar in the entry's place stands for it alone. */
#define NEED_SHORT(type, name, member)                                                             \
	CYAML_FIELD_MAPPING_PTR(name, CYAML_FLAG_POINTER | SHAPE_FLAG_SHORT, struct type, member,  \
		shape_text_fields)

/* The fields of a list of entries. */
#define LIST(list, entry)                                                                          \
	POS(list),                                                                                 \
		CYAML_FIELD_SEQUENCE(SHAPE_ITEMS_KEY, CYAML_FLAG_POINTER, struct list, items,      \
			&(entry), 0, CYAML_UNLIMITED),                                             \
		CYAML_FIELD_END

#define ENTRY(type, fields)                                                                        \
	{                                                                                          \
		CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct type, fields)                       \
	}

static const cyaml_schema_value_t text_entry = ENTRY(raw_text, shape_text_fields);
static const cyaml_schema_field_t texts[] = {LIST(raw_texts, text_entry)};

static const cyaml_schema_field_t pair_fields[] = {
	POS(raw_pair),
	KEY(raw_pair),
	CYAML_FIELD_MAPPING(
		SHAPE_USER_VALUE, CYAML_FLAG_DEFAULT, struct raw_pair, value, shape_text_fields),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t pair_entry = ENTRY(raw_pair, pair_fields);
static const cyaml_schema_field_t pairs[] = {LIST(raw_pairs, pair_entry)};

static const cyaml_schema_field_t input_fields[] = {
	POS(raw_input),
	KEY(raw_input),
	NEED(raw_input, "type", type),
	TEXT(raw_input, "title", title),
	TEXT(raw_input, "description", description),
	TEXT(raw_input, "required", required),
	TEXT(raw_input, "default", default_value),
	TEXT(raw_input, "min", min),
	TEXT(raw_input, "max", max),
	TEXT(raw_input, "max_length", max_length),
	TEXT(raw_input, "pattern", pattern),
	TEXT(raw_input, "under", under),
	TEXT(raw_input, "allow_dash", allow_dash),
	OBJECT(raw_input, "values", values, texts),
	OBJECT(raw_input, "schemes", schemes, texts),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t input_entry = ENTRY(raw_input, input_fields);
static const cyaml_schema_field_t inputs[] = {LIST(raw_inputs, input_entry)};

static const cyaml_schema_field_t limits_fields[] = {
	POS(raw_limits),
	TEXT(raw_limits, "memory", memory),
	TEXT(raw_limits, "cpu", cpu),
	TEXT(raw_limits, "pids", pids),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t rate_fields[] = {
	POS(raw_rate),
	NEED(raw_rate, "limit", limit),
	NEED(raw_rate, "per", per),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t command_fields[] = {
	POS(raw_command),
	KEY(raw_command),
	NEED(raw_command, "title", title),
	TEXT(raw_command, "description", description),
	TEXT(raw_command, "icon", icon),
	NEED_OBJECT(raw_command, "exec", exec, texts),
	TEXT(raw_command, "user", user),
	TEXT(raw_command, "cwd", cwd),
	OBJECT(raw_command, "env", env, pairs),
	TEXT(raw_command, "stdin", stdin_text),
	TEXT(raw_command, "group", group),
	TEXT(raw_command, "timeout", timeout),
	TEXT(raw_command, "kill_after", kill_after),
	TEXT(raw_command, "max_output", max_output),
	TEXT(raw_command, "confirm", confirm),
	TEXT(raw_command, "danger", danger),
	OBJECT(raw_command, "inputs", inputs, inputs),
	OBJECT(raw_command, "outputs", outputs, texts),
	OBJECT(raw_command, "success_codes", success_codes, texts),
	OBJECT(raw_command, "secrets", secrets, pairs),
	OBJECT(raw_command, "limits", limits, limits_fields),
	OBJECT(raw_command, "max_rate", max_rate, rate_fields),
	TEXT(raw_command, "leave_children", leave_children),
	TEXT(raw_command, "new_privileges", new_privileges),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t command_entry = ENTRY(raw_command, command_fields);
static const cyaml_schema_field_t commands[] = {LIST(raw_command_list, command_entry)};

static const cyaml_schema_field_t group_fields[] = {
	POS(raw_group),
	KEY(raw_group),
	TEXT(raw_group, "max_concurrent", max_concurrent),
	TEXT(raw_group, "queue", queue),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t group_entry = ENTRY(raw_group, group_fields);
static const cyaml_schema_field_t groups[] = {LIST(raw_groups, group_entry)};

static const cyaml_schema_field_t defaults_fields[] = {
	POS(raw_defaults),
	TEXT(raw_defaults, "timeout", timeout),
	TEXT(raw_defaults, "kill_after", kill_after),
	TEXT(raw_defaults, "max_output", max_output),
	TEXT(raw_defaults, "user", user),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t commands_fields[] = {
	POS(raw_commands),
	NEED(raw_commands, "version", version),
	OBJECT(raw_commands, "defaults", defaults, defaults_fields),
	OBJECT(raw_commands, "groups", groups, groups),
	NEED_OBJECT(raw_commands, "commands", commands, commands),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t retry_fields[] = {
	POS(raw_retry),
	NEED(raw_retry, "limit", limit),
	TEXT(raw_retry, "delay", delay),
	TEXT(raw_retry, "backoff", backoff),
	OBJECT(raw_retry, "exit_codes", exit_codes, texts),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t approve_fields[] = {
	POS(raw_approve),
	NEED(raw_approve, "prompt", prompt),
	TEXT(raw_approve, "timeout", timeout),
	TEXT(raw_approve, "on_timeout", on_timeout),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t step_fields[] = {
	POS(raw_step),
	NEED(raw_step, "id", id),
	TEXT(raw_step, "uses", uses),
	OBJECT(raw_step, "with", with, pairs),
	OBJECT(raw_step, "needs", needs, texts),
	TEXT(raw_step, "if", condition),
	TEXT(raw_step, "continue_on_error", continue_on_error),
	OBJECT(raw_step, "retry", retry, retry_fields),
	OBJECT(raw_step, "approve", approve, approve_fields),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t step_entry = ENTRY(raw_step, step_fields);
static const cyaml_schema_field_t steps[] = {LIST(raw_steps, step_entry)};

/* Items of on_failure and finally have neither a name of their own nor a place in the graph. */
static const cyaml_schema_field_t late_step_fields[] = {
	POS(raw_step),
	NEED(raw_step, "uses", uses),
	OBJECT(raw_step, "with", with, pairs),
	TEXT(raw_step, "continue_on_error", continue_on_error),
	OBJECT(raw_step, "retry", retry, retry_fields),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t late_step_entry = ENTRY(raw_step, late_step_fields);
static const cyaml_schema_field_t late_steps[] = {LIST(raw_steps, late_step_entry)};

static const cyaml_schema_field_t schedule_fields[] = {
	POS(raw_schedule),
	NEED(raw_schedule, "cron", cron),
	TEXT(raw_schedule, "timezone", timezone),
	TEXT(raw_schedule, "catch_up", catch_up),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t schedule_entry = ENTRY(raw_schedule, schedule_fields);
static const cyaml_schema_field_t schedules[] = {LIST(raw_schedules, schedule_entry)};

static const cyaml_schema_field_t concurrency_fields[] = {
	POS(raw_concurrency),
	NEED(raw_concurrency, "group", group),
	TEXT(raw_concurrency, "on_conflict", on_conflict),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t flow_fields[] = {
	POS(raw_flow),
	NEED(raw_flow, "version", version),
	NEED(raw_flow, "id", id),
	NEED(raw_flow, "title", title),
	TEXT(raw_flow, "description", description),
	TEXT(raw_flow, "icon", icon),
	TEXT(raw_flow, "timeout", timeout),
	TEXT(raw_flow, "confirm", confirm),
	OBJECT(raw_flow, "schedule", schedule, schedules),
	OBJECT(raw_flow, "concurrency", concurrency, concurrency_fields),
	OBJECT(raw_flow, "inputs", inputs, inputs),
	NEED_OBJECT(raw_flow, "steps", steps, steps),
	OBJECT(raw_flow, "on_failure", on_failure, late_steps),
	OBJECT(raw_flow, "finally", finally, late_steps),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t docker_fields[] = {
	POS(raw_docker),
	TEXT(raw_docker, "socket", socket),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t unit_fields[] = {
	POS(raw_unit),
	NEED_SHORT(raw_unit, "unit", unit),
	TEXT(raw_unit, "name", name),
	TEXT(raw_unit, "action", action),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t unit_entry = ENTRY(raw_unit, unit_fields);
static const cyaml_schema_field_t units[] = {LIST(raw_units, unit_entry)};

static const cyaml_schema_field_t repository_fields[] = {
	POS(raw_repository),
	NEED_SHORT(raw_repository, "path", path),
	TEXT(raw_repository, "action", action),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t repository_entry = ENTRY(raw_repository, repository_fields);
static const cyaml_schema_field_t repositories[] = {LIST(raw_repositories, repository_entry)};

static const cyaml_schema_field_t actions_fields[] = {
	POS(raw_actions),
	TEXT(raw_actions, "host", host),
	TEXT(raw_actions, "docker", docker),
	TEXT(raw_actions, "units", units),
	TEXT(raw_actions, "certificates", certificates),
	TEXT(raw_actions, "urls", urls),
	TEXT(raw_actions, "repositories", repositories),
	TEXT(raw_actions, "backups", backups),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t certificate_fields[] = {
	POS(raw_certificate),
	TEXT(raw_certificate, "host", host),
	TEXT(raw_certificate, "port", port),
	TEXT(raw_certificate, "starttls", starttls),
	TEXT(raw_certificate, "file", file),
	TEXT(raw_certificate, "action", action),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t certificate_entry = ENTRY(raw_certificate, certificate_fields);
static const cyaml_schema_field_t certificates[] = {LIST(raw_certificates, certificate_entry)};

static const cyaml_schema_field_t backup_fields[] = {
	POS(raw_backup),
	NEED(raw_backup, "name", name),
	NEED(raw_backup, "glob", glob),
	TEXT(raw_backup, "max_age", max_age),
	TEXT(raw_backup, "min_size", min_size),
	TEXT(raw_backup, "verified_by", verified_by),
	TEXT(raw_backup, "action", action),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t backup_entry = ENTRY(raw_backup, backup_fields);
static const cyaml_schema_field_t backups[] = {LIST(raw_backups, backup_entry)};

static const cyaml_schema_field_t url_fields[] = {
	POS(raw_url),
	NEED(raw_url, "url", url),
	TEXT(raw_url, "expect", expect),
	TEXT(raw_url, "text", text),
	TEXT(raw_url, "action", action),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t url_entry = ENTRY(raw_url, url_fields);
static const cyaml_schema_field_t urls[] = {LIST(raw_urls, url_entry)};

static const cyaml_schema_field_t status_fields[] = {
	POS(raw_status),
	TEXT(raw_status, "version", version),
	TEXT(raw_status, "host", host),
	TEXT(raw_status, "interval", interval),
	OBJECT(raw_status, "docker", docker, docker_fields),
	OBJECT(raw_status, "actions", actions, actions_fields),
	OBJECT(raw_status, "units", units, units),
	OBJECT(raw_status, "repositories", repositories, repositories),
	OBJECT(raw_status, "certificates", certificates, certificates),
	OBJECT(raw_status, "backups", backups, backups),
	OBJECT(raw_status, "urls", urls, urls),
	CYAML_FIELD_END,
};

const cyaml_schema_value_t raw_commands_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw_commands, commands_fields),
};
const cyaml_schema_value_t raw_flow_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw_flow, flow_fields),
};
const cyaml_schema_value_t raw_status_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw_status, status_fields),
};

const char *raw_hint(const cyaml_schema_field_t *fields, const char *key)
{
	static const char *const shell_keys[] = {"run", "shell", "script", "command"};
	bool in_flow = fields == flow_fields || fields == step_fields || fields == late_step_fields;

	for (size_t i = 0; i < ARRAY_LEN(shell_keys); i++) {
		if (strcmp(key, shell_keys[i]) != 0)
			continue;
		if (in_flow)
			return "flows hold no shell; add a command to commands.yml";
		if (fields == command_fields)
			return "commands hold no shell line; name a program and its arguments in "
			       "exec: [/path, arg]";
	}
	if (fields == late_step_fields && strcmp(key, "id") == 0)
		return "items of on_failure and finally have no id; they are named finally.1, "
		       "finally.2 …";
	return NULL;
}
