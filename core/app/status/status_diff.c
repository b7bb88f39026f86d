#include "core/app/status/status_diff.h"

#include <string.h>

static const char *id_of(const json_t *item)
{
	return json_string_value(json_object_get(item, "id"));
}

json_t *status_find(const json_t *items, const char *id)
{
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
	{
		const char *other = id_of(item);

		if (other != NULL && strcmp(other, id) == 0)
			return item;
	}
	return NULL;
}

json_t *status_changed(json_t *now, const json_t *before)
{
	json_t *result = json_object();
	const char *section;
	json_t *items, *item;
	size_t i;

	json_object_foreach(now, section, items)
	{
		const json_t *others = json_object_get(before, section);
		json_t *changed = json_array();

		json_array_foreach(items, i, item)
		{
			const char *id = id_of(item);
			json_t *old = id != NULL ? status_find(others, id) : NULL;

			if (id != NULL && (old == NULL || !json_equal(old, item)))
				json_array_append(changed, item);
		}
		if (json_array_size(changed) != 0)
			json_object_set(result, section, changed);
		json_decref(changed);
	}
	return result;
}

json_t *status_gone(json_t *now, json_t *before)
{
	json_t *result = json_array();
	const char *section;
	json_t *items, *item;
	size_t i;

	json_object_foreach(before, section, items)
	{
		const json_t *others = json_object_get(now, section);

		json_array_foreach(items, i, item)
		{
			const char *id = id_of(item);

			if (id != NULL && status_find(others, id) == NULL)
				json_array_append_new(result, json_sprintf("%s/%s", section, id));
		}
	}
	return result;
}

static int rank(const char *level)
{
	static const char *const levels[] = {"ok", "unknown", "warn", "bad"};

	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		if (level != NULL && strcmp(level, levels[i]) == 0)
			return (int)i;
	}
	return 1;
}

const char *status_worst(json_t *sections)
{
	const char *section, *worst = NULL;
	json_t *items, *item;
	size_t i;

	json_object_foreach(sections, section, items)
	{
		json_array_foreach(items, i, item)
		{
			const char *level = json_string_value(json_object_get(item, "level"));

			if (level != NULL && (worst == NULL || rank(level) > rank(worst)))
				worst = level;
		}
	}
	return worst != NULL ? worst : "unknown";
}
