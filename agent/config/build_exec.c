/* argv, environment and standard input of a command: where a client's values can go. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/config/build.h"
#include "agent/config/template.h"
#include "agent/config/trust.h"
#include "core/base/mem.h"

#define MAX_ARG_BYTES 16384
#define MAX_STDIN_BYTES 65536

static void refuse_updater(struct build *b, const struct raw_text *at, const char *text)
{
	if (text != NULL && strstr(text, INPUT_UPDATER_NAME) != NULL)
		build_error(b, at, "the updater is out of reach for commands");
}

/* A text with references to this command's inputs. */
static bool read_text(struct build *b, const struct raw_text *raw, const char *what, size_t max,
	bool multiline, bool after_flag, const struct catalog_command *command,
	struct plan_text *text)
{
	struct template t;
	struct err err;
	size_t input;

	if (strlen(raw->text) == 0) {
		text->prefix = xstrdup("");
		return true;
	}
	text->prefix = build_text(b, raw, what, max, multiline);
	if (text->prefix == NULL)
		return false;
	refuse_updater(b, raw, raw->text);
	if (template_parse(raw->text, after_flag, &t, &err) != 0) {
		build_error(b, raw, "%s", err.msg);
		return false;
	}
	text->prefix[t.prefix_len] = '\0';
	switch (t.ref) {
	case PLAN_LITERAL:
		return true;
	case PLAN_RUN_ID:
		text->ref = PLAN_RUN_ID;
		return true;
	case PLAN_STEP_OUTPUT:
	case PLAN_STEP_STATUS:
		build_error(b, raw,
			"a command knows no steps; give it an input, and set that in the flow's "
			"'with'");
		return false;
	case PLAN_INPUT:
		input = build_find_input(b, raw, t.name, command->inputs, command->n_inputs);
		if (input == SIZE_MAX)
			return false;
		text->ref = PLAN_INPUT;
		text->index = (uint16_t)input;
		return true;
	}
	return false;
}

static bool is_secret(const struct catalog_command *command, const struct plan_text *text)
{
	return text->ref == PLAN_INPUT && command->inputs[text->index].type == INPUT_SECRET;
}

bool build_is_onlooker(const struct build *b)
{
	return b->opts->trusted_uid == 0 && geteuid() != 0;
}

static void read_program(
	struct build *b, const struct raw_text *raw, struct catalog_command *command)
{
	struct err err;
	char *path;

	if (strstr(raw->text, "${") != NULL) {
		build_error(b, raw, "the program itself cannot be an input");
		return;
	}
	if (raw->text[0] != '/') {
		build_error(b, raw, "the program must be an absolute path, such as /usr/bin/%.40s",
			raw->text);
		return;
	}
	path = build_path(b, raw, "exec");
	if (path == NULL)
		return;
	command->executable = path;
	if (b->opts != NULL) {
		char *resolved = NULL;
		int rc = trust_check_program(path, b->opts->trusted_uid, &resolved, &err);

		if (rc == 0) {
			command->executable = resolved;
			free(path);
		} else if (rc != -EACCES || !build_is_onlooker(b)) {
			build_error(b, raw, "%s", err.msg);
			return;
		}
	}
	if (build_is_shell(raw->text) || build_is_shell(command->executable))
		build_error(b, raw,
			"commands run no shell; put the lines into a script file and name that");
	refuse_updater(b, raw, command->executable);
}

static void read_argv(struct build *b, const struct raw_texts *raw, struct catalog_command *command)
{
	if (raw->items_count == 0 || raw->items_count > PLAN_MAX_ARGS) {
		build_error_at(b, &raw->at, "'exec' needs a program and at most %d arguments",
			PLAN_MAX_ARGS - 1);
		return;
	}
	read_program(b, &raw->items[0], command);
	command->argv = xcalloc(raw->items_count, sizeof(*command->argv));
	command->n_argv = raw->items_count;
	for (size_t i = 0; i < raw->items_count; i++) {
		struct plan_text *text = &command->argv[i];

		if (i == 0)
			text->prefix = xstrdup(raw->items[i].text);
		else if (read_text(b, &raw->items[i], "exec", MAX_ARG_BYTES, false, true, command,
				 text) &&
			 is_secret(command, text))
			build_error(b, &raw->items[i],
				"a secret may stand in 'env' and 'stdin', never in 'exec'");
	}
	build_check_shells(b, raw, command);
}

