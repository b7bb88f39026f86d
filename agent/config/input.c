/* Each type has one function that says what is wrong with a value; what holds for all types
 * (length, UTF-8, control characters, leading '-') is checked before it. */
#include "agent/config/input.h"

#define PCRE2_CODE_UNIT_WIDTH 8

#include <errno.h>
#include <inttypes.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/input_net.h"
#include "agent/config/input_path.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/yaml/glyph.h"
#include "core/yaml/scalar.h"

/* A pattern that needs more than this for one short value is a mistake or an attack. */
#define PATTERN_MATCH_LIMIT 200000
#define PATTERN_DEPTH_LIMIT 2000
#define PATTERN_HEAP_KIB 1024
#define PATTERN_NEST_LIMIT 50

static const char *const type_names[] = {
	[INPUT_STRING] = "string",
	[INPUT_SLUG] = "slug",
	[INPUT_INT] = "int",
	[INPUT_BOOL] = "bool",
	[INPUT_ENUM] = "enum",
	[INPUT_PATH] = "path",
	[INPUT_HOST] = "host",
	[INPUT_URL] = "url",
	[INPUT_DURATION] = "duration",
	[INPUT_SECRET] = "secret",
};

const char *input_type_name(enum input_type type)
{
	return (size_t)type < ARRAY_LEN(type_names) ? type_names[type] : NULL;
}

int input_type_parse(const char *name, enum input_type *ret_type)
{
	for (size_t i = 0; i < ARRAY_LEN(type_names); i++) {
		if (strcmp(type_names[i], name) == 0) {
			*ret_type = (enum input_type)i;
			return 0;
		}
	}
	return -EINVAL;
}

void input_spec_fini(struct input_spec *spec)
{
	free(spec->name);
	free(spec->default_value);
	free(spec->title);
	free(spec->description);
	free(spec->pattern);
	for (size_t i = 0; i < spec->n_values && spec->values != NULL; i++)
		free(spec->values[i]);
	free(spec->values);
	free(spec->under);
	for (size_t i = 0; i < spec->n_schemes && spec->schemes != NULL; i++)
		free(spec->schemes[i]);
	free(spec->schemes);
	*spec = (struct input_spec){0};
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* ---- patterns ---- */

static pcre2_code *compile(const char *pattern, struct err *err)
{
	pcre2_compile_context *ctx = pcre2_compile_context_create(NULL);
	pcre2_code *code = NULL;
	PCRE2_SIZE at = 0;
	int why = 0;

	if (ctx != NULL) {
		pcre2_set_parens_nest_limit(ctx, PATTERN_NEST_LIMIT);
		pcre2_set_max_pattern_length(ctx, INPUT_MAX_PATTERN_BYTES);
		code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
			PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NEVER_BACKSLASH_C |
				PCRE2_DOLLAR_ENDONLY,
			&why, &at, ctx);
	}
	if (code == NULL) {
		unsigned char text[128] = "out of memory";

		if (why != 0)
			pcre2_get_error_message(why, text, sizeof(text));
		err_set(err, -EINVAL, "%s at character %zu", (const char *)text, (size_t)at + 1);
	}
	pcre2_compile_context_free(ctx);
	return code;
}

int input_pattern_check(const char *pattern, struct err *err)
{
	pcre2_code *code = compile(pattern, err);

	if (code == NULL)
		return -EINVAL;
	pcre2_code_free(code);
	return 0;
}

static int check_pattern(
	const struct input_spec *spec, const char *value, size_t n, struct err *err)
{
	pcre2_code *code = compile(spec->pattern, err);
	pcre2_match_context *ctx = pcre2_match_context_create(NULL);
	pcre2_match_data *data = pcre2_match_data_create(1, NULL);
	int rc = PCRE2_ERROR_NOMEMORY;

	if (code != NULL && ctx != NULL && data != NULL) {
		pcre2_set_match_limit(ctx, PATTERN_MATCH_LIMIT);
		pcre2_set_depth_limit(ctx, PATTERN_DEPTH_LIMIT);
		pcre2_set_heap_limit(ctx, PATTERN_HEAP_KIB);
		rc = pcre2_match(code, (PCRE2_SPTR)value, n, 0, PCRE2_NO_JIT, data, ctx);
	}
	pcre2_match_data_free(data);
	pcre2_match_context_free(ctx);
	pcre2_code_free(code);
	if (rc >= 0)
		return 0;
	if (rc == PCRE2_ERROR_NOMATCH)
		return err_set(err, -EINVAL, "must match %s", spec->pattern);
	return err_set(
		err, -EINVAL, "cannot be checked against %s within its limits", spec->pattern);
}

