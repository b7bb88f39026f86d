#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/config/build.h"
#include "agent/config/cron.h"
#include "agent/config/zone.h"
#include "core/base/mem.h"

static void read_cron(
	struct build *b, const struct raw_text *text, struct catalog_schedule *schedule)
{
	struct err err;

	schedule->text = xstrdup(text->text);
	if (cron_parse(text->text, &schedule->cron, &err) != 0)
		build_error(b, text, "'cron' %s", err.msg);
}

static void read_timezone(
	struct build *b, const struct raw_text *text, struct catalog_schedule *schedule)
{
	schedule->timezone = xstrdup(text != NULL ? text->text : "UTC");
	if (text == NULL)
		return;
	if (!zone_name_is_valid(text->text))
		build_error(b, text, "'timezone' must be a name such as Europe/Amsterdam");
	else if (b->opts != NULL && !zone_exists(text->text))
		build_error(b, text, "the time zone '%.64s' is not known here", text->text);
}

/* What nobody is there to type must have been written. */
static void check_defaults(
	struct build *b, const struct raw_pos *at, const struct catalog_flow *flow)
{
	for (size_t i = 0; i < flow->n_inputs; i++) {
		if (flow->inputs[i].default_value == NULL)
			build_error_at(b, at,
				"a flow with a schedule needs defaults for all inputs; '%s' has "
				"none",
				flow->inputs[i].name);
	}
}

static void read_schedules(
	struct build *b, const struct raw_schedules *raw, struct catalog_flow *flow)
{
	if (raw == NULL)
		return;
	if (raw->items_count == 0 || raw->items_count > CATALOG_MAX_SCHEDULES) {
		build_error_at(
			b, &raw->at, "'schedule' needs 1 to %d entries", CATALOG_MAX_SCHEDULES);
		return;
	}
	flow->schedules = xcalloc(raw->items_count, sizeof(*flow->schedules));
	flow->n_schedules = raw->items_count;
	for (size_t i = 0; i < raw->items_count; i++) {
		struct catalog_schedule *schedule = &flow->schedules[i];

		read_cron(b, raw->items[i].cron, schedule);
		read_timezone(b, raw->items[i].timezone, schedule);
		schedule->catch_up_us = build_duration(b, raw->items[i].catch_up, "catch_up", 0);
	}
	check_defaults(b, &raw->at, flow);
}

static void read_concurrency(
	struct build *b, const struct raw_concurrency *raw, struct catalog_flow *flow)
{
	static const char *const conflicts[] = {
		[CATALOG_CONFLICT_SKIP] = "skip",
		[CATALOG_CONFLICT_QUEUE] = "queue",
		[CATALOG_CONFLICT_CANCEL_RUNNING] = "cancel_running",
	};

	if (raw == NULL)
		return;
	if (build_name_is_valid(b, raw->group, "group", false, BUILD_MAX_NAME))
		flow->concurrency_group = xstrdup(raw->group->text);
	flow->on_conflict = (enum catalog_conflict)build_choice(b, raw->on_conflict, "on_conflict",
		conflicts, ARRAY_LEN(conflicts), CATALOG_CONFLICT_SKIP);
}

static bool id_is_taken(const struct catalog *catalog, const struct catalog_flow *flow)
{
	for (const struct catalog_flow *other = catalog->flows; other < flow; other++) {
		if (other->id != NULL && strcmp(other->id, flow->id) == 0)
			return true;
	}
	return false;
}

/* A flow is as dangerous as the worst it does, and may write as much as the most talkative. */
static void sum_up(struct catalog_flow *flow)
{
	for (size_t i = 0; i < flow->n_steps; i++) {
		const struct catalog_command *command = flow->steps[i].command;

		if (command == NULL)
			continue;
		if (command->danger > flow->danger)
			flow->danger = command->danger;
		if (i == 0 || command->max_output == 0 ||
			(flow->max_output != 0 && command->max_output > flow->max_output))
			flow->max_output = command->max_output;
	}
}

void build_flow(struct build *b, const struct raw_flow *raw, struct catalog_flow *flow)
{
	build_version(b, raw->version);
	(void)build_name_is_valid(b, raw->id, "flow", true, BUILD_MAX_ID);
	flow->id = xstrdup(raw->id->text);
	if (id_is_taken(b->catalog, flow))
		build_error(b, raw->id, "another file has a flow '%.64s' already", flow->id);
	flow->title = build_text(b, raw->title, "title", BUILD_MAX_TITLE, false);
	flow->description =
		build_text(b, raw->description, "description", BUILD_MAX_DESCRIPTION, true);
	if (raw->icon != NULL && build_name_is_valid(b, raw->icon, "icon", false, BUILD_MAX_NAME))
		flow->icon = xstrdup(raw->icon->text);
	flow->timeout_us = build_duration(b, raw->timeout, "timeout", 0);
	flow->confirm = build_bool(b, raw->confirm, "confirm", false);
	build_inputs(b, raw->inputs, &flow->inputs, &flow->n_inputs);
	build_steps(b, raw, flow);
	sum_up(flow);
	read_schedules(b, raw->schedule, flow);
	read_concurrency(b, raw->concurrency, flow);
}
