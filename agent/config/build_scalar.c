#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/config/build.h"
#include "core/base/mem.h"
#include "core/yaml/scalar.h"
#include "core/yaml/suggest.h"

static void add(struct build *b, struct config_pos pos, const char *fmt, va_list args)
	__attribute__((format(printf, 3, 0)));

static void add(struct build *b, struct config_pos pos, const char *fmt, va_list args)
{
	char text[CONFIG_MAX_ERROR_BYTES];

	vsnprintf(text, sizeof(text), fmt, args);
	config_errors_add(b->errors, b->file, pos, "%s", text);
}

void build_error(struct build *b, const struct raw_text *at, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add(b, (struct config_pos){at->at.line, at->at.col}, fmt, args);
	va_end(args);
}

void build_error_at(struct build *b, const struct raw_pos *at, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add(b, (struct config_pos){at->line, at->col}, fmt, args);
	va_end(args);
}

bool build_bool(struct build *b, const struct raw_text *text, const char *name, bool fallback)
{
	bool value = fallback;

	if (text != NULL && scalar_bool(text->text, strlen(text->text), &value) != 0)
		build_error(b, text, "'%s' must be true or false, not '%.40s'", name, text->text);
	return value;
}

int64_t build_int(struct build *b, const struct raw_text *text, const char *name, int64_t min,
	int64_t max, int64_t fallback)
{
	int64_t value = fallback;

	if (text == NULL)
		return fallback;
	if (scalar_int(text->text, strlen(text->text), &value) != 0)
		build_error(b, text, "'%s' must be a whole number (no leading zero), not '%.40s'",
			name, text->text);
	else if (value < min || value > max)
		build_error(
			b, text, "'%s' must be between %" PRId64 " and %" PRId64, name, min, max);
	else
		return value;
	return fallback;
}

uint64_t build_duration(
	struct build *b, const struct raw_text *text, const char *name, uint64_t fallback_us)
{
	uint64_t us = fallback_us;

	if (text != NULL && scalar_duration(text->text, strlen(text->text), &us) != 0)
		build_error(b, text, "'%s' must be a time such as 30s, 5m or 1h30m, not '%.40s'",
			name, text->text);
	return us;
}

uint64_t build_size(
	struct build *b, const struct raw_text *text, const char *name, uint64_t fallback)
{
	uint64_t bytes = fallback;

	if (text != NULL && scalar_size(text->text, strlen(text->text), &bytes) != 0)
		build_error(b, text,
			"'%s' must be a size such as 64KiB, 256MiB or 2GiB, not '%.40s'", name,
			text->text);
	return bytes;
}

uint32_t build_percent(struct build *b, const struct raw_text *text, const char *name)
{
	uint32_t percent = 0;

	if (text != NULL && scalar_percent(text->text, strlen(text->text), &percent) != 0)
		build_error(b, text, "'%s' must be a share such as 50%% or 200%%, not '%.40s'",
			name, text->text);
	return percent;
}

size_t build_choice(struct build *b, const struct raw_text *text, const char *name,
	const char *const *names, size_t n, size_t fallback)
{
	char list[128] = "";
	size_t len = 0;

	if (text == NULL)
		return fallback;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(names[i], text->text) == 0)
			return i;
		len += (size_t)snprintf(
			list + len, sizeof(list) - len, "%s%s", i > 0 ? ", " : "", names[i]);
		if (len >= sizeof(list))
			break;
	}
	build_error(b, text, "'%s' must be one of %s, not '%.40s'", name, list, text->text);
	return fallback;
}

static bool has_control(const char *s, bool multiline)
{
	for (; *s != '\0'; s++) {
		uint8_t c = (uint8_t)*s;

		if (c == 0x7f || (c < 0x20 && !(multiline && (c == '\n' || c == '\t'))) ||
			(c == 0xc2 && (uint8_t)s[1] < 0xa0))
			return true;
	}
	return false;
}

char *build_text(struct build *b, const struct raw_text *text, const char *name, size_t max_bytes,
	bool multiline)
{
	size_t n;

	if (text == NULL)
		return NULL;
	n = strlen(text->text);
	if (n == 0)
		build_error(b, text, "'%s' is empty", name);
	else if (n > max_bytes)
		build_error(
			b, text, "'%s' may have %zu bytes; this one has %zu", name, max_bytes, n);
	else if (has_control(text->text, multiline))
		build_error(b, text, "'%s' holds a control character%s", name,
			multiline ? "" : " or a line break");
	else
		return xstrdup(text->text);
	return NULL;
}

char *build_path(struct build *b, const struct raw_text *text, const char *name)
{
	char *path = build_text(b, text, name, 1024, false);

	if (path == NULL)
		return NULL;
	if (path[0] != '/') {
		build_error(b, text, "'%s' must be an absolute path", name);
	} else if (strstr(path, "//") != NULL || strstr(path, "/./") != NULL ||
		   strstr(path, "/../") != NULL ||
		   (path[1] != '\0' && path[strlen(path) - 1] == '/') ||
		   (strlen(path) >= 2 && strcmp(path + strlen(path) - 2, "/.") == 0) ||
		   (strlen(path) >= 3 && strcmp(path + strlen(path) - 3, "/..") == 0)) {
		build_error(b, text, "'%s' must not hold '.', '..' or needless slashes", name);
	}
	return path;
}

bool build_name_is_valid(struct build *b, const struct raw_text *text, const char *what,
	bool dotted, size_t max_bytes)
{
	const char *s = text->text;
	bool start = true; /* of a part between dots */
	bool ok = s[0] != '\0' && strlen(s) <= max_bytes;

	for (size_t i = 0; s[i] != '\0' && ok; i++) {
		bool alnum = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9');

		if (dotted && s[i] == '.')
			ok = !start && s[i + 1] != '\0';
		else
			ok = alnum || (!start && (s[i] == '_' || s[i] == '-'));
		start = s[i] == '.';
	}
	if (!ok)
		build_error(b, text,
			"%s '%.60s' must be made of a-z, 0-9, '_' and '-'%s, begin with a letter "
			"or "
			"digit and have at most %zu characters",
			what, s, dotted ? ", parts joined by '.'" : "", max_bytes);
	return ok;
}

void build_version(struct build *b, const struct raw_text *version)
{
	if (version != NULL && strcmp(version->text, "1") != 0)
		build_error(b, version, "'version' must be 1, not '%.20s'", version->text);
}
