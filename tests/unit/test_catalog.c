/* What the loader says about wrong files, from memory: each case is a commands.yml, perhaps with a
 * flow, and the lines expected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/catalog.h"
#include "core/base/mem.h"

#define HEAD "version: 1\ncommands:\n  a.b:\n    title: T\n    exec: [/bin/x]\n"
#define INPUT(rest) HEAD "    inputs:\n      x: { " rest " }\n"
#define FLOW(steps) "version: 1\nid: f\ntitle: F\n" steps

struct yaml_case {
	const char *commands;
	const char *flow;
	const char *lines; /* all of them, each ended by a newline */
};

static void load(const char *commands, size_t n, const char *flow, struct config_errors *errors)
{
	struct catalog *catalog = NULL;
	int rc = catalog_load_bytes(
		commands, n, flow, flow != NULL ? strlen(flow) : 0, &catalog, errors);

	assert_int_equal(rc, errors->total == 0 ? 0 : -EINVAL);
	assert_true((catalog != NULL) == (rc == 0));
	catalog_free(catalog);
}

static void check_cases(const struct yaml_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *commands = xstrdup(cases[i].commands != NULL ? cases[i].commands : HEAD);
		struct config_errors errors;
		char lines[4096] = "";

		load(commands, strlen(commands), cases[i].flow, &errors);
		for (size_t j = 0; j < errors.n; j++) {
			strcat(lines, errors.lines[j]);
			strcat(lines, "\n");
		}
		if (strcmp(lines, cases[i].lines) != 0)
			fail_msg("case %zu:\n%s%s\ngave:\n%sinstead of:\n%s", i, commands,
				cases[i].flow != NULL ? cases[i].flow : "", lines, cases[i].lines);
		free(commands);
	}
}

#define CHECK(...)                                                                                 \
	do {                                                                                       \
		static const struct yaml_case cases[] = {__VA_ARGS__};                             \
		check_cases(cases, ARRAY_LEN(cases));                                              \
	} while (0)

static void refuses_yaml_that_is_more_than_plain(void **state)
{
	(void)state;
	CHECK({"", NULL, "commands.yml:1:1: is empty\n"},
		{"# only a comment\n", NULL, "commands.yml:1:1: is empty\n"},
		{"---\n", NULL, "commands.yml:2:1: is empty\n"},
		{"\xef\xbb\xbfversion: 1\n", NULL,
			"commands.yml:1:1: begins with a byte order mark; save it without\n"},
		{"\xff\xfe"
		 "v",
			NULL, "commands.yml:1:1: is UTF-16; save it as UTF-8\n"},
		{"version: 1\nx: \xc3(\n", NULL, "commands.yml:2:4: is not valid UTF-8\n"},
		{"version: 1\r\n", NULL,
			"commands.yml:1:11: holds a carriage return; use Unix line ends\n"},
		{"ż: \x1b\n", NULL, "commands.yml:1:4: holds the control byte 0x1b\n"},
		{"a: \xc2\x85\n", NULL,
			"commands.yml:1:4: holds an invisible character (U+0085)\n"},
		{"version: &a 1\n", NULL, "commands.yml:1:10: anchors are not allowed\n"},
		{"version: *a\n", NULL, "commands.yml:1:10: aliases are not allowed\n"},
		{"version: !!str 1\n", NULL, "commands.yml:1:10: tags are not allowed\n"},
		{"a: &x [1]\n", NULL, "commands.yml:1:4: anchors are not allowed\n"},
		{"a:\n  <<: {b: c}\n", NULL, "commands.yml:2:3: merge keys are not allowed\n"},
		{"a: 1\nb: 2\na: 3\n", NULL,
			"commands.yml:3:1: 'a' is given twice; first in line 1\n"},
		{"a: 1\n\"a\": 3\n", NULL,
			"commands.yml:2:1: 'a' is given twice; first in line 1\n"},
		{"[a]: 1\n", NULL, "commands.yml:1:1: a key must be a plain word\n"},
		{HEAD "---\nversion: 1\n", NULL,
			"commands.yml:6:1: a second document; a file holds one\n"},
		{"%YAML 1.1\n---\nversion: 1\n", NULL,
			"commands.yml:1:1: directives (%YAML, %TAG) are not allowed\n"},
		{"version: \"a\\0b\"\n", NULL, "commands.yml:1:10: holds a NUL character\n"},
		{"a: [[[[[[[[[[[[[[1]]]]]]]]]]]]]]\n", NULL,
			"commands.yml:1:15: nested too deeply\n"},
		{"a: b: c\n", NULL,
			"commands.yml:1:5: mapping values are not allowed in this context\n"},
		{"a:\n\t- b\n", NULL,
			"commands.yml:2:1: found character that cannot start any token, while "
			"scanning for the next token\n"},
		{"a: [1, 2\n", NULL,
			"commands.yml:2:1: did not find expected ',' or ']', while parsing a flow "
			"sequence\n"});
}

