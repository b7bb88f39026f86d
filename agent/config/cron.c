#include "agent/config/cron.h"

#include <errno.h>
#include <string.h>

#include "core/base/mem.h"

struct field {
	const char *name;
	unsigned min, max;
	const char *const *names; /* of min, min + 1 …; NULL: numbers only */
	size_t n_names;
};

static const char *const month_names[] = {
	"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const day_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

static const struct field fields[] = {
	{"minute", 0, 59, NULL, 0},
	{"hour", 0, 23, NULL, 0},
	{"day of month", 1, 31, NULL, 0},
	{"month", 1, 12, month_names, ARRAY_LEN(month_names)},
	{"day of week", 0, 7, day_names, ARRAY_LEN(day_names)},
};

static bool read_number(const char **at, unsigned *ret_value)
{
	unsigned value = 0;
	size_t n = 0;

	while ((*at)[n] >= '0' && (*at)[n] <= '9' && n < 3)
		value = value * 10 + (unsigned)((*at)[n++] - '0');
	*at += n;
	*ret_value = value;
	return n != 0;
}

static bool read_value(const char **at, const struct field *field, unsigned *ret_value)
{
	for (size_t i = 0; i < field->n_names; i++) {
		if (strncasecmp(*at, field->names[i], 3) == 0) {
			*at += 3;
			*ret_value = field->min + (unsigned)i;
			return true;
		}
	}
	return read_number(at, ret_value) && *ret_value >= field->min && *ret_value <= field->max;
}

/* One item of a list: *, a, a-b, each with /n. */
static bool read_item(const char **at, const struct field *field, uint64_t *bits)
{
	unsigned from = field->min, to = field->max, step = 1;
	bool star = **at == '*';

	if (star) {
		(*at)++;
	} else if (!read_value(at, field, &from)) {
		return false;
	} else {
		to = from;
		if (**at == '-') {
			(*at)++;
			if (!read_value(at, field, &to) || to < from)
				return false;
			star = true; /* a range may have a step, a single value not */
		}
	}
	if (**at == '/') {
		(*at)++;
		if (!star || !read_number(at, &step) || step == 0 || step > field->max)
			return false;
	}
	for (unsigned v = from; v <= to; v += step)
		*bits |= UINT64_C(1) << v;
	return true;
}

static bool read_field(const char **at, const struct field *field, uint64_t *bits)
{
	*bits = 0;
	for (;;) {
		if (!read_item(at, field, bits))
			return false;
		if (**at != ',')
			return **at == ' ' || **at == '\t' || **at == '\0';
		(*at)++;
	}
}

static const struct macro {
	const char *name, *fields;
} macros[] = {
	{"@hourly", "0 * * * *"},
	{"@daily", "0 0 * * *"},
	{"@midnight", "0 0 * * *"},
	{"@weekly", "0 0 * * 0"},
	{"@monthly", "0 0 1 * *"},
	{"@yearly", "0 0 1 1 *"},
	{"@annually", "0 0 1 1 *"},
};

static const char *expand(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(macros); i++) {
		if (strcmp(text, macros[i].name) == 0)
			return macros[i].fields;
	}
	return text;
}

int cron_parse(const char *text, struct cron *ret_cron, struct err *err)
{
	uint64_t bits[ARRAY_LEN(fields)];
	bool any[ARRAY_LEN(fields)];
	const char *at;

	text = expand(text);
	if (text[0] == '@')
		return err_set(err, -EINVAL,
			"is none of @hourly @daily @weekly @monthly @yearly, nor five fields");
	at = text + strspn(text, " \t");
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		if (*at == '\0')
			return err_set(err, -EINVAL,
				"has %zu fields, not five: minute hour day month weekday", i);
		any[i] = *at == '*';
		if (!read_field(&at, &fields[i], &bits[i]))
			return err_set(err, -EINVAL, "its %s is none (%u-%u)", fields[i].name,
				fields[i].min, fields[i].max);
		at += strspn(at, " \t");
	}
	if (*at != '\0')
		return err_set(err, -EINVAL, "has more than five fields");
	*ret_cron = (struct cron){
		.minutes = bits[0],
		.hours = (uint32_t)bits[1],
		.days = (uint32_t)bits[2],
		.months = (uint16_t)bits[3],
		.weekdays = (uint8_t)((bits[4] | bits[4] >> 7) & 0x7f),
		.any_day = any[2],
		.any_weekday = any[4],
	};
	return 0;
}
