/*
 * Owns the items. Each is in one of: told, to be told (dirty), to be told gone (gone). The socket
 * is the only queue: what the worker has not read stays a flag here, so that a worker that is away
 * costs nothing and later gets only the newest.
 */
#include "agent/probes/items.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct item {
	struct list link; /* items.all */
	const struct probe *owner;
	char *id, *title, *message; /* message: NULL when it is ok */
	char *code, *params;	    /* of the message; NULL: it has none */
	char *values;
	struct settle settle;
	uint64_t since_us, checked_us;
	bool seen; /* in the report that is being taken */
	bool dirty, gone;
};

bool settle_level(struct settle *settle, enum level found, uint8_t rise, uint8_t fall)
{
	bool worse = level_worse(found, settle->shown) == found && found != LEVEL_UNKNOWN;
	unsigned need = MAX(worse ? rise : fall, 1);
	bool first = !settle->known;

	/* whatever is known is better than nothing, and what is not known is not waited for */
	if (settle->shown == LEVEL_UNKNOWN || found == LEVEL_UNKNOWN)
		need = 1;
	/* what takes several findings to be bad is not bad at first sight either */
	if (first) {
		settle->known = true;
		settle->shown = rise > 1 && found != LEVEL_UNKNOWN ? LEVEL_OK : found;
	}
	if (found == settle->shown) {
		settle->count = 0;
		settle->found = found;
		return first;
	}
	settle->count = found == settle->found ? (uint8_t)(settle->count + 1) : 1;
	settle->found = found;
	if (settle->count < need)
		return first;
	settle->shown = found;
	settle->count = 0;
	return true;
}

void items_init(struct items *items, const struct status_config *config)
{
	*items = (struct items){.config = config,
		.reset = true,
		.beat = true,
		.interval_ms = (uint32_t)(config->interval_us / 1000)};
	list_init(&items->all);
}

static void item_free(struct items *items, struct item *item)
{
	list_remove(&item->link);
	items->n--;
	free(item->id);
	free(item->title);
	free(item->message);
	free(item->code);
	free(item->params);
	free(item->values);
	free(item);
}

void items_fini(struct items *items)
{
	while (!list_empty(&items->all))
		item_free(items, container_of(items->all.next, struct item, link));
}

static struct item *find(const struct items *items, const char *section, const char *id)
{
	list_foreach(pos, tmp, &items->all)
	{
		struct item *item = container_of(pos, struct item, link);

		if (strcmp(item->owner->section, section) == 0 && strcmp(item->id, id) == 0)
			return item;
	}
	return NULL;
}

bool items_has(const struct items *items, const char *section, const char *id)
{
	const struct item *item = find(items, section, id);

	return item != NULL && !item->gone;
}

bool items_have_action(
	const struct items *items, const struct probe *probe, struct wire_str runnable)
{
	list_foreach(pos, tmp, &items->all)
	{
		const struct item *item = container_of(pos, struct item, link);
		const char *action;

		if (item->owner != probe || item->gone)
			continue;
		action = status_config_action(items->config, probe->section, item->id);
		if (action != NULL && wire_str_eq(runnable, action))
			return true;
	}
	return false;
}

static struct item *find_or_add(struct items *items, const struct probe *owner, const char *id)
{
	struct item *item = find(items, owner->section, id);

	if (item == NULL && items->n < ITEMS_MAX) {
		item = xcalloc(1, sizeof(*item));
		item->id = xstrdup(id);
		list_append(&items->all, &item->link);
		items->n++;
	}
	if (item != NULL) {
		item->owner = owner;
		item->gone = false;
		item->dirty = true;
		item->seen = true;
	}
	return item;
}

static void set_text(char **text, const char *value)
{
	free(*text);
	*text = value != NULL && value[0] != '\0' ? xstrdup(value) : NULL;
}

/* Why it is not ok; NULL: it is. */
static void set_reason(struct item *item, const char *message, const char *code, const char *params)
{
	set_text(&item->message, message);
	set_text(&item->code, code);
	set_text(&item->params, params);
}

static void take(struct items *items, const struct probe *probe, const struct finding *found,
	uint64_t wall_us)
{
	struct item *item = find_or_add(items, probe, found->id);

	if (item == NULL)
		return;
	if (settle_level(&item->settle, found->level, found->rise, found->fall))
		item->since_us = wall_us;
	item->checked_us = wall_us;
	set_text(&item->title, found->title);
	if (item->settle.shown == LEVEL_OK)
		set_reason(item, NULL, NULL, NULL);
	else if (found->message[0] != '\0') /* else the words of before still hold */
		set_reason(item, found->message, found->code, found->params);
	free(item->values);
	item->values = xstrndup((const char *)found->values.data, found->values.len);
}