static void names_unknown_and_missing_keys(void **state)
{
	(void)state;
	CHECK({"version: 1\n", NULL, "commands.yml:1:1: 'commands.yml' needs the key 'commands'\n"},
		{"[a]\n", NULL, "commands.yml:1:1: 'commands.yml' must be a mapping\n"},
		{"version: 1\ncommands: {}\n", NULL,
			"commands.yml:2:11: 'commands' needs 1 to 512 commands\n"},
		{"version: 1\ncommands:\n", NULL, "commands.yml:2:10: 'commands' has no value\n"},
		{"version: 1\ncommands: [a]\n", NULL,
			"commands.yml:2:11: 'commands' must be a mapping\n"},
		{"version: 1\ncommands: { a: x }\n", NULL,
			"commands.yml:2:16: 'a' must be a mapping\n"},
		{"version: 2\ncommands:\n  a: { title: T, exec: [/x] }\n", NULL,
			"commands.yml:1:10: 'version' must be 1, not '2'\n"},
		{HEAD "    timout: 5m\n", NULL,
			"commands.yml:6:5: unknown key 'timout' (did you mean timeout?)\n"},
		{HEAD "    zzz: 5m\n", NULL, "commands.yml:6:5: unknown key 'zzz'\n"},
		{HEAD "    \"@\": 5m\n", NULL, "commands.yml:6:5: unknown key '@'\n"},
		{HEAD "    key: 5m\n", NULL, "commands.yml:6:5: unknown key 'key'\n"},
		{HEAD "    shell: echo hi\n", NULL,
			"commands.yml:6:5: commands hold no shell line; name a program and its "
			"arguments in exec: [/path, arg]\n"},
		{"version: 1\ncommands:\n  a: { exec: [/x] }\n", NULL,
			"commands.yml:3:6: 'a' needs the key 'title'\n"},
		{"version: 1\ncommands:\n  a: { title: T, exec: /x }\n", NULL,
			"commands.yml:3:24: 'exec' must be a list, [a, b]\n"},
		{"version: 1\ncommands:\n  a: { title: [T], exec: [/x] }\n", NULL,
			"commands.yml:3:15: 'title' must be a single value\n"},
		{"version: 1\ncommands:\n  a: { title: ~, exec: [/x] }\n", NULL,
			"commands.yml:3:15: 'title' has no value\n"},
		{HEAD "    env: { A: [x] }\n", NULL,
			"commands.yml:6:15: 'A' must be a single value\n"},
		{"version: 1\nx: 1\ny: 2\ncommands:\n  a: { title: T, exce: [/x] }\n", NULL,
			"commands.yml:2:1: unknown key 'x'\n"
			"commands.yml:3:1: unknown key 'y'\n"
			"commands.yml:5:18: unknown key 'exce' (did you mean exec?)\n"
			"commands.yml:5:6: 'a' needs the key 'exec'\n"});
}

static void reads_scalars_strictly(void **state)
{
	(void)state;
	CHECK({HEAD "    timeout: 5\n", NULL,
		      "commands.yml:6:14: 'timeout' must be a time such as 30s, 5m or 1h30m, not "
		      "'5'\n"},
		{HEAD "    kill_after: 11m\n", NULL,
			"commands.yml:6:17: 'kill_after' must be at most 10m\n"},
		{HEAD "    max_output: 1MB\n", NULL,
			"commands.yml:6:17: 'max_output' must be a size such as 64KiB, 256MiB or "
			"2GiB, not '1MB'\n"},
		{HEAD "    confirm: maybe\n", NULL,
			"commands.yml:6:14: 'confirm' must be true or false, not 'maybe'\n"},
		{HEAD "    confirm: yes\n", NULL,
			"commands.yml:6:14: 'confirm' must be true or false, not 'yes'\n"},
		{HEAD "    danger: medium\n", NULL,
			"commands.yml:6:13: 'danger' must be one of low, high, not 'medium'\n"},
		{HEAD "    success_codes: [0, 256]\n", NULL,
			"commands.yml:6:24: 'success_codes' must be between 0 and 255\n"},
		{HEAD "    success_codes: [010]\n", NULL,
			"commands.yml:6:21: 'success_codes' must be a whole number (no leading "
			"zero), not '010'\n"},
		{HEAD "    success_codes: []\n", NULL,
			"commands.yml:6:20: 'success_codes' needs 1 to 256 exit codes\n"},
		{HEAD "    cwd: srv\n", NULL,
			"commands.yml:6:10: 'cwd' must be an absolute path\n"},
		{HEAD "    cwd: /srv/../etc\n", NULL,
			"commands.yml:6:10: 'cwd' must not hold '.', '..' or needless slashes\n"},
		{HEAD "    icon: \"a\\eb\"\n", NULL,
			"commands.yml:6:11: holds the control byte 0x1b\n"},
		{HEAD "    icon: \"a\tb\"\n", NULL,
			"commands.yml:6:11: icon 'a?b' must be made of a-z, 0-9, '_' and '-', "
			"begin with a letter or digit and have at most 48 characters\n"},
		{HEAD "    description: \"a\\eb\"\n", NULL,
			"commands.yml:6:18: holds the control byte 0x1b\n"},
		{"version: 1\ncommands:\n  A: { title: T, exec: [/x] }\n", NULL,
			"commands.yml:3:3: command 'A' must be made of a-z, 0-9, '_' and '-', "
			"parts joined by '.', begin with a letter or digit and have at most 64 "
			"characters\n"},
		{"version: 1\ncommands:\n  a: { title: \"a\\nb\", exec: [/x] }\n", NULL,
			"commands.yml:3:15: 'title' holds a control character or a line break\n"});
}

