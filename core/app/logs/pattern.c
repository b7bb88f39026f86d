#define PCRE2_CODE_UNIT_WIDTH 8
#include "core/app/logs/pattern.h"

#include <errno.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"

#define SIEVES 2

struct matcher {
	const pcre2_code *code;
	bool is_compiled, is_regex;
	struct matcher *sieves[SIEVES]; /* of the pattern's */
	uint64_t spent_us; /* of the processor, on long stretches of the current line */
	pcre2_match_data *data;
	pcre2_match_context *context;
	pcre2_jit_stack *stack;
};

/* The words of an error; those that may also be counted to none. The whole is the same expression
 * as ERROR in ui/src/log/worker/scan.ts: tests/vectors/errors.json holds for both. */
#define WORDS                                                                                      \
	"fatal|panic|traceback|fail|critical|denied|refused|cannot|can't|could not|unable to|"     \
	"not found|no such|segfault|segmentation fault|core dumped|aborted|killed|interrupted|"    \
	"out of memory|timed out|unreachable"
#define COUNTED "errors?|failures?|failed|exceptions?"
#define WITHIN "(?<=\\w)(?:error(?=:)|exceptions?\\b)" /* ValueError: */
#define SYMBOLS "\u2716|\u2717|\u2718|\u274c"

static const char errors_pattern[] =
	"(?<!\\b0\\s|\\bno\\s|\\bzero\\s|\\bwithout\\s|\\bignore\\s|\\bignored\\s|\\bignoring\\s|"
	"\\bstandard\\s)\\b(?:" COUNTED ")\\b(?!\\s*[:=]\\s*0\\b)|" WITHIN
	"|\\b(?:err[!:]|(?:" WORDS ")(?:s|ked)?\\b)|" SYMBOLS;
/* What it matches one of these does, or it holds a symbol's first byte; and each is fast where
 * there is nothing: ten times as fast as the whole, which has no one way to begin. */
static const char *const errors_sieves[SIEVES] = {"\\b(?:err|exception|" WORDS ")", WITHIN};

struct pattern {
	pcre2_code *code;
	bool is_compiled; /* to machine code */
	bool is_regex;
	bool counts_red;
	struct pattern *sieves[SIEVES]; /* NULL: it has none */
};

struct pattern *pattern_new(const char *text, bool is_regex, bool case_counts, struct err *err)
{
	uint32_t options = PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | (case_counts ? 0 : PCRE2_CASELESS);
	struct pattern *pattern;
	PCRE2_UCHAR message[128];
	PCRE2_SIZE offset;
	pcre2_code *code;
	int error;

	if (text[0] == '\0' || strlen(text) > PATTERN_MAX_BYTES) {
		err_set(err, -EINVAL, "expected 1 to %d bytes", PATTERN_MAX_BYTES);
		return NULL;
	}
	options |= is_regex ? PCRE2_USE_OFFSET_LIMIT : PCRE2_LITERAL;
	/* \C is no option of literal text. */
	if (!is_regex)
		options &= ~(uint32_t)PCRE2_NEVER_BACKSLASH_C;
	code = pcre2_compile(
		(PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, options, &error, &offset, NULL);
	if (code == NULL) {
		pcre2_get_error_message(error, message, sizeof(message));
		err_set(err, -EINVAL, "%s (at byte %zu)", (const char *)message, (size_t)offset);
		return NULL;
	}
	pattern = xcalloc(1, sizeof(*pattern));
	/* Where memory may not be made executable it is interpreted instead. */
	pattern->is_compiled = pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) == 0;
	pattern->code = code;
	pattern->is_regex = is_regex;
	return pattern;
}

struct pattern *pattern_new_errors(void)
{
	struct err err = {0};
	struct pattern *pattern = pattern_new(errors_pattern, true, false, &err);

	if (pattern == NULL)
		abort(); /* it is ours */
	pattern->counts_red = true;
	for (size_t i = 0; i < SIEVES; i++) {
		pattern->sieves[i] = pattern_new(errors_sieves[i], true, false, &err);
		if (pattern->sieves[i] == NULL)
			abort(); /* ours too */
	}
	return pattern;
}

bool pattern_counts_red(const struct pattern *pattern)
{
	return pattern->counts_red;
}

void pattern_free(struct pattern *pattern)
{
	if (pattern == NULL)
		return;
	for (size_t i = 0; i < SIEVES; i++)
		pattern_free(pattern->sieves[i]);
	pcre2_code_free(pattern->code);
	free(pattern);
}

struct matcher *matcher_new(const struct pattern *pattern)
{
	struct matcher *matcher = xcalloc(1, sizeof(*matcher));

