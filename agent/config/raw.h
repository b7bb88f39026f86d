/* The three kinds of files as libcyaml loads them (shape.h says how): every scalar still a text
 * with its place, every mapping and list with its own. What is absent is NULL. Internal to
 * agent/config. */
#ifndef OPS_AGENT_CONFIG_RAW_H
#define OPS_AGENT_CONFIG_RAW_H

#include "agent/config/shape.h"

#define RAW_LIST(name, type)                                                                       \
	struct name {                                                                              \
		struct raw_pos at;                                                                 \
		type *items;                                                                       \
		uint32_t items_count;                                                              \
	}

RAW_LIST(raw_texts, struct raw_text);

/* an entry of a mapping from names to scalars */
struct raw_pair {
	struct raw_pos at;
	struct raw_text key, value;
};
RAW_LIST(raw_pairs, struct raw_pair);

struct raw_input {
	struct raw_pos at;
	struct raw_text key;
	struct raw_text *type, *title, *description, *required, *default_value, *min, *max;
	struct raw_text *max_length, *pattern, *under, *allow_dash;
	struct raw_texts *values, *schemes;
};
RAW_LIST(raw_inputs, struct raw_input);

struct raw_limits {
	struct raw_pos at;
	struct raw_text *memory, *cpu, *pids;
};

struct raw_rate {
	struct raw_pos at;
	struct raw_text *limit, *per;
};

struct raw_command {
	struct raw_pos at;
	struct raw_text key;
	struct raw_text *title, *description, *icon, *user, *cwd, *group, *stdin_text;
	struct raw_text *timeout, *kill_after, *max_output, *confirm, *danger, *leave_children;
	struct raw_text *new_privileges;
	struct raw_texts *exec, *outputs, *success_codes;
	struct raw_pairs *env, *secrets;
	struct raw_inputs *inputs;
	struct raw_limits *limits;
	struct raw_rate *max_rate;
};
RAW_LIST(raw_command_list, struct raw_command);

struct raw_group {
	struct raw_pos at;
	struct raw_text key;
	struct raw_text *max_concurrent, *queue;
};
RAW_LIST(raw_groups, struct raw_group);

struct raw_defaults {
	struct raw_pos at;
	struct raw_text *timeout, *kill_after, *max_output, *user;
};

struct raw_commands {
	struct raw_pos at;
	struct raw_text *version;
	struct raw_defaults *defaults;
	struct raw_groups *groups;
	struct raw_command_list *commands;
};

struct raw_retry {
	struct raw_pos at;
	struct raw_text *limit, *delay, *backoff;
	struct raw_texts *exit_codes;
};

struct raw_approve {
	struct raw_pos at;
	struct raw_text *prompt, *timeout, *on_timeout;
};

struct raw_step {
	struct raw_pos at;
	struct raw_text *id, *uses, *condition, *continue_on_error;
	struct raw_pairs *with;
	struct raw_texts *needs;
	struct raw_retry *retry;
	struct raw_approve *approve;
};
RAW_LIST(raw_steps, struct raw_step);

struct raw_schedule {
	struct raw_pos at;
	struct raw_text *cron, *timezone, *catch_up;
};
RAW_LIST(raw_schedules, struct raw_schedule);

struct raw_concurrency {
	struct raw_pos at;
	struct raw_text *group, *on_conflict;
};

struct raw_flow {
	struct raw_pos at;
	struct raw_text *version, *id, *title, *description, *icon, *timeout, *confirm;
	struct raw_schedules *schedule;
	struct raw_concurrency *concurrency;
	struct raw_inputs *inputs;
	struct raw_steps *steps, *on_failure, *finally;
};

struct raw_docker {
	struct raw_pos at;
	struct raw_text *socket;
};

/* `caddy.service`, or {unit: caddy.service, …} */
struct raw_unit {
	struct raw_pos at;
	struct raw_text *unit, *name, *action;
};
RAW_LIST(raw_units, struct raw_unit);

/* `/srv/app`, or {path: /srv/app, …} */
struct raw_repository {
	struct raw_pos at;
	struct raw_text *path, *action;
};
RAW_LIST(raw_repositories, struct raw_repository);

struct raw_certificate {
	struct raw_pos at;
	struct raw_text *host, *port, *starttls, *file, *action;
};
RAW_LIST(raw_certificates, struct raw_certificate);

struct raw_backup {
	struct raw_pos at;
	struct raw_text *name, *glob, *max_age, *min_size, *verified_by, *action;
};
RAW_LIST(raw_backups, struct raw_backup);

struct raw_url {
	struct raw_pos at;
	struct raw_text *url, *expect, *text, *action;
};
RAW_LIST(raw_urls, struct raw_url);

/* what to do about a section as a whole */
struct raw_actions {
	struct raw_pos at;
	struct raw_text *host, *docker, *units, *certificates, *urls, *repositories, *backups;
};

struct raw_status {
	struct raw_pos at;
	struct raw_text *version, *host, *interval;
	struct raw_docker *docker;
	struct raw_actions *actions;
	struct raw_units *units;
	struct raw_repositories *repositories;
	struct raw_certificates *certificates;
	struct raw_backups *backups;
	struct raw_urls *urls;
};

extern const cyaml_schema_value_t raw_commands_schema; /* struct raw_commands */
extern const cyaml_schema_value_t raw_flow_schema;     /* struct raw_flow */
extern const cyaml_schema_value_t raw_status_schema;   /* struct raw_status */

/* The shape_hint for all three: keys that other tools have and ours has on purpose not. */
const char *raw_hint(const cyaml_schema_field_t *fields, const char *key);

#endif