static void checks_what_is_executed(void **state)
{
	(void)state;
	CHECK({"version: 1\ncommands:\n  a: { title: T, exec: [] }\n", NULL,
		      "commands.yml:3:24: 'exec' needs a program and at most 127 arguments\n"},
		{"version: 1\ncommands:\n  a: { title: T, exec: [df] }\n", NULL,
			"commands.yml:3:25: the program must be an absolute path, such as "
			"/usr/bin/df\n"},
		{"version: 1\ncommands:\n  a: { title: T, exec: [/bin/sh, -c, id] }\n", NULL,
			"commands.yml:3:25: commands run no shell; put the lines into a script "
			"file and name that\n"},
		{"version: 1\ncommands:\n  a: { title: T, exec: [\"${inputs.x}\"] }\n", NULL,
			"commands.yml:3:25: the program itself cannot be an input\n"},
		{"version: 1\ncommands:\n  a: { title: T, exec: [/x, ops-dashboard-updater] }\n",
			NULL, "commands.yml:3:29: the updater is out of reach for commands\n"},
		{"version: 1\ncommands:\n  a: { title: T, exec: [/x, \"a${inputs.x}\"] }\n", NULL,
			"commands.yml:3:29: ${…} may only be a whole item or follow --flag=\n"},
		{"version: 1\ncommands:\n  a: { title: T, exec: [/x, \"-f=${inputs.x}\"] }\n", NULL,
			"commands.yml:3:29: ${…} may only be a whole item or follow --flag=\n"},
		{"version: 1\ncommands:\n  a: { title: T, exec: [/x, \"--f=${inputs.x}y\"] }\n",
			NULL, "commands.yml:3:29: nothing may follow ${…} in an item\n"},
		{"version: 1\ncommands:\n  a: { title: T, exec: [/x, \"${inputs.x}\"] }\n", NULL,
			"commands.yml:3:29: no input named 'x'\n"},
		{"version: 1\ncommands:\n  a: { title: T, exec: [/x, \"${input.x}\"] }\n", NULL,
			"commands.yml:3:29: unknown reference '${input.x}'; there are "
			"${inputs.NAME}, ${steps.ID.outputs.NAME}, ${steps.ID.status} and "
			"${run.id}\n"},
		{"version: 1\ncommands:\n  a: { title: T, exec: [/x, \"${steps.y.status}\"] }\n",
			NULL,
			"commands.yml:3:29: a command knows no steps; give it an input, and set "
			"that in the flow's 'with'\n"},
		{HEAD "    env: { 1A: x }\n", NULL,
			"commands.yml:6:12: '1A' is no name for an environment variable\n"},
		{HEAD "    env: { LD_PRELOAD: /x, OPS_OUTPUT: y, BASH_ENV: z }\n", NULL,
			"commands.yml:6:12: the environment variable 'LD_PRELOAD' may not be set\n"
			"commands.yml:6:28: the environment variable 'OPS_OUTPUT' may not be set\n"
			"commands.yml:6:43: the environment variable 'BASH_ENV' may not be set\n"},
		{HEAD "    env: { A: \"x${run.id}\" }\n", NULL,
			"commands.yml:6:15: ${…} may only be the whole value\n"},
		{HEAD "    outputs: [a, b, a]\n", NULL,
			"commands.yml:6:21: output 'a' is listed twice\n"});
}

static void checks_inputs(void **state)
{
	(void)state;
	CHECK({INPUT("type: strin, required: true"), NULL,
		      "commands.yml:7:18: unknown type 'strin' (did you mean string?)\n"},
		{INPUT("required: true"), NULL, "commands.yml:7:10: 'x' needs the key 'type'\n"},
		{INPUT("type: slug"), NULL,
			"commands.yml:7:7: input 'x' needs 'required: true' or a 'default'\n"},
		{INPUT("type: slug, required: true, default: a"), NULL,
			"commands.yml:7:49: input 'x' has a default, so it cannot be required as "
			"well\n"},
		{INPUT("type: slug, default: a/b"), NULL,
			"commands.yml:7:33: the default of 'x' may hold only letters, digits, '.', "
			"'_' and "
			"'-' (A-Z, a-z, 0-9)\n"},
		{INPUT("type: int, min: 5, max: 1, default: 3"), NULL,
			"commands.yml:7:28: 'min' is above 'max'\n"
			"commands.yml:7:48: the default of 'x' must be between 5 and 1\n"},
		{INPUT("type: slug, min: 5, required: true"), NULL,
			"commands.yml:7:29: 'min' has no meaning for the type slug\n"},
		{INPUT("type: enum, required: true"), NULL,
			"commands.yml:7:7: input 'x' needs 'values': what may be chosen\n"},
		{INPUT("type: enum, values: [a, -b, a], required: true"), NULL,
			"commands.yml:7:36: value '-b' must not begin with '-'\n"
			"commands.yml:7:40: value 'a' is listed twice\n"},
		{INPUT("type: enum, values: [a], default: b"), NULL,
			"commands.yml:7:46: the default of 'x' must be one of a\n"},
		{INPUT("type: path, required: true"), NULL,
			"commands.yml:7:7: input 'x' needs 'under': the folder its path must stay "
			"in\n"},
		{INPUT("type: path, under: srv, required: true"), NULL,
			"commands.yml:7:31: 'under' must be an absolute path\n"},
		{INPUT("type: string, pattern: \"[a\", required: true"), NULL,
			"commands.yml:7:35: 'pattern': missing terminating ] for character class "
			"at character 3\n"},
		{INPUT("type: string, allow_dash: true, required: true"), NULL,
			"commands.yml:7:38: 'allow_dash' needs a 'pattern'\n"},
		{INPUT("type: slug, max_length: 0, required: true"), NULL,
			"commands.yml:7:36: 'max_length' must be between 1 and 16384\n"});
}