	matcher->code = pattern->code;
	matcher->is_compiled = pattern->is_compiled;
	matcher->is_regex = pattern->is_regex;
	matcher->data = pcre2_match_data_create(1, NULL);
	matcher->context = pcre2_match_context_create(NULL);
	if (matcher->data == NULL || matcher->context == NULL)
		abort();
	matcher->stack = pcre2_jit_stack_create(32u << 10, PATTERN_JIT_STACK, NULL);
	if (matcher->stack != NULL)
		pcre2_jit_stack_assign(matcher->context, NULL, matcher->stack);
	pcre2_set_match_limit(matcher->context, PATTERN_MATCH_LIMIT);
	pcre2_set_depth_limit(matcher->context, PATTERN_DEPTH_LIMIT);
	pcre2_set_heap_limit(matcher->context, PATTERN_HEAP_KIB);
	for (size_t i = 0; i < SIEVES; i++) {
		if (pattern->sieves[i] != NULL)
			matcher->sieves[i] = matcher_new(pattern->sieves[i]);
	}
	return matcher;
}

void matcher_free(struct matcher *matcher)
{
	if (matcher == NULL)
		return;
	for (size_t i = 0; i < SIEVES; i++)
		matcher_free(matcher->sieves[i]);
	pcre2_match_data_free(matcher->data);
	pcre2_match_context_free(matcher->context);
	pcre2_jit_stack_free(matcher->stack);
	free(matcher);
}

/* As matcher_find(), in one go. */
static int find_once(struct matcher *matcher, const char *text, size_t n, size_t from,
	size_t *ret_from, size_t *ret_to)
{
	PCRE2_SIZE *place;
	/* One pair of places is enough; 0 says that there were more groups than room. */
	int r = matcher->is_compiled ? pcre2_jit_match(matcher->code, (PCRE2_SPTR)text, n, from, 0,
					       matcher->data, matcher->context)
				     : pcre2_match(matcher->code, (PCRE2_SPTR)text, n, from,
					       PCRE2_NO_UTF_CHECK, matcher->data, matcher->context);

	if (r == PCRE2_ERROR_NOMATCH)
		return 0;
	if (r < 0)
		return -ETIME;
	place = pcre2_get_ovector_pointer(matcher->data);
	/* \K may put the beginning behind the end. */
	*ret_from = MIN(place[0], place[1]);
	*ret_to = place[1];
	return 1;
}

static uint64_t processor_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * CLOCK_SECOND_US + (uint64_t)ts.tv_nsec / 1000;
}

/* PCRE2's limits hold for one place where a match may begin; a long stretch has so many of them
 * that the time is looked at in between, often at first. */
static int find_in_windows(struct matcher *matcher, const char *text, size_t n, size_t from,
	size_t *ret_from, size_t *ret_to)
{
	size_t window = 1;
	int r = 0;

	while (r == 0 && from <= n) {
		uint64_t begun_us = processor_us();

		if (matcher->spent_us > PATTERN_LINE_US)
			return -ETIME;
		pcre2_set_offset_limit(matcher->context, from + window - 1);
		r = find_once(matcher, text, n, from, ret_from, ret_to);
		matcher->spent_us += processor_us() - begun_us;
		from += window;
		/* The next one begins with a whole character. */
		while (from < n && ((unsigned char)text[from] & 0xc0) == 0x80)
			from++;
		window *= 4;
	}
	return r;
}

/* Whether a line may match. They know no limit but PCRE2's own: they are ours. */
static bool passes_sieves(struct matcher *matcher, const char *text, size_t n)
{
	size_t from, to;

	for (size_t i = 0; i < SIEVES; i++) {
		pcre2_set_offset_limit(matcher->sieves[i]->context, PCRE2_UNSET);
		if (find_once(matcher->sieves[i], text, n, 0, &from, &to) != 0)
			return true;
	}
	return memchr(text, SYMBOLS[0], n) != NULL;
}

int matcher_find(struct matcher *matcher, const char *text, size_t n, size_t from, size_t *ret_from,
	size_t *ret_to)
{
	if (from == 0)
		matcher->spent_us = 0;
	if (from == 0 && matcher->sieves[0] != NULL && !passes_sieves(matcher, text, n))
		return 0;
	if (matcher->is_regex && n - from > PATTERN_SHORT_BYTES)
		return find_in_windows(matcher, text, n, from, ret_from, ret_to);
	pcre2_set_offset_limit(matcher->context, PCRE2_UNSET);
	return find_once(matcher, text, n, from, ret_from, ret_to);
}
