#include "agent/config/template.h"

#include <errno.h>
#include <string.h>

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

/* `--flag=`: nothing in it but the name of an option. */
static bool is_flag(const char *text, size_t n)
{
	if (n < 4 || text[0] != '-' || text[1] != '-' || text[n - 1] != '=')
		return false;
	for (size_t i = 2; i < n - 1; i++) {
		if (!is_name_char(text[i]) && text[i] != '.')
			return false;
	}
	return true;
}

/* Takes `word` off the front of *text. */
static bool skip(const char **text, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(*text, word, n) != 0)
		return false;
	*text += n;
	return true;
}

static bool take_name(const char **text, char out[TEMPLATE_MAX_NAME])
{
	size_t n = 0;

	while (is_name_char((*text)[n]))
		n++;
	if (n == 0 || n >= TEMPLATE_MAX_NAME)
		return false;
	memcpy(out, *text, n);
	out[n] = '\0';
	*text += n;
	return true;
}

/* What stands between the braces, up to and with the closing one. */
static bool take_reference(const char **text, struct template *t)
{
	if (skip(text, "inputs.")) {
		t->ref = PLAN_INPUT;
		return take_name(text, t->name) && skip(text, "}");
	}
	if (skip(text, "run.id")) {
		t->ref = PLAN_RUN_ID;
		return skip(text, "}");
	}
	if (!skip(text, "steps.") || !take_name(text, t->step))
		return false;
	if (skip(text, ".status")) {
		t->ref = PLAN_STEP_STATUS;
		return skip(text, "}");
	}
	t->ref = PLAN_STEP_OUTPUT;
	return skip(text, ".outputs.") && take_name(text, t->name) && skip(text, "}");
}

int template_parse(
	const char *text, bool after_flag, struct template *ret_template, struct err *err)
{
	const char *at = strstr(text, "${");
	struct template t = {.prefix_len = strlen(text)};
	const char *end;

	if (at == NULL) {
		*ret_template = t;
		return 0;
	}
	t.prefix_len = (size_t)(at - text);
	if (t.prefix_len != 0 && !(after_flag && is_flag(text, t.prefix_len)))
		return err_set(err, -EINVAL,
			after_flag ? "${…} may only be a whole item or follow --flag="
				   : "${…} may only be the whole value");
	end = at + 2;
	if (!take_reference(&end, &t))
		return err_set(err, -EINVAL,
			"unknown reference '%.60s'; there are ${inputs.NAME}, "
			"${steps.ID.outputs.NAME}, ${steps.ID.status} and ${run.id}",
			at);
	if (*end != '\0')
		return err_set(err, -EINVAL,
			after_flag ? "nothing may follow ${…} in an item"
				   : "${…} may only be the whole value");
	*ret_template = t;
	return 0;
}