static void checks_limits(void **state)
{
	(void)state;
	CHECK({HEAD "    limits: { cpu: 200 }\n", NULL,
		"commands.yml:6:20: 'cpu' must be a share such as 50% or 200%, not '200'\n"});
}

static void checks_groups_rates_and_concurrency(void **state)
{
	(void)state;
	CHECK({HEAD "    group: backup\n", NULL,
		      "commands.yml:6:12: there is no group 'backup' under 'groups'\n"},
		{"version: 1\ngroups: { B: { max_concurrent: 0, queue: -1 } }\n"
		 "commands: { a: { title: T, exec: [/x] } }\n",
			NULL,
			"commands.yml:2:11: group 'B' must be made of a-z, 0-9, '_' and '-', begin "
			"with a letter or digit and have at most 48 characters\n"
			"commands.yml:2:32: 'max_concurrent' must be between 1 and 1000\n"
			"commands.yml:2:42: 'queue' must be between 0 and 1000\n"},
		{HEAD "    max_rate: { limit: 1001, per: 25h }\n", NULL,
			"commands.yml:6:24: 'limit' must be between 1 and 1000\n"
			"commands.yml:6:35: 'per' must be more than 0 and at most 24h\n"},
		{NULL,
			FLOW("concurrency: { group: g, on_conflict: wait }\n"
			     "steps: [{ id: a, uses: a.b }]\n"),
			"flows/flow.yml:4:39: 'on_conflict' must be one of skip, queue, "
			"cancel_running, not 'wait'\n"});
}

static void checks_schedules(void **state)
{
	(void)state;
	CHECK({NULL,
		      FLOW("schedule: [{ cron: \"61 * * * *\" }]\n"
			   "steps: [{ id: a, uses: a.b }]\n"),
		      "flows/flow.yml:4:20: 'cron' its minute is none (0-59)\n"},
		{NULL,
			FLOW("schedule: [{ cron: \"@daily\", timezone: ../etc }]\n"
			     "steps: [{ id: a, uses: a.b }]\n"),
			"flows/flow.yml:4:40: 'timezone' must be a name such as "
			"Europe/Amsterdam\n"},
		{NULL,
			FLOW("schedule: [{ cron: \"@daily\" }]\n"
			     "inputs: { x: { type: slug, required: true } }\n"
			     "steps: [{ id: a, uses: a.b }]\n"),
			"flows/flow.yml:4:11: a flow with a schedule needs defaults for all "
			"inputs; 'x' "
			"has none\n"});
}

static void reads_groups_rates_and_schedules(void **state)
{
	static const char commands[] =
		"version: 1\ngroups: { b: { max_concurrent: 2, queue: 5 }, c: {} }\n"
		"commands:\n  a: { title: T, exec: [/x], group: b, max_rate: { limit: 3, per: 5m } "
		"}\n";
	static const char flow[] =
		"version: 1\nid: f\ntitle: F\n"
		"schedule: [{ cron: \"15 3 * * *\", timezone: Europe/Amsterdam, catch_up: 6h }, "
		"{ cron: \"@daily\" }]\n"
		"concurrency: { group: g, on_conflict: queue }\nsteps: [{ id: s, uses: a }]\n";
	struct config_errors errors;
	struct catalog *catalog;

	(void)state;
	config_errors_init(&errors);
	assert_int_equal(catalog_load_bytes(
				 commands, strlen(commands), flow, strlen(flow), &catalog, &errors),
		0);
	assert_int_equal(catalog->commands[0].group->max_concurrent, 2);
	assert_int_equal(catalog->commands[0].group->queue, 5);
	assert_int_equal(catalog_find_group(catalog, "c")->max_concurrent, 1);
	assert_int_equal(catalog_find_group(catalog, "c")->queue, 0);
	assert_int_equal(catalog->commands[0].rate_limit, 3);
	assert_true(catalog->commands[0].rate_per_us == UINT64_C(300000000));
	assert_string_equal(catalog->flows[0].concurrency_group, "g");
	assert_int_equal(catalog->flows[0].on_conflict, CATALOG_CONFLICT_QUEUE);
	assert_int_equal(catalog->flows[0].n_schedules, 2);
	assert_string_equal(catalog->flows[0].schedules[0].timezone, "Europe/Amsterdam");
	assert_true(catalog->flows[0].schedules[0].catch_up_us == UINT64_C(6) * 3600 * 1000000);
	assert_string_equal(catalog->flows[0].schedules[1].timezone, "UTC");
	assert_string_equal(catalog->flows[0].schedules[1].text, "@daily");
	catalog_free(catalog);
}

