#include "core/yaml/errors.h"

#include <stdarg.h>
#include <stdio.h>

void config_errors_init(struct config_errors *errors)
{
	errors->n = 0;
	errors->total = 0;
}

void config_errors_add(
	struct config_errors *errors, const char *file, struct config_pos pos, const char *fmt, ...)
{
	char *line;
	va_list args;
	int n;

	errors->total++;
	if (errors->n == CONFIG_MAX_ERRORS)
		return;
	line = errors->lines[errors->n++];
	if (pos.line != 0)
		n = snprintf(
			line, CONFIG_MAX_ERROR_BYTES, "%.150s:%u:%u: ", file, pos.line, pos.col);
	else
		n = snprintf(line, CONFIG_MAX_ERROR_BYTES, "%.150s: ", file);
	if (n < 0)
		n = 0;
	va_start(args, fmt);
	vsnprintf(line + n, CONFIG_MAX_ERROR_BYTES - (size_t)n, fmt, args);
	va_end(args);
	for (char *c = line; *c != '\0'; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	}
}
