/* The whitelist read by somebody who wants it to mean something else than it seems to say: text
 * that looks different from what it is, programs that start others, and values that reach a shell.
 * Each case is a commands.yml and the lines expected. */
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

#define HEAD "version: 1\ncommands:\n  a.b:\n    title: T\n"
#define EXEC(items) HEAD "    exec: [" items "]\n"
#define INPUTS                                                                                     \
	"    inputs: { s: { type: string, required: true }, g: { type: slug, required: true } }\n"
#define HIDDEN "holds an invisible character (U+"

struct yaml_case {
	const char *commands;
	const char *line; /* the first error, from behind "commands.yml:"; NULL: it loads */
};

static void check_cases(const struct yaml_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct catalog *catalog = NULL;
		struct config_errors errors;
		int rc = catalog_load_bytes(
			cases[i].commands, strlen(cases[i].commands), NULL, 0, &catalog, &errors);
		const char *line = rc != 0 ? errors.lines[0] + strlen("commands.yml:") : "nothing";

		catalog_free(catalog);
		if (strncmp(line, cases[i].line != NULL ? cases[i].line : "nothing",
			    cases[i].line != NULL ? strlen(cases[i].line) : 8) != 0)
			fail_msg("case %zu:\n%s\ngave: %s\ninstead of: %s", i, cases[i].commands,
				line, cases[i].line != NULL ? cases[i].line : "nothing");
	}
}

#define CHECK(...)                                                                                 \
	do {                                                                                       \
		static const struct yaml_case cases[] = {__VA_ARGS__};                             \
		check_cases(cases, ARRAY_LEN(cases));                                              \
	} while (0)

static void text_that_reads_differently_than_it_acts_is_refused(void **state)
{
	(void)state;
	CHECK({"# \xe2\x80\xae gpj\nversion: 1\n", "1:3: " HIDDEN "202E)"},
		{"version: 1\nx: a\xe2\x81\xa6z\n", "2:5: " HIDDEN "2066)"},
		{"version: 1\nx: a\xe2\x80\x8bz\n", "2:5: " HIDDEN "200B)"},
		{"version: 1\nx: a\xc2\xadz\n", "2:5: " HIDDEN "00AD)"},
		{EXEC("/bin/x, \"a\\u202eb\""), "5:20: " HIDDEN "202E)"},
		{EXEC("/bin/x, \"a\\u200bb\""), "5:20: " HIDDEN "200B)"},
		{EXEC("/bin/x, \"a\\eb\""), "5:20: holds the control byte 0x1b"},
		{EXEC("/bin/x, \"a\\rb\""), "5:20: holds the control byte 0x0d"},
		{HEAD "    exec: [/bin/x]\n    \"\\u202e\": 1\n", "6:5: " HIDDEN "202E)"},
		/* joiners make one sign of several in some scripts, and families of emoji */
		{HEAD "    exec: [/bin/x]\n    description: "
		      "\"\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x94\xa7\"\n",
			NULL});
}

static void escaped_line_breaks_are_no_other_text(void **state)
{
	(void)state;
	CHECK({EXEC("/bin/x, \"a\\Nb\""), "5:20: holds an invisible character (U+0085)"},
		{EXEC("/bin/x, \"a\\Lb\""), "5:20: holds an invisible character (U+2028)"},
		{EXEC("/bin/x, \"a\\Pb\""), "5:20: holds an invisible character (U+2029)"},
		{EXEC("/bin/x, \"a\\uFFFEb\""), "5:20: holds an invisible character (U+FFFE)"});
}

static void programs_that_start_a_shell_are_refused(void **state)
{
	(void)state;
	CHECK({EXEC("/bin/bash, /x"), "5:12: commands run no shell"},
		{EXEC("/usr/bin/zsh5, /x"), "5:12: commands run no shell"},
		{EXEC("/bin/lksh, /x"), "5:12: commands run no shell"},
		{EXEC("/usr/bin/env, sh, -c, id"), "5:26: 'sh -c' is a shell line"},
		{EXEC("/usr/bin/env, A=b, /bin/bash, -euc, id"),
			"5:31: '/bin/bash -euc' is a shell line"},
		{EXEC("/usr/bin/docker, exec, db, sh, -c, \"${inputs.s}\"") INPUTS,
			"5:39: 'sh -c' is a shell line"},
		{EXEC("/usr/bin/sudo, busybox, sh, -x, -c, id"), "5:36: 'sh -c' is a shell line"},
		{EXEC("/usr/bin/env, -S, sh x"), "5:26: env splits"},
		{EXEC("/usr/bin/env, \"--split-string=${inputs.s}\"") INPUTS, "5:26: env splits"},
		{EXEC("/usr/bin/docker, exec, db, sh, /backup.sh, \"${inputs.s}\"") INPUTS, NULL},
		{EXEC("/usr/bin/tar, -c, \"${inputs.s}\"") INPUTS, NULL});
}