/* ---- what holds for every type ---- */

static int check_characters(
	const struct input_spec *spec, const char *value, size_t n, struct err *err)
{
	const uint8_t *p = (const uint8_t *)value;
	uint32_t chars = 0;

	for (size_t at = 0; at < n; chars++) {
		size_t len = utf8_sequence(p + at, n - at);
		uint32_t c;

		if (len == 0)
			return err_set(err, -EINVAL, "is not valid UTF-8 at byte %zu", at + 1);
		c = glyph_decode(p + at, len);
		if (c == '\n' || c == '\r')
			return err_set(err, -EINVAL, "must be a single line");
		if (c < 0x20 || c == 0x7f)
			return err_set(err, -EINVAL,
				"must not hold control characters (U+%04X at character %u)", c,
				chars + 1);
		if (glyph_is_hidden(c))
			return err_set(err, -EINVAL,
				"must not hold invisible characters (U+%04X at character %u)", c,
				chars + 1);
		at += len;
	}
	if (chars > spec->max_length)
		return err_set(err, -EINVAL, "may have at most %u characters; this one has %u",
			spec->max_length, chars);
	return 0;
}

/* ---- types ---- */

static int check_slug(const char *value, size_t n, struct err *err)
{
	if (!is_alnum(value[0]))
		return err_set(err, -EINVAL, "must begin with a letter or a digit (A-Z, a-z, 0-9)");
	for (size_t i = 0; i < n; i++) {
		if (!is_alnum(value[i]) && strchr("._-", value[i]) == NULL)
			return err_set(err, -EINVAL,
				"may hold only letters, digits, '.', '_' and '-' (A-Z, a-z, 0-9)");
		if (i > 0 && value[i] == '.' && value[i - 1] == '.')
			return err_set(err, -EINVAL, "must not hold '..'");
	}
	return 0;
}

static int check_int(const struct input_spec *spec, const char *value, size_t n, struct err *err)
{
	int64_t v;
	int rc = scalar_int(value, n, &v);

	if (rc == -ERANGE)
		return err_set(err, -EINVAL, "is too large a number");
	if (rc != 0)
		return err_set(
			err, -EINVAL, "must be a whole number (digits only, no leading zero)");
	if (spec->has_min && spec->has_max && (v < spec->min || v > spec->max))
		return err_set(err, -EINVAL, "must be between %" PRId64 " and %" PRId64, spec->min,
			spec->max);
	if (spec->has_min && v < spec->min)
		return err_set(err, -EINVAL, "must be at least %" PRId64, spec->min);
	if (spec->has_max && v > spec->max)
		return err_set(err, -EINVAL, "must be at most %" PRId64, spec->max);
	if (v < 0 && !spec->has_min)
		return err_set(err, -EINVAL, "must not be negative");
	return 0;
}

static int check_bool(const char *value, size_t n, struct err *err)
{
	bool v;

	if (scalar_bool(value, n, &v) != 0)
		return err_set(err, -EINVAL, "must be true or false");
	return 0;
}

static int check_enum(const struct input_spec *spec, const char *value, size_t n, struct err *err)
{
	char list[192] = "";
	size_t len = 0;

	for (size_t i = 0; i < spec->n_values; i++) {
		if (strlen(spec->values[i]) == n && memcmp(spec->values[i], value, n) == 0)
			return 0;
	}
	for (size_t i = 0; i < spec->n_values && len < sizeof(list); i++)
		len += (size_t)snprintf(
			list + len, sizeof(list) - len, "%s%s", i > 0 ? ", " : "", spec->values[i]);
	return err_set(err, -EINVAL, "must be one of %s%s", list, len >= sizeof(list) ? " …" : "");
}

