#include "agent/ctl/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/ctl/exitcode.h"
#include "core/base/mem.h"
#include "proto/msg.h"

enum {
	OPT_FOLLOW = 1 << 0,
	OPT_DRY_RUN = 1 << 1,
	OPT_LIMIT = 1 << 2,
	OPT_REJECT = 1 << 3,
	OPT_COMMENT = 1 << 4,
	OPT_NAMES = 1 << 5,
	OPT_ACTIVE = 1 << 6,
	OPT_GRACE = 1 << 8, /* 1 << 7 and above are no letters any more */
	OPT_NOW = 1 << 9,
};

static const struct verb {
	const char *name, *args, *summary;
	unsigned options; /* beside --json and --help */
	int min_args, max_args;
	const char *help;
} verbs[] = {
	[CLI_LIST] = {"list", "[ID]", "what may be run; with ID: its inputs and what it executes",
		OPT_NAMES, 0, 1, NULL},
	[CLI_RUN] = {"run", "ID [NAME=VALUE...]", "start a command or flow",
		OPT_FOLLOW | OPT_DRY_RUN, 1, 1 + MSG_MAX_INPUTS,
		"ID and the names of its inputs are those of 'opsctl list'. A flow goes before a "
		"command of the\nsame name. Without -f the run's number is printed and the run "
		"goes "
		"on by itself; with -f its\noutput is written as it comes and opsctl ends as the "
		"run "
		"did. Ctrl-C then leaves the run alone.\n"},
	[CLI_LOGS] = {"logs", "RUN", "the output of a run so far", OPT_FOLLOW, 1, 1,
		"Standard output and standard error of the run go where opsctl's own go, byte for "
		"byte.\n"},
	[CLI_RUNS] = {"runs", "", "the newest runs", OPT_LIMIT | OPT_NAMES | OPT_ACTIVE, 0, 0,
		NULL},
	[CLI_SHOW] = {"show", "RUN", "one run with its steps", 0, 1, 1, NULL},
	[CLI_CANCEL] = {"cancel", "RUN", "end a run", 0, 1, 1,
		"Its processes get SIGTERM, and SIGKILL after kill_after; then its `finally` steps "
		"run. A second\ncancel, whoever asked for the first one, ends all of it at once: "
		"'opsctl show RUN' says whether\none was asked for.\n"},
	[CLI_APPROVE] = {"approve", "RUN STEP", "answer an approval that a run waits for",
		OPT_REJECT | OPT_COMMENT, 2, 2,
		"'opsctl show RUN' names the step and its question.\n"},
	[CLI_STATUS] = {"status", "", "whether the agent answers, and what runs", 0, 0, 0, NULL},
	[CLI_RELOAD] = {"reload", "", "read the configuration again", 0, 0, 0,
		"All or nothing: with one mistake in it the new configuration is refused, every "
		"mistake is told,\nand the old one stays.\n"},
	[CLI_ROTATE_SECRET] = {"rotate-secret", "",
		"make a new secret; the old one stays good a while", OPT_GRACE | OPT_NOW, 0, 0,
		"For root, or the user the agent runs as. The new secret is in the secret's file, "
		"and nowhere else:\ngive it to the dashboard before the old one ends. With --now "
		"the old one ends at once, and so does\nevery connection that came with it.\n"},
};

static const struct flag {
	unsigned bit; /* 0: of every command */
	const char *text, *help;
} flags[] = {
	{OPT_FOLLOW, "-f, --follow", "write the output as it comes, to the end of the run"},
	{OPT_DRY_RUN, "--dry-run", "only show what would be executed"},
	{OPT_LIMIT, "--limit N", "so many, 1 to 200 (25)"},
	{OPT_ACTIVE, "--active", "only those that run, wait or are queued"},
	{OPT_REJECT, "--reject", "say no"},
	{OPT_COMMENT, "--comment TEXT", "kept with the answer"},
	{OPT_GRACE, "--grace DURATION",
		"how long the old one stays good: 90s, 10m, 2h, to 7d (1h)"},
	{OPT_NOW, "--now", "not at all: it may be in wrong hands"},
	{OPT_NAMES, "--names", "names alone, one a line, for scripts and completion"},
	{0, "--json", "one JSON document, or one a line where there is no end; errors too"},
	{0, "-h, --help", "this text"},
};

