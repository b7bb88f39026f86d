/* Looking up NAME in the environment, in the file NAME_FILE names, or in ENV_FILE. */
#ifndef OPS_CORE_APP_CONFIG_ENV_H
#define OPS_CORE_APP_CONFIG_ENV_H

#include <stddef.h>

#include "core/base/buf.h"
#include "core/base/err.h"

#define ENV_MAX_LINES 256

struct env_line {
	char *name, *value;
};

struct env {
	char *const *envp;
	struct env_line lines[ENV_MAX_LINES]; /* of ENV_FILE */
	size_t n_lines;
};

/* Reads ENV_FILE, if envp names one. The struct is to be finished either way. */
MUSTCHECK int env_init(struct env *env, char *const envp[], struct err *err);
void env_fini(struct env *env);

/* Parses KEY=VALUE lines: blank lines and # comments are skipped, one pair of quotes around the
 * whole value is taken off, nothing is expanded, a key twice is an error. */
MUSTCHECK int env_parse(struct env *env, const char *text, size_t len, struct err *err);

/* The value on the heap, *ret_value = NULL when it is not given (or empty). Errors: given twice,
 * NAME_FILE unreadable, too long, holding a NUL. */
MUSTCHECK int env_get(const struct env *env, const char *name, char **ret_value, struct err *err);

#endif
