/*
 * The conditions of `if`:
 *
 *	or     = and { "||" and }
 *	and    = equal { "&&" equal }
 *	equal  = unary [ ( "==" | "!=" ) unary ]
 *	unary  = "!" unary | "(" or ")" | function "()" | reference | 'text'
 *
 * functions: success failure cancelled always. References as in `${…}`, without the braces. Every
 * value is a text; what is true or false is the text `true` or `false`, and only `true` is true.
 *The whitelist's loader checks a condition, the runner evaluates it when the step's turn has come.
 */
#ifndef OPS_AGENT_CONFIG_EXPR_H
#define OPS_AGENT_CONFIG_EXPR_H

#include <stdbool.h>

#include "agent/config/template.h"
#include "core/base/err.h"

#define EXPR_MAX_DEPTH 16
#define EXPR_MAX_BYTES 1024

enum expr_function {
	EXPR_SUCCESS,
	EXPR_FAILURE,
	EXPR_CANCELLED,
	EXPR_ALWAYS,
	EXPR_FUNCTIONS, /* how many there are */
};

/* Where values come from. Each is asked for all that the condition mentions. */
struct expr_scope {
	void *arg;
	bool (*function)(void *arg, enum expr_function function);
	/* Of a reference, to live until expr_eval() returns; NULL: it has no value, which is the
	 * empty text. */
	const char *(*reference)(void *arg, const struct template *reference);
};

/* Evaluates. 0 with *ret_value and in *ret_mentioned bit 1 << f for each function f mentioned; or
 * -EINVAL with a text that says where it is no condition. */
MUSTCHECK int expr_eval(const char *text, const struct expr_scope *scope, bool *ret_value,
	unsigned *ret_mentioned, struct err *err);

/* Whether the text is a condition. 0, or -EINVAL like expr_eval(). */
MUSTCHECK int expr_check(const char *text, struct err *err);

#endif
