#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/build.h"
#include "agent/config/secret_file.h"
#include "core/base/mem.h"

#define MAX_KILL_AFTER_US UINT64_C(600000000)

static uint64_t read_kill_after(struct build *b, const struct raw_text *text, uint64_t fallback_us)
{
	uint64_t us = build_duration(b, text, "kill_after", fallback_us);

	if (text != NULL && us > MAX_KILL_AFTER_US)
		build_error(b, text, "'kill_after' must be at most 10m");
	return us;
}

/* ---- accounts ---- */

static bool is_reserved(const struct build *b, const char *user)
{
	for (size_t i = 0; i < ARRAY_LEN(b->opts->reserved_users); i++) {
		if (b->opts->reserved_users[i] != NULL &&
			strcmp(b->opts->reserved_users[i], user) == 0)
			return true;
	}
	return false;
}

/* at NULL: nobody wrote this name, it is the default. */
static bool check_user(struct build *b, const struct raw_text *at, const char *user)
{
	const char *what = NULL;

	if (at != NULL && !build_name_is_valid(b, at, "account", true, 32))
		return false;
	if (b->opts == NULL)
		return true;
	if (is_reserved(b, user))
		what = "belongs to the agent; commands run as another one";
	else if (b->opts->override_user == NULL && getpwnam(user) == NULL)
		what = "does not exist on this machine";
	if (what == NULL)
		return true;
	if (at != NULL)
		build_error(b, at, "the account '%.40s' %s", user, what);
	else
		build_error_at(b, &(struct raw_pos){0},
			"the default account '%.40s' %s; name another in 'defaults'", user, what);
	return false;
}

static char *build_user(struct build *b, const struct raw_text *text)
{
	const struct raw_text *at = text != NULL ? text : b->defaults.user_at;
	const char *user = text != NULL ? text->text : b->defaults.user;

	if (text == NULL && b->defaults.user_is_bad)
		return NULL; /* said once is enough */
	if (!check_user(b, at, user)) {
		b->defaults.user_is_bad = b->defaults.user_is_bad || text == NULL;
		return NULL;
	}
	if (b->opts != NULL && b->opts->override_user != NULL)
		user = b->opts->override_user;
	return xstrdup(user);
}

/* ---- what other versions will execute ---- */

#define MIN_MEMORY_LIMIT (UINT64_C(1) << 20) /* less, and not even a program can start */

static void read_limits(struct build *b, const struct raw_limits *raw, struct plan_limits *limits)
{
	if (raw == NULL)
		return;
	limits->memory = build_size(b, raw->memory, "memory", 0);
	if (limits->memory != 0 && limits->memory < MIN_MEMORY_LIMIT)
		build_error(b, raw->memory, "'memory' must be at least 1MiB");
	if (raw->pids != NULL)
		limits->pids = (uint32_t)build_int(b, raw->pids, "pids", 1, 1000000, 1);
	limits->cpu_percent = build_percent(b, raw->cpu, "cpu");
}

/* The worker, which cannot read it, leaves the looking to the monitor. */
static bool secret_is_good(struct build *b, const struct raw_text *at, const char *path)
{
	struct err err = {0};
	char *text;

	if (b->opts == NULL)
		return true;
	text = secret_file_read(path, b->opts->trusted_uid, &err);
	secret_file_free(text);
	if (text != NULL || (err.code == -EACCES && build_is_onlooker(b)))
		return true;
	build_error(b, at, "%s", err.msg);
	return false;
}

/* Each becomes a variable of the environment, beside those of `env`. */
static void read_secrets(
	struct build *b, const struct raw_pairs *raw, struct catalog_command *command)
{
	size_t n = raw != NULL ? raw->items_count : 0;
	struct catalog_env *env;

