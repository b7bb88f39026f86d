#include "agent/config/check_rules.h"

#include <string.h>
#include <time.h>

#include "agent/config/zone.h"
#include "core/yaml/scalar.h"

void check_print_pace(FILE *out, const struct catalog_command *command)
{
	char per[SCALAR_DURATION_TEXT_BYTES];

	if (command->group != NULL)
		fprintf(out, "    group %s\n", command->group->name);
	if (command->rate_limit != 0) {
		scalar_duration_format(command->rate_per_us, per);
		fprintf(out, "    at most %u starts in %s\n", command->rate_limit, per);
	}
}

static int offset_of(const void *zone, int64_t unix_s)
{
	return zone_offset(zone, unix_s);
}

static void print_time(FILE *out, const char *zone, int64_t unix_s)
{
	int offset = zone_offset(zone, unix_s);
	time_t shifted = (time_t)(unix_s + offset);
	char text[64];
	struct tm tm;
	int minutes = (offset < 0 ? -offset : offset) / 60;

	if (gmtime_r(&shifted, &tm) == NULL || strftime(text, sizeof(text), "%F %H:%M", &tm) == 0)
		return;
	fprintf(out, " %s%c%02d:%02d", text, offset < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

static void print_schedule(FILE *out, const struct catalog_schedule *schedule, int64_t now_s)
{
	char catch_up[SCALAR_DURATION_TEXT_BYTES];
	int64_t at = now_s;

	fprintf(out, "    schedule %s %s", schedule->text, schedule->timezone);
	if (schedule->catch_up_us != 0) {
		scalar_duration_format(schedule->catch_up_us, catch_up);
		fprintf(out, ", catches up for %s", catch_up);
	}
	fputs("; next", out);
	for (int i = 0; i < CHECK_NEXT_FIRES; i++) {
		if (cron_next(&schedule->cron, offset_of, schedule->timezone, at, &at) != 0) {
			fputs(i == 0 ? " never" : "", out);
			break;
		}
		fputs(i == 0 ? "" : ",", out);
		print_time(out, schedule->timezone, at);
	}
	fputc('\n', out);
}

void check_print_flow_rules(FILE *out, const struct catalog_flow *flow, int64_t now_s)
{
	static const char *const conflicts[] = {
		[CATALOG_CONFLICT_SKIP] = "skipped",
		[CATALOG_CONFLICT_QUEUE] = "queued",
		[CATALOG_CONFLICT_CANCEL_RUNNING] = "started, and the running one cancelled",
	};
	char timeout[SCALAR_DURATION_TEXT_BYTES];

	scalar_duration_format(flow->timeout_us, timeout);
	fprintf(out, "    timeout %s\n", flow->timeout_us != 0 ? timeout : "none");
	if (flow->concurrency_group != NULL)
		fprintf(out, "    one at a time in %s; another one is %s\n",
			flow->concurrency_group, conflicts[flow->on_conflict]);
	for (size_t i = 0; i < flow->n_schedules; i++)
		print_schedule(out, &flow->schedules[i], now_s);
}

static void print_account(FILE *out, const struct catalog *catalog, size_t first)
{
	const char *user = catalog->commands[first].user;

	for (size_t i = 0; i < first; i++) {
		if (strcmp(catalog->commands[i].user, user) == 0)
			return; /* printed already */
	}
	fprintf(out, "user %s:", user);
	for (size_t i = first; i < catalog->n_commands; i++) {
		if (strcmp(catalog->commands[i].user, user) == 0)
			fprintf(out, " %s", catalog->commands[i].id);
	}
	fputc('\n', out);
}

void check_print_summary(FILE *out, const struct catalog *catalog)
{
	for (size_t i = 0; i < catalog->n_groups; i++) {
		const struct catalog_group *group = &catalog->groups[i];

		fprintf(out, "group %s: %u at a time, %u may wait\n", group->name,
			group->max_concurrent, group->queue);
	}
	for (size_t i = 0; i < catalog->n_commands; i++)
		print_account(out, catalog, i);
}
