/*
 * STATE_DIR/notify.json: what must survive a restart, written whole and atomically, in the thread
 * pool and at most every SAVE_MS. One JSON object:
 *
 *	{"version":1,"owner":UUID,"hosts":{NAME:N},"seen_us":N,"marks":[[key,state,time_us,is_run],…],
 *	 "waiting":[event,…],"lanes":[{"rule":N,"target":NAME,"more":N,"items":[event,…]},…]}
 *
 * A file that cannot be understood is put aside as notify.json.bad, with an error in the log: it is
 * better to tell something twice than not to start.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/app/notify/notify_internal.h"
#include "core/app/server.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/log.h"

#define SAVE_MS 50
#define MAX_STATE (16u << 20)

/* ---- writing ---- */

static void put_event(struct json *json, const struct notify_item *item)
{
	const struct notify_event *e = &item->event;

	json_open_object(json);
	json_kv_str(json, "on", notify_on_name(e->on));
	json_kv_str(json, "key", e->key);
	json_kv_str(json, "state", e->state);
	json_kv_str(json, "name", e->name);
	json_kv_str(json, "section", e->section);
	json_kv_str(json, "host", e->host);
	json_kv_str(json, "run", e->run);
	json_kv_uint(json, "time_us", e->time_us);
	json_kv_uint(json, "queued_us", item->queued_us);
	json_kv_str(json, "title", e->title);
	json_kv_str(json, "text", e->text);
	json_kv_str(json, "link", e->link);
	json_close_object(json);
}

static void put_events(struct json *json, const char *key, const struct list *items)
{
	json_key(json, key);
	json_open_array(json);
	list_foreach(pos, tmp, items)
	{
		put_event(json, container_of(pos, struct notify_item, link));
	}
	json_close_array(json);
}

static void put_marks(struct json *json, const struct notify *n)
{
	json_key(json, "marks");
	json_open_array(json);
	list_foreach(pos, tmp, &n->marks)
	{
		const struct notify_mark *mark = container_of(pos, struct notify_mark, link);

		json_open_array(json);
		json_str(json, mark->key);
		json_str(json, mark->state);
		json_uint(json, mark->time_us);
		json_bool(json, mark->is_run);
		json_close_array(json);
	}
	json_close_array(json);
}

/* Who is told from a later day on is not told what was before. */
static void put_seen(struct json *json, const struct notify *n)
{
	uint64_t now_us = clock_wall_us() + NOTIFY_SLACK_US, primary_us = now_us;

	json_key(json, "hosts");
	json_open_object(json);
	list_foreach(pos, tmp, &n->hosts)
	{
		const struct notify_host *h = container_of(pos, struct notify_host, link);
		uint64_t seen_us = n->conf != NULL ? notify_host_seen_us(h) : now_us;

		if (host_name(h->host)[0] != '\0')
			json_kv_uint(json, host_name(h->host), seen_us);
		if (hosts_is_primary(h->host))
			primary_us = seen_us;
	}
	json_close_object(json);
	json_kv_uint(json, "seen_us", primary_us);
}

static void compose(struct notify *n)
{
	struct json json;

	n->dirty = false;
	buf_reset(&n->saved);
	json_init(&json, &n->saved);
	json_open_object(&json);
	json_kv_uint(&json, "version", 1);
	json_kv_str(&json, "owner", n->owner);
	put_seen(&json, n);
	put_marks(&json, n);
	put_events(&json, "waiting", &n->waiting);
	json_key(&json, "lanes");
	json_open_array(&json);
	list_foreach(pos, tmp, &n->lanes)
	{
		const struct notify_lane *lane = container_of(pos, struct notify_lane, link);

		if (lane->n_items == 0 || lane->orphan)
			continue;
		json_open_object(&json);
		json_kv_uint(&json, "rule", lane->rule);
		json_kv_str(&json, "target", lane->target);
		json_kv_uint(&json, "more", lane->more);
		put_events(&json, "items", &lane->items);
		json_close_object(&json);
	}
	json_close_array(&json);
	json_close_object(&json);
}

/* Blocking. */
static void write_out(struct notify *n)
{
	struct err err = {0};
	int rc = buf_err(&n->saved);

	if (rc < 0)
		err_set_errno(&err, rc, "the state is too large");
	else
		rc = file_replace(
			n->dir_fd, NOTIFY_FILE_NAME, n->saved.data, n->saved.len, 0600, &err);
	if (rc < 0)
		log_error(LOG_EV("notify.not_saved"), LOG_STR("reason", err.msg));
}

/* In a thread, which has n->saved meanwhile. */
static void on_save(uv_work_t *work)
{
	write_out(container_of(work, struct notify, save));
}

static void on_save_soon(uv_timer_t *timer);

/* It is on the disk. */
static void on_saved(uv_work_t *work, int status)
{
	struct notify *n = container_of(work, struct notify, save);

	(void)status; /* it is never cancelled */
	n->saving = false;
	if (n->closing) {
		notify_state_close(n);
		notify_part_closed(n);
	} else if (n->dirty) {
		uv_timer_start(&n->save_soon, on_save_soon, SAVE_MS, 0);
	}
}

/* Enough has come together. */
static void on_save_soon(uv_timer_t *timer)
{
	struct notify *n = timer->data;

	if (n->saving)
		return; /* on_saved() goes on */
	compose(n);
	n->saving = true;
	if (uv_queue_work(n->server->loop, &n->save, on_save, on_saved) < 0)
		abort();
}

void notify_state_touch(struct notify *n)
{
	if (n->closing || n->dirty)
		return;
	n->dirty = true;
	if (!n->saving)
		uv_timer_start(&n->save_soon, on_save_soon, SAVE_MS, 0);
}