/* ssh and its kind join what they get and give it to a shell, here or on another machine. */
static void only_harmless_types_reach_programs_that_call_a_shell(void **state)
{
	(void)state;
	CHECK({EXEC("/usr/bin/ssh, db1, restart, \"${inputs.s}\"") INPUTS,
		      "5:40: a shell reads what ssh gets, and 's' (string) could hold more than "
		      "one word"},
		{EXEC("/usr/bin/ssh, db1, restart, \"${inputs.g}\"") INPUTS, NULL},
		{EXEC("/usr/bin/sudo, su, ops, -c, \"${inputs.s}\"") INPUTS,
			"5:40: a shell reads what su gets"},
		{EXEC("/usr/bin/watch, \"--interval=${inputs.g}\", \"${inputs.s}\"") INPUTS,
			"5:54: a shell reads what watch gets"},
		{EXEC("/usr/bin/python3, -c, \"${inputs.s}\"") INPUTS,
			"5:34: python3 runs what follows '-c', so it cannot be an input"},
		{EXEC("/usr/bin/perl, -ne, \"${inputs.g}\"") INPUTS,
			"5:32: perl runs what follows '-ne', so it cannot be an input"},
		{EXEC("/usr/bin/python3, /x.py, -c, \"${inputs.s}\"") INPUTS, NULL},
		{EXEC("/usr/bin/grep, -e, \"${inputs.s}\"") INPUTS, NULL});
}

static void variables_that_choose_code_never_come_from_an_input(void **state)
{
	(void)state;
	CHECK({EXEC("/x") "    env: { GIT_SSH_COMMAND: \"${inputs.s}\" }\n" INPUTS,
		      "6:29: GIT_SSH_COMMAND chooses what is executed, so it cannot come from an "
		      "input"},
		{EXEC("/x") "    env: { NODE_OPTIONS: \"${inputs.s}\" }\n" INPUTS,
			"6:26: NODE_OPTIONS chooses"},
		{EXEC("/x") "    env: { EDITOR: \"${inputs.s}\" }\n" INPUTS,
			"6:20: EDITOR chooses"},
		{EXEC("/x") "    env: { RSYNC_RSH: \"${inputs.s}\" }\n" INPUTS,
			"6:23: RSYNC_RSH chooses"},
		{EXEC("/x") "    env: { PATH: \"${inputs.s}\" }\n" INPUTS, "6:18: PATH chooses"},
		{EXEC("/x") "    env: { PAGER: less }\n", NULL},
		{EXEC("/x") "    env: { PGPORT: \"${inputs.g}\" }\n" INPUTS, NULL},
		{EXEC("/x") "    env: { PATH: \"/usr/bin::/bin\" }\n",
			"6:18: PATH must be absolute folders joined by ':'"},
		{EXEC("/x") "    env: { PATH: \"/usr/bin:.\" }\n",
			"6:18: PATH must be absolute folders joined by ':'"});
}

static void the_updater_is_out_of_reach_for_values_too(void **state)
{
	(void)state;
	CHECK({EXEC("/bin/systemctl, start, \"${inputs.u}\"") "    inputs: { u: { type: enum, "
							      "values: [caddy, "
							      "ops-dashboard-updater.service], "
							      "required: true } }\n",
		      "6:48: value 'ops-dashboard-updater.service' names the updater"},
		{EXEC("/bin/systemctl, start, \"${inputs.u}\"") "    inputs: { u: { type: slug, "
								"default: ops-dashboard-updater } "
								"}\n",
			"6:41: the default of 'u' names the updater"});
}

/* What libcyaml by itself takes or reads as something else (shared research, 4.4): row by row. */
static void what_the_yaml_library_lets_through_is_refused(void **state)
{
	static char long_scalar[(256 << 10) + 64] = "version: 1\ncommands: ";
	const struct yaml_case large = {long_scalar, " is larger than 256 KiB"};

	(void)state;
	CHECK({EXEC("/x") "    success_codes: [5s]\n",
		      "6:21: 'success_codes' must be a whole number"},
		{EXEC("/x") "    success_codes: [0x10]\n",
			"6:21: 'success_codes' must be a whole number"},
		{EXEC("/x") "    success_codes: [010]\n",
			"6:21: 'success_codes' must be a whole number"},
		{EXEC("/x") "    success_codes: [-1]\n",
			"6:21: 'success_codes' must be between 0 and 255"},
		{EXEC("/x") "    confirm: maybe\n", "6:14: 'confirm' must be true or false"},
		{EXEC("/x, \"a\\0b\""), "5:16: holds a NUL character"},
		{EXEC("/x") "---\nversion: 1\n", "6:1: a second document"}, {"", "1:1: is empty"},
		{"---\n", "2:1: is empty"}, {"--- ~\n", "1:5: is empty"},
		{"\xef\xbb\xbf", "1:1: begins with a byte order mark"},
		{EXEC("/x") "  a.b: { title: T, exec: [/x] }\n",
			"6:3: 'a.b' is given twice; first in line 3"},
		{EXEC("/x") "  \"a\\x2eb\": { title: T, exec: [/x] }\n",
			"6:3: 'a.b' is given twice; first in line 3"},
		{"version: 1\nx: &a [1]\ncommands: *a\n", "2:4: anchors are not allowed"},
		{"version: 1\ncommands: *a\n", "2:11: aliases are not allowed"},
		{"version: 1\ncommands: []\n", "2:11: 'commands' must be a mapping"},
		{EXEC("/x") "    icon: a\x01\n", "6:12: holds the control byte 0x01"},
		{EXEC("/x") "    icon: a\x7f\n", "6:12: holds the control byte 0x7f"});
	memset(long_scalar + strlen(long_scalar), 'a', 256 << 10);
	check_cases(&large, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_yaml_library_lets_through_is_refused),
		cmocka_unit_test(text_that_reads_differently_than_it_acts_is_refused),
		cmocka_unit_test(escaped_line_breaks_are_no_other_text),
		cmocka_unit_test(programs_that_start_a_shell_are_refused),
		cmocka_unit_test(only_harmless_types_reach_programs_that_call_a_shell),
		cmocka_unit_test(variables_that_choose_code_never_come_from_an_input),
		cmocka_unit_test(the_updater_is_out_of_reach_for_values_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
