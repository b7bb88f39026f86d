#include "rules.h"

#include <string.h>

#include "agent/runner/resolve.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"

static bool only(const char *s, const char *chars)
{
	return s[0] != '\0' && strspn(s, chars) == strlen(s);
}

#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool is_below(const char *path, const char *under)
{
	size_t n = strcmp(under, "/") == 0 ? 0 : strlen(under);
	size_t len = strlen(path);

	return strncmp(path, under, n) == 0 && path[n] == '/' && path[n + 1] != '\0' &&
	       strstr(path, "//") == NULL && strstr(path, "/../") == NULL &&
	       strstr(path, "/./") == NULL && strcmp(path + len - 1, "/") != 0 &&
	       (len < 3 || strcmp(path + len - 3, "/..") != 0) && strcmp(path + len - 2, "/.") != 0;
}

static bool is_listed(const struct input_spec *spec, const char *value)
{
	for (size_t i = 0; i < spec->n_values; i++) {
		if (strcmp(spec->values[i], value) == 0)
			return true;
	}
	return false;
}

static bool has_scheme(const struct input_spec *spec, const char *value)
{
	static const char *const usual[] = {"https", "http"};
	size_t n = spec->n_schemes != 0 ? spec->n_schemes : ARRAY_LEN(usual);

	for (size_t i = 0; i < n; i++) {
		const char *scheme = spec->n_schemes != 0 ? spec->schemes[i] : usual[i];
		size_t len = strlen(scheme);

		if (strncmp(value, scheme, len) == 0 && strncmp(value + len, "://", 3) == 0)
			return true;
	}
	return false;
}

static bool suits_type(const struct input_spec *spec, const char *value)
{
	switch (spec->type) {
	case INPUT_STRING:
		return true;
	case INPUT_SLUG:
		return only(value, LETTERS DIGITS "._-") && strstr(value, "..") == NULL &&
		       strchr("._-", value[0]) == NULL;
	case INPUT_INT:
		return only(value + (value[0] == '-'), DIGITS);
	case INPUT_BOOL:
		return strcmp(value, "true") == 0 || strcmp(value, "false") == 0;
	case INPUT_ENUM:
		return is_listed(spec, value);
	case INPUT_PATH:
		return is_below(value, spec->under);
	case INPUT_HOST:
		return only(value, LETTERS DIGITS ".:-");
	case INPUT_URL:
		return has_scheme(spec, value) && strpbrk(value, " \"<>\\^`{|}") == NULL &&
		       strcspn(value + strcspn(value, "/") + 2, "@") >=
			       strcspn(value + strcspn(value, "/") + 2, "/?#");
	case INPUT_DURATION:
		return only(value, DIGITS "dhms");
	case INPUT_SECRET:
		return false; /* never in argv */
	}
	return false;
}

static bool may_have_dash(const struct input_spec *spec)
{
	return (spec->type == INPUT_INT && spec->has_min && spec->min < 0) ||
	       (spec->type == INPUT_STRING && spec->allow_dash && spec->pattern != NULL);
}

static const char *check_value(const struct input_spec *spec, const char *value)
{
	for (const char *c = value; *c != '\0'; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return "a control byte reached argv";
	}
	if (!utf8_is_valid(value, strlen(value)))
		return "invalid UTF-8 reached argv";
	if (value[0] == '-' && !may_have_dash(spec))
		return "a value begins with '-' though its type forbids it";
	if (strstr(value, "ops-dashboard-updater") != NULL)
		return "a value names the updater";
	return suits_type(spec, value) ? NULL : "a value is not of its type";
}

static bool names_a_shell(const char *path)
{
	static const char *const shells[] = {"/sh", "/bash", "/dash", "/zsh", "/ksh", "/busybox"};
	size_t n = strlen(path);

	for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
		size_t m = strlen(shells[i]);

		if (n >= m && strcmp(path + n - m, shells[i]) == 0)
			return true;
	}
	return false;
}

static const char *check_argv(const struct catalog_command *command, const struct plan *plan,
	const struct plan_step *step, char *const *argv, size_t n)
{
	if (n != command->n_argv || argv[n] != NULL)
		return "the number of arguments changed";
	if (strcmp(step->executable, command->executable) != 0 || step->executable[0] != '/')
		return "another program would be executed";
	if (names_a_shell(step->executable))
		return "the program is a shell";
	for (size_t i = 0; i < n; i++) {
		const struct plan_text *text = &command->argv[i];
		size_t len = strlen(text->prefix);
		const char *wrong = NULL;
		char id[UUID_TEXT_BYTES];

		if (argv[i] == NULL || strncmp(argv[i], text->prefix, len) != 0)
			return "a literal part changed";
		if (text->ref == PLAN_LITERAL && argv[i][len] != '\0')
			return "something was added to a literal";
		if (text->ref == PLAN_INPUT)
			wrong = check_value(&command->inputs[text->index], argv[i] + len);
		uuid_format(&plan->id, id);
		if (text->ref == PLAN_RUN_ID && strcmp(argv[i] + len, id) != 0)
			return "the run's id is another";
		if (text->ref == PLAN_STEP_OUTPUT || text->ref == PLAN_STEP_STATUS)
			return "a command knows no steps";
		if (wrong != NULL)
			return wrong;
	}
	return NULL;
}

const char *argv_rules_broken(const struct catalog_command *command, const struct plan *plan,
	uint16_t step, const struct outputs *outputs, bool *ret_started)
{
	static char name[] = "nobody", home[] = "/";
	static struct run_state state; /* every step pending */
	struct account account = {.name = name, .home = home};
	struct resolve_source source = {
		.plan = plan,
		.state = &state,
		.outputs = outputs,
		.account = &account,
		.output_path = "/output",
	};
	struct resolved resolved;
	const char *wrong;

	*ret_started = resolve_step(&source, step, &resolved, NULL) == 0;
	if (!*ret_started)
		return NULL;
	wrong = check_argv(command, plan, &plan->steps[step], resolved.argv, resolved.n_argv);
	resolved_fini(&resolved);
	return wrong;
}
