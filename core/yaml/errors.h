/*
 * What is wrong with a configuration: up to CONFIG_MAX_ERRORS lines for the person who wrote it,
 * each `file:line:col: what (did you mean …?)`, in the order found.
 */
#ifndef OPS_CORE_YAML_ERRORS_H
#define OPS_CORE_YAML_ERRORS_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/mem.h"

#define CONFIG_MAX_ERRORS 20
#define CONFIG_MAX_ERROR_BYTES 400

struct config_errors {
	size_t n;     /* lines kept */
	size_t total; /* lines added; above n: the rest was dropped */
	char lines[CONFIG_MAX_ERRORS][CONFIG_MAX_ERROR_BYTES];
};

/* A place in a file. line 0: the file as a whole. */
struct config_pos {
	uint32_t line; /* from 1 */
	uint32_t col;  /* from 1, in characters */
};

void config_errors_init(struct config_errors *errors);
/* Adds `file:line:col: text`; control characters in the text become '?'. */
void config_errors_add(struct config_errors *errors, const char *file, struct config_pos pos,
	const char *fmt, ...) PRINTF_LIKE(4, 5);

#endif
