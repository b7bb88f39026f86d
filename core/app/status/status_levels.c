#include "core/app/status/status_levels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"

void status_levels_init(struct status_levels *levels)
{
	levels->known = json_object();
	list_init(&levels->listeners);
}

void status_levels_fini(struct status_levels *levels)
{
	json_decref(levels->known);
	levels->known = NULL;
}

static const char *text(const json_t *item, const char *key)
{
	return json_string_value(json_object_get(item, key));
}

static void tell(struct status_levels *levels, const struct status_change *change)
{
	log_info(LOG_EV("status.level"), LOG_STR("section", change->section),
		LOG_STR("item", change->id),
		LOG_STR("before", change->before != NULL ? change->before : "-"),
		LOG_STR("level", change->level != NULL ? change->level : "-"),
		LOG_STR("message", change->message));
	list_foreach(at, tmp, &levels->listeners)
	{
		struct status_listener *listener = container_of(at, struct status_listener, link);

		listener->on_change(listener, change);
	}
}

static void take_item(struct status_levels *levels, const char *section, const json_t *item)
{
	const char *id = text(item, "id"), *level = text(item, "level"),
		   *title = text(item, "title"), *message = text(item, "message");
	char *path;
	json_t *known;
	char before[16] = "";

	if (id == NULL || level == NULL)
		return;
	path = xasprintf("%s/%s", section, id);
	known = json_object_get(levels->known, path);
	if (known != NULL) {
		snprintf(before, sizeof(before), "%s", text(known, "level"));
		json_object_del(known, "missing_us");
	}
	if (strcmp(before, level) != 0 &&
		(known != NULL || json_object_size(levels->known) < STATUS_MAX_LEVELS))
		json_object_set_new(levels->known, path,
			json_pack(
				"{s:s,s:s}", "level", level, "title", title != NULL ? title : id));
	free(path);
	if (before[0] == '\0' ? strcmp(level, "ok") != 0 : strcmp(level, before) != 0) {
		tell(levels, &(struct status_change){
				     .section = section,
				     .id = id,
				     .title = title != NULL ? title : id,
				     .before = before[0] != '\0' ? before : NULL,
				     .level = level,
				     .message = message != NULL ? message : "",
				     .action = text(item, "action"),
				     .since_us = (uint64_t)json_integer_value(
					     json_object_get(item, "since_us")),
			     });
	}
}

static bool has(json_t *sections, const char *section, const char *id)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(sections, section), i, item)
	{
		const char *other = text(item, "id");

		if (other != NULL && strcmp(other, id) == 0)
			return true;
	}
	return false;
}

/* Those that are missing: since when; or gone, when that is long ago. */
static void take_missing(struct status_levels *levels, json_t *sections, uint64_t now_us)
{
	const char *path;
	json_t *known;
	void *tmp;

	json_object_foreach_safe(levels->known, tmp, path, known)
	{
		const char *slash = strchr(path, '/');
		char *section = xstrndup(path, (size_t)(slash - path)), *id = xstrdup(slash + 1);
		const json_t *missing = json_object_get(known, "missing_us");

		if (has(sections, section, id)) {
			/* take_item() has seen it */
		} else if (missing == NULL) {
			json_object_set_new(known, "missing_us", json_integer((json_int_t)now_us));
		} else if (now_us - (uint64_t)json_integer_value(missing) >= STATUS_GONE_US) {
			json_incref(known);
			json_object_del(levels->known, path);
			if (strcmp(text(known, "level"), "ok") != 0) {
				tell(levels, &(struct status_change){
						     .section = section,
						     .id = id,
						     .title = text(known, "title"),
						     .before = text(known, "level"),
						     .message = "",
					     });
			}
			json_decref(known);
		}
		free(section);
		free(id);
	}
}

void status_levels_take(
	struct status_levels *levels, json_t *sections, bool complete, uint64_t now_us)
{
	const char *section;
	json_t *items, *item;
	size_t i;

	json_object_foreach(sections, section, items)
	{
		json_array_foreach(items, i, item)
		{
			take_item(levels, section, item);
		}
	}
	if (complete)
		take_missing(levels, sections, now_us);
}
