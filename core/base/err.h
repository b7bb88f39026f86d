/*
 * An error a person reads: a code (negative errno) and one line that says what, where and what to
 * do. Functions that can fail in ways worth explaining take `struct err *err` as their last
 * parameter and return its code; err may be NULL when the caller does not care for the text.
 */
#ifndef OPS_BASE_ERR_H
#define OPS_BASE_ERR_H

#include "core/base/mem.h"

struct err {
	int code;      /* 0 or a negative errno */
	char msg[256]; /* NUL-terminated, one line, no trailing full stop */
};

/* Sets code and text; returns code, so that `return err_set(err, -EINVAL, …)` reads well. */
int err_set(struct err *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Like err_set() and appends ": " and the text of errno value -code. */
int err_set_errno(struct err *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Puts "prefix: " before the text that is there. Returns the code that is there. */
int err_wrap(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