static void keeps_limits(void **state)
{
	static const char commands[] = HEAD "    limits: { memory: 1GiB, cpu: 150%, pids: 200 }\n";
	struct catalog *catalog = NULL;
	struct config_errors errors;

	(void)state;
	CHECK({HEAD "    limits: { memory: 512KiB, pids: 0 }\n", NULL,
		"commands.yml:6:23: 'memory' must be at least 1MiB\n"
		"commands.yml:6:37: 'pids' must be between 1 and 1000000\n"});
	assert_int_equal(
		catalog_load_bytes(commands, strlen(commands), NULL, 0, &catalog, &errors), 0);
	assert_int_equal(catalog->commands[0].limits.memory, 1 << 30);
	assert_int_equal(catalog->commands[0].limits.cpu_percent, 150);
	assert_int_equal(catalog->commands[0].limits.pids, 200);
	catalog_free(catalog);
}

static void checks_secrets(void **state)
{
	(void)state;
	CHECK({HEAD "    secrets: { PGPASSWORD: secrets/pg }\n", NULL,
		      "commands.yml:6:28: 'secrets' must be an absolute path\n"},
		{HEAD "    secrets: { LD_PRELOAD: /etc/x }\n", NULL,
			"commands.yml:6:16: the environment variable 'LD_PRELOAD' may not be "
			"set\n"},
		{HEAD "    env: { A: b }\n    secrets: { A: /etc/x }\n", NULL,
			"commands.yml:7:16: 'A' is in 'env' already\n"});
}

static void keeps_secrets(void **state)
{
	static const char commands[] =
		INPUT("type: secret, required: true") "    env: { A: b, PW: \"${inputs.x}\" }\n"
						      "    secrets: { PG: /etc/pg, X: /etc/x }\n";
	struct catalog *catalog = NULL;
	struct config_errors errors;
	const struct catalog_command *c;

	(void)state;
	if (catalog_load_bytes(commands, strlen(commands), NULL, 0, &catalog, &errors) != 0)
		fail_msg("%s", errors.lines[0]);
	c = &catalog->commands[0];
	assert_int_equal(c->n_env, 4);
	assert_null(c->env[1].secret_path);
	assert_string_equal(c->env[2].name, "PG");
	assert_string_equal(c->env[2].secret_path, "/etc/pg");
	assert_string_equal(c->env[3].secret_path, "/etc/x");
	catalog_free(catalog);
}

static void checks_graphs(void **state)
{
	static const char outputs[] = HEAD "    outputs: [path]\n";

	(void)state;
	CHECK({NULL, FLOW("steps: [{ id: a, uses: a.b }, { id: b, uses: a.b, needs: [a, a] }]\n"),
		      "flows/flow.yml:4:62: step 'a' is there twice\n"},
		{NULL, FLOW("steps: [{ id: a, uses: a.b, if: \"success(\" }]\n"),
			"flows/flow.yml:4:33: 'if' is not understood from 'success(' on; there are "
			"success() failure() cancelled() always() == != && || ! ( ), references "
			"and 'text'\n"},
		{NULL,
			FLOW("steps: [{ id: a, uses: a.b, needs: [] },\n"
			     "  { id: b, uses: a.b, needs: [], if: \"steps.a.status == 'failed'\" "
			     "}]\n"),
			"flows/flow.yml:5:38: step 'a' may still be running; add it to 'needs'\n"},
		{outputs,
			FLOW("steps: [{ id: a, uses: a.b }, { id: b, uses: a.b },\n"
			     "  { id: c, uses: a.b, if: \"steps.a.outputs.path == "
			     "steps.b.outputs.pth\" }]\n"),
			"flows/flow.yml:5:27: a.b has no output 'pth' (did you mean path?)\n"},
		{NULL, FLOW("steps: [{ id: a, uses: a.b, if: inputs.x }]\n"),
			"flows/flow.yml:4:33: no input named 'x'\n"},
		{NULL, FLOW("steps: [{ id: a, uses: a.b, retry: { limit: 101 } }]\n"),
			"flows/flow.yml:4:45: 'limit' must be between 0 and 100\n"},
		{NULL, FLOW("steps: [{ id: a, uses: a.b, retry: { limit: 1, exit_codes: [] } }]\n"),
			"flows/flow.yml:4:60: 'exit_codes' needs 1 to 256 exit codes\n"},
		{NULL, FLOW("steps: [{ id: a, approve: { prompt: P, on_timeout: approve } }]\n"),
			"flows/flow.yml:4:52: 'on_timeout' needs a 'timeout'\n"},
		{NULL, FLOW("steps: [{ id: a, uses: a.b, approve: { prompt: P } }]\n"),
			"flows/flow.yml:4:24: a step has 'uses' or 'approve', not both\n"},
		{NULL,
			FLOW("steps: [{ id: a, approve: { prompt: P }, retry: { limit: 1 }, with: "
			     "{ x: y } }]\n"),
			"flows/flow.yml:4:69: an approval has no 'with'\n"
			"flows/flow.yml:4:49: an approval has no 'retry'\n"});
}

