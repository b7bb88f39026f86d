/*
 * The conditions of `if`:
 *
 *	or     = and { "||" and }
 *	and    = equal { "&&" equal }
 *	equal  = unary [ ( "==" | "!=" ) unary ]
 *	unary  = "!" unary | "(" or ")" | function "()" | reference | 'text'
 *
 * functions: success failure cancelled always. References as in `${…}`, without the braces.
 */
#ifndef OPS_AGENT_CONFIG_EXPR_H
#define OPS_AGENT_CONFIG_EXPR_H

#include "core/base/err.h"

#define EXPR_MAX_DEPTH 16
#define EXPR_MAX_BYTES 1024

/* Whether the text is such a condition. 0, or -EINVAL with a text that says where it is not. */
MUSTCHECK int expr_check(const char *text, struct err *err);

#endif
