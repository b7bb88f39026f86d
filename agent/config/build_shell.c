/*
 * No input reaches a shell: what an argument vector may not look like.
 *
 * Nothing of ours ever calls one; a command could. Its program may be a shell, may start one (`env
 * sh -c`), may hand its arguments to one (`ssh host …`), or may run a text it is given (`python3
 * -c`). These are guards: who writes this file is root and can always put the same into a script,
 * which is then a program with a name, an owner and a mode.
 */
#include <stdio.h>
#include <string.h>

#include "agent/config/build.h"
#include "core/base/mem.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static bool is_one_of(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i], name) == 0)
			return true;
	}
	return false;
}

/* "zsh", and "zsh5", "zsh-5.9", "bash-static" */
bool build_is_shell(const char *path)
{
	static const char *const shells[] = {"sh", "ash", "bash", "busybox", "csh", "dash",
		"elvish", "fish", "ksh", "lksh", "mksh", "nu", "oksh", "posh", "pwsh", "rbash",
		"rksh", "rzsh", "tcsh", "toybox", "xonsh", "yash", "zsh"};
	char name[32];
	size_t len = strcspn(base_name(path), "0123456789-.");

	if (len >= sizeof(name))
		return false;
	memcpy(name, base_name(path), len);
	name[len] = '\0';
	return is_one_of(name, shells, ARRAY_LEN(shells));
}

/* Programs whose arguments are, or may be, another program with its arguments. */
static bool is_wrapper(const char *name)
{
	static const char *const names[] = {"chpst", "chroot", "chrt", "docker", "doas", "env",
		"flock", "ionice", "machinectl", "nice", "nohup", "nsenter", "podman", "runuser",
		"setpriv", "setsid", "sshpass", "stdbuf", "su", "sudo", "systemd-inhibit",
		"systemd-run", "taskset", "time", "timeout", "unshare", "xargs"};

	return is_one_of(name, names, ARRAY_LEN(names));
}

/* Programs that join their arguments and have a shell read the result. */
static bool calls_shell(const char *name)
{
	static const char *const names[] = {"at", "autossh", "batch", "dbclient", "mosh",
		"parallel", "rsh", "runuser", "script", "sg", "ssh", "su", "watch"};

	return is_one_of(name, names, ARRAY_LEN(names));
}

/* Programs that run a text behind one of these one-letter options. */
static const char *code_options(const char *name)
{
	static const struct {
		const char *prefix, *letters;
	} programs[] = {{"ex", "c"}, {"git", "c"}, {"lua", "e"}, {"mariadb", "e"}, {"mysql", "e"},
		{"node", "ep"}, {"nvim", "c"}, {"perl", "eE"}, {"php", "rBRE"}, {"psql", "c"},
		{"python", "c"}, {"ruby", "e"}, {"sed", "e"}, {"tclsh", "c"}, {"vi", "c"}};

	for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
		size_t n = strlen(programs[i].prefix);

		/* python3, python3.13; but "expand" is no "ex" */
		if (strncmp(name, programs[i].prefix, n) == 0 &&
			strspn(name + n, "0123456789.m") == strlen(name + n))
			return programs[i].letters;
	}
	return NULL;
}

static bool is_code_word(const char *option)
{
	static const char *const words[] = {
		"--command", "--eval", "--execute", "--expression", "--print", "--run"};
	char word[24];
	size_t n = strcspn(option, "=");

	if (n >= sizeof(word))
		return false;
	memcpy(word, option, n);
	word[n] = '\0';
	return is_one_of(word, words, ARRAY_LEN(words));
}

/* `-c`, `-euc`: one dash, letters. */
static bool is_cluster(const char *text)
{
	return text[0] == '-' && text[1] != '-' && text[1] != '\0';
}

/* ---- rules; argv[at] is the program that is started, by us or by a wrapper ---- */

