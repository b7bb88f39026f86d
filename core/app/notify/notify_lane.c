/*
 * A lane is what one rule tells one target. Its first event goes out at once; then the lane is
 * quiet for the rule's time, and what came meanwhile goes out as one digest. What the target does
 * not take stays at the head and is tried again, with whatever has come behind it.
 *
 * States, by members: empty (no items) -> waiting (retry_ms or quiet_until_ms is ahead) -> sending
 * (call) -> waiting or empty.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/limits.h"
#include "core/app/notify/notify_internal.h"
#include "core/app/notify/notify_message.h"
#include "core/app/server.h"
#include "core/base/clock.h"
#include "core/base/log.h"

/* ---- what became of messages ---- */

struct notify_tally *notify_tally_of(struct notify *n, const char *target)
{
	struct notify_tally *tally;

	list_foreach(pos, tmp, &n->tallies)
	{
		tally = container_of(pos, struct notify_tally, link);
		if (strcmp(tally->name, target) == 0)
			return tally;
	}
	tally = xcalloc(1, sizeof(*tally));
	snprintf(tally->name, sizeof(tally->name), "%s", target);
	list_append(&n->tallies, &tally->link);
	return tally;
}

void notify_tally_count(
	struct notify_tally *tally, enum notify_result result, const char *message, bool is_test)
{
	tally->results[result]++;
	tally->last_us = clock_wall_us();
	tally->last_ok = result == NOTIFY_SENT;
	tally->last_was_test = is_test;
	snprintf(tally->last_message, sizeof(tally->last_message), "%s", message);
}

/* ---- items ---- */

static void take_out(struct notify_lane *lane, struct notify_item *item)
{
	list_remove(&item->link);
	lane->n_items--;
	lane->notify->n_held--;
}

static void drop_first(struct notify_lane *lane)
{
	struct notify_item *item = container_of(lane->items.next, struct notify_item, link);

	take_out(lane, item);
	free(item);
}

static void lane_free(struct notify_lane *lane)
{
	while (lane->n_items > 0)
		drop_first(lane);
	list_remove(&lane->link);
	free(lane);
}

static size_t n_unsent(const struct notify_lane *lane)
{
	return lane->n_items - lane->n_sending;
}

/* The oldest of those that are not being sent is only counted from now on. */
static void count_oldest(struct notify_lane *lane)
{
	struct list *at = lane->items.next;
	struct notify_item *item;

	for (size_t i = 0; i < lane->n_sending; i++)
		at = at->next;
	item = container_of(at, struct notify_item, link);
	take_out(lane, item);
	free(item);
	lane->more++;
}

/* Keeps the lane's maximum, and that of all lanes: there the longest one gives. */
static void keep_max(struct notify_lane *lane)
{
	struct notify *n = lane->notify;

	while (n_unsent(lane) > NOTIFY_MAX_QUEUED)
		count_oldest(lane);
	while (n->n_held > LIMIT_NOTIFY_HELD) {
		struct notify_lane *longest = lane;

		list_foreach(pos, tmp, &n->lanes)
		{
			struct notify_lane *other = container_of(pos, struct notify_lane, link);

			if (n_unsent(other) > n_unsent(longest))
				longest = other;
		}
		if (n_unsent(longest) == 0)
			return; /* all of them are on their way */
		count_oldest(longest);
	}
}

void notify_lane_push(
	struct notify_lane *lane, const struct notify_event *event, uint64_t queued_us)
{
	struct notify_item *item = xcalloc(1, sizeof(*item));

	item->event = *event;
	item->queued_us = queued_us != 0 ? queued_us : clock_wall_us();
	list_append(&lane->items, &item->link);
	lane->n_items++;
	lane->notify->n_held++;
	keep_max(lane);
}

static struct notify_lane *find_lane(struct notify *n, size_t rule, const char *target)
{
	list_foreach(pos, tmp, &n->lanes)
	{
		struct notify_lane *lane = container_of(pos, struct notify_lane, link);

		if (!lane->orphan && lane->rule == rule && strcmp(lane->target, target) == 0)
			return lane;
	}
	return NULL;
}

