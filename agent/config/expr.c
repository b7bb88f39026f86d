#include "agent/config/expr.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "agent/config/template.h"
#include "core/base/mem.h"

struct expr {
	const char *at;
	unsigned depth;
};

static const char word_chars[] =
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

static bool take(struct expr *e, const char *token)
{
	e->at += strspn(e->at, " \t\n");
	if (strncmp(e->at, token, strlen(token)) != 0)
		return false;
	e->at += strlen(token);
	return true;
}

static bool read_or(struct expr *e);

static bool is_function(const char *word, size_t n)
{
	static const char *const names[] = {"success", "failure", "cancelled", "always"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strlen(names[i]) == n && memcmp(names[i], word, n) == 0)
			return true;
	}
	return false;
}

static bool is_reference(const char *word, size_t n)
{
	char text[EXPR_MAX_BYTES + 8];
	struct template t;

	snprintf(text, sizeof(text), "${%.*s}", (int)n, word);
	return template_parse(text, false, &t, NULL) == 0;
}

/* Success leaves the cursor behind what was read, failure on what is wrong. */
static bool read_word(struct expr *e)
{
	const char *word = e->at;
	size_t n = strspn(word, word_chars);

	if (*word == '\'') {
		const char *end = strchr(word + 1, '\'');

		e->at = end != NULL ? end + 1 : word;
		return end != NULL;
	}
	if (is_function(word, n)) {
		e->at += n;
		if (take(e, "(") && take(e, ")"))
			return true;
		e->at = word;
		return false;
	}
	if (n == 0 || !is_reference(word, n))
		return false;
	e->at += n;
	return true;
}

static bool read_unary(struct expr *e)
{
	bool ok;

	if (e->depth == EXPR_MAX_DEPTH)
		return false;
	e->depth++;
	if (take(e, "!"))
		ok = read_unary(e);
	else if (take(e, "("))
		ok = read_or(e) && take(e, ")");
	else
		ok = read_word(e);
	e->depth--;
	return ok;
}

static bool read_equal(struct expr *e)
{
	if (!read_unary(e))
		return false;
	return take(e, "==") || take(e, "!=") ? read_unary(e) : true;
}

static bool read_and(struct expr *e)
{
	do {
		if (!read_equal(e))
			return false;
	} while (take(e, "&&"));
	return true;
}

static bool read_or(struct expr *e)
{
	do {
		if (!read_and(e))
			return false;
	} while (take(e, "||"));
	return true;
}

int expr_check(const char *text, struct err *err)
{
	struct expr e = {.at = text};

	if (strlen(text) > EXPR_MAX_BYTES)
		return err_set(err, -EINVAL, "is longer than %d characters", EXPR_MAX_BYTES);
	if (read_or(&e) && e.at[strspn(e.at, " \t\n")] == '\0')
		return 0;
	if (*e.at == '\0')
		return err_set(err, -EINVAL, "ends too early");
	return err_set(err, -EINVAL,
		"is not understood from '%.40s' on; there are success() failure() cancelled() "
		"always() == != && || ! ( ), references and 'text'",
		e.at);
}
