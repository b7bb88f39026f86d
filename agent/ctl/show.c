#include "agent/ctl/show.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/ctl/term.h"
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

static void print(const char *text_of_others)
{
	if (text_of_others != NULL)
		term_put(stdout, text_of_others);
}

static void print_status(const json_t *object, int width)
{
	const char *status = text(object, "status");

	term_status_colour(stdout, status);
	printf("%-*s", width, status);
	term_plain(stdout);
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

static void format_span(uint64_t us, char out[32])
{
	uint64_t seconds = us / CLOCK_SECOND_US;

	if (seconds < 60)
		snprintf(out, 32, "%.1fs", (double)us / 1e6);
	else if (seconds < 3600)
		snprintf(out, 32, "%" PRIu64 "m%02" PRIu64 "s", seconds / 60, seconds % 60);
	else
		snprintf(out, 32, "%" PRIu64 "h%02" PRIu64 "m", seconds / 3600, seconds / 60 % 60);
}

static void format_duration(const json_t *object, char out[32])
{
	uint64_t started = number(object, "started_us"), finished = number(object, "finished_us");

	if (started == 0) {
		snprintf(out, 32, "-");
		return;
	}
	if (finished == 0)
		finished = clock_wall_us();
	format_span(finished > started ? finished - started : 0, out);
}

/* ---- the catalogue ---- */

static void list_entries(const json_t *list, const char *kind)
{
	size_t i;
	json_t *entry;

	json_array_foreach(list, i, entry)
	{
		const json_t *inputs = json_object_get(entry, "inputs");
		size_t j;
		json_t *input;

		printf("%-8s %-24s ", kind, text(entry, "id"));
		print(text(entry, "title"));
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

static const json_t *find(const json_t *list, const char *id)
{
	size_t i;
	json_t *entry;

	json_array_foreach(list, i, entry)
	{
		if (strcmp(text(entry, "id"), id) == 0)
			return entry;
	}
	return NULL;
}

const json_t *show_find_entry(const json_t *catalog, const char *id)
{
	const json_t *flow = find(json_object_get(catalog, "flows"), id);

	return flow != NULL ? flow : find(json_object_get(catalog, "commands"), id);
}

static void show_bound(const json_t *input, const char *key, const char *word)
{
	const json_t *bound = json_object_get(input, key);
	char span[32];

	if (!json_is_integer(bound))
		return;
	format_span(number(input, key), span);
	if (strcmp(text(input, "type"), "duration") == 0)
		printf(", %s %s", word, span);
	else
		printf(", %s %" JSON_INTEGER_FORMAT, word, json_integer_value(bound));
}

static void show_default(const json_t *input)
{
	const json_t *value = json_object_get(input, "default");

	if (json_is_true(json_object_get(input, "required"))) {
		puts(", required");
		return;
	}
	fputs(", default ", stdout);
	if (json_is_string(value))
		print(json_string_value(value));
	else if (json_is_integer(value))
		printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else
		fputs(json_is_true(value) ? "true" : "false", stdout);
	putchar('\n');
}

static void show_input(const json_t *input)
{
	size_t i;
	json_t *value;

	printf("input    %-20s %s", text(input, "name"), text(input, "type"));
	json_array_foreach(json_object_get(input, "values"), i, value)
	{
		fputs(i == 0 ? " of " : ", ", stdout);
		print(json_string_value(value));
	}
	show_bound(input, "min", "min");
	show_bound(input, "max", "max");
	if (*text(input, "under") != '\0') {
		fputs(", under ", stdout);
		print(text(input, "under"));
	}
	if (*text(input, "pattern") != '\0') {
		fputs(", pattern ", stdout);
		print(text(input, "pattern"));
	}
	show_default(input);
	if (*text(input, "description") != '\0') {
		printf("         %-20s ", "");
		print(text(input, "description"));
		putchar('\n');
	}
}

static void show_argv(const json_t *argv)
{
	size_t i;
	json_t *arg;

	json_array_foreach(argv, i, arg)
	{
		fputs(i == 0 ? "'" : " '", stdout);
		print(json_is_string(arg) ? json_string_value(arg) : "");
		putchar('\'');
	}
	putchar('\n');
}

void show_entry(const json_t *catalog, const char *id)
{
	const json_t *entry = show_find_entry(catalog, id);
	bool is_flow = find(json_object_get(catalog, "flows"), id) != NULL;
	size_t i;
	json_t *item;

	printf("%-8s %s  ", is_flow ? "flow" : "command", id);
	print(text(entry, "title"));
	putchar('\n');
	if (*text(entry, "description") != '\0') {
		fputs("         ", stdout);
		print(text(entry, "description"));
		putchar('\n');
	}
	json_array_foreach(json_object_get(entry, "inputs"), i, item) show_input(item);
	json_array_foreach(json_object_get(entry, "steps"), i, item)
		printf("step     %-20s %s\n", text(item, "id"),
			json_is_object(json_object_get(item, "approve")) ? "waits for an approval"
									 : text(item, "uses"));
	if (!is_flow) {
		printf("executes as %s: ", text(entry, "user"));
		show_argv(json_object_get(entry, "argv_shape"));
	}
}

void show_names(const json_t *catalog, const char *id)
{
	static const char *const lists[] = {"flows", "commands"};
	size_t i;
	json_t *item;

	if (id != NULL) {
		json_array_foreach(json_object_get(show_find_entry(catalog, id), "inputs"), i, item)
			printf("%s=\n", text(item, "name"));
		return;
	}
	for (size_t l = 0; l < 2; l++) {
		json_array_foreach(json_object_get(catalog, lists[l]), i, item)
			puts(text(item, "id"));
	}
}

/* ---- runs ---- */

void show_runs(const json_t *runs)
{
	size_t i;
	json_t *run;

	if (json_array_size(runs) == 0)
		puts("no runs");
	json_array_foreach(runs, i, run)
	{
		char started[32], duration[32], id[24];

		format_time(number(run, "started_us"), started);
		format_duration(run, duration);
		snprintf(id, sizeof(id), "#%" PRIu64, number(run, "number"));
		printf("%-7s ", id);
		print_status(run, 10);
		printf(" %-24s %19s %9s  ", text(run, "name"), started, duration);
		print(text(run, "actor"));
		putchar('\n');
	}
}

void show_numbers(const json_t *runs)
{
	size_t i;
	json_t *run;

	json_array_foreach(runs, i, run) printf("%" PRIu64 "\n", number(run, "number"));
}

static void show_pairs(const json_t *object, const char *head)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, name, value)
	{
		if (!json_is_string(value))
			continue;
		fputs(head, stdout);
		print(name);
		putchar('=');
		print(json_string_value(value));
		putchar('\n');
	}
}

static void show_question(const json_t *run, const json_t *step)
{
	const json_t *approve = json_object_get(step, "approve");

	if (!json_is_object(approve) || strcmp(text(step, "status"), "waiting") != 0)
		return;
	fputs("         asks: ", stdout);
	print(text(approve, "prompt"));
	printf("\n         answer: opsctl approve %" PRIu64 " %s [--reject]\n",
		number(run, "number"), text(step, "id"));
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
		if (number(step, "attempt") > 1)
			printf("  attempt %" PRIu64, number(step, "attempt"));
		if (json_is_integer(code))
			printf("  exit %" JSON_INTEGER_FORMAT, json_integer_value(code));
		if (number(step, "signal") != 0)
			printf("  signal %" PRIu64, number(step, "signal"));
		putchar('\n');
		show_pairs(json_object_get(step, "outputs"), "         set ");
		show_question(run, step);
	}
}