static const char environment_text[] = "RUN is a number (1482, #1482) or a UUID. OPS_AGENT_SOCKET "
				       "and OPS_AGENT_SECRET_PATH say where "
				       "the\nagent and its secret are. See opsctl(1).\n";

static void print_help(void)
{
	puts("usage: opsctl COMMAND [ARGUMENT...]\n");
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		char head[48];

		snprintf(head, sizeof(head), "%s %s", verbs[i].name, verbs[i].args);
		printf("  %-26s %s\n", head, verbs[i].summary);
	}
	puts("\n  --json                     for programs (every command)\n"
	     "  --version, --help          opsctl COMMAND --help tells more\n");
	fputs(environment_text, stdout);
}

static void print_verb_help(const struct verb *verb)
{
	printf("usage: opsctl %s%s%s [OPTION...]\n\n%s\n", verb->name,
		verb->args[0] != '\0' ? " " : "", verb->args, verb->summary);
	if (verb->help != NULL)
		printf("\n%s", verb->help);
	putchar('\n');
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if (flags[i].bit == 0 || (verb->options & flags[i].bit) != 0)
			printf("  %-18s %s\n", flags[i].text, flags[i].help);
	}
}

/* ---- what is wrong ---- */

static bool wrong(const struct verb *verb, int *ret_exit, const char *what, const char *detail)
{
	fprintf(stderr, "opsctl: %s%s\nopsctl: try 'opsctl %s%s--help'\n", what, detail,
		verb != NULL ? verb->name : "", verb != NULL ? " " : "");
	*ret_exit = EXIT_USAGE_ERROR;
	return false;
}

static bool unknown_verb(const char *name, int *ret_exit)
{
	fprintf(stderr, "opsctl: there is no command '%.60s'; there are", name);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		fprintf(stderr, "%s %s", i > 0 ? "," : "", verbs[i].name);
	fputs("\n", stderr);
	*ret_exit = EXIT_USAGE_ERROR;
	return false;
}

/* ---- reading ---- */

struct reading {
	struct cli cli;
	unsigned options; /* seen */
	bool help, version;
	const char *problem; /* NULL: none */
	char detail[80];
};

static int parse_limit(const char *text, unsigned *ret_limit)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || value < 1 || value > CLI_MAX_LIMIT)
		return -EINVAL;
	*ret_limit = (unsigned)value;
	return 0;
}

/* A number and s, m, h or d. */
static int parse_grace(const char *text, unsigned *ret_s)
{
	static const struct {
		char unit;
		unsigned long seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end == '\0' || end[1] != '\0')
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (units[i].unit != *end)
			continue;
		if (value < 1 || value > CLI_MAX_GRACE_S / units[i].seconds)
			return -EINVAL;
		*ret_s = (unsigned)(value * units[i].seconds);
		return 0;
	}
	return -EINVAL;
}

static void take_option(struct reading *r, int c, char **argv)
{
	struct cli *cli = &r->cli;

	switch (c) {
	case 'j':
		cli->json = true;
		break;
	case 'h':
		r->help = true;
		break;
	case 'V':
		r->version = true;
		break;
	case OPT_FOLLOW:
	case 'f':
		cli->follow = true;
		r->options |= OPT_FOLLOW;
		break;
	case OPT_LIMIT:
		if (parse_limit(optarg, &cli->limit) != 0)
			r->problem = "--limit takes a number from 1 to 200";
		r->options |= OPT_LIMIT;
		break;
	case OPT_GRACE:
		if (parse_grace(optarg, &cli->grace_s) != 0)
			r->problem = "--grace takes a duration from 1s to 7d, such as 10m";
		r->options |= OPT_GRACE;
		break;
	case OPT_COMMENT:
		cli->comment = optarg;
		r->options |= OPT_COMMENT;
		break;
	case ':':
		r->problem = "a value is missing behind ";
		snprintf(r->detail, sizeof(r->detail), "%.60s", argv[optind - 1]);
		break;
	case '?':
		r->problem = "there is no option ";
		if (optopt != 0 && strncmp(argv[optind - 1], "--", 2) != 0)
			snprintf(r->detail, sizeof(r->detail), "-%c", optopt);
		else
			snprintf(r->detail, sizeof(r->detail), "%.60s", argv[optind - 1]);
		break;
	default:
		cli->dry_run = cli->dry_run || c == OPT_DRY_RUN;
		cli->reject = cli->reject || c == OPT_REJECT;
		cli->names = cli->names || c == OPT_NAMES;
		cli->active = cli->active || c == OPT_ACTIVE;
		cli->now = cli->now || c == OPT_NOW;
		r->options |= (unsigned)c;
		break;
	}
}