void notify_state_close(struct notify *n)
{
	if (n->saving)
		return;
	compose(n);
	write_out(n);
}

/* ---- reading ---- */

static void take_text(const json_t *doc, const char *key, char *out, size_t cap)
{
	const char *text = json_string_value(json_object_get(doc, key));

	snprintf(out, cap, "%s", text != NULL ? text : "");
}

static uint64_t take_number(const json_t *doc, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(doc, key));

	return n > 0 ? (uint64_t)n : 0;
}

static bool take_event(const json_t *doc, struct notify_event *e)
{
	const char *on = json_string_value(json_object_get(doc, "on"));

	memset(e, 0, sizeof(*e));
	for (e->on = 0; e->on < NOTIFY_N_ON; e->on++) {
		if (on != NULL && strcmp(on, notify_on_name(e->on)) == 0)
			break;
	}
	take_text(doc, "key", e->key, sizeof(e->key));
	take_text(doc, "state", e->state, sizeof(e->state));
	take_text(doc, "name", e->name, sizeof(e->name));
	take_text(doc, "section", e->section, sizeof(e->section));
	take_text(doc, "host", e->host, sizeof(e->host));
	take_text(doc, "run", e->run, sizeof(e->run));
	take_text(doc, "title", e->title, sizeof(e->title));
	take_text(doc, "text", e->text, sizeof(e->text));
	take_text(doc, "link", e->link, sizeof(e->link));
	e->time_us = take_number(doc, "time_us");
	return e->on < NOTIFY_N_ON && e->title[0] != '\0';
}

static void take_waiting(struct notify *n, const json_t *list)
{
	struct notify_event event;
	const json_t *doc;
	size_t i;

	json_array_foreach(list, i, doc)
	{
		struct notify_item *item;

		if (n->n_waiting == NOTIFY_MAX_WAITING || !take_event(doc, &event))
			continue;
		item = xcalloc(1, sizeof(*item));
		item->event = event;
		list_append(&n->waiting, &item->link);
		n->n_waiting++;
	}
}

/* The lane of that rule and target, else another one of that target. */
static struct notify_lane *lane_for(struct notify *n, size_t rule, const char *target)
{
	struct notify_lane *found = NULL;

	list_foreach(pos, tmp, &n->lanes)
	{
		struct notify_lane *lane = container_of(pos, struct notify_lane, link);

		if (strcmp(lane->target, target) == 0 && (found == NULL || lane->rule == rule))
			found = lane;
	}
	return found;
}

static void take_lanes(struct notify *n, const json_t *list)
{
	struct notify_event event;
	const json_t *doc, *item;
	size_t i, k;

	json_array_foreach(list, i, doc)
	{
		const char *target = json_string_value(json_object_get(doc, "target"));
		struct notify_lane *lane =
			target != NULL ? lane_for(n, take_number(doc, "rule"), target) : NULL;

		if (lane == NULL)
			continue;
		json_array_foreach(json_object_get(doc, "items"), k, item)
		{
			if (take_event(item, &event))
				notify_lane_push(lane, &event, take_number(item, "queued_us"));
		}
		lane->more += take_number(doc, "more");
	}
}

static void take_marks(struct notify *n, const json_t *list)
{
	const json_t *mark;
	size_t i;

	json_array_foreach(list, i, mark)
	{
		const char *key = json_string_value(json_array_get(mark, 0));
		const char *state = json_string_value(json_array_get(mark, 1));
		json_int_t time_us = json_integer_value(json_array_get(mark, 2));

		if (key != NULL && state != NULL)
			notify_set_mark(n, key, state, time_us > 0 ? (uint64_t)time_us : 0,
				json_is_true(json_array_get(mark, 3)));
	}
}

static void begin_anew(struct notify *n)
{
	struct uuid owner;

	uuid_v7(&owner);
	uuid_format(&owner, n->owner);
	n->seen_us = clock_wall_us() + NOTIFY_SLACK_US; /* what was before is no news */
}

int notify_state_load(struct notify *n, struct err *err)
{
	static const char bad[] = NOTIFY_FILE_NAME ".bad";
	struct uuid owner;
	json_t *doc = NULL;
	struct buf text;
	int rc;

	buf_init(&n->saved, MAX_STATE);
	buf_init(&text, MAX_STATE);
	n->dir_fd = open(n->server->cfg->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (n->dir_fd < 0)
		return err_set_errno(
			err, -errno, "STATE_DIR: cannot open %s", n->server->cfg->state_dir);
	rc = file_read(n->dir_fd, NOTIFY_FILE_NAME, &text, err);
	if (rc == 0)
		doc = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
	take_text(doc, "owner", n->owner, sizeof(n->owner));
	if (rc == -ENOENT) {
		begin_anew(n);
		rc = 0;
	} else if (rc == 0 && uuid_parse(n->owner, strlen(n->owner), &owner) < 0) {
		log_error(LOG_EV("notify.state_damaged"), LOG_STR("kept_as", bad));
		if (renameat(n->dir_fd, NOTIFY_FILE_NAME, n->dir_fd, bad) < 0)
			rc = err_set_errno(
				err, -errno, "STATE_DIR: cannot rename " NOTIFY_FILE_NAME);
		begin_anew(n);
	} else if (rc == 0) {
		n->seen_us = take_number(doc, "seen_us");
		n->seen = json_incref(json_object_get(doc, "hosts"));
		take_marks(n, json_object_get(doc, "marks"));
		take_waiting(n, json_object_get(doc, "waiting"));
		take_lanes(n, json_object_get(doc, "lanes"));
	}
	json_decref(doc);
	buf_fini(&text);
	return rc;
}