static void show_cancel(const json_t *cancel)
{
	if (!json_is_object(cancel))
		return;
	fputs("\ncancel   asked for by ", stdout);
	print(text(cancel, "actor"));
	if (json_is_true(json_object_get(cancel, "kill")))
		fputs(", at once", stdout);
}

void show_run(const json_t *run)
{
	const json_t *code = json_object_get(run, "exit_code");
	char started[32], duration[32];

	format_time(number(run, "started_us"), started);
	format_duration(run, duration);
	printf("run      #%" PRIu64 "  %s\n", number(run, "number"), text(run, "id"));
	printf("%-8s %s  ", text(run, "kind"), text(run, "name"));
	print(text(run, "title"));
	fputs("\nstatus   ", stdout);
	print_status(run, 0);
	if (*text(run, "reason") != '\0')
		printf("  (%s)", text(run, "reason"));
	if (json_is_integer(code))
		printf("  exit %" JSON_INTEGER_FORMAT, json_integer_value(code));
	show_cancel(json_object_get(run, "cancel"));
	printf("\nstarted  %s, took %s, by ", started, duration);
	print(text(run, "actor"));
	printf("\noutput   %" PRIu64 " bytes, %" PRIu64 " lines%s\n", number(run, "bytes"),
		number(run, "lines"),
		json_is_true(json_object_get(run, "truncated")) ? ", the rest was dropped" : "");
	show_pairs(json_object_get(run, "inputs"), "input    ");
	show_steps(run);
}

void show_status(const json_t *status)
{
	const json_t *agent = json_object_get(status, "agent");
	const json_t *runs = json_object_get(status, "runs");
	char since[32];

	format_time(number(agent, "started_us"), since);
	fputs("agent    ", stdout);
	print(text(agent, "version"));
	fputs(" on ", stdout);
	print(text(agent, "host"));
	printf(", since %s\nconfig   %s\n", since, text(agent, "config_digest"));
	if (*text(status, "config_error") != '\0') {
		term_status_colour(stdout, "failed");
		fputs("the newest files are not loaded: ", stdout);
		term_plain(stdout);
		print(text(status, "config_error"));
		putchar('\n');
	}
	if (json_array_size(runs) == 0)
		puts("nothing runs");
	else
		show_runs(runs);
}

void show_plan(const json_t *plan)
{
	size_t i;
	json_t *step;

	json_array_foreach(json_object_get(plan, "plan"), i, step)
	{
		printf("%-20s as %s: ", text(step, "step"), text(step, "user"));
		show_argv(json_object_get(step, "argv"));
	}
}

void show_json(const json_t *document)
{
	char *line = json_dumps(document, JSON_COMPACT);

	if (line != NULL)
		puts(line);
	free(line);
}