static int check_duration(
	const struct input_spec *spec, const char *value, size_t n, struct err *err)
{
	char low[SCALAR_DURATION_TEXT_BYTES], high[SCALAR_DURATION_TEXT_BYTES];
	uint64_t us;
	int rc = scalar_duration(value, n, &us);

	if (rc == -ERANGE)
		return err_set(err, -EINVAL, "is too long a time");
	if (rc != 0)
		return err_set(err, -EINVAL, "must be a time such as 30s, 5m or 1h30m");
	scalar_duration_format((uint64_t)spec->min, low);
	scalar_duration_format((uint64_t)spec->max, high);
	if (spec->has_min && us < (uint64_t)spec->min)
		return err_set(err, -EINVAL, "must be at least %s", low);
	if (spec->has_max && us > (uint64_t)spec->max)
		return err_set(err, -EINVAL, "must be at most %s", high);
	return 0;
}

static int check_type(const struct input_spec *spec, const char *value, size_t n, struct err *err)
{
	switch (spec->type) {
	case INPUT_STRING:
		return 0;
	case INPUT_SLUG:
		return check_slug(value, n, err);
	case INPUT_INT:
		return check_int(spec, value, n, err);
	case INPUT_BOOL:
		return check_bool(value, n, err);
	case INPUT_ENUM:
		return check_enum(spec, value, n, err);
	case INPUT_PATH:
		return input_path_check_text(spec->under, value, n, err);
	case INPUT_HOST:
		return input_host_check(value, n, err);
	case INPUT_URL:
		return input_url_check(spec, value, n, err);
	case INPUT_DURATION:
		return check_duration(spec, value, n, err);
	case INPUT_SECRET:
		if (n < INPUT_MIN_SECRET_BYTES)
			return err_set(err, -EINVAL, "must have at least %d characters",
				INPUT_MIN_SECRET_BYTES);
		if (n > INPUT_MAX_SECRET_BYTES)
			return err_set(
				err, -EINVAL, "must have at most %d bytes", INPUT_MAX_SECRET_BYTES);
		return 0;
	}
	return err_set(err, -EINVAL, "has an unknown type");
}

int input_check_text(const struct input_spec *spec, const char *value, size_t n, struct err *err)
{
	int rc;

	if (n > INPUT_MAX_VALUE_BYTES)
		return err_set(err, -EINVAL, "may have at most %d bytes; this one has %zu",
			INPUT_MAX_VALUE_BYTES, n);
	if (n == 0 && (spec->type != INPUT_STRING || spec->pattern == NULL))
		return err_set(err, -EINVAL, "must not be empty");
	rc = check_characters(spec, value, n, err);
	if (rc != 0)
		return rc;
	if (n != 0 && value[0] == '-' && !spec->allow_dash && spec->type != INPUT_INT &&
		spec->type != INPUT_SECRET)
		return err_set(err, -EINVAL, "must not begin with '-'");
	if (memmem(value, n, INPUT_UPDATER_NAME, strlen(INPUT_UPDATER_NAME)) != NULL)
		return err_set(err, -EINVAL, "names the updater, which is out of reach");
	rc = check_type(spec, value, n, err);
	if (rc == 0 && spec->pattern != NULL)
		rc = check_pattern(spec, value, n, err);
	return rc;
}

static int check_whole(
	const struct input_spec *spec, const char *value, size_t n, bool final, struct err *err)
{
	int rc = input_check_text(spec, value, n, err);

	if (rc == 0 && spec->type == INPUT_PATH)
		rc = input_path_check_file(spec->under, value, n, final, err);
	return rc;
}

int input_check(const struct input_spec *spec, const char *value, size_t n, struct err *err)
{
	return check_whole(spec, value, n, false, err);
}

int input_check_final(const struct input_spec *spec, const char *value, size_t n, struct err *err)
{
	return check_whole(spec, value, n, true, err);
}

char *input_complete(const struct input_spec *spec, const char *value, size_t n)
{
	if (spec->type == INPUT_PATH && n != 0 && value[0] != '/' && value[0] != '-' &&
		n <= INPUT_MAX_VALUE_BYTES)
		return xasprintf(
			"%s/%.*s", strcmp(spec->under, "/") == 0 ? "" : spec->under, (int)n, value);
	return xstrndup(value, n);
}
