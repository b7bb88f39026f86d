#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/config/build.h"
#include "agent/config/cron.h"
#include "core/base/mem.h"

static void check_cron(struct build *b, const struct raw_text *text)
{
	struct cron cron;
	struct err err;

	if (cron_parse(text->text, &cron, &err) != 0)
		build_error(b, text, "'cron' %s", err.msg);
}

static void check_timezone(struct build *b, const struct raw_text *text)
{
	char path[128];

	if (text == NULL)
		return;
	snprintf(path, sizeof(path), "/usr/share/zoneinfo/%.64s", text->text);
	if (strspn(text->text,
		    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") !=
			strlen(text->text) ||
		strlen(text->text) > 64)
		build_error(b, text, "'timezone' must be a name such as Europe/Amsterdam");
	else if (b->opts != NULL && access(path, R_OK) != 0)
		build_error(b, text, "the time zone '%.64s' is not known here", text->text);
}

static void check_schedules(struct build *b, const struct raw_schedules *schedules)
{
	if (schedules == NULL)
		return;
	for (size_t i = 0; i < schedules->items_count; i++) {
		const struct raw_schedule *schedule = &schedules->items[i];

		check_cron(b, schedule->cron);
		check_timezone(b, schedule->timezone);
		(void)build_duration(b, schedule->catch_up, "catch_up", 0);
	}
	build_refuse(b, &schedules->at, "schedule");
}

static void check_concurrency(struct build *b, const struct raw_concurrency *concurrency)
{
	static const char *const conflicts[] = {"skip", "queue", "cancel_running"};

	if (concurrency == NULL)
		return;
	(void)build_name_is_valid(b, concurrency->group, "group", false, BUILD_MAX_NAME);
	(void)build_choice(
		b, concurrency->on_conflict, "on_conflict", conflicts, ARRAY_LEN(conflicts), 0);
	build_refuse(b, &concurrency->at, "concurrency");
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
	check_schedules(b, raw->schedule);
	check_concurrency(b, raw->concurrency);
}
