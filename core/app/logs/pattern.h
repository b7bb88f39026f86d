/*
 * What a search of a log looks for: plain text, or a regular expression (PCRE2, UTF-8). Compiled
 * once and then constant, so that a thread may use it; what matching needs besides is in a matcher.
 * Every match is bounded (PATTERN_MATCH_LIMIT steps for each place where it may begin,
 * PATTERN_LINE_US for a long line): an expression that would run away on a line gives that line up
 * instead.
 */
#ifndef OPS_CORE_APP_LOGS_PATTERN_H
#define OPS_CORE_APP_LOGS_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/err.h"
#include "core/base/mem.h"

#define PATTERN_MAX_BYTES 1024
#define PATTERN_MATCH_LIMIT 200000 /* steps of one match */
#define PATTERN_DEPTH_LIMIT 2000
#define PATTERN_HEAP_KIB 2048
#define PATTERN_LINE_US 50000	/* of the processor, for one line, or a little more */
#define PATTERN_SHORT_BYTES 512 /* the time is not looked at within so much */
#define PATTERN_JIT_STACK (256u << 10)

struct pattern;
struct matcher;

/* NULL with a text for a person when it is empty, too long, no UTF-8 or no expression. */
struct pattern *pattern_new(const char *text, bool is_regex, bool case_counts, struct err *err);
/* What is an error in a log, for all who ask: a line with one of its words, or one that is red
 * (pen_is_red()). tests/vectors/errors.json says it by example, for the page as well. */
struct pattern *pattern_new_errors(void);
/* Whether a line that is red counts, whatever it says. */
bool pattern_counts_red(const struct pattern *pattern);
void pattern_free(struct pattern *pattern); /* NULL is fine */

/* pattern must outlive it. One thread at a time. */
struct matcher *matcher_new(const struct pattern *pattern);
void matcher_free(struct matcher *matcher); /* NULL is fine */

/* To be called with from 0 first for each line; text stays the same until the next such call.
 * The first match at or behind from in n bytes of valid UTF-8: 1 and its place, which may be empty;
 * 0: none; -ETIME: given up. */
MUSTCHECK int matcher_find(struct matcher *matcher, const char *text, size_t n, size_t from,
	size_t *ret_from, size_t *ret_to);

#endif