static void keeps_a_graph(void **state)
{
	static const char flow[] =
		FLOW("steps:\n"
		     "  - { id: a, uses: a.b, retry: { limit: 2, delay: 30s, backoff: 2, "
		     "exit_codes: [75, 0] } }\n"
		     "  - { id: b, uses: a.b, if: \"failure()\" }\n"
		     "  - { id: c, approve: { prompt: Sure?, timeout: 12h, on_timeout: approve } "
		     "}\n"
		     "  - { id: d, uses: a.b, needs: [a, c] }\n"
		     "  - { id: e, uses: a.b, needs: [] }\n"
		     "on_failure: [{ uses: a.b, retry: { limit: 1 } }, { uses: a.b }]\n"
		     "finally: [{ uses: a.b }, { uses: a.b }]\n");
	static const size_t needs[] = {0, 1, 1, 2, 0, 0, 1, 0, 1};
	struct catalog *catalog = NULL;
	struct config_errors errors;
	const struct catalog_flow *f;

	(void)state;
	if (catalog_load_bytes(HEAD, strlen(HEAD), flow, strlen(flow), &catalog, &errors) != 0)
		fail_msg("%s", errors.lines[0]);
	f = &catalog->flows[0];
	assert_int_equal(f->n_steps, ARRAY_LEN(needs));
	for (size_t i = 0; i < f->n_steps; i++)
		assert_int_equal(f->steps[i].n_needs, needs[i]);
	assert_int_equal(f->steps[0].retry.limit, 2);
	assert_int_equal(f->steps[0].retry.delay_us, 30000000);
	assert_int_equal(f->steps[0].retry.backoff, 2);
	assert_int_equal(f->steps[0].retry.n_exit_codes, 2);
	assert_int_equal(f->steps[0].retry.exit_codes[0], 75);
	assert_string_equal(f->steps[1].condition, "failure()");
	assert_string_equal(f->steps[2].approve.prompt, "Sure?");
	assert_int_equal(f->steps[2].approve.timeout_us, UINT64_C(43200000000));
	assert_true(f->steps[2].approve.on_timeout);
	assert_int_equal(f->steps[3].needs[1], 2);
	assert_int_equal(f->steps[5].phase, PLAN_ON_FAILURE);
	assert_int_equal(f->steps[6].needs[0], 5);
	assert_int_equal(f->steps[8].needs[0], 7);
	catalog_free(catalog);
}