static bool rule_is_about(const struct notify_rule *rule, const struct notify_event *event)
{
	if ((rule->on & 1u << event->on) == 0 || !notify_list_matches(&rule->hosts, event->host))
		return false;
	switch (event->on) {
	case NOTIFY_RUN_FAILED:
	case NOTIFY_RUN_RECOVERED:
	case NOTIFY_APPROVAL_WAITING:
		return notify_list_matches(&rule->runs, event->name);
	case NOTIFY_AGENT_LOST:
	case NOTIFY_AGENT_BACK:
		return true;
	default:
		return notify_list_matches(&rule->sections, event->section) &&
		       notify_list_matches(&rule->items, event->name);
	}
}

void notify_lanes_add(struct notify *n, const struct notify_event *event)
{
	bool told[NOTIFY_MAX_TARGETS] = {false};

	for (size_t i = 0; n->conf != NULL && i < n->conf->n_rules; i++) {
		const struct notify_rule *rule = &n->conf->rules[i];

		for (size_t k = 0; rule_is_about(rule, event) && k < rule->n_targets; k++) {
			size_t target = rule->targets[k];

			if (told[target])
				continue;
			told[target] = true;
			notify_lane_push(find_lane(n, i, n->conf->targets[target].name), event, 0);
		}
	}
}

/* ---- lanes that are gone ---- */

static bool is_configured(const struct notify *n, const struct notify_lane *lane)
{
	const struct notify_rule *rule;

	if (n->conf == NULL || lane->rule >= n->conf->n_rules)
		return false;
	rule = &n->conf->rules[lane->rule];
	for (size_t i = 0; i < rule->n_targets; i++) {
		if (strcmp(n->conf->targets[rule->targets[i]].name, lane->target) == 0)
			return true;
	}
	return false;
}

/* What waits in a lane that is gone goes to another one of the same target. */
static void move_items(struct notify *n, struct notify_lane *from)
{
	size_t at = 0;

	list_foreach(pos, tmp, &n->lanes)
	{
		struct notify_lane *to = container_of(pos, struct notify_lane, link);

		if (to == from || to->orphan || strcmp(to->target, from->target) != 0 ||
			!is_configured(n, to))
			continue;
		list_foreach(item, next, &from->items)
		{
			struct notify_item *moved = container_of(item, struct notify_item, link);

			if (at++ < from->n_sending)
				continue;
			take_out(from, moved);
			notify_lane_push(to, &moved->event, moved->queued_us);
			free(moved);
		}
		to->more += from->more - from->more_sending;
		from->more = from->more_sending;
		return;
	}
}

/* ---- sending ---- */

static void forget_sent(struct notify_lane *lane)
{
	while (lane->n_sending > 0) {
		drop_first(lane);
		lane->n_sending--;
	}
	lane->more -= lane->more_sending;
	lane->more_sending = 0;
}

static bool is_too_old(const struct notify_lane *lane)
{
	const struct notify_item *item = container_of(lane->items.next, struct notify_item, link);

	return item->queued_us + NOTIFY_GIVE_UP_US < clock_wall_us();
}

static unsigned backoff_ms(unsigned failures)
{
	unsigned ms = NOTIFY_RETRY_MIN_MS;

	for (unsigned i = 1; i < failures && ms < NOTIFY_RETRY_MAX_MS; i++)
		ms *= 2;
	return MIN(ms, NOTIFY_RETRY_MAX_MS);
}

