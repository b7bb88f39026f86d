#include "agent/config/expr.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"

/* A text that lives elsewhere: in the condition, in a reference's value, or in this file. */
struct value {
	const char *at;
	size_t n;
};

struct expr {
	const char *at;
	unsigned depth;
	const struct expr_scope *scope;
	unsigned mentioned;
};

static const char word_chars[] =
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

static const char *const function_names[EXPR_FUNCTIONS] = {
	[EXPR_SUCCESS] = "success",
	[EXPR_FAILURE] = "failure",
	[EXPR_CANCELLED] = "cancelled",
	[EXPR_ALWAYS] = "always",
};

static struct value value_of(bool truth)
{
	return truth ? (struct value){"true", 4} : (struct value){"false", 5};
}

static bool is_true(struct value v)
{
	return v.n == 4 && memcmp(v.at, "true", 4) == 0;
}

static bool is_equal(struct value a, struct value b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.at, b.at, a.n) == 0);
}

static bool take(struct expr *e, const char *token)
{
	e->at += strspn(e->at, " \t\n");
	if (strncmp(e->at, token, strlen(token)) != 0)
		return false;
	e->at += strlen(token);
	return true;
}

static bool read_or(struct expr *e, struct value *ret);

static bool read_text(struct expr *e, struct value *ret)
{
	const char *start = e->at + 1;
	const char *end = strchr(start, '\'');

	if (end == NULL)
		return false;
	*ret = (struct value){start, (size_t)(end - start)};
	e->at = end + 1;
	return true;
}

/* The function whose name the n bytes are, or EXPR_FUNCTIONS. */
static enum expr_function find_function(const char *word, size_t n)
{
	for (int i = 0; i < EXPR_FUNCTIONS; i++) {
		if (strlen(function_names[i]) == n && memcmp(function_names[i], word, n) == 0)
			return (enum expr_function)i;
	}
	return EXPR_FUNCTIONS;
}

static bool read_function(struct expr *e, enum expr_function function, struct value *ret)
{
	const char *word = e->at;

	e->at += strlen(function_names[function]);
	if (!take(e, "(") || !take(e, ")")) {
		e->at = word;
		return false;
	}
	e->mentioned |= 1u << function;
	*ret = value_of(e->scope->function(e->scope->arg, function));
	return true;
}

static bool read_reference(struct expr *e, size_t n, struct value *ret)
{
	char text[EXPR_MAX_BYTES + 8];
	struct template t;
	const char *value;

	snprintf(text, sizeof(text), "${%.*s}", (int)n, e->at);
	if (template_parse(text, false, &t, NULL) != 0)
		return false;
	e->at += n;
	value = e->scope->reference(e->scope->arg, &t);
	*ret = (struct value){value, value != NULL ? strlen(value) : 0};
	return true;
}

/* Success leaves the cursor behind what was read, failure on what is wrong. */
static bool read_word(struct expr *e, struct value *ret)
{
	size_t n = strspn(e->at, word_chars);
	enum expr_function function = find_function(e->at, n);

	if (*e->at == '\'')
		return read_text(e, ret);
	if (function != EXPR_FUNCTIONS)
		return read_function(e, function, ret);
	return n != 0 && read_reference(e, n, ret);
}

static bool read_unary(struct expr *e, struct value *ret)
{
	bool ok;

	if (e->depth >= EXPR_MAX_DEPTH)
		return false;
	e->depth++;
	if (take(e, "!")) {
		ok = read_unary(e, ret);
		if (ok)
			*ret = value_of(!is_true(*ret));
	} else if (take(e, "(")) {
		ok = read_or(e, ret) && take(e, ")");
	} else {
		ok = read_word(e, ret);
	}
	e->depth--;
	return ok;
}

static bool read_equal(struct expr *e, struct value *ret)
{
	struct value right;
	bool wanted;

	if (!read_unary(e, ret))
		return false;
	if (take(e, "=="))
		wanted = true;
	else if (take(e, "!="))
		wanted = false;
	else
		return true;
	if (!read_unary(e, &right))
		return false;
	*ret = value_of(is_equal(*ret, right) == wanted);
	return true;
}

static bool read_and(struct expr *e, struct value *ret)
{
	struct value right;

	if (!read_equal(e, ret))
		return false;
	while (take(e, "&&")) {
		if (!read_equal(e, &right))
			return false;
		*ret = value_of(is_true(*ret) && is_true(right));
	}
	return true;
}

static bool read_or(struct expr *e, struct value *ret)
{
	struct value right;

	if (!read_and(e, ret))
		return false;
	while (take(e, "||")) {
		if (!read_and(e, &right))
			return false;
		*ret = value_of(is_true(*ret) || is_true(right));
	}
	return true;
}

int expr_eval(const char *text, const struct expr_scope *scope, bool *ret_value,
	unsigned *ret_mentioned, struct err *err)
{
	struct expr e = {.at = text, .scope = scope};
	struct value value;

	if (strlen(text) > EXPR_MAX_BYTES)
		return err_set(err, -EINVAL, "is longer than %d characters", EXPR_MAX_BYTES);
	if (read_or(&e, &value) && e.at[strspn(e.at, " \t\n")] == '\0') {
		*ret_value = is_true(value);
		*ret_mentioned = e.mentioned;
		return 0;
	}
	if (*e.at == '\0')
		return err_set(err, -EINVAL, "ends too early");
	return err_set(err, -EINVAL,
		"is not understood from '%.40s' on; there are success() failure() cancelled() "
		"always() == != && || ! ( ), references and 'text'",
		e.at);
}

static bool any_function(void *arg, enum expr_function function)
{
	(void)arg;
	(void)function;
	return true;
}

static const char *any_reference(void *arg, const struct template *reference)
{
	(void)arg;
	(void)reference;
	return NULL;
}

int expr_check(const char *text, struct err *err)
{
	static const struct expr_scope scope = {
		.function = any_function, .reference = any_reference};
	unsigned mentioned;
	bool value;

	return expr_eval(text, &scope, &value, &mentioned, err);
}