static void checks_flows(void **state)
{
	(void)state;
	CHECK({NULL, FLOW("steps: []\n"), "flows/flow.yml:4:8: a flow needs 1 to 64 steps\n"},
		{NULL, FLOW("steps: [{ id: a, run: ls }]\n"),
			"flows/flow.yml:4:18: flows hold no shell; add a command to "
			"commands.yml\n"},
		{NULL, FLOW("steps: [{ id: a }]\n"),
			"flows/flow.yml:4:9: a step needs 'uses' or 'approve'\n"},
		{NULL, FLOW("steps: [{ id: a, uses: a.c }]\n"),
			"flows/flow.yml:4:24: no command named 'a.c' (did you mean a.b?)\n"},
		{NULL, FLOW("steps: [{ id: a, uses: a.b }, { id: a, uses: a.b }]\n"),
			"flows/flow.yml:4:37: step 'a' is there twice\n"},
		{NULL, FLOW("steps: [{ id: a.b, uses: a.b }]\n"),
			"flows/flow.yml:4:15: step 'a.b' must be made of a-z, 0-9, '_' and '-', "
			"begin with a letter or digit and have at most 48 characters\n"},
		{NULL, FLOW("steps: [{ id: a, uses: a.b, needs: [b] }, { id: b, uses: a.b }]\n"),
			"flows/flow.yml:4:37: step 'b' does not come before this one\n"},
		{NULL, FLOW("steps: [{ id: a, uses: a.b, needs: [a] }]\n"),
			"flows/flow.yml:4:37: step 'a' does not come before this one\n"},
		{NULL,
			FLOW("steps: [{ id: one, uses: a.b }, { id: two, uses: a.b, needs: [onw] "
			     "}]\n"),
			"flows/flow.yml:4:63: no step named 'onw' (did you mean one?)\n"},
		{NULL, FLOW("steps: [{ id: a, uses: a.b }]\nfinally: [{ id: x, uses: a.b }]\n"),
			"flows/flow.yml:5:13: items of on_failure and finally have no id; they are "
			"named finally.1, finally.2 …\n"},
		{NULL, FLOW("steps: [{ id: a, uses: a.b, with: { x: y } }]\n"),
			"flows/flow.yml:4:37: no input named 'x'\n"},
		{INPUT("type: slug, required: true"), FLOW("steps: [{ id: a, uses: a.b }]\n"),
			"flows/flow.yml:4:24: a.b needs the input 'x' in 'with'\n"},
		{INPUT("type: slug, required: true"),
			FLOW("steps: [{ id: a, uses: a.b, with: { x: -y } }]\n"),
			"flows/flow.yml:4:40: the value for 'x' must not begin with '-'\n"},
		{INPUT("type: slug, required: true"),
			FLOW("steps: [{ id: a, uses: a.b, with: { x: \"y${inputs.z}\" } }]\n"),
			"flows/flow.yml:4:40: ${…} may only be the whole value\n"},
		{INPUT("type: slug, required: true"),
			FLOW("steps: [{ id: a, uses: a.b, with: { x: \"${inputs.z}\" } }]\n"),
			"flows/flow.yml:4:40: no input named 'z'\n"},
		{INPUT("type: slug, required: true"),
			FLOW("inputs: { z: { type: string, default: a/b } }\n"
			     "steps: [{ id: a, uses: a.b, with: { x: \"${inputs.z}\" } }]\n"),
			"flows/flow.yml:5:40: the flow's default for 'x' may hold only letters, "
			"digits, "
			"'.', '_' and '-' (A-Z, a-z, 0-9)\n"},
		{INPUT("type: enum, values: [p, q], default: p"),
			FLOW("inputs: { z: { type: enum, values: [p, r], required: true } }\n"
			     "steps: [{ id: a, uses: a.b, with: { x: \"${inputs.z}\" } }]\n"),
			"flows/flow.yml:5:40: a value of the flow's input for 'x' must be one of "
			"p, q\n"},
		{INPUT("type: slug, default: y") "    outputs: [path]\n",
			FLOW("steps:\n"
			     "  - { id: a, uses: a.b, with: { x: \"${steps.b.outputs.path}\" } }\n"
			     "  - { id: b, uses: a.b, with: { x: \"${steps.a.outputs.paht}\" } }\n"
			     "  - { id: c, uses: a.b, with: { x: \"${steps.d.status}\" } }\n"),
			"flows/flow.yml:5:36: step 'b' does not come before this one\n"
			"flows/flow.yml:6:36: a.b has no output 'paht' (did you mean path?)\n"
			"flows/flow.yml:7:36: no step named 'd'\n"});
}

static void every_nul_and_cut_is_an_error_or_another_catalogue(void **state)
{
	static const char text[] = INPUT("type: slug, required: true");
	struct config_errors errors;
	char copy[sizeof(text)];

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		memcpy(copy, text, sizeof(text));
		copy[i] = '\0';
		load(copy, sizeof(text) - 1, NULL, &errors);
		assert_true(errors.total > 0);
		load(text, i, NULL, &errors); /* must not crash; a prefix may be valid */
	}
}

static void large_files_are_refused_before_they_are_parsed(void **state)
{
	size_t n = CATALOG_MAX_FILE_BYTES + 1;
	char *text = xcalloc(1, n);
	struct config_errors errors;

	(void)state;
	memset(text, '#', n);
	load(text, n, NULL, &errors);
	assert_string_equal(errors.lines[0], "commands.yml: is larger than 256 KiB");
	free(text);
}

static void more_errors_than_fit_are_counted(void **state)
{
	char text[4096] = "version: 1\n";
	struct config_errors errors;

	(void)state;
	for (int i = 0; i < 30; i++)
		snprintf(text + strlen(text), 32, "bad%d: 1\n", i);
	load(text, strlen(text), NULL, &errors);
	assert_int_equal(errors.n, CONFIG_MAX_ERRORS);
	assert_int_equal(errors.total, 31);
}