	if (n == 0)
		return;
	if (command->n_env + n > CATALOG_MAX_ENV) {
		build_error_at(b, &raw->at, "at most %d variables with 'env'", CATALOG_MAX_ENV);
		return;
	}
	env = xcalloc(command->n_env + n, sizeof(*env));
	if (command->n_env != 0)
		memcpy(env, command->env, command->n_env * sizeof(*env));
	free(command->env);
	command->env = env;
	for (size_t i = 0; i < n; i++) {
		const struct raw_pair *pair = &raw->items[i];
		char *path = build_path(b, &pair->value, "secrets");
		bool ok = build_env_name_is_valid(b, &pair->key);

		for (size_t j = 0; j < command->n_env; j++) {
			if (strcmp(env[j].name, pair->key.text) == 0) {
				build_error(b, &pair->key, "'%.48s' is in 'env' already",
					pair->key.text);
				ok = false;
			}
		}
		if (path != NULL && !secret_is_good(b, &pair->value, path))
			ok = false;
		if (!ok || path == NULL) {
			free(path);
			continue;
		}
		env[command->n_env++] = (struct catalog_env){.name = xstrdup(pair->key.text),
			.value = {.prefix = xstrdup("")},
			.secret_path = path};
	}
}

/* ---- how often, and how many at a time ---- */

static void read_rate(struct build *b, const struct raw_rate *rate, struct catalog_command *command)
{
	if (rate == NULL)
		return;
	command->rate_limit = (unsigned)build_int(b, rate->limit, "limit", 1, CATALOG_MAX_RATE, 1);
	command->rate_per_us = build_duration(b, rate->per, "per", 0);
	if (command->rate_per_us == 0 || command->rate_per_us > CATALOG_MAX_RATE_PER_US)
		build_error(b, rate->per, "'per' must be more than 0 and at most 24h");
}

static void read_groups(struct build *b, const struct raw_groups *groups)
{
	struct catalog *catalog = b->catalog;
	size_t n = groups != NULL ? groups->items_count : 0;

	if (n > CATALOG_MAX_GROUPS) {
		build_error_at(
			b, &groups->at, "'groups' has more than %d groups", CATALOG_MAX_GROUPS);
		return;
	}
	catalog->groups = xcalloc(MAX(n, 1u), sizeof(*catalog->groups));
	catalog->n_groups = n;
	for (size_t i = 0; i < n; i++) {
		const struct raw_group *raw = &groups->items[i];
		struct catalog_group *group = &catalog->groups[i];

		(void)build_name_is_valid(b, &raw->key, "group", false, BUILD_MAX_NAME);
		group->name = xstrdup(raw->key.text);
		group->max_concurrent =
			(unsigned)build_int(b, raw->max_concurrent, "max_concurrent", 1, 1000, 1);
		group->queue = (unsigned)build_int(b, raw->queue, "queue", 0, 1000, 0);
	}
}

static void read_group(
	struct build *b, const struct raw_text *text, struct catalog_command *command)
{
	if (text == NULL)
		return;
	command->group = catalog_find_group(b->catalog, text->text);
	if (command->group == NULL)
		build_error(b, text, "there is no group '%.64s' under 'groups'", text->text);
}

/* ---- one command ---- */

static void read_outputs(
	struct build *b, const struct raw_texts *raw, struct catalog_command *command)
{
	if (raw == NULL)
		return;
	if (raw->items_count > PLAN_MAX_OUTPUTS) {
		build_error_at(b, &raw->at, "at most %d outputs", PLAN_MAX_OUTPUTS);
		return;
	}
	command->outputs = xcalloc(raw->items_count, sizeof(*command->outputs));
	for (size_t i = 0; i < raw->items_count; i++) {
		const struct raw_text *item = &raw->items[i];

		(void)build_name_is_valid(b, item, "output", false, BUILD_MAX_NAME);
		for (size_t j = 0; j < i; j++) {
			if (strcmp(command->outputs[j], item->text) == 0)
				build_error(b, item, "output '%.48s' is listed twice", item->text);
		}
		command->outputs[command->n_outputs++] = xstrdup(item->text);
	}
}

static void read_success_codes(
	struct build *b, const struct raw_texts *raw, struct catalog_command *command)
{
	size_t n = raw != NULL ? raw->items_count : 0;