int items_take(struct items *items, const struct probe *probe, const uint8_t *data, size_t n,
	uint64_t wall_us)
{
	struct finding *found = xcalloc(1, sizeof(*found));
	size_t at = 0, count = 0;
	int rc;

	list_foreach(pos, tmp, &items->all)
	{
		container_of(pos, struct item, link)->seen = false;
	}
	while ((rc = report_next(data, n, &at, found)) > 0 && count++ < REPORT_MAX_ITEMS) {
		take(items, probe, found, wall_us);
		buf_fini(&found->values);
	}
	if (rc > 0)
		buf_fini(&found->values);
	free(found);
	list_foreach(pos2, tmp2, &items->all)
	{
		struct item *item = container_of(pos2, struct item, link);

		if (item->owner == probe && !item->seen && rc >= 0)
			item->gone = true;
	}
	items->beat = true;
	return MIN(rc, 0);
}

void items_unknown(
	struct items *items, const struct probe *probe, const char *why, uint64_t wall_us)
{
	bool any = false;

	list_foreach(pos, tmp, &items->all)
	{
		struct item *item = container_of(pos, struct item, link);

		if (item->owner != probe || item->gone)
			continue;
		any = true;
		if (settle_level(&item->settle, LEVEL_UNKNOWN, 1, 1))
			item->since_us = wall_us;
		set_reason(item, why, NULL, NULL);
		item->dirty = true;
	}
	if (!any) {
		struct finding *found = xcalloc(1, sizeof(*found));

		found->level = LEVEL_UNKNOWN;
		snprintf(found->id, sizeof(found->id), "%s", probe->id);
		snprintf(found->title, sizeof(found->title), "%s", probe->title);
		snprintf(found->message, sizeof(found->message), "%s", why);
		buf_init(&found->values, 16);
		buf_append_str(&found->values, "{}");
		take(items, probe, found, wall_us);
		buf_fini(&found->values);
		free(found);
	}
	items->beat = true;
}

void items_tell_again(struct items *items)
{
	items->reset = true;
	items->beat = true;
	list_foreach(pos, tmp, &items->all)
	{
		container_of(pos, struct item, link)->dirty = true;
	}
}

/* ---- telling ---- */

static int send_note(int fd, const struct note *note)
{
	static uint8_t bytes[NOTE_MAX_BYTES];
	int n = note_encode(note, bytes, sizeof(bytes));

	if (n < 0)
		return n;
	return send(fd, bytes, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) == n ? 0 : -errno;
}

static void write_item(const struct items *items, const struct item *item, struct json *json)
{
	json_open_object(json);
	json_kv_str(json, "id", item->id);
	json_kv_str(json, "title", item->title != NULL ? item->title : item->id);
	json_kv_str(json, "level", level_name(item->settle.shown));
	json_kv_str(json, "message", item->message);
	if (item->code != NULL) {
		json_kv_str(json, "code", item->code);
		json_key(json, "params");
		json_raw(json, item->params, strlen(item->params));
	}
	json_kv_uint(json, "since_us", item->since_us);
	json_kv_uint(json, "checked_us", item->checked_us);
	json_kv_str(json, "action",
		status_config_action(items->config, item->owner->section, item->id));
	json_key(json, "values");
	json_raw(json, item->values, strlen(item->values));
	json_close_object(json);
}

static int send_item(const struct items *items, int fd, const struct item *item)
{
	struct note note = {
		.kind = item->gone ? NOTE_DEL : NOTE_PUT,
		.level = (uint8_t)item->settle.shown,
		.section = wire_str_of(item->owner->section),
		.id = wire_str_of(item->id),
	};
	struct json json;
	struct buf text;
	int rc;

	buf_init(&text, NOTE_MAX_JSON);
	if (!item->gone) {
		json_init(&json, &text);
		write_item(items, item, &json);
		note.json = (struct wire_str){(const char *)text.data, (uint32_t)text.len};
	}
	rc = buf_err(&text) != 0 ? -EMSGSIZE : send_note(fd, &note);
	buf_fini(&text);
	return rc;
}

static bool is_full(int rc)
{
	return rc == -EAGAIN || rc == -ENOBUFS || rc == -ENOMEM;
}

bool items_send(struct items *items, int fd)
{
	if (items->reset) {
		struct note reset = {.kind = NOTE_RESET, .interval_ms = items->interval_ms};

		if (is_full(send_note(fd, &reset)))
			return true;
		items->reset = false;
	}
	list_foreach(pos, tmp, &items->all)
	{
		struct item *item = container_of(pos, struct item, link);

		if (!item->dirty && !item->gone)
			continue;
		if (is_full(send_item(items, fd, item)))
			return true;
		item->dirty = false;
		if (item->gone)
			item_free(items, item);
	}
	if (items->beat && !items->settling) {
		if (is_full(send_note(fd, &(struct note){.kind = NOTE_BEAT})))
			return true;
		items->beat = false;
	}
	return false;
}
