#include "agent/ctl/show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"

static const char *text(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value != NULL ? value : "";
}

static uint64_t number(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));

	return value > 0 ? (uint64_t)value : 0;
}

/* Colour is for terminals only. */
static const char *status_colour(const char *status)
{
	if (!isatty(STDOUT_FILENO))
		return "";
	if (strcmp(status, "succeeded") == 0)
		return "\033[32m";
	if (strcmp(status, "running") == 0 || strcmp(status, "waiting") == 0 ||
		strcmp(status, "queued") == 0)
		return "\033[36m";
	if (strcmp(status, "skipped") == 0 || strcmp(status, "pending") == 0)
		return "\033[2m";
	return "\033[31m";
}

static void print_status(const json_t *object, int width)
{
	const char *status = text(object, "status");
	const char *colour = status_colour(status);

	printf("%s%-*s%s", colour, width, status, *colour != '\0' ? "\033[0m" : "");
}

static void format_time(uint64_t us, char out[32])
{
	time_t seconds = (time_t)(us / CLOCK_SECOND_US);
	struct tm tm;

	if (us == 0 || localtime_r(&seconds, &tm) == NULL)
		snprintf(out, 32, "-");
	else
		strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm);
}

static void format_duration(const json_t *object, char out[32])
{
	uint64_t started = number(object, "started_us"), finished = number(object, "finished_us");
	uint64_t us;

	if (started == 0) {
		snprintf(out, 32, "-");
		return;
	}
	if (finished == 0)
		finished = clock_wall_us();
	us = finished > started ? finished - started : 0;
	if (us < 60 * CLOCK_SECOND_US)
		snprintf(out, 32, "%.1fs", (double)us / 1e6);
	else
		snprintf(out, 32, "%" PRIu64 "m%02" PRIu64 "s", us / (60 * CLOCK_SECOND_US),
			us / CLOCK_SECOND_US % 60);
}

static void list_entries(const json_t *list, const char *kind)
{
	size_t i;
	json_t *entry;

	json_array_foreach(list, i, entry)
	{
		const json_t *inputs = json_object_get(entry, "inputs");
		size_t j;
		json_t *input;

		printf("%-8s %-24s %s", kind, text(entry, "id"), text(entry, "title"));
		json_array_foreach(inputs, j, input)
			printf("%s%s%s", j == 0 ? "  (" : ", ", text(input, "name"),
				json_is_true(json_object_get(input, "required")) ? "=" : "");
		puts(json_array_size(inputs) != 0 ? ")" : "");
	}
}

void show_catalog(const json_t *catalog)
{
	list_entries(json_object_get(catalog, "flows"), "flow");
	list_entries(json_object_get(catalog, "commands"), "command");
}

void show_runs(const json_t *runs)
{
	size_t i;
	json_t *run;

	if (json_array_size(runs) == 0)
		puts("no runs yet");
	json_array_foreach(runs, i, run)
	{
		char started[32], duration[32], id[24];

		format_time(number(run, "started_us"), started);
		format_duration(run, duration);
		snprintf(id, sizeof(id), "#%" PRIu64, number(run, "number"));
		printf("%-7s ", id);
		print_status(run, 10);
		printf(" %-24s %19s %9s  %s\n", text(run, "name"), started, duration,
			text(run, "actor"));
	}
}

static void show_inputs(const json_t *run)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)json_object_get(run, "inputs"), name, value)
	{
		if (json_is_string(value))
			printf("input    %s=%s\n", name, json_string_value(value));
	}
}

static void show_steps(const json_t *run)
{
	size_t i;
	json_t *step;

	json_array_foreach(json_object_get(run, "steps"), i, step)
	{
		const json_t *code = json_object_get(step, "exit_code");
		char duration[32];

		format_duration(step, duration);
		printf("step     %-20s ", text(step, "id"));
		print_status(step, 10);
		printf(" %9s", duration);
		if (json_is_integer(code))
			printf("  exit %" JSON_INTEGER_FORMAT, json_integer_value(code));
		putchar('\n');
	}
}

void show_run(const json_t *run)
{
	const json_t *code = json_object_get(run, "exit_code");
	char started[32], duration[32];

	format_time(number(run, "started_us"), started);
	format_duration(run, duration);
	printf("run      #%" PRIu64 "  %s\n", number(run, "number"), text(run, "id"));
	printf("%-8s %s  %s\n", text(run, "kind"), text(run, "name"), text(run, "title"));
	fputs("status   ", stdout);
	print_status(run, 0);
	if (*text(run, "reason") != '\0')
		printf("  (%s)", text(run, "reason"));
	if (json_is_integer(code))
		printf("  exit %" JSON_INTEGER_FORMAT, json_integer_value(code));
	printf("\nstarted  %s, took %s, by %s\n", started, duration, text(run, "actor"));
	printf("output   %" PRIu64 " bytes, %" PRIu64 " lines\n", number(run, "bytes"),
		number(run, "lines"));
	show_inputs(run);
	show_steps(run);
}

void show_plan(const json_t *plan)
{
	size_t i, j;
	json_t *step, *arg;

	json_array_foreach(json_object_get(plan, "plan"), i, step)
	{
		printf("%-20s as %s:", text(step, "step"), text(step, "user"));
		json_array_foreach(json_object_get(step, "argv"), j, arg)
			printf(" '%s'", json_is_string(arg) ? json_string_value(arg) : "");
		putchar('\n');
	}
}