	if (raw != NULL && (n == 0 || n > 256))
		build_error_at(b, &raw->at, "'success_codes' needs 1 to 256 exit codes");
	if (n == 0 || n > 256) {
		command->success_codes = xcalloc(1, 1); /* 0 */
		command->n_success_codes = 1;
		return;
	}
	command->success_codes = xcalloc(n, 1);
	command->n_success_codes = n;
	for (size_t i = 0; i < n; i++)
		command->success_codes[i] =
			(uint8_t)build_int(b, &raw->items[i], "success_codes", 0, 255, 0);
}

static void build_command(
	struct build *b, const struct raw_command *raw, struct catalog_command *command)
{
	static const char *const dangers[] = {"low", "high"};

	(void)build_name_is_valid(b, &raw->key, "command", true, BUILD_MAX_ID);
	command->id = xstrdup(raw->key.text);
	command->title = build_text(b, raw->title, "title", BUILD_MAX_TITLE, false);
	command->description =
		build_text(b, raw->description, "description", BUILD_MAX_DESCRIPTION, true);
	if (raw->icon != NULL && build_name_is_valid(b, raw->icon, "icon", false, BUILD_MAX_NAME))
		command->icon = xstrdup(raw->icon->text);
	command->timeout_us = build_duration(b, raw->timeout, "timeout", b->defaults.timeout_us);
	command->kill_after_us = read_kill_after(b, raw->kill_after, b->defaults.kill_after_us);
	command->max_output = build_size(b, raw->max_output, "max_output", b->defaults.max_output);
	command->confirm = build_bool(b, raw->confirm, "confirm", false);
	command->danger = (enum catalog_danger)build_choice(
		b, raw->danger, "danger", dangers, ARRAY_LEN(dangers), CATALOG_DANGER_LOW);
	command->leave_children = build_bool(b, raw->leave_children, "leave_children", false);
	command->new_privileges = build_bool(b, raw->new_privileges, "new_privileges", false);
	command->user = build_user(b, raw->user);
	command->cwd = raw->cwd != NULL ? build_path(b, raw->cwd, "cwd") : xstrdup("/");
	build_inputs(b, raw->inputs, &command->inputs, &command->n_inputs);
	read_outputs(b, raw->outputs, command);
	read_success_codes(b, raw->success_codes, command);
	build_exec(b, raw, command);
	read_secrets(b, raw->secrets, command);
	read_limits(b, raw->limits, &command->limits);
	read_rate(b, raw->max_rate, command);
	read_group(b, raw->group, command);
}

static void read_defaults(struct build *b, const struct raw_defaults *raw)
{
	static const struct raw_defaults none;

	if (raw == NULL)
		raw = &none;
	b->defaults = (struct build_defaults){
		.timeout_us =
			build_duration(b, raw->timeout, "timeout", CATALOG_DEFAULT_TIMEOUT_US),
		.kill_after_us = read_kill_after(b, raw->kill_after, CATALOG_DEFAULT_KILL_AFTER_US),
		.max_output =
			build_size(b, raw->max_output, "max_output", CATALOG_DEFAULT_MAX_OUTPUT),
		.user = CATALOG_DEFAULT_RUN_USER,
	};
	if (b->opts != NULL && b->opts->run_user != NULL)
		b->defaults.user = b->opts->run_user;
	if (raw->user != NULL) {
		b->defaults.user = raw->user->text;
		b->defaults.user_at = raw->user;
	}
}

void build_commands(struct build *b, const struct raw_commands *raw)
{
	struct catalog *catalog = b->catalog;
	size_t n = raw->commands->items_count;

	build_version(b, raw->version);
	read_defaults(b, raw->defaults);
	read_groups(b, raw->groups);
	if (n == 0 || n > CATALOG_MAX_COMMANDS) {
		build_error_at(b, &raw->commands->at, "'commands' needs 1 to %d commands",
			CATALOG_MAX_COMMANDS);
		return;
	}
	catalog->commands = xcalloc(n, sizeof(*catalog->commands));
	catalog->n_commands = n;
	for (size_t i = 0; i < n; i++)
		build_command(b, &raw->commands->items[i], &catalog->commands[i]);
}
