#include "core/app/status/sample.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"

#define DAY_US (UINT64_C(86400) * CLOCK_SECOND_US)
#define LARGEST 1e37 /* what a real holds, with room */

static bool is_measured(const char *name)
{
	static const char *const constant[] = {"pid", "cores", "total", "exit_code", "listed",
		"min_size", "median_size", "connections_max", "memory_limit_bytes"};
	size_t n = strlen(name);

	if (n > SAMPLE_MAX_NAME_BYTES || (n > 3 && strcmp(name + n - 3, "_us") == 0))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(constant); i++) {
		if (strcmp(name, constant[i]) == 0)
			return false;
	}
	return true;
}

/* The numbers of one item, or NULL. */
static json_t *numbers(const json_t *item, size_t *n, size_t *left_out)
{
	const char *level = json_string_value(json_object_get(item, "level")), *name;
	json_t *found = NULL, *value;

	if (level == NULL || strcmp(level, "unknown") == 0)
		return NULL;
	json_object_foreach(json_object_get(item, "values"), name, value)
	{
		if (!json_is_number(value) || !isfinite(json_number_value(value)) ||
			fabs(json_number_value(value)) > LARGEST || !is_measured(name))
			continue;
		if (*n == SAMPLE_MAX_SERIES) {
			++*left_out;
			continue;
		}
		++*n;
		if (found == NULL)
			found = json_object();
		json_object_set(found, name, value);
	}
	return found;
}

char *sample_text(const json_t *doc, size_t *ret_left_out)
{
	json_t *result = json_object(), *items, *item;
	size_t i, n = 0, left_out = 0;
	const char *section;
	char *text = NULL;

	json_object_foreach(json_object_get(doc, "sections"), section, items)
	{
		json_array_foreach(items, i, item)
		{
			const char *id = json_string_value(json_object_get(item, "id"));
			json_t *found;

			if (id == NULL || strlen(section) + strlen(id) >= SAMPLE_MAX_NAME_BYTES)
				continue;
			found = numbers(item, &n, &left_out);
			if (found != NULL) {
				char *path = xasprintf("%s/%s", section, id);

				json_object_set_new(result, path, found);
				free(path);
			}
		}
	}
	if (n > 0)
		text = json_dumps(result, JSON_COMPACT);
	json_decref(result);
	*ret_left_out = left_out;
	return text;
}

struct sample_steps sample_steps(uint64_t from_us, uint64_t to_us, uint64_t now_us)
{
	static const uint32_t steps[] = {10, 60, 300, 900, 3600, 21600, 86400};
	uint64_t age = now_us > from_us ? now_us - from_us : 0;
	uint64_t length = to_us > from_us ? to_us - from_us : 0;
	uint32_t tier = age <= DAY_US	     ? SAMPLE_EVERY_S
			: age <= 30 * DAY_US ? SAMPLE_MINUTE_S
					     : SAMPLE_QUARTER_S;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		uint32_t step = steps[i];

		if (step < tier || length / (step * CLOCK_SECOND_US) > SAMPLE_MAX_POINTS)
			continue;
		return (struct sample_steps){step, step >= SAMPLE_QUARTER_S  ? SAMPLE_QUARTER_S
						   : step >= SAMPLE_MINUTE_S ? SAMPLE_MINUTE_S
									     : SAMPLE_EVERY_S};
	}
	return (struct sample_steps){86400, SAMPLE_QUARTER_S};
}