/* The target has taken the message, or has not. */
static void on_sent(const struct outgoing_result *result, void *arg)
{
	struct notify_lane *lane = arg;
	struct notify *n = lane->notify;
	struct notify_tally *tally = notify_tally_of(n, lane->target);
	uint64_t now_ms = uv_now(n->server->loop);

	lane->call = NULL;
	if (result->err == -ECANCELED)
		return; /* closing: it is kept in the state */
	if (notify_message_arrived(result)) {
		notify_tally_count(tally, NOTIFY_SENT, result->message, false);
		log_info(LOG_EV("notify.sent"), LOG_STR("target", lane->target),
			LOG_INT("events", lane->n_sending + lane->more_sending));
		forget_sent(lane);
		lane->failures = 0;
		lane->retry_ms = 0;
		lane->quiet_until_ms = now_ms + lane->quiet_ms;
	} else if (!notify_message_is_temporary(result) || is_too_old(lane)) {
		notify_tally_count(tally, NOTIFY_DROPPED, result->message, false);
		log_error(LOG_EV("notify.dropped"), LOG_STR("target", lane->target),
			LOG_INT("events", lane->n_sending + lane->more_sending),
			LOG_STR("reason", result->message));
		forget_sent(lane);
		lane->failures = 0;
		lane->retry_ms = 0;
	} else {
		notify_tally_count(tally, NOTIFY_FAILED, result->message, false);
		lane->failures++;
		lane->retry_ms = now_ms + backoff_ms(lane->failures);
		log_warn(LOG_EV("notify.failed"), LOG_STR("target", lane->target),
			LOG_INT("attempt", lane->failures), LOG_STR("reason", result->message));
	}
	lane->n_sending = 0;
	lane->more_sending = 0;
	keep_max(lane); /* what came meanwhile and was not taken, together */
	notify_state_touch(n);
	if (lane->orphan) {
		move_items(n, lane); /* what was not taken */
		lane_free(lane);
	}
	notify_lanes_pump(n);
}

static void lane_send(struct notify_lane *lane, const struct notify_target *target)
{
	struct notify *n = lane->notify;
	const struct notify_event *events[NOTIFY_MAX_QUEUED];
	struct notify_words words = notify_words(n);
	struct notify_event digest;
	uint64_t count = lane->n_items + lane->more;
	size_t i = 0;

	assert(lane->n_items <= NOTIFY_MAX_QUEUED);
	list_foreach(pos, tmp, &lane->items)
	{
		events[i++] = &container_of(pos, struct notify_item, link)->event;
	}
	lane->n_sending = lane->n_items;
	lane->more_sending = lane->more;
	if (count > 1)
		notify_text_digest(&words, events, lane->n_items, lane->more, &digest);
	lane->call = notify_message_send(
		n->outgoing, target, count > 1 ? &digest : events[0], count, on_sent, lane);
}

/* A lane may send. */
static void on_due(uv_timer_t *timer)
{
	notify_lanes_pump(timer->data);
}

void notify_lanes_pump(struct notify *n)
{
	uint64_t now_ms = uv_now(n->server->loop), next_ms = UINT64_MAX;

	if (n->closing)
		return;
	list_foreach(pos, tmp, &n->lanes)
	{
		struct notify_lane *lane = container_of(pos, struct notify_lane, link);
		uint64_t due_ms = MAX(lane->retry_ms, lane->quiet_until_ms);

		if (lane->call != NULL || lane->n_items == 0)
			continue;
		if (due_ms <= now_ms)
			lane_send(lane, notify_conf_target(n->conf, lane->target));
		else
			next_ms = MIN(next_ms, due_ms);
	}
	if (next_ms != UINT64_MAX)
		uv_timer_start(&n->due, on_due, next_ms - now_ms, 0);
}

/* ---- the configuration ---- */

static struct notify_lane *lane_new(struct notify *n, size_t rule, const char *target)
{
	struct notify_lane *lane = xcalloc(1, sizeof(*lane));

	lane->notify = n;
	lane->rule = rule;
	snprintf(lane->target, sizeof(lane->target), "%s", target);
	list_init(&lane->items);
	list_append(&n->lanes, &lane->link);
	return lane;
}

void notify_lanes_configure(struct notify *n)
{
	for (size_t i = 0; n->conf != NULL && i < n->conf->n_rules; i++) {
		const struct notify_rule *rule = &n->conf->rules[i];

		for (size_t k = 0; k < rule->n_targets; k++) {
			const char *target = n->conf->targets[rule->targets[k]].name;
			struct notify_lane *lane = find_lane(n, i, target);

			if (lane == NULL)
				lane = lane_new(n, i, target);
			lane->quiet_ms = rule->quiet_us / 1000;
		}
	}
	list_foreach(pos, tmp, &n->lanes)
	{
		struct notify_lane *lane = container_of(pos, struct notify_lane, link);

		if (lane->orphan || is_configured(n, lane))
			continue;
		move_items(n, lane);
		lane->orphan = true;
		if (lane->call == NULL)
			lane_free(lane);
	}
}

void notify_lanes_free(struct notify *n)
{
	while (!list_empty(&n->lanes))
		lane_free(container_of(n->lanes.next, struct notify_lane, link));
}