static void check_shell_line(struct build *b, const struct raw_texts *raw,
	const struct catalog_command *command, size_t at)
{
	for (size_t i = at + 1; i < command->n_argv; i++) {
		const struct plan_text *text = &command->argv[i];

		if (text->ref != PLAN_LITERAL || !is_cluster(text->prefix))
			return;
		if (strchr(text->prefix, 'c') != NULL) {
			build_error(b, &raw->items[at],
				"'%.40s %.20s' is a shell line; put it into a script file and name "
				"that",
				command->argv[at].prefix, text->prefix);
			return;
		}
		if (text->prefix[strlen(text->prefix) - 1] == 'o') /* sh -o pipefail */
			i++;
	}
}

static void check_env(struct build *b, const struct raw_texts *raw,
	const struct catalog_command *command, size_t at)
{
	for (size_t i = at + 1; i < command->n_argv; i++) {
		const char *text = command->argv[i].prefix;
		bool splits = strncmp(text, "--s", 3) == 0 ||
			      (is_cluster(text) && strchr(text, 'S') != NULL);

		if (splits) {
			build_error(b, &raw->items[i],
				"env splits this text into arguments; list them one by one");
			return;
		}
		if (text[0] != '-' && strchr(text, '=') == NULL)
			return;
	}
}

static bool is_plain_word(const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_-+./:@%,";

	return strspn(text, plain) == strlen(text);
}

/* Whether no value of this type can be more to a shell than one word. */
static bool is_harmless(const struct input_spec *spec)
{
	switch (spec->type) {
	case INPUT_SLUG:
	case INPUT_INT:
	case INPUT_BOOL:
	case INPUT_HOST:
	case INPUT_DURATION:
		return true;
	case INPUT_ENUM:
		for (size_t i = 0; i < spec->n_values; i++) {
			if (!is_plain_word(spec->values[i]))
				return false;
		}
		return true;
	case INPUT_STRING:
	case INPUT_PATH:
	case INPUT_URL:
	case INPUT_SECRET:
		break;
	}
	return false;
}

static void check_caller(struct build *b, const struct raw_texts *raw,
	const struct catalog_command *command, size_t at)
{
	for (size_t i = at + 1; i < command->n_argv; i++) {
		const struct plan_text *text = &command->argv[i];
		const struct input_spec *spec =
			text->ref == PLAN_INPUT ? &command->inputs[text->index] : NULL;

		if (spec != NULL && !is_harmless(spec))
			build_error(b, &raw->items[i],
				"a shell reads what %s gets, and '%.48s' (%s) could hold more than "
				"one word; slug, int, bool, host, duration or an enum of plain "
				"words can not",
				base_name(command->argv[at].prefix), spec->name,
				input_type_name(spec->type));
	}
}

static void check_code(struct build *b, const struct raw_texts *raw,
	const struct catalog_command *command, size_t at, const char *letters)
{
	for (size_t i = at + 1; i < command->n_argv; i++) {
		const struct plan_text *text = &command->argv[i];
		const char *option = text->prefix;
		bool code = is_code_word(option);
		size_t value = text->ref != PLAN_LITERAL ? i : i + 1;

		if (option[0] != '-')
			return; /* a script, an operand: options of its own follow */
		if (is_cluster(option))
			code = strchr(letters, option[strlen(option) - 1]) != NULL;
		if (code && value < command->n_argv && command->argv[value].ref != PLAN_LITERAL)
			build_error(b, &raw->items[value],
				"%s runs what follows '%.20s', so it cannot be an input",
				base_name(command->argv[at].prefix), option);
	}
}

void build_check_shells(
	struct build *b, const struct raw_texts *raw, const struct catalog_command *command)
{
	bool wraps = is_wrapper(base_name(command->argv[0].prefix));

	for (size_t i = 0; i < command->n_argv; i++) {
		const struct plan_text *text = &command->argv[i];
		const char *name, *letters;

		if (text->ref != PLAN_LITERAL || text->prefix == NULL)
			continue;
		name = base_name(text->prefix);
		if (i > 0 && build_is_shell(name))
			check_shell_line(b, raw, command, i);
		if (i > 0 && !wraps)
			continue;
		letters = code_options(name);
		if (strcmp(name, "env") == 0)
			check_env(b, raw, command, i);
		if (calls_shell(name))
			check_caller(b, raw, command, i);
		if (letters != NULL)
			check_code(b, raw, command, i, letters);
	}
}