static void loads_everything_that_is_supported(void **state)
{
	static const char commands[] =
		"version: 1\n"
		"defaults: { timeout: 1m, kill_after: 2s, max_output: 1MiB, user: nobody }\n"
		"commands:\n"
		"  pg.dump:\n"
		"    title: 'Dump: a database'\n"
		"    description: |\n"
		"      Two\n"
		"      lines\n"
		"    exec: [/usr/local/libexec/ops/pg-dump, \"--db=${inputs.db}\", --, "
		"\"${inputs.label}\", \"$HOME\"]\n"
		"    user: postgres\n"
		"    cwd: /srv/backups\n"
		"    env: { PGAPPNAME: ops, RUN: \"${run.id}\", DB: \"${inputs.db}\", EMPTY: '' }\n"
		"    stdin: \"${inputs.label}\"\n"
		"    timeout: 30m\n"
		"    confirm: true\n"
		"    danger: high\n"
		"    inputs:\n"
		"      db: { type: enum, values: [app, ops], required: true, title: Database }\n"
		"      label: { type: slug, max_length: 32, default: manual }\n"
		"    outputs: [path, bytes]\n"
		"    success_codes: [0, 3]\n"
		"    max_output: 0\n"
		"    leave_children: true\n"
		"    new_privileges: true\n"
		"    icon: database\n"
		"  next:\n"
		"    title: Next\n"
		"    exec: [/bin/next, \"${inputs.file}\"]\n"
		"    inputs: { file: { type: path, under: /srv/backups, required: true } }\n";
	static const char flow[] =
		"version: 1\n"
		"id: backup\n"
		"title: Backup\n"
		"timeout: 1h\n"
		"confirm: true\n"
		"inputs: { db: { type: enum, values: [app], default: app } }\n"
		"steps:\n"
		"  - { id: dump, uses: pg.dump, with: { db: \"${inputs.db}\" }, needs: [] }\n"
		"  - { id: verify, uses: next, with: { file: \"${steps.dump.outputs.path}\" }, "
		"continue_on_error: true, needs: [dump] }\n"
		"finally: [{ uses: next, with: { file: later.dump } }]\n";
	struct catalog *catalog = NULL;
	struct config_errors errors;
	const struct catalog_command *dump;
	const struct catalog_flow *backup;

	(void)state;
	if (catalog_load_bytes(commands, strlen(commands), flow, strlen(flow), &catalog, &errors) !=
		0)
		fail_msg("%s", errors.lines[0]);
	dump = catalog_find_command(catalog, "pg.dump", 7);
	assert_non_null(dump);
	assert_null(catalog_find_command(catalog, "pg.dum", 6));
	assert_null(catalog_find_command(catalog, "PG.DUMP", 7));
	assert_string_equal(dump->title, "Dump: a database");
	assert_string_equal(dump->description, "Two\nlines\n");
	assert_string_equal(dump->user, "postgres");
	assert_string_equal(dump->cwd, "/srv/backups");
	assert_int_equal(dump->n_argv, 5);
	assert_string_equal(dump->argv[1].prefix, "--db=");
	assert_int_equal(dump->argv[1].ref, PLAN_INPUT);
	assert_int_equal(dump->argv[3].ref, PLAN_INPUT);
	assert_int_equal(dump->argv[3].index, 1);
	assert_string_equal(dump->argv[4].prefix, "$HOME");
	assert_int_equal(dump->n_env, 4);
	assert_int_equal(dump->env[1].value.ref, PLAN_RUN_ID);
	assert_string_equal(dump->env[3].value.prefix, "");
	assert_int_equal(dump->stdin_text.ref, PLAN_INPUT);
	assert_true(dump->timeout_us == UINT64_C(1800000000));
	assert_true(dump->kill_after_us == UINT64_C(2000000));
	assert_true(dump->max_output == 0);
	assert_true(dump->confirm && dump->leave_children && dump->new_privileges);
	assert_int_equal(dump->danger, CATALOG_DANGER_HIGH);
	assert_int_equal(dump->n_success_codes, 2);
	assert_int_equal(dump->success_codes[1], 3);
	assert_string_equal(catalog->commands[1].user, "nobody");
	assert_null(catalog->commands[1].stdin_text.prefix);
	assert_int_equal(catalog->commands[1].n_success_codes, 1);
	backup = catalog_find_flow(catalog, "backup", 6);
	assert_non_null(backup);
	assert_int_equal(backup->n_steps, 3);
	assert_int_equal(backup->danger, CATALOG_DANGER_HIGH);
	assert_true(backup->max_output == 0);
	assert_true(backup->confirm);
	assert_int_equal(backup->steps[0].n_needs, 0);
	assert_int_equal(backup->steps[1].needs[0], 0);
	assert_true(backup->steps[1].continue_on_error);
	assert_null(backup->steps[0].values[1].prefix); /* label: the command's default */
	assert_int_equal(backup->steps[1].values[0].ref, PLAN_STEP_OUTPUT);
	assert_string_equal(backup->steps[1].values[0].name, "path");
	assert_string_equal(backup->steps[2].id, "finally.1");
	assert_int_equal(backup->steps[2].phase, PLAN_FINALLY);
	assert_int_equal(strlen(catalog->digest), 64);
	catalog_free(catalog);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_yaml_that_is_more_than_plain),
		cmocka_unit_test(names_unknown_and_missing_keys),
		cmocka_unit_test(reads_scalars_strictly),
		cmocka_unit_test(checks_what_is_executed),
		cmocka_unit_test(checks_inputs),
		cmocka_unit_test(checks_limits),
		cmocka_unit_test(checks_groups_rates_and_concurrency),
		cmocka_unit_test(checks_schedules),
		cmocka_unit_test(reads_groups_rates_and_schedules),
		cmocka_unit_test(checks_flows),
		cmocka_unit_test(keeps_limits),
		cmocka_unit_test(checks_secrets),
		cmocka_unit_test(keeps_secrets),
		cmocka_unit_test(checks_graphs),
		cmocka_unit_test(keeps_a_graph),
		cmocka_unit_test(every_nul_and_cut_is_an_error_or_another_catalogue),
		cmocka_unit_test(large_files_are_refused_before_they_are_parsed),
		cmocka_unit_test(more_errors_than_fit_are_counted),
		cmocka_unit_test(loads_everything_that_is_supported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
