#include <stdlib.h>
#include <string.h>

#include "agent/worker/status.h"
#include "core/base/list.h"

struct status_item {
	struct list link; /* status_items.all, those of a section behind each other */
	char *section, *id, *json;
	size_t json_len;
	enum level level;
	bool stale; /* of probes that are gone: it goes unless the new ones tell of it too */
};

struct status_items {
	struct list all; /* status_item.link */
	size_t n, bytes;
	uint32_t interval_ms;
	uint64_t time_us; /* when the probes last said they live; 0: not yet */
};

struct status_items *status_items_new(void)
{
	struct status_items *items = xcalloc(1, sizeof(*items));

	list_init(&items->all);
	return items;
}

static void item_free(struct status_items *items, struct status_item *item)
{
	list_remove(&item->link);
	items->n--;
	items->bytes -= item->json_len;
	free(item->section);
	free(item->id);
	free(item->json);
	free(item);
}

static void forget_all(struct status_items *items)
{
	while (!list_empty(&items->all))
		item_free(items, container_of(items->all.next, struct status_item, link));
}

static void set_stale(struct status_items *items)
{
	list_foreach(pos, tmp, &items->all)
	{
		container_of(pos, struct status_item, link)->stale = true;
	}
}

static void forget_stale(struct status_items *items)
{
	list_foreach(pos, tmp, &items->all)
	{
		struct status_item *item = container_of(pos, struct status_item, link);

		if (item->stale)
			item_free(items, item);
	}
}

void status_items_free(struct status_items *items)
{
	if (items == NULL)
		return;
	forget_all(items);
	free(items);
}

/* The item, or NULL; *ret_after: behind what a new one of this section goes. */
static struct status_item *find(
	struct status_items *items, const struct note *note, struct list **ret_after)
{
	*ret_after = items->all.prev;
	list_foreach(pos, tmp, &items->all)
	{
		struct status_item *item = container_of(pos, struct status_item, link);

		if (!wire_str_eq(note->section, item->section))
			continue;
		*ret_after = pos;
		if (wire_str_eq(note->id, item->id))
			return item;
	}
	return NULL;
}

static bool put(struct status_items *items, const struct note *note)
{
	struct list *after;
	struct status_item *item = find(items, note, &after);

	if (item == NULL && items->n == STATUS_MAX_ITEMS)
		return false;
	if (items->bytes - (item != NULL ? item->json_len : 0) + note->json.len > STATUS_MAX_BYTES)
		return false;
	if (item == NULL) {
		item = xcalloc(1, sizeof(*item));
		item->section = xstrndup(note->section.data, note->section.len);
		item->id = xstrndup(note->id.data, note->id.len);
		list_append(after->next, &item->link); /* in front of what follows `after` */
		items->n++;
	}
	items->bytes += note->json.len - item->json_len;
	free(item->json);
	item->json = xstrndup(note->json.data, note->json.len);
	item->json_len = note->json.len;
	item->level = (enum level)note->level;
	item->stale = false;
	return true;
}

bool status_items_take(struct status_items *items, const struct note *note, uint64_t wall_us)
{
	struct status_item *item;
	struct list *after;

	items->time_us = wall_us;
	switch (note->kind) {
	case NOTE_RESET:
		set_stale(items);
		items->interval_ms = note->interval_ms;
		return false; /* what there is now is about to be told */
	case NOTE_PUT:
		return note->json.len != 0 && put(items, note);
	case NOTE_DEL:
		item = find(items, note, &after);
		if (item != NULL)
			item_free(items, item);
		return item != NULL;
	case NOTE_BEAT:
		forget_stale(items);
		return true;
	default:
		return false; /* the worker's own words */
	}
}

void status_items_write(const struct status_items *items, const char *host, struct json *json)
{
	enum level level = LEVEL_OK;
	const char *section = "";

	list_foreach(pos, tmp, &items->all)
	{
		level = level_worse(level, container_of(pos, struct status_item, link)->level);
	}
	json_open_object(json);
	json_kv_str(json, "host", host);
	json_kv_uint(json, "time_us", items->time_us);
	json_kv_str(json, "level", level_name(items->n != 0 ? level : LEVEL_UNKNOWN));
	json_kv_uint(json, "interval_ms", items->interval_ms);
	json_key(json, "sections");
	json_open_object(json);
	list_foreach(at, next, &items->all)
	{
		const struct status_item *item = container_of(at, struct status_item, link);

		if (strcmp(section, item->section) != 0) {
			if (section[0] != '\0')
				json_close_array(json);
			section = item->section;
			json_key(json, section);
			json_open_array(json);
		}
		json_raw(json, item->json, item->json_len);
	}
	if (section[0] != '\0')
		json_close_array(json);
	json_close_object(json);
	json_close_object(json);
}