static void read_options(int argc, char **argv, struct reading *r)
{
	/* An option's value is its bit; 1 << 6 is still below 'V' and the letters. */
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{"follow", no_argument, NULL, OPT_FOLLOW},
		{"dry-run", no_argument, NULL, OPT_DRY_RUN},
		{"limit", required_argument, NULL, OPT_LIMIT},
		{"grace", required_argument, NULL, OPT_GRACE},
		{"now", no_argument, NULL, OPT_NOW},
		{"reject", no_argument, NULL, OPT_REJECT},
		{"comment", required_argument, NULL, OPT_COMMENT},
		{"names", no_argument, NULL, OPT_NAMES},
		{"active", no_argument, NULL, OPT_ACTIVE},
		{0},
	};
	int c;

	opterr = 0; /* what is wrong is said here, in the same words as the rest */
	while (r->problem == NULL && (c = getopt_long(argc, argv, ":fh", options, NULL)) != -1)
		take_option(r, c, argv);
}

static bool check_verb(const struct verb *verb, const struct reading *r, int *ret_exit)
{
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if (flags[i].bit != 0 && (r->options & flags[i].bit & ~verb->options) != 0)
			return wrong(verb, ret_exit, "this command has no option ", flags[i].text);
	}
	if (r->cli.n_args < verb->min_args)
		return wrong(verb, ret_exit, "an argument is missing: ", verb->args);
	if (r->cli.n_args > verb->max_args)
		return wrong(verb, ret_exit, "too many arguments: ", r->cli.args[verb->max_args]);
	if (r->cli.names && r->cli.json)
		return wrong(verb, ret_exit, "--names and --json exclude each other", "");
	if (r->cli.now && (r->options & OPT_GRACE) != 0)
		return wrong(verb, ret_exit, "--now and --grace exclude each other", "");
	return true;
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	return NULL;
}

bool cli_parse(int argc, char **argv, struct cli *ret_cli, int *ret_exit)
{
	struct reading r = {.cli = {.limit = CLI_DEFAULT_LIMIT, .grace_s = CLI_DEFAULT_GRACE_S}};
	const struct verb *verb;
	const char *name;

	read_options(argc, argv, &r);
	name = optind < argc ? argv[optind] : NULL;
	verb = name != NULL ? find_verb(name) : NULL;
	if (r.problem != NULL)
		return wrong(verb, ret_exit, r.problem, r.detail);
	*ret_exit = EXIT_OK;
	if (r.version) {
		puts("opsctl " OPS_VERSION);
		return false;
	}
	if (r.help && name == NULL) {
		print_help();
		return false;
	}
	if (name == NULL)
		return wrong(NULL, ret_exit, "which command?", "");
	if (verb == NULL)
		return unknown_verb(name, ret_exit);
	if (r.help) {
		print_verb_help(verb);
		return false;
	}
	r.cli.verb = (enum cli_verb)(verb - verbs);
	r.cli.args = argv + optind + 1;
	r.cli.n_args = argc - optind - 1;
	if (!check_verb(verb, &r, ret_exit))
		return false;
	*ret_cli = r.cli;
	return true;
}
