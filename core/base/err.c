#include "core/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, int code, const char *fmt, ...)
{
	va_list args;

	if (err == NULL)
		return code;
	err->code = code;
	va_start(args, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, args);
	va_end(args);
	return code;
}

int err_set_errno(struct err *err, int code, const char *fmt, ...)
{
	char text[sizeof(err->msg)];
	va_list args;

	if (err == NULL)
		return code;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	err->code = code;
	snprintf(err->msg, sizeof(err->msg), "%.180s: %s", text, strerror(-code));
	return code;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	char prefix[128];
	char text[sizeof(err->msg)];
	va_list args;

	if (err == NULL)
		return 0;
	va_start(args, fmt);
	vsnprintf(prefix, sizeof(prefix), fmt, args);
	va_end(args);
	snprintf(text, sizeof(text), "%s: %.*s", prefix,
		(int)(sizeof(text) - strlen(prefix) - sizeof(": ")), err->msg);
	memcpy(err->msg, text, sizeof(text));
	return err->code;
}