bool build_env_name_is_valid(struct build *b, const struct raw_text *text)
{
	/* they change which code a program loads or runs before its first line */
	static const char *const loaders[] = {"BASH_ENV", "BASHOPTS", "ENV", "GCONV_PATH",
		"GLIBC_TUNABLES", "IFS", "PERL5LIB", "PERL5OPT", "PS4", "PYTHONPATH",
		"PYTHONSTARTUP", "SHELLOPTS"};
	const char *s = text->text;
	bool ok = s[0] != '\0' && strlen(s) <= BUILD_MAX_ID && !(s[0] >= '0' && s[0] <= '9');

	for (size_t i = 0; s[i] != '\0' && ok; i++)
		ok = (s[i] >= 'A' && s[i] <= 'Z') || (s[i] >= 'a' && s[i] <= 'z') ||
		     (s[i] >= '0' && s[i] <= '9') || s[i] == '_';
	if (!ok) {
		build_error(b, text, "'%.60s' is no name for an environment variable", s);
		return false;
	}
	ok = strncmp(s, "OPS_", 4) != 0 && strncmp(s, "LD_", 3) != 0;
	for (size_t i = 0; i < ARRAY_LEN(loaders) && ok; i++)
		ok = strcmp(loaders[i], s) != 0;
	if (!ok)
		build_error(b, text, "the environment variable '%.60s' may not be set", s);
	return ok;
}

static bool has_suffix(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && strcmp(s + n - m, suffix) == 0;
}

/* Variables that name a program, a place to load code from, or options of an interpreter. */
static bool chooses_code(const char *name)
{
	static const char *const names[] = {"BROWSER", "EDITOR", "HOME", "LESSCLOSE", "LESSOPEN",
		"PAGER", "PATH", "SHELL", "VISUAL"};
	static const char *const prefixes[] = {
		"GIT_", "JAVA_", "LUA_", "NODE_", "PERL", "PHP", "PYTHON", "RUBY"};
	static const char *const suffixes[] = {
		"_ASKPASS", "_COMMAND", "_EDITOR", "_OPTIONS", "_OPTS", "_PAGER", "_PATH", "_RSH"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		if (strncmp(prefixes[i], name, strlen(prefixes[i])) == 0)
			return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		if (has_suffix(name, suffixes[i]))
			return true;
	}
	return false;
}

/* Where a program by name, or a script's `#!/usr/bin/env`, is looked for. */
static void check_search_path(struct build *b, const struct raw_text *raw)
{
	const char *at = raw->text;

	for (;;) {
		size_t n = strcspn(at, ":");
		char *folder = xstrndup(at, n);
		struct err err;
		int rc = 0;

		if (folder[0] != '/')
			build_error(b, raw, "PATH must be absolute folders joined by ':'");
		else if (b->opts != NULL)
			rc = trust_check_folder(folder, b->opts->trusted_uid, &err);
		/* what is not there only root could make; the rest the monitor can see */
		if (rc != 0 && rc != -ENOENT && (rc != -EACCES || !build_is_onlooker(b)))
			build_error(b, raw, "PATH: %s", err.msg);
		free(folder);
		if (rc != 0 || at[0] != '/' || at[n] == '\0')
			return;
		at += n + 1;
	}
}

static void read_variable(struct build *b, const struct raw_pair *raw,
	const struct catalog_command *command, struct catalog_env *env)
{
	(void)build_env_name_is_valid(b, &raw->key);
	env->name = xstrdup(raw->key.text);
	if (!read_text(b, &raw->value, "env", MAX_ARG_BYTES, false, false, command, &env->value))
		return;
	if (env->value.ref != PLAN_LITERAL && chooses_code(env->name))
		build_error(b, &raw->value,
			"%.60s chooses what is executed, so it cannot come from an input",
			env->name);
	else if (strcmp(env->name, "PATH") == 0)
		check_search_path(b, &raw->value);
}

static void read_env(struct build *b, const struct raw_pairs *raw, struct catalog_command *command)
{
	if (raw == NULL)
		return;
	if (raw->items_count > CATALOG_MAX_ENV) {
		build_error_at(b, &raw->at, "at most %d environment variables", CATALOG_MAX_ENV);
		return;
	}
	command->env = xcalloc(raw->items_count, sizeof(*command->env));
	command->n_env = raw->items_count;
	for (size_t i = 0; i < raw->items_count; i++)
		read_variable(b, &raw->items[i], command, &command->env[i]);
}

void build_exec(struct build *b, const struct raw_command *raw, struct catalog_command *command)
{
	read_argv(b, raw->exec, command);
	read_env(b, raw->env, command);
	if (raw->stdin_text != NULL)
		(void)read_text(b, raw->stdin_text, "stdin", MAX_STDIN_BYTES, true, false, command,
			&command->stdin_text);
}
